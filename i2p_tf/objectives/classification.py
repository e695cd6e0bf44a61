"""The classification in all objectives of h_θ, and the rounding to what travels; on any Keras backend."""

from collections.abc import Callable

import keras
from keras import ops

from i2p_tf.channels.table import CHANNELS
from i2p_tf.config import Config
from i2p_tf.hints import Tensor
from i2p_tf.tables import load

TEMPERATURE = 4.0  # by which logits are divided before they are distilled


class Classification:
    """(1 - d) * cross_entropy(logits, y) + d * distillation: what all objectives have in common.

    In the distillation the softened outputs of ψ on the plain image are what `logits` shall give (Hinton et al. 2015).
    ψ runs in inference mode.

    Args:
        classifier: ψ, images in [0, 1] to logits.
        distillation_weight: d, in [0, 1].
        label_smoothing: share of the label spread over all classes in the cross entropy.
        channel: function of 8-bit images to what arrives of them, both in [0, 1]; None if they arrive as they are.
        ways: that the images of a batch go in the channel.
    """

    def __init__(
        self,
        classifier: keras.Model,
        distillation_weight: float = 0.0,
        label_smoothing: float = 0.0,
        channel: Callable[[Tensor], Tensor] | None = None,
        ways: int = 1,
    ):
        self.classifier = classifier
        self.distillation_weight = distillation_weight
        self.label_smoothing = label_smoothing
        self.channel = channel
        self.ways = ways

    def read(self, protected: Tensor) -> Tensor:
        """What ψ makes of protected images: RGB at the 256 levels in [0, 1] to float32 logits `(batch, classes)`."""
        arrived = self.channel(protected) if self.channel else protected
        return ops.cast(self.classifier(arrived, training=False), "float32")

    def answers(self, plain: Tensor) -> Tensor | None:
        """What is distilled: ψ's float32 logits `(batch, classes)` of plain images; None if nothing is."""
        if not self.distillation_weight:
            return None
        return ops.cast(self.classifier(plain, training=False), "float32")

    def __call__(
        self, plain: Tensor, logits: Tensor, labels: Tensor, answers: Tensor | None = None
    ) -> dict[str, Tensor]:
        """Computes the loss and its parts, all float32.

        Args:
            plain: RGB in [0, 1], `(batch, height, width, 3)`.
            logits: that shall be right, `(batch, classes)`.
            labels: integers `(batch,)`.
            answers: of `plain`, where they are there already.

        Returns:
            A dictionary of scalars `loss`, `cross_entropy`, with a distillation weight `distillation`, and `logits`.
        """
        cross_entropy = mean_cross_entropy(labels, logits, self.label_smoothing)
        values = {"loss": cross_entropy, "cross_entropy": cross_entropy, "logits": logits}
        if self.distillation_weight:
            answers = self.answers(plain) if answers is None else answers
            distillation, d = self._distillation(answers, logits), self.distillation_weight
            values |= {"loss": (1.0 - d) * cross_entropy + d * distillation, "distillation": distillation}
        return values

    def _distillation(self, answers, logits):
        """Divergence of the softened outputs from ψ's on plain images, scaled to have gradients as of logits."""
        targets = ops.stop_gradient(ops.softmax(answers / TEMPERATURE))
        divergences = keras.losses.kl_divergence(targets, ops.softmax(logits / TEMPERATURE))
        return TEMPERATURE**2 * ops.mean(divergences)


def mean_cross_entropy(labels: Tensor, logits: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Mean over the batch of the cross entropy of integer `labels` `(batch,)` and `logits` `(batch, classes)`."""
    classes = logits.shape[-1]
    targets = ops.one_hot(labels, classes) * (1.0 - label_smoothing) + label_smoothing / classes
    return ops.mean(keras.losses.categorical_crossentropy(targets, logits, from_logits=True))


def classification(config: Config, classifier: keras.Model) -> Classification:
    """Builds the part that all objectives share.

    Args:
        config: a `Config`; where its objective distils nothing the labels are all there is to learn from.
        classifier: ψ, frozen.

    Returns:
        A `Classification`.
    """
    distillation_weight = config.parameters.get("distillation_weight", 0.0)
    channel = CHANNELS[config.channel]
    label_smoothing = config.transform_recipe.label_smoothing
    return Classification(classifier, distillation_weight, label_smoothing, load(channel.twin), channel.ways)
