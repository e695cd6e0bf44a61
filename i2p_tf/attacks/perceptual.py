"""A perceptual loss of the attacker's own: pictures shall agree in features, not only in pixels.

The features are those of a network that has learned to tell by how many quarters a picture is turned (Gidaris et al.
2018): that takes plain images and no labels. The evaluation classifier is never used: what fools it would count as
reconstructed.
"""

from collections.abc import Callable

import keras
import numpy as np
from keras import layers, ops

from i2p_tf.attacks import fitting
from i2p_tf.attacks.specification import Training
from i2p_tf.hints import Say, Tensor

NAME = "mse_perceptual"
TRAINING = Training(steps=300)
STACKWISE_FILTERS = (16, 32, 64)  # the resolution is halved at each but the first
WEIGHT = 0.1  # brings both terms to one order of magnitude
QUARTERS = 4


def mse_perceptual(plain: np.ndarray, seed: int, say: Say) -> Callable[[Tensor, Tensor], Tensor]:
    """Trains the features and makes the loss from them.

    Args:
        plain: the attacker's plain images, uint8 `(n, size, size, 3)`.
        seed: of initialisation and order.
        say: called with each line of progress.

    Returns:
        A function of plain and reconstructed images in [0, 1] to a scalar.

    Raises:
        AttackError: if the loss of the features is not finite.
    """
    extractor = _features(plain, seed, say)

    def loss(images, reconstructed):
        pairs = zip(extractor(images, training=False), extractor(reconstructed, training=False), strict=True)
        distances = [ops.mean(ops.square(_directions(a) - _directions(b))) * a.shape[-1] for a, b in pairs]
        return fitting.mse(images, reconstructed) + WEIGHT * sum(distances) / len(distances)

    return loss


def _features(plain, seed, say):
    """A frozen model of images in [0, 1] to a list of feature maps, one for each resolution."""
    images = keras.Input(plain.shape[1:])
    x, maps = images, []
    for index, filters in enumerate(STACKWISE_FILTERS):
        x = layers.Conv2D(filters, 3, strides=2 if index else 1, padding="same", activation="relu")(x)
        maps.append(x)
    logits = layers.Dense(QUARTERS)(layers.Flatten()(x))
    network = keras.Model(images, logits, name="features")
    turns = np.random.default_rng(seed).integers(QUARTERS, size=len(plain), dtype=np.int32)
    turned = np.stack([np.rot90(image, turn) for image, turn in zip(plain, turns, strict=True)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    fitting.fit(network, (turned, turns), loss, TRAINING, seed, say)
    extractor = keras.Model(images, maps, name="features")
    extractor.trainable = False
    return extractor


def _directions(features):
    """Feature vectors of length 1 at each place (Zhang et al. 2018), so that none outweighs the others."""
    return features * ops.rsqrt(ops.sum(ops.square(features), axis=-1, keepdims=True) + 1e-6)
