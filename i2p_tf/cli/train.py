"""Trains a classifier on plain images, then a transformation network against it, and evaluates both.

  bin/train --dataset=digits
  bin/train --dataset=cifar10 --data_dir=DIR
  bin/train --dataset=folder:PATH --image_size=64

Writes a run directory. The same command goes on where an earlier one was stopped.
"""

import contextlib
import io
import os
import pathlib
import sys

from absl import flags

from i2p_tf import concepts, presets, process_memory
from i2p_tf.cli import aliases, app, own_classifier, typed
from i2p_tf.config import Config
from i2p_tf.data import sources
from i2p_tf.errors import InputError
from i2p_tf.experiment import OF_RECIPES, configured
from i2p_tf.files import write_json
from i2p_tf.models.classifiers.table import APPLICATION
from i2p_tf.moving_line import MovingLine
from i2p_tf.run_dir import RunDir
from i2p_tf.training import cluster

FLAGS = flags.FlagValues()


def _define(kind, name, help_text, default=None):
    kind(name, default, help_text, flag_values=FLAGS)


_define(
    flags.DEFINE_string,
    "dataset",
    "what to train on: digits, cifar10, cifar100, tfds:NAME, folder:PATH or tfrecord:PATH; required",
)
_define(
    flags.DEFINE_string,
    "preset",
    f"recipe, whose settings the other flags replace: {', '.join(presets.PRESETS)}",
    presets.DEFAULT,
)
_define(flags.DEFINE_string, "run_dir", "folder of the run; runs/<dataset>_<classifier> (of any preset) if not given")
_define(
    flags.DEFINE_boolean, "overwrite", "delete the experiment that is in the run directory, if it is another one", False
)
_define(
    flags.DEFINE_string,
    "data_dir",
    "directory of prepared TensorFlow Datasets; for folder:PATH, where the pictures are now, if they have moved",
)
_define(
    flags.DEFINE_integer,
    "image_size",
    "height and width of the images in pixels; if not given the data set's own, for folders 32",
)
_define(
    flags.DEFINE_integer, "training_images", "how many images to train on, the same ones in every run; all if not given"
)
_define(flags.DEFINE_string, "classifier_path", "the same as --classifier with a file")
_define(
    flags.DEFINE_string,
    "classifier_range",
    "values of the images that your own classifier takes: 0..1, 0..255, -1..1 or imagenet; recognised by its first "
    "layers if not given",
)
_define(
    flags.DEFINE_string,
    "classifier_output",
    "what your own classifier returns: logits or probabilities; recognised if not given",
)
_define(flags.DEFINE_string, "custom_objects", "module, or file, that registers the layers of your own classifier")
_define(
    flags.DEFINE_string,
    "class_names",
    "classes in the order of your own classifier's outputs: a,b,c, or a file with one name a line; in the order of the "
    "data if not given",
)
_define(
    flags.DEFINE_integer, "epochs", "epochs of each of the two trainings, at least 1; those of the preset if not given"
)
_define(
    flags.DEFINE_integer,
    "batch_size",
    "images a step in both trainings; if not given 128, for few or large pictures fewer",
)
_define(
    flags.DEFINE_float,
    "learning_rate",
    "highest learning rate of both trainings, above 0; those of the preset if not given",
)
_define(
    flags.DEFINE_float,
    "clip_norm",
    "limit of the gradient norm in both trainings, above 0; those of the preset if not given",
)
_define(
    flags.DEFINE_string,
    "augmentation",
    "how training images vary: none, crop (shifted) or flip_crop (mirrored too); that of the preset if not given",
)
_define(
    flags.DEFINE_string,
    "precision",
    "arithmetic: float32, mixed_bfloat16, mixed_float16, or auto, what the machine is fast in; auto if not given",
)
_define(flags.DEFINE_integer, "seed", "number that initialisation, order and augmentation follow from; 0 if not given")
_define(
    flags.DEFINE_string,
    "strategy",
    "which devices share each batch: none (one computes alone), mirrored (all GPUs of this machine) or multiworker "
    "(those of several machines, which TF_CONFIG names); none if not given",
    cluster.NONE,
)
CONFIG_FLAGS = (
    "data_dir",
    "image_size",
    "training_images",
    "classifier_path",
    "classifier_range",
    "classifier_output",
    "custom_objects",
    "class_names",
    "augmentation",
    "precision",
    "seed",
)
HEADS = {
    "classifier": "the network that classifies; or any trained one, which is taken as it is: a file of Keras (.keras "
    "or .h5), or the folder of a SavedModel; that of the preset if not given",
    "transform": "the network that protects images; that of the preset if not given",
    "objective": "how the transform is trained; that of the preset if not given",
    "channel": "how protected images travel in training; that of the preset if not given",
    "encryption": "a keyed method instead of a transform: the classifier is trained on encrypted images; the key is "
    "made, and kept in the run directory",
}
KINDS = {bool: flags.DEFINE_boolean, int: flags.DEFINE_integer, float: flags.DEFINE_float, str: flags.DEFINE_string}


