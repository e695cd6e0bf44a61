"""How one network is trained: epochs, steps, rates."""

import dataclasses
import math

from i2p_tf import checks
from i2p_tf.errors import InputError

OPTIMIZERS = ("sgd", "muon")
SCHEDULES = ("one_cycle", "steps")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How one network is trained.

    Attributes:
        epochs: passes over the training split.
        minimum_steps: epochs are added until there are at least this many steps, so that a small data set is
            trained long enough by the recipe of a large one.
        batch_size: images a step.
        learning_rate: the highest one.
        optimizer: `sgd`, with momentum 0.9, Nesterov's with `one_cycle`, plain with `steps`; or `muon`, which learns
            convolutions in fewer epochs.
        schedule: `one_cycle` (a fifth of the steps up, linearly down to 0) or `steps` (times 0.2 after 30, 60 and
            80 % of the steps: the published 60, 120 and 160 of 200 epochs).
        weight_decay: of `sgd`, the factor of the L2 penalty on kernels; of `muon`, the share of the learning rate by
            which a step shrinks them.
        label_smoothing: share of the label spread over all classes.
        clip_norm: limit of the global gradient norm; None for no limit.
        follows_data: whether batches get smaller, and the minimum of steps, for few or large pictures.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: str = "sgd"
    schedule: str = "one_cycle"
    minimum_steps: int = 0
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    follows_data: bool = False

    def __post_init__(self) -> None:
        checks.integer("epochs", self.epochs, 1)
        checks.integer("batch_size", self.batch_size, 1)
        checks.integer("minimum_steps", self.minimum_steps, 0)
        checks.number("learning_rate", self.learning_rate, zero=False)
        checks.number("weight_decay", self.weight_decay)
        checks.choice("optimizer", self.optimizer, OPTIMIZERS)
        checks.choice("schedule", self.schedule, SCHEDULES)
        if self.clip_norm is not None:
            checks.number("clip_norm", self.clip_norm, zero=False)
        checks.number("label_smoothing", self.label_smoothing)
        if self.label_smoothing >= 1:
            raise InputError(f"label_smoothing must be below 1. Received: {self.label_smoothing!r}")

    def total_epochs(self, steps_per_epoch: int) -> int:
        """Epochs to run, the minimum number of steps included."""
        return max(self.epochs, math.ceil(self.minimum_steps / steps_per_epoch))
