"""The Keras models that are trained: ψ by itself, h_θ inside a model with a custom step."""

import keras
import tensorflow as tf
from keras import ops

from i2p_tf import metrics
from i2p_tf.training.codebook import READ, fit_pictures
from i2p_tf.training.objective import mean_cross_entropy, round_to_8_bits

ADVERSARY_LEARNING_RATE = 1e-3  # of Adam; it follows h_θ to the end and so does not fall


class Trainer(keras.Model):
    """Trains `network`; the step does mixed precision itself.

    Subclasses define `compute_losses(images, labels, training)`: a dictionary of scalars, of which `loss` is minimised.
    `keeps_best` says whether the epoch with the lowest validation loss is the result, or the last one.

    Under `mixed_float16` the loss is scaled inside the tape, so that small gradients survive, and `optimizer.apply`
    unscales them; metrics see the loss as it is. The dtype policy is that of `network`: a wrapping model would
    otherwise take the global one, and with it skip the scaling.
    """

    keeps_best = True

    def __init__(self, network, name):
        super().__init__(name=name, dtype=network.dtype_policy)
        self.network = network
        self.means = {}

    def call(self, images, training=False):
        return self.network(images, training=training)

    def begin(self, batch_size, progress):
        """What precedes the first step; a training that goes on from a checkpoint has done it."""

    def train_step(self, data):
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape() as tape:
            values = self.compute_losses(images, labels, training=True)
            scaled_loss = self.optimizer.scale_loss(values["loss"])
        gradients = tape.gradient(scaled_loss, self.network.trainable_variables)
        self.optimizer.apply(gradients, self.network.trainable_variables)
        return self._update_means(values, images)

    def variable_groups(self):
        """All that a checkpoint has to hold: lists of variables by name, of which `network` is the result."""
        return {"network": self.network.variables, "optimizer": self.optimizer.variables}

    def test_step(self, data):
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        return self._update_means(self.compute_losses(images, labels, training=False), images)

    @property
    def metrics(self):
        return list(self.means.values())

    def _update_means(self, values, images):
        for name, value in values.items():
            if name not in self.means:
                self.means[name] = keras.metrics.Mean(name=name, dtype="float32")
            self.means[name].update_state(value, sample_weight=ops.shape(images)[0])
        return {name: self.means[name].result() for name in values}


class ClassifierTrainer(Trainer):
    """Trains ψ with cross entropy, on the images that it is to read: plain ones, or those of a keyed method."""

    def __init__(self, classifier, label_smoothing=0.0):
        super().__init__(classifier, name="classifier_trainer")
        self.label_smoothing = label_smoothing

    def compute_losses(self, images, labels, training):
        logits = self.network(images, training=training)
        return {
            "loss": mean_cross_entropy(labels, logits, self.label_smoothing),
            "accuracy": _accuracy(labels, logits),
        }


class TransformTrainer(Trainer):
    """Trains h_θ against the frozen ψ and φ, which `objective` holds and this model therefore does not own."""

    def __init__(self, transform, objective):
        super().__init__(transform, name="transform_trainer")
        self.objective = objective

    def compute_losses(self, images, labels, training):
        protected = self.network(images, training=training)
        values = self.objective(images, protected, labels)
        logits = values.pop("logits")
        values["accuracy"] = _accuracy(labels, logits)
        if not training:
            values["ssim"] = ops.mean(metrics.ssim(round_to_8_bits(protected), images))
        return values


class CodebookTrainer(Trainer):
    """Finds the pictures of a codebook, then trains its encoder to choose the word that stands for the class.

    In training the logits of the words stand in for what ψ makes of the pictures; validation sends the pictures.
    """

    def __init__(self, transform, classification):
        super().__init__(transform, name="codebook_trainer")
        transform.get_layer("pictures").trainable = False
        self.encoder = keras.Model(transform.input, transform.get_layer("logits").output, name="encoder")
        self.classification = classification

    def begin(self, batch_size, progress):
        lowest = fit_pictures(self.network, self.classification, batch_size, progress)
        words = self.encoder.output.shape[-1]
        progress.say(f"codebook: {words} pictures; lowest probability of its class {lowest:.4f}")
        if lowest < READ:
            progress.warn("the classifier does not read every picture as its class, which costs accuracy")

    def compute_losses(self, images, labels, training):
        values = self.classification(images, self.encoder(images, training=training), labels)
        logits = values.pop("logits")
        if training:
            values["accuracy"] = _accuracy(labels, logits)
        else:
            protected = round_to_8_bits(self.network(images, training=False))
            values["accuracy"] = _accuracy(labels, self.classification.read(protected))
            values["ssim"] = ops.mean(metrics.ssim(protected, images))
        return values


class AdversarialTrainer(TransformTrainer):
    """Trains h_θ and, in the same step and on the same protected images, the adversary of an `AdversarialObjective`.

    Each is moved along the gradient of its own goal at the weights before the step. As the adversary learns, the loss
    of the same h_θ rises: the lowest one says nothing, and the last epoch is kept.
    """

    keeps_best = False

    def __init__(self, transform, objective):
        super().__init__(transform, objective)
        self.adversary = objective.adversary
        self.adversary_optimizer = self._scaled(keras.optimizers.Adam(ADVERSARY_LEARNING_RATE))
        self.adversary_optimizer.build(self.adversary.trainable_variables)

    def train_step(self, data):
        images, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        goals = (
            ("loss", self.optimizer, self.network.trainable_variables),
            ("adversary_error", self.adversary_optimizer, self.adversary.trainable_variables),
        )
        with tf.GradientTape(persistent=True) as tape:
            values = self.compute_losses(images, labels, training=True)
            scaled = {name: optimizer.scale_loss(values[name]) for name, optimizer, _ in goals}
        gradients = {name: tape.gradient(scaled[name], variables) for name, _, variables in goals}
        for name, optimizer, variables in goals:
            optimizer.apply(gradients[name], variables)
        return self._update_means(values, images)

    def variable_groups(self):
        return super().variable_groups() | {
            "adversary": self.adversary.variables,
            "adversary_optimizer": self.adversary_optimizer.variables,
        }

    def _scaled(self, optimizer):
        """As Keras does with the optimizer that a model is compiled with."""
        scaling = self.network.dtype_policy.name == "mixed_float16"
        return keras.optimizers.LossScaleOptimizer(optimizer) if scaling else optimizer


def _accuracy(labels, logits):
    return ops.mean(ops.cast(ops.equal(ops.cast(labels, "int64"), ops.argmax(logits, axis=-1)), "float32"))
