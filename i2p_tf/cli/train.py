"""Trains a classifier on plain images, then a transformation network against it, and evaluates both.

  bin/train --dataset=digits
  bin/train --dataset=cifar10 --data_dir=DIR
  bin/train --dataset=folder:PATH --image_size=64

Writes a run directory. The same command goes on where an earlier one was stopped.
"""

import dataclasses
import os
import pathlib

from absl import flags

from i2p_tf import presets
from i2p_tf.cli import app, own_classifier
from i2p_tf.config import PATHS
from i2p_tf.data import sources
from i2p_tf.errors import InputError, unknown_name
from i2p_tf.run_dir import RunDir

FLAGS = flags.FlagValues()


def _define(kind, name, help_text, default=None):
    kind(name, default, help_text, flag_values=FLAGS)


_define(flags.DEFINE_string, "dataset", "digits, cifar10, cifar100, tfds:NAME or folder:PATH")
_define(flags.DEFINE_string, "preset", f"recipe: {', '.join(presets.PRESETS)}", presets.DEFAULT)
_define(
    flags.DEFINE_string, "run_dir", "where the run is kept; runs/<dataset>_<classifier> (of any preset) if not given"
)
_define(flags.DEFINE_boolean, "overwrite", "delete another experiment in the run directory", False)
_define(
    flags.DEFINE_string,
    "data_dir",
    "prepared TensorFlow Datasets directory; of folder:PATH, where the pictures are now, if they have moved",
)
_define(
    flags.DEFINE_integer, "image_size", "height and width in pixels; if not given the data set's own, of folders 32"
)
_define(flags.DEFINE_integer, "training_images", "train on only this many images; all if not given")
_define(
    flags.DEFINE_string,
    "classifier",
    "resnet20, resnet32, resnet44, resnet56 or vgg16; applications:NAME, a network of keras.applications; or the file "
    "of any trained Keras classifier (.keras or .h5), which is taken as it is",
)
_define(flags.DEFINE_string, "classifier_path", "the same as --classifier with a file")
_define(
    flags.DEFINE_string,
    "classifier_range",
    "of the pictures that an own classifier wants: 0..1, 0..255, -1..1 or imagenet; recognised by its first layers if "
    "not given",
)
_define(
    flags.DEFINE_string,
    "classifier_output",
    "what an own classifier gives: logits or probabilities; recognised if not given",
)
_define(flags.DEFINE_string, "custom_objects", "module, or file, that registers the layers of an own classifier")
_define(
    flags.DEFINE_string,
    "classifier_weights",
    "of applications:NAME to begin with: imagenet (downloaded), random, or a file of the network without its top",
)
_define(
    flags.DEFINE_string,
    "class_names",
    "a,b,c or a file with a name a line: the classes in the order of the classifier's outputs; that of the data if not "
    "given",
)
_define(
    flags.DEFINE_string,
    "encryption",
    "'le', 'ele', 'pe' or 'etc', instead of a transform: the classifier learns from encrypted pictures; the key is "
    "made, and kept in the run directory",
)
_define(
    flags.DEFINE_string,
    "transform",
    "size of the U-Net: paper, small or tiny; of a network without skips: bottleneck or bottleneck_small; of one with "
    "one picture for each class: codebook, codebook_small or codebook_tiny",
)
_define(flags.DEFINE_string, "encoder_start", "weights that a bottleneck or codebook begins with: classifier or random")
_define(
    flags.DEFINE_string,
    "objective",
    "codebook (for a codebook), paper (cross entropy and the feature term) or adversarial (classification "
    "against a network that restores)",
)
_define(
    flags.DEFINE_string,
    "transport",
    "how protected images travel in training: png (unchanged) or jpeg (some as JPEG files, some scaled and back)",
)
_define(flags.DEFINE_float, "adversary_weight", "adversarial objective: weight of the adversary, at least 0")
_define(
    flags.DEFINE_float,
    "distillation_weight",
    "codebook and adversarial objective: share of the classifier's own outputs, 0 to 1",
)
_define(flags.DEFINE_float, "feature_loss_weight", "paper's objective: weight of the feature term, at least 0")
_define(flags.DEFINE_string, "feature_distance", "distance in the feature term: squared (the paper's) or cosine")
_define(
    flags.DEFINE_string,
    "feature_weights",
    "imagenet (VGG16, downloaded; where that fails the trained classifier's own features), classifier, or a file of "
    "VGG16's weights",
)
_define(flags.DEFINE_integer, "epochs", "epochs of each of the two trainings, at least 1")
_define(flags.DEFINE_integer, "batch_size", "images a step in both trainings, at least 1")
_define(flags.DEFINE_float, "learning_rate", "highest learning rate of both trainings, above 0")
_define(flags.DEFINE_float, "clip_norm", "limit of the gradient norm in both trainings, above 0")
_define(flags.DEFINE_string, "augmentation", "none, crop or flip_crop")
_define(flags.DEFINE_string, "precision", "auto, float32, mixed_bfloat16 or mixed_float16")
_define(flags.DEFINE_integer, "seed", "drives initialisation, order and augmentation")

