"""Attacks what protects the pictures of a run, and says how much of the plain images they reconstruct.

  bin/attack --run_dir=runs/digits_resnet20
  bin/attack --run_dir=runs/cifar10_resnet20 --suite=standard

Every suite also runs sanity checks, whose result is known beforehand: if one misbehaves, the results prove nothing and
the command fails. Writes results.json and attacks/ in the run directory and prints a table. The same command goes on
after the last finished attack.
"""

import sys

from absl import flags

from i2p_tf import process_memory
from i2p_tf.attacks.suite import find_suite
from i2p_tf.cli import aliases, app, run_data
from i2p_tf.data import sources
from i2p_tf.errors import InputError
from i2p_tf.run_dir import RunDir

RED, PLAIN = "\x1b[31m", "\x1b[0m"
MOST_REPETITIONS = 1_000
MOST_SEED = 2**32 - 1 - MOST_REPETITIONS  # Keras takes 32 bits

FLAGS = flags.FlagValues()
flags.DEFINE_string("run_dir", None, "run directory of bin/train; required", flag_values=FLAGS)
flags.DEFINE_string(
    "suite",
    "quick",
    "which attacks: quick (minutes on two cores), standard, or full (what a publication needs; wants a GPU)",
    flag_values=FLAGS,
)
flags.DEFINE_integer("seed", 0, "number that the attackers' initialisation and order follow from", flag_values=FLAGS)
flags.DEFINE_integer(
    "repetitions",
    None,
    "how many seeds, from --seed on, each attack that is trained is run with; the suite's number if not given",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "attribute",
    None,
    "attribute besides the class to infer from protected images: coarse_label of cifar100, a column of a folder's "
    "attributes.csv, or another ClassLabel of a set of TensorFlow Datasets",
    flag_values=FLAGS,
)
flags.DEFINE_string(
    "sanity_checks_from",
    None,
    "another attacked run of the same data set: take its sanity checks and evaluation classifier instead of training "
    "them; trained if not given",
    flag_values=FLAGS,
)
aliases.define("controls_from", "sanity_checks_from", FLAGS)
flags.DEFINE_string(
    "pairs_from",
    None,
    "another data set, as of bin/train --dataset: adds an attacker who protects its images and learns from those pairs",
    flag_values=FLAGS,
)
flags.DEFINE_string("data_dir", None, run_data.HELP, flag_values=FLAGS)


def main(arguments: list[str]) -> int | None:
    run_dir = app.given_run_dir(arguments, FLAGS.run_dir)
    find_suite(FLAGS.suite)
    if not 0 <= FLAGS.seed <= MOST_SEED:
        raise InputError(f"--seed must be an integer from 0 to {MOST_SEED}. Received: {FLAGS.seed}")
    if FLAGS.repetitions is not None and not 1 <= FLAGS.repetitions <= MOST_REPETITIONS:
        raise InputError(
            f"--repetitions must be an integer from 1 to {MOST_REPETITIONS}. Received: {FLAGS.repetitions}"
        )
    config = run_data.located(run_dir, app.finished_config(run_dir), FLAGS.data_dir)
    sanity_checks_from = _attacked(FLAGS.sanity_checks_from) if FLAGS.sanity_checks_from else None
    if FLAGS.attribute is not None:
        sources.check_attribute(config.dataset, FLAGS.attribute)
    pairs_from = None
    if FLAGS.pairs_from is not None:
        pairs_from, _ = sources.place(FLAGS.pairs_from)
        sources.check_name(pairs_from)
        if pairs_from == config.dataset:
            raise InputError(f"--pairs_from={FLAGS.pairs_from}: from these pictures the suite's own attackers learn")
    with run_dir.lock():
        from i2p_tf.attacks.run import run_suite
        from i2p_tf.attacks.summary import table
        from i2p_tf.training.progress import Progress

        progress, dataset = Progress(), sources.load_for(config, FLAGS.attribute)
        progress.say(dataset.describe_classes())
        others = sources.load(pairs_from, config.data_dir, dataset.image_size) if pairs_from else None
        results = run_suite(
            run_dir,
            dataset,
            FLAGS.suite,
            FLAGS.seed,
            progress.say,
            repetitions=FLAGS.repetitions,
            attribute=FLAGS.attribute,
            sanity_checks_from=sanity_checks_from,
            others=others,
        )
        print(table(results))
        print(f"pictures: {run_dir.attacks / FLAGS.suite}/*/samples.png (plain, protected, reconstructed)")
        print(f"numbers:  {run_dir.results}")
    return _report_failures(results["attack_suite"]["failed_sanity_checks"])


def run() -> None:
    from i2p_tf.attacks.errors import AttackError

    app.run(__doc__, FLAGS, main, failures=(AttackError,), stopped="stopped; the same command goes on from here")


def _attacked(path):
    """The `RunDir` of --sanity_checks_from."""
    run_dir = RunDir(path)
    run_dir.load_config()
    if "attack_suite" not in run_dir.read_results():
        raise InputError(f"--sanity_checks_from={path} has not been attacked; bin/attack --run_dir={path} does that")
    return run_dir


def _report_failures(failures):
    """Says what is wrong with the sanity checks, in red on a terminal; returns the exit code."""
    red, plain = (RED, PLAIN) if sys.stderr.isatty() else ("", "")
    for line in failures:
        print(f"{red}error: not valid: sanity check {line}{plain}", file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    process_memory.keep_freed()  # of a process that is this command's own
    run()
