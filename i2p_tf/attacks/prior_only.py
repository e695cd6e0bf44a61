"""Guesses that need no protected image: what an attack has to be compared with."""

import keras
import numpy as np
from keras import layers

from i2p_tf import inference
from i2p_tf.attacks import fitting
from i2p_tf.attacks.specification import Training
from i2p_tf.data.dataset import Split
from i2p_tf.hints import Say

HIDDEN_UNITS = 256


def mean_image(train: Split, count: int) -> np.ndarray:
    """The mean of the training images, `count` times, uint8."""
    mean = np.rint(train.images.mean(axis=0)).astype(np.uint8)
    return np.repeat(mean[np.newaxis], count, axis=0)


def random_image(train: Split, count: int, seed: int) -> np.ndarray:
    """`count` training images, drawn at random, uint8."""
    return train.images[np.random.default_rng(seed).integers(len(train.images), size=count)]


def label_only(
    known: tuple[np.ndarray, np.ndarray], classes: np.ndarray, training: Training, seed: int, say: Say
) -> np.ndarray:
    """Pictures drawn from the class alone, by a network that has learned which picture goes with which.

    What a protected image gives away beyond this is its real leak: the class is meant to be read.

    Args:
        known: tuple of classes, float32 `(n, classes)`, 1 for the class and 0 for the others, and plain images, uint8.
        classes: those to draw from.
        training: a `Training`.
        seed: of initialisation and order.
        say: called with each line of progress.

    Returns:
        uint8 images.
    """
    keras.utils.set_random_seed(seed)
    shape = known[1].shape[1:]
    mean = np.float32(known[1].mean(axis=0)) / 255.0
    inputs = keras.Input(known[0].shape[1:], name="classes")
    x = layers.Dense(HIDDEN_UNITS, activation="relu")(inputs)
    x = layers.Dense(mean.size, kernel_initializer="zeros", name="picture")(x)
    network = keras.Model(inputs, layers.Reshape(shape)(x), name="label_only")
    picture = network.get_layer("picture")
    picture.set_weights([picture.get_weights()[0], mean.ravel()])
    fitting.fit(network, known, fitting.mse_ssim, training, seed, say)
    return inference.to_uint8(network.predict(classes, verbose=0))
