"""Flow matching (Lipman et al. 2023), conditioned on the protected image: pictures that might be the plain one.

A network learns to see the plain image through noise, from the protected one and the noisy picture, at every share of
noise on a straight line from noise to picture. A picture is drawn by moving along that line, step by step, from noise
to what the network sees. Of several pictures drawn for one protected image the attacker, who has h_θ, takes the one
whose protection is nearest to what was sent.
"""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from i2p_tf import inference
from i2p_tf.attacks import fitting
from i2p_tf.attacks.kinds.inverse_network import PlacewiseMap, correction, placewise_map
from i2p_tf.attacks.specifications import Flow
from i2p_tf.attacks.target import Target
from i2p_tf.hints import Protect, Say, Values

GREY, SPREAD = 0.5, 0.5  # mean and standard deviation of the noise, about those of pictures in [0, 1]


def attack(specification: Flow, target: Target, seed: int, say: Say) -> tuple[np.ndarray, Values]:
    """As a row of `rows.ATTACKS` has it."""
    seen = target.protected[: specification.images]
    reconstructed, losses = reconstruct(
        specification, target.pairs(specification.pairs), seen, target.protect, seed, say
    )
    return reconstructed, {"losses": losses}


def reconstruct(
    specification: Flow,
    known: tuple[np.ndarray, np.ndarray],
    protected: np.ndarray,
    protect: Protect,
    seed: int,
    say: Say,
) -> tuple[np.ndarray, Values]:
    """Trains a flow, draws candidates for each protected image and chooses among them.

    Args:
        specification: a `Flow`.
        known: tuple of protected and plain images that the attacker has, uint8 `(n, size, size, 3)`.
        protected: uint8 images to reconstruct.
        protect: function of uint8 images to protected ones.
        seed: of initialisation, order and noise.
        say: called with each line of progress.

    Returns:
        The chosen candidates, uint8, of the shape of `protected`; and the losses of `fitting.fit`.

    Raises:
        AttackError: if the loss is not finite.
    """
    keras.utils.set_random_seed(seed)
    denoiser = _denoiser(specification.architecture, *fitting.learned_from(known))
    pairs = np.concatenate(known, axis=-1), known[1]
    losses = fitting.fit(_through_noise(denoiser, seed), pairs, fitting.mse, specification.training, seed, say)
    chosen, nearest = np.zeros_like(protected), np.full(len(protected), np.inf)
    for candidate in range(specification.candidates):
        drawn = _draw(denoiser, protected, specification.steps, (seed, candidate))
        distance = np.mean(np.square(np.float32(protect(drawn)) - protected), axis=(1, 2, 3))
        better = distance < nearest
        chosen[better], nearest[better] = drawn[better], distance[better]
        say(f"  candidate {candidate + 1}/{specification.candidates}  distance {np.mean(nearest):.4g}")
    return chosen, losses


def _denoiser(architecture, protected, plain):
    """Protected images, noisy pictures and the pictures' share, `(batch, 1, 1, 1)`, to plain images; in [0, 1]."""
    images, noisy = (keras.Input(plain.shape[1:], name=name) for name in ("protected", "noisy"))
    share = keras.Input((1, 1, 1), name="share")
    guess = PlacewiseMap(*placewise_map(protected, plain), name="guess")(images)
    everywhere = layers.UpSampling2D(plain.shape[1], name="share_everywhere")(share)
    seen = layers.Concatenate()([images, guess, noisy, everywhere])
    reconstructed = layers.Add(name="reconstructed")([guess, correction(architecture, seen)])
    return keras.Model([images, noisy, share], reconstructed, name="denoiser")


def _through_noise(denoiser, seed):
    """A model to train: pairs, six channels in [0, 1], to what `denoiser` sees of the plain image through noise."""
    both = keras.Input((*denoiser.output_shape[1:3], 6), name="pairs")
    noisy, share = _Noise(seed)(both[..., 3:])
    return keras.Model(both, denoiser([both[..., :3], noisy, share]), name="flow")


class _Noise(layers.Layer):
    """Replaces a share of each picture, another for each, by noise: to noisy pictures and the picture's share."""

    def __init__(self, seed):
        super().__init__()
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, images):
        count = ops.shape(images)[0]
        share = keras.random.uniform((count, 1, 1, 1), seed=self.generator)
        noise = keras.random.normal(ops.shape(images), GREY, SPREAD, seed=self.generator)
        return share * images + (1.0 - share) * noise, share


def _draw(denoiser, protected, steps, seed):
    """One picture for each protected image, uint8."""
    size = inference.batch_size(protected.shape[1])
    generator = np.random.default_rng(seed)

    @tf.function(reduce_retracing=True)
    def see(*inputs):
        return denoiser(list(inputs), training=False)

    pictures = []
    for first in range(0, len(protected), size):
        images = protected[first : first + size].astype(np.float32) / np.float32(255.0)
        picture = generator.normal(GREY, SPREAD, images.shape).astype(np.float32)
        for step in range(steps):
            share = np.full((len(images), 1, 1, 1), step / steps, np.float32)
            picture += (np.asarray(see(images, picture, share)) - picture) / np.float32(steps - step)
        pictures.append(inference.to_uint8(picture))
    return np.concatenate(pictures)