def define_table_flags() -> None:
    """A flag for each concept and for each parameter of its rows; rows that another package adds have theirs too."""
    for concept in concepts.TABLES:
        if concept not in FLAGS:
            _define(flags.DEFINE_string, concept, "")
        FLAGS[concept].help = _help(concept)
    for parameter in concepts.all_parameters().values():
        if parameter.name not in FLAGS:
            default = f"(default: {parameter.default}, or the preset's)"
            help_text = f"for {concepts.owners(parameter.name)}: {parameter.help} {default}"
            _define(KINDS[type(parameter.default)], parameter.name, help_text)
    if "transport" not in FLAGS:
        aliases.define("transport", "channel", FLAGS)


def config_from_flags() -> Config:
    """The preset's `Config` with what the flags replace; `InputError` for whatever does not fit."""
    if not FLAGS.dataset:
        raise InputError(f"--dataset is missing; allowed: {', '.join(sources.allowed())}")
    dataset, data_dir = sources.place(FLAGS.dataset, FLAGS.data_dir)
    sources.check_place(dataset)
    if FLAGS.encryption and _given(_transform_flags()):
        given = ", ".join(f"--{name}" for name in _given(_transform_flags()))
        raise InputError(f"{given}: for a transform only, and --encryption takes its place; leave one of them out")
    settings = _given(CONFIG_FLAGS) | _given(OF_RECIPES) | _given(concepts.TABLES) | _given(concepts.all_parameters())
    settings |= _files() | own_classifier.fields(FLAGS) | {"data_dir": data_dir}
    return configured(FLAGS.preset, dataset, settings)


def _files():
    """The parameters that are given as files, as paths that hold in every working directory."""
    found = {}
    for parameter in concepts.all_parameters().values():
        path = FLAGS[parameter.name].value if parameter.file else None
        if path and path not in parameter.allowed:
            if not pathlib.Path(path).is_file():
                words = ", ".join(parameter.allowed)
                raise InputError(f"--{parameter.name}: no such file: {path}; allowed: {words} or a file")
            found[parameter.name] = os.path.abspath(path)
    return found


def _transform_flags():
    """Flags that have a meaning for a transform only."""
    of_others = ("classifier", "encryption")
    rows = [row for concept in concepts.TABLES if concept not in of_others for row in concepts.TABLES[concept].values()]
    names = [concept for concept in concepts.TABLES if concept not in of_others]
    return dict.fromkeys([*names, *(parameter.name for row in rows for parameter in row.parameters)])


def default_run_dir(dataset: str, config: Config) -> pathlib.Path:
    """`runs/<dataset>_<classifier>`, and `_<encryption>` where there is one; of a folder, the last part of its path."""
    kind, _, rest = dataset.partition(":")
    name = pathlib.Path(rest).expanduser().resolve().name if sources.is_path(dataset) else rest or kind
    suffix = f"_{config.encryption}" if config.encryption else ""
    name = f"{name}_{config.classifier_name}{suffix}"
    return pathlib.Path("runs") / "".join(
        letter if letter.isprintable() and letter not in ":/" else "_" for letter in name
    )


