"""Protects pictures by a trained transformation network, on this computer, before they are sent.

What that hides, and from whom, docs/threat_model.md says. Look at the results before you send any.

  bin/protect --export=exports/NAME photo.jpg protected.png
  bin/protect --export=exports/NAME photos/ protected/
  bin/protect --export=exports/NAME a.jpg b.png more/ protected/
  bin/protect --export=exports/NAME --output=protected/ *.jpg
  bin/protect --export=exports/NAME - - < photo.jpg > protected.png
  bin/protect --encryption=etc --key_file=my.key --new_key photos/ encrypted/
  bin/protect --export=exports/NAME --runner=DirectRunner --input='photos/**.jpg' --output=protected/

AVIF, BMP, GIF, JPEG, JPEG 2000, PNG, PPM, TIFF and WebP; JPEG of up to 80 megapixels, of the others what decodes in 268
MB of memory, as docs/client.md says. PNG files without metadata come out.
The same command goes on where an earlier one was stopped. Nothing is sent anywhere; but with a --runner other than
DirectRunner the machines of a cluster read the plain pictures.

--encryption takes a conventional keyed method instead of a network, to compare with; only a classifier that
bin/train --encryption has trained with the same key can classify what it makes.
"""

import pathlib
import sys
import time
import warnings
from collections.abc import Iterable
from typing import NoReturn

from absl import flags

from i2p_tf import encryption, key_file, pictures
from i2p_tf.bulk.errors import BulkFailed
from i2p_tf.cli import app, bulk_protect, export_flag
from i2p_tf.client import protect, transform
from i2p_tf.client.keyed_transform import KeyedTransform
from i2p_tf.errors import InputError, unknown_name
from i2p_tf.files import write_bytes
from i2p_tf.moving_line import MovingLine
from i2p_tf.run_dir import lock_folder

METHODS = ", ".join(map(repr, encryption.SCHEMES))

FLAGS = flags.FlagValues()
FLAGS.set_gnu_getopt()  # flags may stand behind the file names
flags.DEFINE_string("output", None, "PNG file or folder to write; the last argument if not given", flag_values=FLAGS)
export_flag.define(FLAGS)
flags.DEFINE_string(
    "variant",
    "float32",
    "which .tflite file of the folder to take: float32, float16, int8 or qat, if it has it",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "resize",
    None,
    f"how to make pictures square: {', '.join(pictures.RESIZE_RULES)}; as in training if not given",
    flag_values=FLAGS,
)
flags.DEFINE_string("encryption", None, f"keyed method to apply instead of a transform: {METHODS}", flag_values=FLAGS)
flags.DEFINE_string(
    "key_file", None, "file of the key of --encryption, of mode 600; required with it", flag_values=FLAGS
)
flags.DEFINE_boolean(
    "new_key", False, "make the key file, which must not exist; who loses it can't decrypt", flag_values=FLAGS
)
flags.DEFINE_integer(
    "image_size", None, "height and width in pixels, with --encryption; 32 if not given", flag_values=FLAGS
)
flags.DEFINE_integer(
    "threads", None, "how many pictures to protect at the same time; one for each core if not given", flag_values=FLAGS
)
flags.DEFINE_boolean("overwrite", False, "replace files in the output that are in the way", flag_values=FLAGS)
bulk_protect.define(FLAGS)

STREAM = "-"
MAX_STREAM_BYTES = 64 << 20  # it is in memory as a whole
DEFAULT_IMAGE_SIZE = 32


def main(arguments: list[str]) -> int | None:
    if FLAGS.resize is not None and FLAGS.resize not in pictures.RESIZE_RULES:
        raise unknown_name("resize rule", FLAGS.resize, pictures.RESIZE_RULES)
    if FLAGS.runner is not None:
        bulk_protect.check(FLAGS, arguments)
        model = _trained_transform()
        return bulk_protect.run(FLAGS, model, FLAGS.resize or model.resize_rule)
    for name in ("input", "beam_options"):
        if FLAGS[name].present:
            raise InputError(f"--{name} belongs to --runner, one of {', '.join(bulk_protect.RUNNERS)}")
    if FLAGS.output is not None:
        arguments = [*arguments, FLAGS.output]
    if len(arguments) < 2:
        raise InputError("give at least one picture or folder, then the output; see --help")
    *inputs, output = arguments
    if (
        STREAM in inputs
        and len(inputs) > 1
        or output == STREAM
        and (len(inputs) > 1 or pathlib.Path(inputs[0]).is_dir())
    ):
        raise InputError(f"{STREAM} stands for one picture; it can't be used with several pictures or a folder")
    model = _keyed_transform() if FLAGS.encryption else _trained_transform()
    rule = FLAGS.resize or model.resize_rule
    if len(inputs) == 1 and not pathlib.Path(inputs[0]).is_dir() and not _is_folder(output):
        return _protect_one(inputs[0], output, model, rule)
    return _protect_many([pathlib.Path(path) for path in inputs], pathlib.Path(output), model, rule)


def run() -> NoReturn:
    warnings.filterwarnings("ignore", module="PIL")  # of damaged metadata, without the name of the file
    app.run(
        __doc__,
        FLAGS,
        main,
        failures=(BulkFailed,),
        stopped="stopped; the same command, without --new_key, goes on from here",
    )


def _trained_transform():
    for flag in ("key_file", "new_key", "image_size"):
        if FLAGS[flag].present:
            raise InputError(f"--{flag} belongs to --encryption, one of {METHODS}")
    return transform.load(export_flag.find(FLAGS.export), FLAGS.variant, FLAGS.threads, FLAGS.bits)


