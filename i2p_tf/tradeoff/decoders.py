"""Attackers' networks: codes of any number of bits to pictures. Both begin as the mean picture, with a linear path."""

import math
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from i2p_tf import drawing, inference
from i2p_tf.attacks import fitting
from i2p_tf.attacks.specification import Training, held_out
from i2p_tf.models.reader import LAST_MAP, code_reader
from i2p_tf.recipe import Recipe
from i2p_tf.tradeoff.codes import elements_of, sent

HIDDEN_UNITS = (1024, 1024)
LEARNING_RATE = 1e-3  # of Adam
SMALLEST_FILTERS = 32
_COUNTS = tuple(elements_of(bits) for bits in drawing.BITS)


@keras.saving.register_keras_serializable("i2p_tf")
class RandomRates(layers.Layer):
    """In training, codes cut to the numbers of elements that can be sent, in turn; else as they are."""

    def call(self, codes: Any, training: bool = False) -> Any:
        if not training:
            return codes
        counts = ops.take(ops.convert_to_tensor(_COUNTS), ops.arange(ops.shape(codes)[0]) % len(_COUNTS))
        kept = ops.cast(ops.arange(drawing.ELEMENTS)[None] < counts[:, None], codes.dtype)
        return codes * ops.concatenate([kept, kept], axis=-1)


def dense(mean: np.ndarray) -> keras.Model:
    """Fully connected.

    Args:
        mean: the picture to begin with, float32 `(size, size, 3)` in [0, 1].

    Returns:
        A functional model: `(batch, 2 * drawing.ELEMENTS)`, as `codes.sent` gives it, to pictures in [0, 1], not
        clipped.
    """
    inputs, seen = _input()
    x = seen
    for index, units in enumerate(HIDDEN_UNITS, start=1):
        x = layers.Dense(units, activation="relu", kernel_initializer="he_normal", name=f"dense{index}")(x)
    x = layers.Dense(mean.size, kernel_initializer="zeros", use_bias=False, name="rest")(x)
    rest = layers.Reshape(mean.shape, name="rest_picture")(x)
    return _decoder(inputs, seen, rest, mean, "dense")


def convolutional(mean: np.ndarray) -> keras.Model:
    """The layers of the cloud's own reader, which know where each element belongs, and from them up to the picture."""
    inputs, seen = _input()
    reader = code_reader(1)
    x = keras.Model(reader.input, reader.get_layer(LAST_MAP).output, name="unfolded")(seen)
    filters, factor = x.shape[-1], mean.shape[0] // x.shape[1]
    while factor > 1:
        scale = 2 if factor % 2 == 0 else factor
        factor //= scale
        filters = max(SMALLEST_FILTERS, filters // 2)
        x = layers.UpSampling2D(scale)(x)
        x = layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer="he_normal")(x)
    rest = layers.Conv2D(3, 3, padding="same", kernel_initializer="zeros", use_bias=False, name="rest")(x)
    return _decoder(inputs, seen, rest, mean, "convolutional")


DECODERS = {builder.__name__: builder for builder in (dense, convolutional)}


def trained(
    name: str,
    codes: np.ndarray,
    images: np.ndarray,
    recipe: Recipe,
    steps: int,
    seed: int,
    say: Callable[[str], None],
) -> keras.Model:
    """Trains a decoder on pairs of whole codes and pictures, at all numbers of bits at once.

    Args:
        name: a key of `DECODERS`.
        codes: int8 `(n, drawing.ELEMENTS)`.
        images: uint8 `(n, size, size, 3)`.
        recipe: a `Recipe`, for the number of images in a step.
        steps: at most; the weights of the lowest validation error are taken.
        seed: of initialisation and order.
        say: called with each line of progress.

    Raises:
        AttackError: if the loss is not finite.
    """
    keras.utils.set_random_seed(seed)
    network = DECODERS[name]((images.mean(axis=0) / 255.0).astype(np.float32))
    training = Training(steps, recipe.batch_size, LEARNING_RATE)
    fitting.fit(network, (_examples(codes), images), fitting.mse_ssim, training, seed, say)
    return network


def restored(network: keras.Model, codes: np.ndarray, bits: int) -> np.ndarray:
    """The pictures, uint8, that a decoder makes of codes cut to `bits`."""
    guesses = []
    size = inference.batch_size(network.output_shape[1])
    for batch in np.array_split(codes, math.ceil(len(codes) / size)):
        guesses.append(inference.to_uint8(network(sent(batch, elements_of(bits)), training=False)))
    return np.concatenate(guesses)


def _examples(codes):
    """Whole codes, but for those that `fitting.fit` validates with: they have all numbers of bits in turn."""
    counts = np.full(len(codes), drawing.ELEMENTS)
    validating = held_out(len(codes))
    counts[-validating:] = np.resize(_COUNTS, validating)
    return sent(codes, counts)


def _input():
    inputs = keras.Input((2 * drawing.ELEMENTS,), name="codes")
    return inputs, RandomRates(name="random_rates")(inputs)


def _decoder(inputs, seen, rest, mean, name):
    """The sum of `rest` and of a linear map from all that is seen to the picture."""
    linear = layers.Dense(mean.size, kernel_initializer="zeros", name="linear")
    picture = layers.Reshape(mean.shape, name="linear_picture")(linear(seen))
    network = keras.Model(inputs, layers.Add(name="picture")([picture, rest]), name=name)
    linear.set_weights([linear.get_weights()[0], mean.ravel()])
    return network