def main(arguments: list[str]) -> None:
    if arguments:
        raise InputError(f"unexpected argument {arguments[0]!r}; every setting is a flag, see --help")
    config = config_from_flags()
    cluster.check(FLAGS.strategy)
    data = sources.fingerprint(config.dataset)
    run_dir = RunDir(FLAGS.run_dir or default_run_dir(FLAGS.dataset, config))
    if FLAGS.strategy == cluster.MULTIWORKER:
        return _train_with_others(config, run_dir, data)
    run_dir.check(config, FLAGS.overwrite, data)
    given = _given_from_elsewhere(config, run_dir, data)
    with run_dir.lock():
        run_dir.claim(config, FLAGS.overwrite, data)
        write_json(run_dir.environment, run_dir.read_environment() | {"command": typed.command("bin/train", FLAGS)})
        _train(config, run_dir, given)


def _train_with_others(config, run_dir, data):
    """As one of several workers: the chief prepares the run, and the others work with a copy of what it has."""
    from i2p_tf.training import devices, train

    print("waiting for the other workers", file=sys.stderr)
    shared = devices.of(FLAGS.strategy)
    with contextlib.ExitStack() as stack:
        with shared.together():
            if shared.is_chief:
                run_dir.check(config, FLAGS.overwrite, data)
                given = _given_from_elsewhere(config, run_dir, data)
                stack.enter_context(run_dir.lock())
                run_dir.claim(config, FLAGS.overwrite, data)
                train.prepare(config, run_dir)
        with shared.together():
            if not shared.is_chief:
                run_dir = stack.enter_context(run_dir.copy(config, data))
                given = _given_from_elsewhere(config, run_dir, data)
        _train(config, run_dir, given, shared)


def _train(config, run_dir, given, shared=None):
    from i2p_tf import evaluation
    from i2p_tf.training import devices
    from i2p_tf.training.progress import Progress
    from i2p_tf.training.train import train_and_evaluate

    shared = shared or devices.of(FLAGS.strategy)
    progress = Progress(None if shared.is_chief else io.StringIO())
    progress.say(f"run directory: {run_dir.path}")
    results = train_and_evaluate(config, run_dir, progress, given, shared)
    if results:
        print(evaluation.table(results))
        print(evaluation.closing(run_dir, results))
    with shared.together():
        pass  # a worker that has gone looks like one that has died, to the chief that still evaluates


def run() -> None:
    from i2p_tf.training.errors import TrainingError

    define_table_flags()
    app.run(__doc__, FLAGS, main, failures=(TrainingError,), stopped="stopped; the same command goes on from here")


def _given_from_elsewhere(config, run_dir, data):
    """Where a classifier comes from elsewhere: all that is given, before anything is written. None for the others."""
    if not config.classifier_path and not config.application:
        return None
    is_there = run_dir.continues(config, data) and run_dir.classifier.is_file()
    from i2p_tf.training import own_classifier
    from i2p_tf.training.train import read_given

    if is_there and config.classifier_path:
        own_classifier.check_unchanged(config, run_dir)
    return read_given(config, is_there, MovingLine())


def _help(concept):
    """What a concept is, and its rows."""
    networks = f"{APPLICATION}NAME: a network of keras.applications, for pictures of any size"
    lines = [
        networks if getattr(row, "application", None) else f"{row.name}: {row.help}"
        for row in concepts.TABLES[concept].values()
    ]
    return "\n        ".join((HEADS[concept], *dict.fromkeys(lines)))


def _given(names):
    return {name: FLAGS[name].value for name in names if FLAGS[name].value is not None}


define_table_flags()
if __name__ == "__main__":
    process_memory.keep_freed()  # of a process that is this command's own
    run()
