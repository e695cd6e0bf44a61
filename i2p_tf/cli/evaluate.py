"""Evaluates a run again: accuracy on plain and protected test images, visual distance, costs.

  bin/evaluate --run_dir=runs/digits_resnet20

Writes results.json and samples.png in the run directory and prints a table.
"""

from typing import NoReturn

from absl import flags

from i2p_tf.cli import app, run_data

FLAGS = flags.FlagValues()
flags.DEFINE_string("run_dir", None, "run directory of bin/train; required", flag_values=FLAGS)
flags.DEFINE_string("data_dir", None, run_data.HELP, flag_values=FLAGS)


def main(arguments: list[str]) -> None:
    run_dir = app.given_run_dir(arguments, FLAGS.run_dir)
    config = run_data.located(run_dir, app.finished_config(run_dir), FLAGS.data_dir)
    with run_dir.lock():
        from i2p_tf import evaluation
        from i2p_tf.data import sources
        from i2p_tf.training.progress import Progress

        progress = Progress()
        dataset = sources.load_for(config, line=progress)
        progress.say(dataset.describe_classes())
        results = evaluation.evaluate_run(run_dir, dataset, progress)
        print(evaluation.table(results))
        print(evaluation.closing(run_dir, results))


def run() -> NoReturn:
    app.run(__doc__, FLAGS, main)


if __name__ == "__main__":
    run()
