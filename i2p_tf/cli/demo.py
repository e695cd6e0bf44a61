"""The whole story on data that come along: train, evaluate, export, serve, protect, classify, attack, report.

  bin/demo
  bin/demo --web

Trains on scikit-learn's handwritten digits, protects the test pictures on this computer, sends them to a server on
this computer and counts the correct answers. Then it attacks what was sent with the suite quick,
and makes a page of all that was measured. Every step is a command that can be run by itself. What has been trained,
exported or attacked already is not done again, so the same command goes on where it was stopped.

With --web it ends with a page that protects pictures of yours in the browser, and serves that until Ctrl-C.
"""

import contextlib
import json
import pathlib
import subprocess
import sys
import time
from typing import NoReturn

import urllib3
from absl import flags
from PIL import Image

from i2p_tf.cli import app, signals, stderr
from i2p_tf.client import manifest
from i2p_tf.errors import InputError
from i2p_tf.files import write_atomically
from i2p_tf.run_dir import RunDir
from i2p_tf.serving import ports
from i2p_tf.serving.stand_in import web_page

FLAGS = flags.FlagValues()
flags.DEFINE_string("run_dir", "runs/digits_resnet20", "folder of the run", flag_values=FLAGS)
flags.DEFINE_string("export", None, "folder to export to; exports/<name of the run> if not given", flag_values=FLAGS)
flags.DEFINE_boolean("web", False, "serve the page that protects pictures in a browser at the end", flag_values=FLAGS)

HOST = "127.0.0.1"
START_SECONDS = 120  # that the server may take to load TensorFlow and the model
ALLOWED_DIFFERENCE = 0.01  # of accuracy, between the exported networks and the Keras ones


class DemoError(RuntimeError):
    """A step failed."""


def main(arguments: list[str]) -> None:
    if arguments:
        raise InputError(f"unexpected argument {arguments[0]!r}; every setting is a flag, see --help")
    if FLAGS.web:
        web_page.folder()  # stops now what could not be served in some minutes
    started = time.monotonic()
    run_dir = RunDir(FLAGS.run_dir)
    export = pathlib.Path(FLAGS.export or pathlib.Path("exports") / run_dir.path.resolve().name)
    if not (run_dir.classifier.is_file() and run_dir.transform.is_file()):
        _step("train", "--dataset=digits", f"--run_dir={run_dir.path}")
    else:
        _step("evaluate", f"--run_dir={run_dir.path}")
    if not _is_exported(run_dir, export):
        _step("export", f"--run_dir={run_dir.path}", f"--export={export}", "--variants=float32")
    plain, protected = run_dir.demo / "plain", run_dir.demo / "protected"
    labels = _write_pictures(run_dir, plain)
    _step("protect", f"--export={export}", f"--output={protected}", "--overwrite", plain)
    with _server(export) as address:
        answers = _classify(address, export, labels)
    failed_sanity_checks = _attack(run_dir)
    _step("report", f"--run_dir={run_dir.path}")
    _summarize(run_dir, labels, answers, time.monotonic() - started)
    if failed_sanity_checks:
        raise DemoError(
            f"the attacks are not valid: {'; '.join(f'sanity check {line}' for line in failed_sanity_checks)}"
        )
    if FLAGS.web:
        arguments, _ = _serve_flags(export)
        _step("serve", *arguments, "--web")


def run() -> NoReturn:
    app.run(__doc__, FLAGS, main, failures=(DemoError,), stopped="stopped; the same command goes on from here")


def _step(command, *arguments, stdout=None):
    """Runs one of the commands to its end; returns what it printed, if `stdout` is a pipe."""
    line = [f"bin/{command}", *map(str, arguments)]
    shown = " ".join(line if len(line) < 10 else [*line[:4], f"... ({len(line) - 4} more)"])
    print(f"\n$ {shown}", file=sys.stderr, flush=True)
    with _started(command, *arguments, stdout=stdout) as process:
        printed, _ = process.communicate()
    if process.returncode:
        raise DemoError(f"bin/{command} has failed (exit code {process.returncode})")
    return printed


