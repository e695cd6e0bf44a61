"""Asks a server what pictures show. They are protected on this computer; what is sent is the protected picture.

  bin/classify photo.jpg --server=http://127.0.0.1:8501 --export=exports/NAME
  bin/classify *.png --server=grpcs://HOST:8500 --token_file=FILE --top=5 --json

The server is bin/serve, or TF Serving with an export of this project. Nothing is sent unless its model belongs to the
transform. What the protection hides, and from whom, docs/threat_model.md says.

Where the transform is a codebook, which sends one fixed picture for each class, the probabilities are constants of that
picture and carry no confidence: answers are marked "no confidence", in JSON as "constant_probabilities".
"""

import json
import os
import pathlib
import sys
import warnings
from typing import NoReturn

from absl import flags

from i2p_tf.cli import app, export_flag
from i2p_tf.client import protect
from i2p_tf.client.errors import ServerError
from i2p_tf.client.transform import load as load_transform
from i2p_tf.errors import InputError

NO_CONFIDENCE = (
    "note: no confidence: one of {} fixed pictures is sent, one for each class; its probabilities are always the same "
    "and say nothing about how sure the answer is"
)

FLAGS = flags.FlagValues()
FLAGS.set_gnu_getopt()  # flags may stand behind the file names
flags.DEFINE_string(
    "server",
    None,
    "server to ask: http://HOST:PORT, https://HOST, grpc://HOST:PORT or grpcs://HOST:PORT; required",
    flag_values=FLAGS,
)
export_flag.define(FLAGS)
flags.DEFINE_string(
    "model", None, "name of the model on the server; that of the export if not given", flag_values=FLAGS
)
flags.DEFINE_string(
    "label", None, "label of the version to ask, as canary; the newest version if not given", flag_values=FLAGS
)
flags.DEFINE_integer("top", 1, "how many classes to print for each picture, the likeliest first", 1, flag_values=FLAGS)
flags.DEFINE_boolean("json", False, "print a line of JSON for each picture", flag_values=FLAGS)
flags.DEFINE_boolean("plain", False, "send the pictures as they are, unprotected", flag_values=FLAGS)
flags.DEFINE_float(
    "timeout", 10.0, "how long an answer may take, from the connection to its last byte, in seconds", flag_values=FLAGS
)
flags.DEFINE_string(
    "token_file", None, "file with a token, sent as Authorization: Bearer; none if not given", flag_values=FLAGS
)
flags.DEFINE_string(
    "certificate", None, "PEM file of the authorities to trust for TLS; the system's if not given", flag_values=FLAGS
)


def main(arguments: list[str]) -> int | None:
    if not arguments:
        raise InputError("give at least one picture; see --help")
    if not FLAGS.server:
        raise InputError("--server is missing, as --server=http://127.0.0.1:8501; bin/serve starts one")
    for path in arguments:
        if os.path.isdir(path):
            raise InputError(
                f"{protect.printable(path)} is a folder; give its pictures, as {protect.printable(path)}/*"
            )
    export = None if FLAGS.plain and not FLAGS.export else export_flag.find(FLAGS.export)
    if export is None and not FLAGS.model:
        raise InputError("--plain without --export needs --model, its name on the server")
    transform = load_transform(export, bits=FLAGS.bits) if export else None
    with _classifier(export, transform) as classifier:
        codewords = transform.codewords if transform and not FLAGS.plain else None
        if FLAGS.plain:
            print(f"warning: --plain sends the pictures unprotected to {FLAGS.server}", file=sys.stderr, flush=True)
        if codewords and not FLAGS.json:
            print(NO_CONFIDENCE.format(codewords), file=sys.stderr, flush=True)
        failed = 0
        for classification in classifier.classify(arguments, FLAGS.top, FLAGS.plain):
            failed += not _report(classification, constant=bool(codewords))
    return 1 if failed else 0


def run() -> NoReturn:
    warnings.filterwarnings("ignore", module="PIL")  # of damaged metadata, without the name of the file
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # what goes wrong is in the exceptions
    app.run(__doc__, FLAGS, main, failures=(ServerError,))


def _classifier(path, transform):
    from i2p_tf.client.classifier import Classifier

    return Classifier(
        FLAGS.server,
        FLAGS.model or _name(path),
        transform,
        label=FLAGS.label,
        timeout=FLAGS.timeout,
        token=_read(FLAGS.token_file, "--token_file").strip() if FLAGS.token_file else None,
        certificate=FLAGS.certificate if FLAGS.certificate and _read(FLAGS.certificate, "--certificate") else None,
    )


def _name(path):
    """The name under which bin/serve serves an export."""
    folder = path if path.is_dir() else path.parent
    return folder.resolve().name


def _read(path, flag):
    try:
        return pathlib.Path(path).read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{flag}={path} cannot be read: {error}") from error


def _report(classification, constant):
    """Prints a result, or the reason for none on stderr; returns whether there is one.

    `constant` probabilities are those of a codebook, the same for each picture that is sent as one word.
    """
    source = protect.printable(classification.source)
    if classification.reason is not None:
        print(f"{source}: {classification.reason}", file=sys.stderr, flush=True)
        return False
    if FLAGS.json:
        labels = [{"label": name, "probability": probability} for name, probability in classification.labels]
        answer = {"picture": str(classification.source), "labels": labels, "constant_probabilities": constant}
        print(json.dumps(answer), flush=True)
    else:
        # A server chooses the names of its classes.
        named = ", ".join(f"{protect.printable(name)} {value:.4f}" for name, value in classification.labels)
        print(f"{source}: {named}{' (no confidence)' if constant else ''}", flush=True)
    return True


if __name__ == "__main__":
    run()