# Flags that replace a field of the preset's Config: those that have a meaning for a transform only, and all; and those
# that replace a field of both its recipes.
TRANSFORM_FLAGS = (
    "transform",
    "encoder_start",
    "objective",
    "transport",
    "adversary_weight",
    "distillation_weight",
    "feature_loss_weight",
    "feature_distance",
    "feature_weights",
)
CONFIG_FLAGS = (
    "data_dir",
    "image_size",
    "training_images",
    "classifier",
    "classifier_path",
    "classifier_range",
    "classifier_output",
    "custom_objects",
    "classifier_weights",
    "class_names",
    "encryption",
    *TRANSFORM_FLAGS,
    "augmentation",
    "precision",
    "seed",
)
RECIPE_FLAGS = ("epochs", "batch_size", "learning_rate", "clip_norm")


def config_from_flags():
    """The preset's `Config` with what the flags replace; `InputError` for whatever does not fit."""
    if not FLAGS.dataset:
        raise InputError(f"--dataset is missing; allowed: {', '.join(sources.allowed())}")
    dataset, data_dir = sources.place(FLAGS.dataset, FLAGS.data_dir)
    sources.check_place(dataset)
    if FLAGS.preset not in presets.PRESETS:
        raise unknown_name("preset", FLAGS.preset, tuple(presets.PRESETS))
    if FLAGS.encryption and _given(TRANSFORM_FLAGS):
        given = ", ".join(f"--{name}" for name in _given(TRANSFORM_FLAGS))
        raise InputError(f"{given}: for a transform only, and --encryption takes its place; leave one of them out")
    for name in ("feature_weights", "classifier_weights"):
        weights, words = FLAGS[name].value, PATHS[name]
        if weights and weights not in words and not pathlib.Path(weights).is_file():
            raise InputError(f"--{name}: no such file: {weights}; allowed: {', '.join(words)} or a file")
    config = presets.PRESETS[FLAGS.preset](dataset)
    recipe_changes = _given(RECIPE_FLAGS)
    if "epochs" in recipe_changes:
        recipe_changes["minimum_steps"] = 0
    recipes = {
        name: dataclasses.replace(getattr(config, name), **recipe_changes)
        for name in ("classifier_recipe", "transform_recipe")
    }
    files = {
        name: os.path.abspath(FLAGS[name].value)
        for name in ("feature_weights", "classifier_weights")
        if FLAGS[name].value not in (None, *PATHS[name])
    }
    changes = _given(CONFIG_FLAGS) | files | own_classifier.fields(FLAGS) | {"data_dir": data_dir}
    return dataclasses.replace(config, **recipes, **changes)


def default_run_dir(dataset, config):
    """`runs/<dataset>_<classifier>`, and `_<encryption>` where there is one; of a folder, the last part of its path."""
    kind, _, rest = dataset.partition(":")
    name = pathlib.Path(rest).expanduser().resolve().name if kind == "folder" else rest or kind
    suffix = f"_{config.encryption}" if config.encryption else ""
    name = f"{name}_{config.classifier_name}{suffix}"
    return pathlib.Path("runs") / "".join(
        letter if letter.isprintable() and letter not in ":/" else "_" for letter in name
    )


def main(arguments):
    if arguments:
        raise InputError(f"unexpected argument {arguments[0]!r}; every setting is a flag, see --help")
    config = config_from_flags()
    data = sources.fingerprint(config.dataset)
    run_dir = RunDir(FLAGS.run_dir or default_run_dir(FLAGS.dataset, config))
    run_dir.check(config, FLAGS.overwrite, data)
    given = _given_from_elsewhere(config, run_dir, data)
    with run_dir.lock():
        run_dir.claim(config, FLAGS.overwrite, data)
        from i2p_tf.training.progress import Progress

        progress = Progress()
        progress.say(f"run directory: {run_dir.path}")
        from i2p_tf import evaluation
        from i2p_tf.training.train import train_and_evaluate

        results = train_and_evaluate(config, run_dir, progress, given)
        print(evaluation.table(results))
        print(f"pictures: {run_dir.samples}\nnumbers:  {run_dir.results}")


def run():
    from i2p_tf.training.errors import TrainingError

    app.run(__doc__, FLAGS, main, failures=(TrainingError,), stopped="stopped; the same command goes on from here")


def _given_from_elsewhere(config, run_dir, data):
    """Where a classifier comes from elsewhere: all that is given, before anything is written. None for the others."""
    if not config.classifier_path and not config.application:
        return None
    is_there = run_dir.continues(config, data) and run_dir.classifier.is_file()
    from i2p_tf.training.train import read_given

    return read_given(config, is_there)


def _given(names):
    return {name: FLAGS[name].value for name in names if FLAGS[name].value is not None}


if __name__ == "__main__":
    run()
