"""The epochs of one training: data, progress, checkpoints, resumption."""

import dataclasses
import math
import time
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from i2p_tf.data import pipeline
from i2p_tf.data.dataset import Dataset
from i2p_tf.hints import Tensor, Values
from i2p_tf.inference import batch_size
from i2p_tf.objectives.trainer import Trainer
from i2p_tf.recipe import Recipe
from i2p_tf.run_dir import RunDir
from i2p_tf.training import budget, checkpoint
from i2p_tf.training.devices import OneDevice
from i2p_tf.training.errors import TrainingError
from i2p_tf.training.optimizer import optimizer
from i2p_tf.training.progress import Progress


def fit(
    trainer: Trainer,
    dataset: Dataset,
    recipe: Recipe,
    augmentation: str,
    seed: int,
    run_dir: RunDir,
    phase: str,
    progress: Progress,
    protect: Callable[[Tensor], Tensor] | None = None,
    devices: OneDevice | None = None,
) -> None:
    """Trains `trainer.network`, from the newest checkpoint of `phase` if there is one, and keeps its best epoch.

    Order and augmentation depend on the seed and the number of the epoch alone, and a checkpoint holds every
    variable; so an interrupted training that goes on gives what an uninterrupted one would have given.

    Args:
        trainer: a `Trainer`, not compiled.
        augmentation, seed: a member of `config.AUGMENTATIONS`; what order and augmentation follow from.
        run_dir, phase: where checkpoints and metrics.jsonl are written; the name of the training in both.
        protect: function of uint8 images, if the network is to learn from what it makes of them.
        devices: that compute; None for one. Of several processes the chief alone validates and writes.

    Raises:
        InputError: if a batch has more images than there are.
        TrainingError: if the loss is not finite.
    """
    steps = len(dataset.train.labels) // recipe.batch_size
    epochs = recipe.total_epochs(max(1, steps))
    compile_trainer(trainer, recipe, epochs * steps)

    devices = devices or OneDevice()
    state = State(trainer)
    first, history = _begin(trainer, state, recipe, run_dir, phase, progress, devices)
    validation = _validation(dataset, protect)
    others = [line for line in run_dir.read_metrics() if line.get("phase") != phase]
    run_dir.write_metrics(others + history)
    if first < epochs:
        progress.say(budget.line(trainer, phase, recipe, epochs - first, dataset))
    progress.begin(phase, first, epochs, steps, recipe.batch_size)
    train_epoch, part = devices.epochs(trainer), devices.part(recipe.batch_size)
    for epoch in range(first, epochs):
        started = time.monotonic()
        batches = pipeline.training_pipeline(dataset.train, recipe.batch_size, seed, augmentation, epoch, protect, part)
        with pipeline.naming_damage(dataset.train):
            trained = train_epoch(batches, [progress.callback(epoch), StopOnDivergence(phase, epoch)])
        if not devices.is_chief:
            continue
        validated = _validated(trainer, validation, phase, epoch)
        line = {"phase": phase, "epoch": epoch + 1, "seconds": round(time.monotonic() - started, 2)}
        history.append(line := line | trained | validated)
        state.keep(epoch + 1, validated["validation_loss"])
        checkpoint.save(run_dir.checkpoints, phase, epoch + 1, state.arrays(), state.progress(history))
        run_dir.write_metrics(others + history)
        progress.end_epoch(line)
    state.take_best()
    state.take(devices.from_chief(state.all()))


def _begin(trainer, state, recipe, run_dir, phase, progress, devices):
    """The newest checkpoint, or what precedes the first step, in all processes; finished epochs and their history."""
    first, history = 0, []
    if devices.is_chief:
        former = checkpoint.load(run_dir.checkpoints, phase, state.shapes(), progress.warn)
        if former:
            first, history = state.restore(former)
        else:
            trainer.begin(recipe.batch_size, progress)
    finished, *arrays = devices.from_chief([np.array(first), *state.all()])
    state.take(arrays)
    return int(finished), history


def _validated(trainer, validation, phase, epoch):
    means = trainer.evaluate(validation, verbose=0, return_dict=True)
    require_finite(means["loss"], phase, f"in the validation of epoch {epoch + 1}")
    return {f"validation_{name}": value for name, value in means.items()}


def _validation(dataset, protect):
    held_out = dataset.validation
    if protect:
        held_out = dataclasses.replace(held_out, images=protect(held_out.images))
    return pipeline.evaluation_pipeline(held_out, batch_size(dataset.image_size))


def compile_trainer(trainer: Trainer, recipe: Recipe, total_steps: int) -> None:
    """Makes a `Trainer` ready for `total_steps` steps of a `Recipe`."""
    on_gpu = keras.backend.backend() == "tensorflow" and _has_gpu()
    trainer.compile(optimizer=optimizer(recipe, total_steps, trainer.compute_dtype), jit_compile=on_gpu)
    trainer.optimizer.build(trainer.network.trainable_variables)


class State:
    """What a checkpoint holds: every variable now, and the network of the best epoch, or of the last one."""

    def __init__(self, trainer: Trainer):
        self.groups = trainer.variable_groups()
        self.keeps_best = trainer.keeps_best
        self.best = _arrays(self.groups["network"])
        self.best_epoch = 0
        self.best_loss = math.inf

    def keep(self, epoch: int, loss: float) -> None:
        if loss < self.best_loss or not self.keeps_best:
            self.best, self.best_epoch, self.best_loss = _arrays(self.groups["network"]), epoch, loss

    def take_best(self) -> None:
        _assign(self.groups["network"], self.best)

    def all(self) -> list[np.ndarray]:
        """Every variable as it is now; `take` gives them back."""
        return [array for variables in self.groups.values() for array in _arrays(variables)]

    def take(self, arrays: list[np.ndarray]) -> None:
        _assign([variable for variables in self.groups.values() for variable in variables], arrays)

    def arrays(self) -> dict[str, list[np.ndarray]]:
        return {name: _arrays(variables) for name, variables in self.groups.items()} | {"best": self.best}

    def shapes(self) -> dict[str, list]:
        return {name: [array.shape for array in group] for name, group in self.arrays().items()}

    def progress(self, history: list[Values]) -> Values:
        return {"best_epoch": self.best_epoch, "best_loss": self.best_loss, "history": history}

    def restore(self, former: Any) -> tuple[int, list[Values]]:
        """Takes what `checkpoint.load` gave; returns the number of finished epochs and their history."""
        epoch, arrays, progress = former
        for name, variables in self.groups.items():
            _assign(variables, arrays[name])
        self.best = arrays["best"]
        self.best_epoch, self.best_loss = progress["best_epoch"], progress["best_loss"]
        return epoch, progress["history"]


class StopOnDivergence(keras.callbacks.Callback):
    """Raises `TrainingError` at the first step after which the mean loss of the epoch is not finite."""

    def __init__(self, phase: str, epoch: int):
        super().__init__()
        self.phase = phase
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: Values | None = None) -> None:
        require_finite((logs or {})["loss"], self.phase, f"at step {batch + 1} of epoch {self.epoch + 1}")


def require_finite(loss: float, phase: str, where: str) -> None:
    """Raises `TrainingError` if `loss` is not a finite number."""
    if not math.isfinite(loss):
        raise TrainingError(
            f"the loss of the {phase} became {loss} {where}; try --clip_norm=1, a lower --learning_rate or "
            "--precision=float32"
        )


def _has_gpu():
    import tensorflow as tf

    return bool(tf.config.list_physical_devices("GPU"))


def _arrays(variables):
    return [variable.numpy() for variable in variables]


def _assign(variables, arrays):
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)
