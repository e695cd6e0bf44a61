"""An own classifier from its file or folder: loaded, checked and wrapped, before anything is written."""

import contextlib
import os
import pathlib

import keras
import numpy as np

from i2p_tf import models
from i2p_tf.chance import is_at_chance
from i2p_tf.classifier_file import sha256
from i2p_tf.config import Config
from i2p_tf.data.dataset import Dataset
from i2p_tf.errors import InputError
from i2p_tf.hints import Values
from i2p_tf.inference import classify
from i2p_tf.models.classifiers import own, saved_model
from i2p_tf.objectives.table import OBJECTIVES
from i2p_tf.run_dir import RunDir
from i2p_tf.tables import load as load_reference

TRIED = 1_000  # pictures on which its accuracy is looked at


def load(config: Config) -> keras.Model:
    """The network in the file or SavedModel of a `Config`, as it was saved.

    Raises:
        InputError: if it can't be loaded, or does not take the pictures of the `Config`.
    """
    if config.custom_objects:
        own.import_custom_objects(config.custom_objects)
    assert config.classifier_path
    if os.path.isdir(config.classifier_path):
        with _of_file(config):
            model = saved_model.load(config.classifier_path)
            own.check_form(model, config.image_size)
        return model
    models.import_builders()  # the file may be a classifier of this package
    try:
        model = keras.models.load_model(config.classifier_path, compile=False)
    except Exception as error:  # Keras raises whatever the file made it stumble over
        if name := own.unknown_object(error):
            raise InputError(
                f"--classifier={config.classifier_path} needs {name!r}, which Keras does not know; "
                "--custom_objects=MODULE names the module, or the file, that registers it"
            ) from error
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"--classifier={config.classifier_path} is no Keras classifier: {reason}") from error
    with _of_file(config):
        own.check_form(model, config.image_size)
    return model


def fit_to(config: Config, model: keras.Model, dataset: Dataset) -> tuple[keras.Model, Values]:
    """Wraps a network for a data set.

    Args:
        config: a `Config`.
        model: what `load` has given.
        dataset: its `data.dataset.Dataset`.

    Returns:
        ψ, as `own.wrap`, and a dictionary of where it came from and what was recognised.

    Raises:
        InputError: if the network does not fit the data, or its accuracy on validation pictures is at chance.
    """
    with _of_file(config):
        own.check_form(model, dataset.image_size, dataset.num_classes)
        model = own.in_float32(model)
        input_range = config.classifier_range or own.recognised_range(model)
        if input_range is None:
            raise InputError(
                "the range of the pictures that it wants can't be recognised; give "
                f"--classifier_range={'|'.join(own.RANGES)} (accuracy on {len(_pictures(dataset)[1])} pictures: "
                f"{_accuracies(config, model, dataset)})"
            )
        output = own.recognised_output(model, input_range, dataset.image_size, config.classifier_output)
        classifier = own.wrap(model, input_range, output, dataset.image_size)
        _check_accuracy(classifier, dataset, input_range)
        if check := OBJECTIVES[config.objective].check:
            load_reference(check)(config, dataset, classifier)
    assert config.classifier_path
    path = pathlib.Path(config.classifier_path)
    return classifier, {"file": path.name, "sha256": sha256(path), "range": input_range, "output": output}


def check_unchanged(config: Config, run_dir: RunDir) -> None:
    """Raises an `InputError` if the file has changed since the run took its ψ from it; it need not be there any more.

    A classifier that was trained again, under its old name, would else be taken for the one that the run holds.
    """
    assert config.classifier_path
    taken = run_dir.read_environment().get("classifier", {}).get("sha256")
    if taken and os.path.exists(config.classifier_path) and sha256(config.classifier_path) != taken:
        raise InputError(
            f"--classifier={config.classifier_path} has changed since {run_dir.path} took it; give another --run_dir"
        )


@contextlib.contextmanager
def _of_file(config):
    """What is wrong with a network is said with the file that it came from."""
    try:
        yield
    except InputError as error:
        raise InputError(f"--classifier={config.classifier_path}: {error}") from error


def _accuracies(config, model, dataset):
    """The accuracy with each range, in words."""
    images, labels = _pictures(dataset)
    tried = []
    for name in own.RANGES:
        classifier = own.wrap(model, name, config.classifier_output, dataset.image_size)
        tried.append(f"{name} {np.mean(classify(classifier, images) == labels):.2f}")
    return ", ".join(tried)


def _check_accuracy(classifier, dataset, input_range):
    """Refuses a network that classifies no better than chance."""
    images, labels = _pictures(dataset)
    predicted = classify(classifier, images)
    if is_at_chance(predicted, labels, dataset.num_classes):
        raise InputError(
            f"it classifies {np.mean(predicted == labels):.2f} of {len(labels)} pictures correctly, and chance is "
            f"{1 / dataset.num_classes:.2f}; likely the "
            f"range (--classifier_range, taken: {input_range}) or the order of the classes (--class_names, taken: "
            f"{_shown(dataset.class_names)}) is another"
        )


def _pictures(dataset):
    """A sample of the validation and test pictures, with their labels."""
    images = np.concatenate([dataset.validation.images, dataset.test.images])
    labels = np.concatenate([dataset.validation.labels, dataset.test.labels])
    chosen = np.random.default_rng(0).permutation(len(labels))[:TRIED]
    return images[chosen], labels[chosen]


def _shown(names):
    return ", ".join(names[:6]) + (", ..." if len(names) > 6 else "")
