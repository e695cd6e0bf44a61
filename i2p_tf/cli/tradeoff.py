"""Measures what the code of a run is worth: what the cloud finds in it that the device could not, and what leaks.

  bin/tradeoff --run_dir=runs/cifar10_code
  bin/tradeoff --run_dir=runs/seed0,runs/seed1,runs/seed2 --output=runs/means
  bin/tradeoff --page=docs/results/tradeoff

Trains classifiers that the device could run instead, an encoder whose only aim is to be reconstructed, and attackers
that see the symbols of the codes. Writes tradeoff.json and tradeoff.png, two panels over bits, into the run. Of several
runs, which differ in nothing but the seed, it writes the means into --output as well. The same command goes on after
the last finished part. Sanity checks say whether the attackers are strong enough; if one fails, so does the command.
"""

import shlex
import sys
from typing import NoReturn

from absl import flags

from i2p_tf import checks, drawing, process_memory
from i2p_tf.cli import app, run_data
from i2p_tf.data import sources
from i2p_tf.errors import InputError
from i2p_tf.files import read_json, write_atomically, write_json
from i2p_tf.run_dir import RunDir

FLAGS = flags.FlagValues()
flags.DEFINE_list(
    "run_dir", [], "run directory of bin/train, of a code, or several with commas; required", flag_values=FLAGS
)
flags.DEFINE_list(
    "rates", [str(bits) for bits in drawing.BITS], "numbers of bits to measure, with commas", flag_values=FLAGS
)
flags.DEFINE_integer(
    "steps",
    None,
    "how many steps attackers and ceiling are trained; as many as the run's transform if not given",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "output", None, "folder to write the means of several runs into; required for several", flag_values=FLAGS
)
flags.DEFINE_string(
    "page",
    None,
    "folder of recorded trade-offs, NAME.json, to write README.md and NAME.png into; nothing is measured then",
    flag_values=FLAGS,
)
flags.DEFINE_string("data_dir", None, run_data.HELP, flag_values=FLAGS)


def main(arguments: list[str]) -> int:
    if arguments:
        raise InputError(f"unexpected argument {arguments[0]!r}; every setting is a flag, see --help")
    if FLAGS.page is not None:
        return _write_page(FLAGS.page)
    if not FLAGS.run_dir:
        raise InputError("--run_dir is missing; it is a directory that bin/train has written")
    if len(FLAGS.run_dir) > 1 and not FLAGS.output:
        raise InputError(f"--output is missing: where the means of {len(FLAGS.run_dir)} runs are to lie")
    if FLAGS.output and len(FLAGS.run_dir) == 1:
        raise InputError("--output is for the means of several runs; of one run all lies in --run_dir")
    if FLAGS.steps is not None:
        checks.integer("--steps", FLAGS.steps, 1)
    rates = _rates(FLAGS.rates)
    run_dirs = [RunDir(path) for path in FLAGS.run_dir]
    configs = [_config_of_code(run_dir) for run_dir in run_dirs]
    _check_same(run_dirs, configs)
    curves = [_measure(run_dir, config, rates) for run_dir, config in zip(run_dirs, configs, strict=True)]
    if len(curves) > 1:
        from i2p_tf.tradeoff.average import average

        mean = average(curves)
        for row in mean["rows"]:
            row["command"] = _command(FLAGS.run_dir)
        curves.append(mean)
        _write(RunDir(FLAGS.output), mean)
    return _report_failures(curves[-1]["sanity_checks"]["failed"])


def run() -> NoReturn:
    from i2p_tf.attacks.errors import AttackError
    from i2p_tf.training.errors import TrainingError

    failures = (AttackError, TrainingError)
    app.run(__doc__, FLAGS, main, failures=failures, stopped="stopped; the same command goes on from here")


def _rates(texts):
    rates = set()
    for text in texts:
        checks.member("--rates", int(text) if text.isdecimal() else text, drawing.BITS)
        rates.add(int(text))
    if not rates:
        raise InputError(f"--rates must be some of {', '.join(map(str, drawing.BITS))}. Received none")
    return sorted(rates)


def _config_of_code(run_dir):
    """The `Config` of a run that sends a code and has been evaluated, with the data where they are now."""
    config = app.finished_config(run_dir)
    if not config.has_reader:
        raise InputError(f"{run_dir.path} sends no code; bin/train --preset=code makes a run that does")
    if "accuracy_by_bits" not in run_dir.read_results():
        raise InputError(f"{run_dir.path} has not been evaluated; bin/evaluate --run_dir={run_dir.path} does that")
    return run_data.located(run_dir, config, FLAGS.data_dir)


def _check_same(run_dirs, configs):
    for run_dir, config in zip(run_dirs[1:], configs[1:], strict=True):
        others = [line for line in configs[0].differences(config) if not line.startswith("seed: ")]
        if others:
            raise InputError(
                f"runs that are averaged differ in the seed alone, and {run_dir.path} has another {'; '.join(others)}"
            )


def _measure(run_dir, config, rates):
    with run_dir.lock():
        from i2p_tf.tradeoff.curve import curve
        from i2p_tf.training.progress import Progress

        progress, dataset = Progress(), sources.load_for(config)
        progress.say(f"{run_dir.path}: {dataset.describe_classes()}")
        run_dir.remove_left_overs()
        measured = curve(run_dir, dataset, config, rates, FLAGS.steps, _command([run_dir.path]), progress)
        _write(run_dir, measured)
    return measured


def _command(paths):
    """What has been typed, without the folders in which runs lie."""
    names = ",".join(RunDir(path).path.resolve().name for path in paths)
    given = {"run_dir": names, "rates": ",".join(FLAGS.rates), "steps": FLAGS.steps}
    return " ".join(
        ["bin/tradeoff", *(f"--{name}={shlex.quote(str(value))}" for name, value in given.items() if value)]
    )


def _write(place, measured):
    """Writes tradeoff.json and tradeoff.png, and prints a table."""
    from i2p_tf.tradeoff.picture import draw

    with write_atomically(place.tradeoff_picture) as temporary:
        draw(measured["rows"]).save(temporary, format="PNG")
    write_json(place.tradeoff, measured)
    _print_table(measured["rows"])
    print(f"picture: {place.tradeoff_picture}")
    print(f"numbers: {place.tradeoff}")


def _write_page(folder):
    """README.md and the pictures of a folder's trade-offs."""
    if FLAGS.run_dir or FLAGS.output:
        raise InputError("--page measures nothing; --run_dir and --output don't go with it")
    from i2p_tf.report import recorded_page, tradeoff_page
    from i2p_tf.tradeoff.picture import draw

    files = recorded_page.records(folder)
    page = tradeoff_page.page({file.stem: read_json(file) for file in files}, draw)
    print(recorded_page.write(page, folder))
    return 0


def _print_table(rows):
    print("bits  protected  device only     gain  SSIM attacked  leakage  top-1 found  linked")
    for row in rows:
        cells = (
            (row["bits"], 4, 0),
            (row["protected"], 9, 4),
            (row["device_only"], 11, 4),
            (row["gain"], 7, 4),
            (row["strongest_ssim"], 13, 3),
            (row["leakage"], 7, 3),
            (row["reidentification_top1"], 11, 4),
            (row["linkage"], 6, 4),
        )
        print("  ".join(f"{_number(value, decimals):>{width}}" for value, width, decimals in cells))


def _number(value, decimals):
    return "-" if value is None else f"{value:.{decimals}f}"


def _report_failures(failures):
    for line in failures:
        print(f"error: not valid: sanity check {line}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    process_memory.keep_freed()  # of a process that is this command's own
    run()
