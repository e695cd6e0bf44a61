"""How an attacker trains a network: with a goal and an optimizer of his own, not with the owner's training."""

import math
import time
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
from keras import ops

from i2p_tf import metrics
from i2p_tf.attacks.errors import AttackError
from i2p_tf.attacks.specification import Training, held_out
from i2p_tf.hints import Say, Tensor, Values

ROUNDS = 10  # after each the network is validated
SSIM_WEIGHT = 0.1  # brings both terms to one order of magnitude


def mse(plain: Tensor, reconstructed: Tensor) -> Tensor:
    """Mean squared error of images in [0, 1]: the published attack's."""
    return ops.mean(ops.square(reconstructed - plain))


def mse_ssim(plain: Tensor, reconstructed: Tensor) -> Tensor:
    """Adds what the results are counted in, the SSIM: sharper pictures than `mse` alone."""
    return mse(plain, reconstructed) + SSIM_WEIGHT * (1.0 - ops.mean(metrics.ssim(reconstructed, plain)))


LOSSES = {"mse": mse, "mse_ssim": mse_ssim}


def fit(
    network: keras.Model, known: tuple[np.ndarray, np.ndarray], loss: Callable, training: Training, seed: int, say: Say
) -> Values:
    """Trains a network and leaves it at its lowest validation loss; the same seed gives the same network.

    The last tenth of the examples, as `held_out` counts them, is kept for validation: that is all an attacker has.

    Args:
        network: a Keras model that has just been built.
        known: tuple of inputs and targets, arrays of equal length of at least 2; those of uint8 are images and become
            [0, 1].
        loss: function of targets and predictions to a scalar.
        training: a `Training`.
        seed: of the order of the examples.
        say: called with a line of progress a round.

    Returns:
        A dictionary of losses: `validation_at_start`; the lowest `validation` after a round, and `training` of that
        round. What has found nothing stays where it began; what has learned its pairs by heart has a low `training`.

    Raises:
        AttackError: if the loss is not finite.
    """
    steps_per_round = math.ceil(training.steps / ROUNDS)
    compile_network(network, loss, training.learning_rate, ROUNDS * steps_per_round)
    held = tuple(_as_float(array[-held_out(len(array)) :]) for array in known)
    start, weights = network.evaluate(*held, batch_size=100, verbose=0), network.get_weights()
    best = keras.callbacks.EarlyStopping(patience=ROUNDS, restore_best_weights=True)
    history = network.fit(
        batches(learned_from(known), training.batch_size, seed),
        steps_per_epoch=steps_per_round,
        epochs=ROUNDS,
        validation_data=held,
        validation_batch_size=100,
        callbacks=[best, Rounds(say)],
        shuffle=False,
        verbose=0,
    ).history
    if not math.isfinite(sum(history["loss"] + history["val_loss"])):
        raise AttackError(f"the loss of {network.name} became {history['loss'][-1]}; try another --seed")
    best_round = int(np.argmin(history["val_loss"]))
    if start < history["val_loss"][best_round]:
        network.set_weights(weights)
    losses = {"training": history["loss"][best_round], "validation": history["val_loss"][best_round]}
    return {"validation_at_start": start} | losses


def learned_from(known: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The examples without those that `fit` validates with, of which nothing else may be made either."""
    inputs, targets = known
    return inputs[: -held_out(len(inputs))], targets[: -held_out(len(targets))]


def compile_network(network: keras.Model, loss: Callable, learning_rate: float, total_steps: int) -> None:
    """Makes a network ready for `total_steps` steps from `learning_rate` down to 0."""
    schedule = keras.optimizers.schedules.CosineDecay(learning_rate, total_steps)
    network.compile(keras.optimizers.Adam(schedule, global_clipnorm=1.0), loss, jit_compile=False)
    network.optimizer.build(network.trainable_variables)  # else the first step makes them, and is traced twice


class Rounds(keras.callbacks.Callback):
    """Says after each round how far the training is."""

    def __init__(self, say: Say):
        super().__init__()
        self.say = say
        self.started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: Values | None = None) -> None:
        seconds = time.monotonic() - self.started
        left = seconds / (epoch + 1) * (ROUNDS - epoch - 1)
        values = "  ".join(
            f"{name.replace('val_loss', 'validation')} {value:.3g}" for name, value in (logs or {}).items()
        )
        self.say(f"  {epoch + 1}/{ROUNDS}  {values}  {seconds:.0f} s, {left:.0f} s left")


def batches(examples: Sequence[np.ndarray], batch_size: int, seed: int | Sequence[int]) -> Iterator[tuple]:
    """Yields for ever what `fit` learns from: as many rows, drawn at random, of each array."""
    generator = np.random.default_rng(seed)
    while True:
        chosen = generator.integers(len(examples[0]), size=batch_size)
        yield tuple(_as_float(array[chosen]) for array in examples)


def _as_float(array):
    return np.float32(array) / np.float32(255.0) if array.dtype == np.uint8 else array
