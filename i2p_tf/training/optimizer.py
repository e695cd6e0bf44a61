"""The two optimizers, SGD with momentum and Muon, and the two learning-rate schedules."""

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from i2p_tf.hints import Tensor, Values
from i2p_tf.recipe import Recipe

MOMENTUM = 0.9
ADAM_SHARE = 0.1  # of Muon's learning rate, for what is no convolution
WARM_UP = 0.2  # share of the steps in which one_cycle rises
DROPS = (0.3, 0.6, 0.8)  # shares of the steps after which `steps` multiplies by 0.2


def optimizer(recipe: Recipe, total_steps: int, compute_dtype: str = "float32") -> keras.optimizers.Optimizer:
    """The optimizer of a `Recipe` for `total_steps` steps of a network that computes in `compute_dtype`.

    Kernels decay; biases and the parameters of batch normalisation do not.
    """
    schedule = {"one_cycle": OneCycle, "steps": Steps}[recipe.schedule](recipe.learning_rate, total_steps)
    made = {"sgd": _sgd, "muon": _muon}[recipe.optimizer](recipe, schedule, compute_dtype)
    made.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return made


def _sgd(recipe, schedule, _):
    """Keras decouples weight decay from the momentum, the published code does not: 1 - momentum makes up for it."""
    return keras.optimizers.SGD(
        schedule,
        momentum=MOMENTUM,
        nesterov=recipe.schedule == "one_cycle",
        weight_decay=recipe.weight_decay / (1.0 - MOMENTUM),
        global_clipnorm=recipe.clip_norm,
    )


def _muon(recipe, schedule, compute_dtype):
    return ConvolutionMuon(
        schedule,
        adam_lr_ratio=ADAM_SHARE,
        weight_decay=recipe.weight_decay,
        adam_weight_decay=recipe.weight_decay,
        global_clipnorm=recipe.clip_norm,
        momentum=MOMENTUM,
        rms_rate=None,
        products="bfloat16" if compute_dtype == "bfloat16" else "float32",
    )


class ConvolutionMuon(keras.optimizers.Muon):
    """Muon (Jordan et al. 2024) for kernels of convolutions, as matrices of inputs and outputs; Adam for the rest.

    Keras' own leaves convolutions to Adam. The momentum of each kernel is made orthogonal before it is applied, so that
    all its directions are learned at one pace; this takes large matrix products, for which bfloat16 is precise enough,
    as in the authors' own code.

    Args:
        learning_rate: as Keras' own takes it, and so are the others.
        products: the data type of these products, `float32` or `bfloat16`.
    """

    def __init__(self, learning_rate: Any, products: str = "float32", **others: Any) -> None:
        super().__init__(learning_rate, **others)
        self.products = products

    def _should_use_adamw(self, variable):
        return len(variable.shape) != 4

    def zeropower_via_newtonschulz5(self, x: Tensor, steps: int) -> Tensor:
        return ops.reshape(self._orthogonal(ops.reshape(x, (-1, x.shape[-1])), steps), x.shape)

    @tf.function(autograph=False)  # traced for each shape, not for each kernel: the first step comes sooner
    def _orthogonal(self, matrix, steps):
        return ops.cast(super().zeropower_via_newtonschulz5(ops.cast(matrix, self.products), steps), matrix.dtype)


class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Linearly from a twentieth of `learning_rate` up to it in the first fifth of the steps, then down to 0."""

    def __init__(self, learning_rate: float, total_steps: int):
        self.learning_rate = learning_rate
        self.total_steps = total_steps

    def __call__(self, step: Tensor) -> Tensor:
        share = ops.cast(step, "float32") / self.total_steps
        rising = 0.05 + 0.95 * share / WARM_UP
        falling = (1.0 - share) / (1.0 - WARM_UP)
        return self.learning_rate * ops.maximum(ops.minimum(rising, falling), 0.0)

    def get_config(self) -> Values:
        return {"learning_rate": self.learning_rate, "total_steps": self.total_steps}


class Steps(keras.optimizers.schedules.LearningRateSchedule):
    """`learning_rate`, times 0.2 after each of `DROPS`."""

    def __init__(self, learning_rate: float, total_steps: int):
        self.learning_rate = learning_rate
        self.total_steps = total_steps

    def __call__(self, step: Tensor) -> Tensor:
        share = ops.cast(step, "float32") / self.total_steps
        drops = sum(ops.cast(share >= drop, "float32") for drop in DROPS)
        return self.learning_rate * ops.power(0.2, drops)

    def get_config(self) -> Values:
        return {"learning_rate": self.learning_rate, "total_steps": self.total_steps}
