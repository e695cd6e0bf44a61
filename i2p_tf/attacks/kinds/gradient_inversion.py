"""Gradient inversion: descent on the pixels of a guess, until h_θ makes of it the protected image that was seen.

It starts where `inverse_network` starts, from the linear map of each pixel's colours that fits pairs best: whoever has
h_θ can make them. h_θ is applied without its rounding to 8 bits, through which no gradient passes; the protected image
that is aimed at has been rounded, as it travels.
"""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from i2p_tf import inference
from i2p_tf.attacks.kinds.inverse_network import PlacewiseMap, placewise_map
from i2p_tf.attacks.sanity_checks import GREY, SHIFT
from i2p_tf.attacks.specifications import GradientInversion
from i2p_tf.attacks.target import Target
from i2p_tf.hints import Say, Tensor, Values

BATCH = 100
EPSILON = 1e-10  # of Adam: small, as gradients through saturated layers are


def attack(specification: GradientInversion, target: Target, seed: int, say: Say) -> tuple[np.ndarray, Values]:
    """As a row of `rows.ATTACKS` has it."""
    assert target.transform  # else it is left out
    plain = target.train.images[: specification.pairs]
    known = target.protect(plain), plain
    seen = target.protected[: specification.images]
    return reconstruct(specification, target.transform, known, seen, say), {}


def reconstruct(
    specification: GradientInversion,
    transform: Callable[[Tensor], Tensor],
    known: tuple[np.ndarray, np.ndarray],
    protected: np.ndarray,
    say: Say,
) -> np.ndarray:
    """Searches for the plain images of protected ones.

    Args:
        specification: a `GradientInversion`.
        transform: h_θ, a function of a batch of images in [0, 1] that can be differentiated.
        known: tuple of protected and plain images of the attacker's own, uint8 `(pairs, size, size, 3)`. The start is
            fitted to them, and the prior refers to the mean of the plain ones.
        protected: uint8 `(n, size, size, 3)`.
        say: called with each line of progress.

    Returns:
        The guesses, uint8, of the shape of `protected`.
    """
    first_guess = PlacewiseMap(*placewise_map(*known))
    mean_image = np.float32(known[1].mean(axis=0)) / np.float32(255.0)
    guesses = []
    for first in range(0, len(protected), BATCH):
        goal = protected[first : first + BATCH].astype(np.float32) / np.float32(255.0)
        start = ops.clip(first_guess(goal), 0.0, 1.0)
        guesses.append(_search(specification, transform, goal, start, mean_image))
        say(f"  {first + len(goal)}/{len(protected)} images")
    return inference.to_uint8(np.concatenate(guesses))


def _search(specification, transform, goal, start, mean_image):
    guess = keras.Variable(start)
    schedule = keras.optimizers.schedules.CosineDecay(specification.learning_rate, specification.steps)
    optimizer = keras.optimizers.Adam(schedule, epsilon=EPSILON)
    optimizer.build([guess])

    # How far the mean image is from the goal: in these units one weight of the prior suits strong and weak contrasts.
    unit = ops.maximum(_distance(transform(mean_image[np.newaxis]), goal), EPSILON)

    @tf.function
    def step():
        weight = specification.prior_weight * optimizer.learning_rate / specification.learning_rate
        with tf.GradientTape() as tape:
            distance = _distance(transform(guess), goal) / unit
            loss = len(goal) * distance + weight * total_variation(guess - mean_image)
        optimizer.apply([tape.gradient(loss, guess)], [guess])
        guess.assign(ops.clip(guess, 0.0, 1.0))

    for _ in range(specification.steps):
        step()
    return ops.convert_to_numpy(guess)


def total_variation(images: Tensor) -> Tensor:
    """Sum of the absolute differences of neighbouring pixels, over a batch of images: a scalar."""
    down = ops.sum(ops.abs(images[:, 1:] - images[:, :-1]))
    return down + ops.sum(ops.abs(images[:, :, 1:] - images[:, :, :-1]))


def identity(images: Tensor) -> Tensor:
    """A sanity check."""
    return images


def shifted(images: Tensor) -> Tensor:
    """A sanity check, as `sanity_checks` has it, that can be differentiated."""
    return ops.roll(images, SHIFT, axis=(1, 2))


def constant(images: Tensor) -> Tensor:
    """As `shifted`."""
    return ops.full_like(images, GREY / 255.0)


def _distance(protected, goal):
    return ops.sum(ops.square(protected - goal))
