"""The Keras models that are trained: ψ by itself, h_θ inside a model with a custom step."""

from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from i2p_tf import metrics
from i2p_tf.channels.rounding import round_to_8_bits
from i2p_tf.hints import Tensor, Values
from i2p_tf.objectives.classification import mean_cross_entropy

ADVERSARY_LEARNING_RATE = 1e-3  # of Adam; it follows the network to the end and so does not fall
MEANS = 12  # of a step, made before it: a step in which variables are made is traced twice


class Trainer(keras.Model):
    """Trains `network`; the step does mixed precision itself.

    Subclasses define `compute_losses(images, labels, training)`: a dictionary of scalars, of which `loss` is minimised.
    `keeps_best` says whether the epoch with the lowest validation loss is the result, or the last one.

    Under `mixed_float16` the loss is scaled inside the tape, so that small gradients survive, and `optimizer.apply`
    unscales them; metrics see the loss as it is. The dtype policy is that of `network`: a wrapping model would
    otherwise take the global one, and with it skip the scaling.
    """

    keeps_best = True

    def __init__(self, network: keras.Model, name: str):
        super().__init__(name=name, dtype=network.dtype_policy)
        self.network = network
        self.means: dict[str, keras.metrics.Metric] = {}
        self._unused = [_mean() for _ in range(MEANS)]

    def call(self, images: Tensor, training: bool = False) -> Tensor:
        return self.network(images, training=training)

    @property
    def result(self) -> keras.Model:
        """The network that the training is for."""
        return self.network

    def begin(self, batch_size: int, progress: Any) -> None:
        """What precedes the first step; a training that goes on from a checkpoint has done it."""

    def goals(self) -> list[tuple[str, Any, list]]:
        """What a step does: a loss of `compute_losses` by name, the optimizer that makes it small, and its variables.

        All move along the gradients at the weights before the step.
        """
        return [("loss", self.optimizer, self.network.trainable_variables)]

    def train_step(self, data: tuple[Tensor, Tensor]) -> Values:
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        gradients, values = self.gradients(images, labels)
        self.move(gradients)
        return self.update_means(values, images)

    def gradients(self, images: Tensor, labels: Tensor) -> tuple[list[list[Tensor]], Values]:
        """Of each of the `goals`, scaled as its optimizer wants it; and what `compute_losses` gave."""
        goals = self.goals()
        with tf.GradientTape(persistent=len(goals) > 1) as tape:
            values = self.compute_losses(images, labels, training=True)
            scaled = {name: optimizer.scale_loss(values[name]) for name, optimizer, _ in goals}
        return [tape.gradient(scaled[name], variables) for name, _, variables in goals], values

    def move(self, gradients: list[list[Tensor]]) -> None:
        """One step along `gradients`."""
        for gradient, (_, optimizer, variables) in zip(gradients, self.goals(), strict=True):
            optimizer.apply(gradient, variables)

    def variable_groups(self) -> dict[str, list]:
        """All that a checkpoint has to hold: lists of variables by name, of which `network` is the result."""
        return {"network": self.network.variables, "optimizer": self.optimizer.variables}

    def test_step(self, data: tuple[Tensor, Tensor]) -> Values:
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        return self.update_means(self.compute_losses(images, labels, training=False), images)

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return list(self.means.values())

    def update_means(self, values: Values, images: Tensor) -> Values:
        """The means since they were reset, weighted with the number of images."""
        for name, value in values.items():
            if name not in self.means:
                self.means[name] = self._unused.pop() if self._unused else _mean()
            self.means[name].update_state(value, sample_weight=ops.shape(images)[0])
        return {name: self.means[name].result() for name in values}


class WithAdversary(Trainer):
    """A `Trainer` beside which an adversary learns, on the same images, to make `adversary_error` small.

    As the adversary learns, the loss of the same network rises: the lowest one says nothing, and the last epoch is
    kept.
    """

    keeps_best = False

    def learn_along(self, adversary: keras.Model) -> None:
        """Takes the network whose error the trainer's loss wants to be large."""
        self.adversary = adversary
        self.adversary_optimizer = keras.optimizers.Adam(ADVERSARY_LEARNING_RATE)
        if self.network.dtype_policy.name == "mixed_float16":  # as Keras does with what a model is compiled with
            self.adversary_optimizer = keras.optimizers.LossScaleOptimizer(self.adversary_optimizer)
        self.adversary_optimizer.build(adversary.trainable_variables)

    def goals(self) -> list[tuple[str, Any, list]]:
        return [*super().goals(), ("adversary_error", self.adversary_optimizer, self.adversary.trainable_variables)]

    def variable_groups(self) -> dict[str, list]:
        return super().variable_groups() | {
            "adversary": self.adversary.variables,
            "adversary_optimizer": self.adversary_optimizer.variables,
        }


class ClassifierTrainer(Trainer):
    """Trains ψ with cross entropy, on the images that it is to read: plain ones, or those of a keyed method."""

    def __init__(self, classifier: keras.Model, label_smoothing: float = 0.0):
        super().__init__(classifier, name="classifier_trainer")
        self.label_smoothing = label_smoothing

    def compute_losses(self, images: Tensor, labels: Tensor, training: bool) -> dict[str, Tensor]:
        logits = self.network(images, training=training)
        return {
            "loss": mean_cross_entropy(labels, logits, self.label_smoothing),
            "accuracy": accuracy(labels, logits),
        }


class TransformTrainer(Trainer):
    """Trains h_θ against the frozen ψ and φ, which `objective` holds and this model therefore does not own."""

    def __init__(self, transform: keras.Model, objective: Callable[[Tensor, Tensor, Tensor], dict[str, Tensor]]):
        super().__init__(transform, name="transform_trainer")
        self.objective = objective

    def compute_losses(self, images: Tensor, labels: Tensor, training: bool) -> dict[str, Tensor]:
        protected = self.network(images, training=training)
        values = self.objective(images, protected, labels)
        logits = values.pop("logits")
        values["accuracy"] = accuracy(labels, logits)
        if not training:
            values["ssim"] = ops.mean(metrics.ssim(round_to_8_bits(protected), images))
        return values


def _mean():
    return keras.metrics.Mean(dtype="float32")


def accuracy(labels: Tensor, logits: Tensor) -> Tensor:
    """The share of `logits` `(batch, classes)` that are largest at their label: a scalar."""
    return ops.mean(ops.cast(ops.equal(ops.cast(labels, "int64"), ops.argmax(logits, axis=-1)), "float32"))