@contextlib.contextmanager
def _started(command, *arguments, stdout=None):
    """A command in a process of its own, which ends with the context."""
    program = [sys.executable, "-P", "-m", f"i2p_tf.cli.{command}", *map(str, arguments)]
    with contextlib.ExitStack() as stack:
        with signals.held():
            process = subprocess.Popen(program, stdout=stdout, stderr=stderr.descriptor(), text=True)
            stack.enter_context(process)
            stack.callback(process.terminate)
        yield process


def _is_exported(run_dir, export):
    """Whether the export was made of the networks of this run."""
    try:
        made_of = manifest.read(export).get("sha256")
    except InputError:  # bin/export says what is wrong, or makes it anew
        return False
    return made_of == run_dir.network_digests()


def _write_pictures(run_dir, folder):
    """Writes the test pictures as PNG files; returns path -> name of the class."""
    from i2p_tf.data import sources

    dataset = sources.load_for(run_dir.load_config(), None)
    labels = {}
    for index, (image, label) in enumerate(zip(dataset.test.images, dataset.test.labels, strict=True)):
        name = dataset.class_names[label]
        path = folder / name / f"{index:04}.png"
        with write_atomically(path) as temporary:
            Image.fromarray(image).save(temporary)
        labels[path] = name
    return labels


@contextlib.contextmanager
def _server(export):
    """bin/serve on free ports; yields its REST address once the model is in service."""
    arguments, address = _serve_flags(export)
    print(f"\n$ bin/serve {' '.join(arguments)}", file=sys.stderr, flush=True)
    with _started("serve", *arguments) as process:
        _wait_until_served(process, f"{address}/v1/models/{export.resolve().name}")
        yield address


def _serve_flags(export):
    """Flags of bin/serve with ports that are free, and the address for REST."""
    rest_port, grpc_port = (ports.free(HOST, 0, flag) for flag in ("--rest_port", "--grpc_port"))
    flags_of_serve = [f"--export={export}", f"--rest_port={rest_port}", f"--grpc_port={grpc_port}"]
    return flags_of_serve, f"http://{HOST}:{rest_port}"


def _wait_until_served(process, url):
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise DemoError(f"bin/serve has ended (exit code {process.returncode})")
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            if b"AVAILABLE" in urllib3.request("GET", url, retries=False, timeout=5.0).data:
                return
        time.sleep(0.2)
    raise DemoError(f"bin/serve is not ready after {START_SECONDS} s")


def _classify(address, export, labels):
    """Path -> name of the class that the server answered, through bin/classify."""
    flags_of_classify = ["--json", f"--server={address}", f"--export={export}"]
    lines = _step("classify", *flags_of_classify, *labels, stdout=subprocess.PIPE).splitlines()
    answers = map(json.loads, lines)
    return {pathlib.Path(answer["picture"]): answer["labels"][0]["label"] for answer in answers}


def _attack(run_dir):
    """bin/attack; returns what is wrong with its sanity checks: then it fails, but there is a suite to report on."""
    before = run_dir.results.stat().st_mtime_ns
    try:
        _step("attack", f"--run_dir={run_dir.path}")
    except DemoError:
        if run_dir.results.stat().st_mtime_ns == before:  # it has not come to the end
            raise
    return run_dir.read_results()["attack_suite"]["failed_sanity_checks"]


def _summarize(run_dir, labels, answers, seconds):
    evaluated = run_dir.read_results()["accuracy"]
    served = sum(answers[path] == name for path, name in labels.items()) / len(labels)
    rows = [
        ("plain pictures, bin/evaluate", evaluated["plain"]),
        ("protected pictures, bin/evaluate", evaluated["protected"]),
        ("protected pictures, bin/classify asking bin/serve", served),
    ]
    width = max(len(name) for name, _ in rows)
    print(f"\naccuracy on {len(labels)} test pictures")
    for name, accuracy in rows:
        print(f"  {name:<{width}}  {accuracy:.4f}")
    print(f"plain pictures:     {run_dir.demo / 'plain'}")
    print(f"what was sent:      {run_dir.demo / 'protected'}")
    print(f"some side by side:  {run_dir.samples}")
    print(f"what attacks got back, and how to read it: {run_dir.report}")
    print(f"time: {seconds // 60:.0f} min {seconds % 60:.0f} s")
    if abs(served - evaluated["protected"]) > ALLOWED_DIFFERENCE:
        raise DemoError("the served classifier does not do what bin/evaluate has measured")


if __name__ == "__main__":
    run()
