"""The GAN-Attack: translation from protected to plain images without a single pair, a CycleGAN (Zhu et al. 2017).

One network reconstructs, another protects; each has a critic that tells its pictures, patch by patch, from real ones,
and what goes through both has to come back as it was. Both kinds have the least-squares losses of Mao et al. 2017.
"""

import math

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

from i2p_tf import inference
from i2p_tf.attacks import fitting
from i2p_tf.attacks.errors import AttackError
from i2p_tf.attacks.kinds.inverse_network import PlacewiseMap, correction
from i2p_tf.attacks.specifications import Gan
from i2p_tf.attacks.target import Target
from i2p_tf.hints import Say, Tensor, Values

CYCLE_WEIGHT = 10.0
CRITIC_FILTERS = (64, 128)
BETA_1 = 0.5  # of Adam, as published


def attack(specification: Gan, target: Target, seed: int, say: Say) -> tuple[np.ndarray, Values]:
    """As a row of `rows.ATTACKS` has it."""
    images = target.train.images[: specification.images]
    half = len(images) // 2
    protected = target.protect(images[half : 2 * half])  # of other pictures than the plain ones
    return reconstruct(specification, protected, images[:half], target.protected, seed, say), {}


def reconstruct(
    specification: Gan, protected: np.ndarray, plain: np.ndarray, seen: np.ndarray, seed: int, say: Say
) -> np.ndarray:
    """Trains a CycleGAN and applies its reconstructing half.

    Args:
        specification: a `Gan`.
        protected: protected images, uint8 `(n, size, size, 3)`.
        plain: plain images of other pictures, of the same shape.
        seen: protected images to reconstruct, uint8.
        seed: of initialisation and order.
        say: called with each line of progress.

    Returns:
        The reconstructed images, uint8, of the shape of `seen`.

    Raises:
        AttackError: if the loss is not finite.
    """
    keras.utils.set_random_seed(seed)
    training = specification.training
    steps_per_round = math.ceil(training.steps / fitting.ROUNDS)
    schedule = keras.optimizers.schedules.CosineDecay(training.learning_rate, fitting.ROUNDS * steps_per_round)
    gan = CycleGan(specification.architecture, protected, plain)
    gan.compile(*(keras.optimizers.Adam(schedule, beta_1=BETA_1) for _ in range(2)))
    history = gan.fit(
        _unpaired_batches(protected, plain, training.batch_size, seed),
        steps_per_epoch=steps_per_round,
        epochs=fitting.ROUNDS,
        callbacks=[fitting.Rounds(say)],
        shuffle=False,
        verbose=0,
    ).history
    if not math.isfinite(sum(history["loss"])):
        raise AttackError(f"the loss of the GAN became {history['loss'][-1]}; try another --seed")
    return inference.protect(gan.reconstructor, seen)


def _unpaired_batches(protected, plain, batch_size, seed):
    """Yields for ever batches of both, drawn independently of each other."""
    drawn = [fitting.batches((images,), batch_size, (seed, which)) for which, images in enumerate((protected, plain))]
    for (some_protected,), (some_plain,) in zip(*drawn, strict=True):
        yield some_protected, some_plain


class CycleGan(keras.Model):
    """Trains two translators against two critics on batches of protected and plain images in [0, 1].

    Args:
        architecture: of the translators, a key of `rows.NETWORKS`.
        protected, plain: images whose means the translators start from, uint8 `(n, size, size, 3)`.
    """

    def __init__(self, architecture: str, protected: np.ndarray, plain: np.ndarray):
        super().__init__(name="cycle_gan")
        self.reconstructor, self.protector = _translator(architecture, plain), _translator(architecture, protected)
        self.plain_critic, self.protected_critic = _critic(plain.shape[1]), _critic(plain.shape[1])

    def compile(self, optimizer: keras.optimizers.Optimizer, critic_optimizer: keras.optimizers.Optimizer) -> None:
        super().compile(optimizer, jit_compile=False)
        self.critic_optimizer = critic_optimizer
        self.optimizer.build(self._translators())  # else the first step makes its variables, and is traced twice
        critic_optimizer.build(self._critics())

    def train_step(self, data: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        protected, plain = data
        with tf.GradientTape() as tape, tf.GradientTape() as critic_tape:
            reconstructed, reprotected = (
                self.reconstructor(protected, training=True),
                self.protector(plain, training=True),
            )
            cycle = _distance(self.protector(reconstructed, training=True), protected)
            cycle += _distance(self.reconstructor(reprotected, training=True), plain)
            on_reconstructed, on_reprotected = self.plain_critic(reconstructed), self.protected_critic(reprotected)
            loss = _to(1.0, on_reconstructed) + _to(1.0, on_reprotected) + CYCLE_WEIGHT * cycle
            critic_loss = _to(1.0, self.plain_critic(plain)) + _to(1.0, self.protected_critic(protected))
            critic_loss += _to(0.0, on_reconstructed) + _to(0.0, on_reprotected)
        translators, critics = self._translators(), self._critics()
        self.optimizer.apply(tape.gradient(loss, translators), translators)
        self.critic_optimizer.apply(critic_tape.gradient(critic_loss, critics), critics)
        return {"loss": loss, "critic": critic_loss, "cycle": cycle}

    def _translators(self):
        return self.reconstructor.trainable_variables + self.protector.trainable_variables

    def _critics(self):
        return self.plain_critic.trainable_variables + self.protected_critic.trainable_variables


def _translator(architecture, goal):
    """A network of `inverse_network` that starts as a guess: the mean of the images that it is to make."""
    mean = np.float32(goal.mean(axis=0)) / np.float32(255.0)
    images = keras.Input(mean.shape)
    guess = PlacewiseMap(np.zeros((*mean.shape, 3), np.float32), mean)(images)
    seen = layers.Concatenate()([images, guess])
    return keras.Model(images, layers.Add()([guess, correction(architecture, seen)]))


def _critic(size):
    """Images to a map of values, 1 where a patch looks real."""
    images = keras.Input((size, size, 3))
    x = images
    for filters in CRITIC_FILTERS:
        x = layers.LeakyReLU(0.2)(layers.Conv2D(filters, 3, strides=2, padding="same")(x))
    return keras.Model(images, layers.Conv2D(1, 3, padding="same")(x))


def _distance(a, b):
    return ops.mean(ops.abs(a - b))


def _to(value, verdicts):
    return ops.mean(ops.square(verdicts - value))
