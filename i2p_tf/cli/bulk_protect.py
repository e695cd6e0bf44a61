"""What bin/protect does with --runner: many pictures on Apache Beam."""

import contextlib
import importlib.util
import logging
import sys
import time
from collections.abc import Sequence

from absl import flags

from i2p_tf.client.transform import Transform
from i2p_tf.errors import InputError, printable, unknown_name
from i2p_tf.moving_line import MovingLine, duration

RUNNERS = ("DirectRunner", "DataflowRunner", "FlinkRunner", "SparkRunner")
_OF_OTHERS = ("encryption", "key_file", "new_key", "image_size")
_SHOWN = 20  # failures; the file has all


def define(flag_values: flags.FlagValues) -> None:
    """Defines the flags of bulk work."""
    help_text = f"protect by Apache Beam: {', '.join(RUNNERS)}, the first on this machine; docs/bulk.md"
    flags.DEFINE_string("runner", None, help_text, flag_values=flag_values)
    help_text = "with --runner: pattern of pictures or TFRecords, or a folder/"
    flags.DEFINE_string("input", None, help_text, flag_values=flag_values)
    help_text = "with --runner: further options of Beam, as '--project=P --region=R'"
    flags.DEFINE_string("beam_options", "", help_text, flag_values=flag_values)


def check(values: flags.FlagValues, arguments: Sequence[str]) -> None:
    """`InputError` if the flags don't fit each other, or Beam is missing; loads nothing."""
    if values.runner not in RUNNERS:
        raise unknown_name("runner", values.runner, RUNNERS)
    for name in _OF_OTHERS:
        if values[name].present:
            raise InputError(f"--{name} and --runner exclude each other; a key stays on one machine")
    if arguments:
        raise InputError(f"unexpected argument {arguments[0]!r}; with --runner the pictures are --input=PATTERN")
    for name, example in (("input", "'photos/**.jpg'"), ("output", "protected/")):
        if not values[name].value:
            raise InputError(f"--{name} is missing; --runner needs it, as --{name}={example}")
    if values.threads is not None and values.runner != RUNNERS[0]:
        raise InputError(f"--threads is of {RUNNERS[0]}; {values.runner} has its own --beam_options")
    for package in ("apache_beam", "google_crc32c"):
        if not importlib.util.find_spec(package):
            raise InputError(
                "--runner needs Apache Beam, which is not installed: pip install -c constraints-beam.txt '.[beam]'"
            )


def run(values: flags.FlagValues, transform: Transform, rule: str) -> int:
    """Protects the pictures; returns the exit code.

    Args:
        values: the flags, after `check`.
        transform, rule: as for `i2p_tf.client.protect.protect_bytes`.
    """
    started = time.monotonic()
    line = MovingLine()
    # Of this machine's workers what fails is raised as well; a cluster's tell where they can be watched.
    with _logged(logging.CRITICAL if values.runner == RUNNERS[0] else logging.INFO):
        from i2p_tf.bulk import run

        totals = run.protect(
            values.runner,
            values.input,
            values.output,
            transform,
            rule,
            transform.threads,
            values.beam_options,
            values.overwrite,
            lambda finished, total: _show(line, started, finished, total),
        )
    line.clear()
    seconds = time.monotonic() - started
    failures = totals.place.read_failures()
    for failure in failures[:_SHOWN]:
        print(f"{printable(failure['name'])}: {failure['reason']}", file=sys.stderr)
    if failures:
        print(f"all {len(failures)} that failed: {printable(totals.place.failures)}", file=sys.stderr)
    kept = f", {totals.kept} done earlier" if totals.kept else ""
    print(
        f"{totals.protected} pictures protected in {seconds:.1f} s "
        f"({totals.protected / seconds:.0f} a second){kept}, {totals.failed} failed"
    )
    return 1 if totals.failed else 0


@contextlib.contextmanager
def _logged(level):
    """Only what is at least of this level is logged meanwhile."""
    root = logging.getLogger()
    former = root.level
    root.setLevel(level)
    try:
        yield
    finally:
        root.setLevel(former)


def _show(line, started, finished, total):
    if line.due:
        text = f"{finished} of {total or '?'} parts"
        if total and finished:
            text += f", {duration((time.monotonic() - started) / finished * (total - finished))} left"
        line.show(text)