def _keyed_transform():
    if FLAGS.encryption not in encryption.SCHEMES:
        raise unknown_name("encryption", FLAGS.encryption, tuple(encryption.SCHEMES), quoted=True)
    if FLAGS.export:
        raise InputError("--export and --encryption exclude each other; give one of them")
    if FLAGS["variant"].present:
        raise InputError("--variant is of a transform, and --encryption takes its place; leave one of them out")
    if FLAGS["bits"].present:
        raise InputError("--bits is of a transform, and --encryption takes its place; leave one of them out")
    if not FLAGS.key_file:
        raise InputError("--key_file is missing: the file with the key of --encryption; --new_key makes one")
    if FLAGS.threads is not None and FLAGS.threads < 1:
        raise InputError(f"threads must be at least 1. Received: {FLAGS.threads}")
    size = DEFAULT_IMAGE_SIZE if FLAGS.image_size is None else FLAGS.image_size
    if size < encryption.BLOCK or size % encryption.BLOCK:
        raise InputError(f"--image_size must be a multiple of {encryption.BLOCK} with --encryption. Received: {size}")
    key = key_file.new() if FLAGS.new_key else key_file.read(FLAGS.key_file)
    return KeyedTransform(FLAGS.encryption, key, size, FLAGS.threads)


def _keep_new_key(model):
    """Writes the key file of --new_key: only now that nothing else stands in the way, and before what it encrypts."""
    if FLAGS.new_key:
        key_file.write(FLAGS.key_file, model.key)


def _is_folder(output):
    return output != STREAM and (output.endswith("/") or pathlib.Path(output).is_dir())


def _protect_one(source, output, model, rule):
    target = pathlib.Path(output)
    if output != STREAM:
        if target.suffix.lower() != ".png":
            raise InputError(
                f"the output is a PNG file: give a name that ends in .png, or a folder/. Received: {output}"
            )
        if source != STREAM and target.exists() and target.samefile(source):
            raise InputError(f"{protect.printable(target)} would overwrite the input; give another name")
        if FLAGS.key_file and target.absolute() == pathlib.Path(FLAGS.key_file).absolute():
            raise InputError(f"{protect.printable(target)} is the key file; give another name")
        if target.exists() and not FLAGS.overwrite:
            raise InputError(f"{protect.printable(target)} exists; give another name, or --overwrite")
    try:
        png = protect.protect_bytes(_read_stream() if source == STREAM else source, model, rule)
    except pictures.PictureError as error:
        name = "standard input" if source == STREAM else protect.printable(source)
        print(f"error: {name}: {error}", file=sys.stderr)
        return 1
    _keep_new_key(model)
    if output == STREAM:
        sys.stdout.buffer.write(png)
        sys.stdout.buffer.flush()
    else:
        write_bytes(target, png)
    return 0


def _read_stream():
    content = sys.stdin.buffer.read(MAX_STREAM_BYTES + 1)
    if len(content) > MAX_STREAM_BYTES:
        raise pictures.PictureError(f"more than {MAX_STREAM_BYTES:,} bytes")
    return content


def _protect_many(inputs, output, model, rule):
    if output.exists() and not output.is_dir():
        raise InputError(f"{protect.printable(output)} is a file; several pictures need a folder for the output")
    jobs, failures = protect.plan(inputs, output)
    if not jobs and not failures:
        raise InputError(f"no files in {', '.join(map(protect.printable, inputs))}")
    if not any(job.source.exists() for job in jobs):
        raise InputError(f"no such file: {', '.join(map(protect.printable, inputs))}")
    settings = model.identity | {"resize": rule}
    with lock_folder(output, "wait for it, or give another folder for the output"):
        journal = protect.check(output, settings, jobs, FLAGS.overwrite)
        _keep_new_key(model)
        protect.claim(journal, settings, jobs, FLAGS.overwrite)
        outcomes = protect.protect_pictures(jobs, model, rule, journal)
        return Report(len(jobs) + len(failures)).follow([*failures], outcomes)


class Report:
    """What a person sees: a line that moves, a line for each failure, and a summary."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.done = self.kept = self.failed = 0
        self.started = time.monotonic()
        self.line = MovingLine()

    def follow(self, failures: Iterable[protect.Outcome], outcomes: Iterable[protect.Outcome]) -> int:
        """Reports all outcomes; returns the exit code."""
        for outcome in failures:
            self._count(outcome)
        for outcome in outcomes:
            self._count(outcome)
        self.line.clear()
        seconds = time.monotonic() - self.started
        kept = f", {self.kept} done earlier" if self.kept else ""
        pictures_done = "1 picture" if self.done == 1 else f"{self.done} pictures"
        print(
            f"{pictures_done} protected in {seconds:.1f} s ({self.done / seconds:.0f} a second)"
            f"{kept}, {self.failed} failed"
        )
        return 1 if self.failed else 0

    def _count(self, outcome):
        if outcome.reason is not None:
            self.failed += 1
            self.line.say(f"{protect.printable(outcome.source)}: {outcome.reason}")
        elif outcome.kept:
            self.kept += 1
        else:
            self.done += 1
        if self.line.due:
            self._move(time.monotonic() - self.started)

    def _move(self, seconds):
        finished = self.done + self.kept + self.failed
        rate = (self.done + self.failed) / seconds
        left = f", {(self.total - finished) / rate:.0f} s left" if rate else ""
        self.line.show(f"{finished} of {self.total}, {rate:.0f} pictures/s{left}")


if __name__ == "__main__":
    run()
