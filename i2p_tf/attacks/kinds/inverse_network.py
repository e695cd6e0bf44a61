"""The ITN-Attack: a network, trained on pairs of protected and plain images, that reconstructs the plain one.

The published attack is a U-Net with the pixels' mean squared error. Here each network gets a head start: what a linear
map of each pixel's colours, another one at each place, makes of the protected image. It is fitted in closed form and
undoes a fixed-key encryption of pixels by itself; the network adds the rest.
"""

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers

from i2p_tf import inference
from i2p_tf.attacks import fitting, perceptual
from i2p_tf.attacks.rows import NETWORKS
from i2p_tf.attacks.specifications import InverseNetwork
from i2p_tf.attacks.target import Target
from i2p_tf.hints import Say, Tensor, Values
from i2p_tf.tables import load

RIDGE = 1e-4  # per pair, against slopes that only the rounding to 8 bits supports
_FIT_BATCH = 2_000


def attack(specification: InverseNetwork, target: Target, seed: int, say: Say) -> tuple[np.ndarray, Values]:
    """As a row of `rows.ATTACKS` has it."""
    known, seen = target.pairs(specification.pairs), target.protected
    reconstructed, losses = reconstruct(specification, known, seen, target.probabilities, seed, say)
    return reconstructed, {"losses": losses}


def reconstruct(
    specification: InverseNetwork,
    known: tuple[np.ndarray, np.ndarray],
    protected: np.ndarray,
    probabilities: Callable,
    seed: int,
    say: Say,
) -> tuple[np.ndarray, Values]:
    """Trains an inverse network and applies it.

    Args:
        specification: an `InverseNetwork`.
        known: tuple of protected and plain images that the attacker has, uint8 `(n, height, width, 3)`.
        protected: uint8 images to reconstruct.
        probabilities: function of protected images to those that ψ gives the classes, float32 `(n, classes)`; called
            if the specification says so.
        seed: of initialisation and order.
        say: called with each line of progress.

    Returns:
        The reconstructed images, uint8, of the shape of `protected`; and the losses of `fitting.fit`.

    Raises:
        AttackError: if the loss is not finite.
    """
    if specification.asks_classifier:
        of_known = probabilities(known[0])
        means = class_means(*fitting.learned_from((of_known, known[1])))
        known = _beside(known[0], of_known @ means), known[1]
        protected = _beside(protected, probabilities(protected) @ means)
    keras.utils.set_random_seed(seed)
    network = inverse_network(specification.architecture, *fitting.learned_from(known))
    loss = _loss(specification.loss, known[1], seed, say)
    losses = fitting.fit(network, known, loss, specification.training, seed, say)
    return inference.protect(network, protected), losses  # as h_θ is applied: 8 bits in, 8 bits out


def _loss(name, plain, seed, say):
    """The loss of that name; the perceptual one has to learn its features first."""
    if name == perceptual.NAME:
        return perceptual.mse_perceptual(plain, seed, say)
    return fitting.LOSSES[name]


def inverse_network(architecture: str, protected: np.ndarray, plain: np.ndarray) -> keras.Model:
    """Builds a network that starts as the best linear map of the colours at each place.

    Args:
        architecture: a key of `rows.NETWORKS`.
        protected, plain: the pairs that the linear map is fitted to, uint8 `(n, size, size, 3)`; the protected ones may
            have more channels.

    Returns:
        A functional model: protected images in [0, 1] to reconstructed ones, not clipped.
    """
    images = keras.Input(protected.shape[1:], name="protected")
    guess = PlacewiseMap(*placewise_map(protected, plain), name="guess")(images)
    seen = layers.Concatenate()([images, guess])
    reconstructed = layers.Add(name="reconstructed")([guess, correction(architecture, seen)])
    return keras.Model(images, reconstructed, name="inverse_network")


def correction(architecture: str, seen: Tensor) -> Tensor:
    """What a network of `rows.NETWORKS` adds to a guess, from Keras tensors `(batch, size, size, channels)`."""
    return load(NETWORKS[architecture].code)(seen.shape[1], seen.shape[-1])(seen)


class PlacewiseMap(layers.Layer):
    """At each place of the image another linear map of the channels to colours; not trained.

    Args:
        kernel: `(height, width, channels, 3)`, from the third axis to the fourth.
        bias: `(height, width, 3)`.
    """

    def __init__(self, kernel: Any, bias: Any, **options: Any):
        super().__init__(trainable=False, **options)
        self.kernel = self._constant(kernel)
        self.bias = self._constant(bias)

    def call(self, images: Tensor) -> Tensor:
        return self.bias + sum(images[..., i : i + 1] * self.kernel[:, :, i] for i in range(images.shape[-1]))

    def _constant(self, values):
        return self.add_weight(shape=values.shape, initializer=lambda *_, **__: values)


def placewise_map(protected: np.ndarray, plain: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least squares with a small penalty on the slopes, so that a constant image gives the mean image.

    Returns:
        `kernel` and `bias` of a `PlacewiseMap`, float32, for images in [0, 1].
    """
    size, inputs = plain.shape[1], protected.shape[-1] + 1
    products, targets = np.zeros((size, size, inputs, inputs)), np.zeros((size, size, inputs, 3))
    for start in range(0, len(plain), _FIT_BATCH):
        batch = slice(start, start + _FIT_BATCH)
        colours, goal = (np.moveaxis(images[batch] / 255.0, 0, 2) for images in (protected, plain))
        colours = np.concatenate([colours, np.ones((*colours.shape[:3], 1))], axis=3)
        products += colours.swapaxes(2, 3) @ colours
        targets += colours.swapaxes(2, 3) @ goal
    penalty = np.diag([1.0] * (inputs - 1) + [0.0]) * RIDGE * len(plain)
    solution = np.linalg.solve(products + penalty, targets)
    solution = solution.astype(np.float32)
    return solution[:, :, :-1], solution[:, :, -1]


def class_means(probabilities: np.ndarray, plain: np.ndarray) -> np.ndarray:
    """The mean plain image of each class, of pairs whose class is known by ψ's probabilities alone.

    Args:
        probabilities: `(n, classes)`.
        plain: uint8 `(n, size, size, 3)`.

    Returns:
        float32 `(classes, size * size * 3)`, of 0 to 255.
    """
    sums = probabilities.T @ plain.reshape(len(plain), -1).astype(np.float32)
    return sums / np.maximum(probabilities.sum(axis=0), 1e-6)[:, np.newaxis]


def _beside(protected, pictures):
    """Six channels: protected images, uint8, and flat pictures of 0 to 255 of the same size."""
    return np.concatenate([protected, np.uint8(np.rint(pictures)).reshape(protected.shape)], axis=-1)


LOSSES = (*fitting.LOSSES, perceptual.NAME)
