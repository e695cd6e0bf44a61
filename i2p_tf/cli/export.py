"""Writes what devices and servers load: TensorFlow Lite files of the transformation network, SavedModels of both.

  bin/export --run_dir=runs/digits_resnet20
  bin/export --run_dir=runs/digits_resnet20 --tflite --variants=int8

Every file is compared with the Keras model on test images before anything is published.
"""

import pathlib
from typing import NoReturn

from absl import flags

from i2p_tf.cli import app, run_data
from i2p_tf.export import DEFAULT_VARIANTS, VARIANTS, request

FLAGS = flags.FlagValues()
flags.DEFINE_string("run_dir", None, "run directory of bin/train; required", flag_values=FLAGS)
flags.DEFINE_string("export", None, "folder to write; exports/<name of the run> if not given", flag_values=FLAGS)
flags.DEFINE_boolean(
    "tflite", False, "write the TensorFlow Lite files only; both kinds if neither is given", flag_values=FLAGS
)
flags.DEFINE_boolean(
    "savedmodel", False, "write the SavedModels only; both kinds if neither is given", flag_values=FLAGS
)
flags.DEFINE_list(
    "variants",
    ",".join(DEFAULT_VARIANTS),
    f"TensorFlow Lite files to write, some of {','.join(VARIANTS)}",
    flag_values=FLAGS,
)
flags.DEFINE_boolean(
    "allow_loss", False, "publish variants too that lose more than 1 point of accuracy", flag_values=FLAGS
)
flags.DEFINE_string("data_dir", None, run_data.HELP, flag_values=FLAGS)


def main(arguments: list[str]) -> None:
    run_dir = app.given_run_dir(arguments, FLAGS.run_dir)
    request.check_variants(FLAGS.variants)
    config = run_dir.finished_config()
    path = pathlib.Path(FLAGS.export or pathlib.Path("exports") / run_dir.path.resolve().name).resolve()
    request.check(config, path, FLAGS.variants, str(run_dir.path))
    config = run_data.located(run_dir, config, FLAGS.data_dir)
    both = FLAGS.tflite == FLAGS.savedmodel
    with run_dir.reading():
        from i2p_tf.data import sources
        from i2p_tf.export import bundle, card
        from i2p_tf.training.progress import Progress

        progress = Progress()
        dataset = sources.load_for(config, line=progress)
        progress.say(dataset.describe_classes())
        variants = FLAGS.variants if both or FLAGS.tflite else []
        manifest = bundle.export(
            run_dir, dataset, config, path, variants, both or FLAGS.savedmodel, FLAGS.allow_loss, progress
        )
        print("\n".join(card.table(manifest)))
        print(f"bundle: {path}")


def run() -> NoReturn:
    from i2p_tf.export.errors import ParityError

    app.run(__doc__, FLAGS, main, failures=(ParityError,), stopped="stopped; run the command again")


if __name__ == "__main__":
    run()
