"""What a training will take, said before its first step: a guess from the operations and the sizes of its networks."""

import math
import time
from typing import Any

import keras
import numpy as np
from keras import ops

from i2p_tf.data.dataset import Dataset
from i2p_tf.models import cost
from i2p_tf.objectives.trainer import Trainer
from i2p_tf.recipe import Recipe

_STEP = 3  # passes forward that a step costs: one there, two back
_REACHED = 0.4  # of the speed of the convolution that is tried, by whole networks
_TRIED = (64, 32, 32, 32)  # images of the convolution that is tried; its kernels are 3x3
_FLOAT = 4  # bytes
_KEPT = 2  # of each value of a layer, it and its gradient
_COPIES = 4  # of each weight: it, its gradient, its momentum, and its best
_LIBRARIES = 1.0 * 2**30  # bytes


def line(trainer: Trainer, phase: str, recipe: Recipe, epochs: int, dataset: Dataset) -> str:
    """What a training of so many epochs will take, in words.

    Args:
        trainer: a `Trainer`.
        phase: name of the training.
        recipe: its `Recipe`.
        epochs: how many are left.
        dataset: its `data.dataset.Dataset`.
    """
    steps = len(dataset.train.labels) // recipe.batch_size
    found = networks(trainer)
    operations = [cost.macs(network) for network in found]
    minutes = "a time that its first steps will tell"
    if None not in operations:
        multiplied = _STEP * sum(filter(None, operations)) * recipe.batch_size * steps * epochs
        minutes = about(multiplied / (_REACHED * _speed(trainer.compute_dtype)))
    gibibytes = (memory(found, recipe.batch_size) + _bytes(dataset)) / 2**30
    return (
        f"{phase}: {epochs} epochs of {steps} steps of {recipe.batch_size} images; guessed from its networks, not "
        f"measured: {minutes} and {gibibytes:.1f} GiB"
    )


def about(seconds: float) -> str:
    """A time in words, as exact as a guess may be."""
    if seconds < 90:
        return "about a minute or less"
    return f"about {seconds / 60:.0f} minutes" if seconds < 5400 else f"about {seconds / 3600:.1f} hours"


def networks(trainer: Trainer) -> list[keras.Model]:
    """The networks that a step computes: those that a trainer holds, and those of what it holds; no part twice."""
    found, pending = [], [trainer]
    while pending:
        for value in vars(pending.pop()).values():
            if isinstance(value, keras.Model):
                found.append(value)
            elif type(value).__module__.startswith("i2p_tf."):
                pending.append(value)
    layers = {id(network): {id(layer) for layer in cost.all_layers(network)} for network in found}
    found.sort(key=lambda network: -len(layers[id(network)]))
    kept: list[keras.Model] = []
    for network in found:
        if not any(layers[id(network)] <= layers[id(other)] for other in kept):
            kept.append(network)
    return kept


def memory(found: Any, batch_size: int) -> float:
    """Bytes that a step of networks takes, with what TensorFlow takes by itself."""
    values = sum(_values(layer.output) for network in found for layer in cost.all_layers(network))
    weights = sum(cost.parameters(network) for network in found)
    return _FLOAT * (_KEPT * batch_size * values + _COPIES * weights) + _LIBRARIES


def _values(outputs):
    """Of one image, in what a layer gives."""
    return sum(math.prod(size or 1 for size in tensor.shape[1:]) for tensor in keras.tree.flatten(outputs))


def _bytes(dataset):
    return sum(split.images.nbytes for split in (dataset.train, dataset.validation, dataset.test))


def _speed(dtype):
    """Multiply-adds a second of a convolution in the precision of the training, here and now."""
    images = ops.zeros(_TRIED, dtype)
    kernel = ops.zeros((3, 3, _TRIED[-1], _TRIED[-1]), dtype)
    seconds = []
    for _ in range(4):  # the first is slow
        started = time.perf_counter()
        np.asarray(ops.conv(images, kernel, padding="same"))
        seconds.append(time.perf_counter() - started)
    return math.prod(_TRIED) * 9 * _TRIED[-1] / min(seconds)
