"""The objective of h_θ (Ito et al. 2021, section III), on any Keras backend."""

import keras
from keras import ops


def round_to_8_bits(images):
    """Images in [0, 1] at the 256 levels that travel; the gradient passes as if nothing had been rounded."""
    return images + ops.stop_gradient(ops.round(images * 255.0) / 255.0 - images)


def feature_variance(feature_extractor, images):
    """Variance of φ's activations over plain images, one number: the unit of the feature term.

    The releases of VGG16 differ by orders of magnitude in the scale of their features. In units of this variance one
    λ means the same for each of them.

    Args:
        feature_extractor: φ.
        images: RGB in [0, 1], `(n, height, width, 3)`.
    """
    features = ops.cast(feature_extractor(images, training=False), "float32")
    return float(ops.mean(ops.var(features, axis=(0, 1, 2))))


class PaperObjective:
    """loss = cross_entropy(ψ(p), y) - λ * mean((φ(p) - φ(x))²) / v, with p = h_θ(x) rounded to 8 bits.

    v is `feature_variance`, a constant; the paper's formula is that of λ / v. ψ and φ run in inference mode.

    With a limit, the distance of each image counts only up to it: the paper's term grows without bound, and in a short
    training h_θ goes on to enlarge it at the expense of the cross entropy. Two unrelated pictures are 2 v apart.

    Args:
        classifier: ψ, images in [0, 1] to logits.
        feature_extractor: φ, images in [0, 1] to features.
        feature_loss_weight: λ.
        feature_variance: v.
        feature_batch_fraction: the feature term is the mean over this first share of the batch. Batches are drawn at
            random, so its expectation does not depend on it; its cost does.
        feature_distance_limit: in units of v; None, as in the paper, for no limit.
        label_smoothing: share of the label spread over all classes in the cross entropy.
    """

    def __init__(
        self,
        classifier,
        feature_extractor,
        feature_loss_weight,
        feature_variance,
        feature_batch_fraction=1.0,
        feature_distance_limit=None,
        label_smoothing=0.0,
    ):
        self.classifier = classifier
        self.feature_extractor = feature_extractor
        self.feature_loss_weight = feature_loss_weight
        self.feature_variance = feature_variance
        self.feature_batch_fraction = feature_batch_fraction
        self.feature_distance_limit = feature_distance_limit
        self.label_smoothing = label_smoothing

    def __call__(self, plain, protected, labels):
        """Computes the loss and its parts, all float32.

        Args:
            plain: RGB in [0, 1], `(batch, height, width, 3)`.
            protected: h_θ(plain) of the same shape, not yet rounded.
            labels: integers `(batch,)`.

        Returns:
            A dictionary of scalars `loss`, `cross_entropy`, `feature_distance` (in units of v, without
            the limit), and `logits` `(batch, classes)` of the protected images.
        """
        protected = round_to_8_bits(protected)
        logits = ops.cast(self.classifier(protected, training=False), "float32")
        cross_entropy = mean_cross_entropy(labels, logits, self.label_smoothing)
        distances = self._feature_distances(plain, protected)
        counted = distances
        if self.feature_distance_limit is not None:
            counted = ops.minimum(distances, self.feature_distance_limit)
        loss = cross_entropy - self.feature_loss_weight * ops.mean(counted)
        return {
            "loss": loss,
            "cross_entropy": cross_entropy,
            "feature_distance": ops.mean(distances),
            "logits": logits,
        }

    def _feature_distances(self, plain, protected):
        count = max(1, round(self.feature_batch_fraction * plain.shape[0])) if plain.shape[0] else None
        of_plain = ops.cast(self.feature_extractor(plain[:count], training=False), "float32")
        of_protected = ops.cast(self.feature_extractor(protected[:count], training=False), "float32")
        squares = ops.square(of_protected - ops.stop_gradient(of_plain))
        return ops.mean(squares, axis=(1, 2, 3)) / self.feature_variance


def mean_cross_entropy(labels, logits, label_smoothing=0.0):
    """Mean over the batch of the cross entropy of integer `labels` `(batch,)` and `logits` `(batch, classes)`."""
    classes = logits.shape[-1]
    targets = ops.one_hot(labels, classes) * (1.0 - label_smoothing) + label_smoothing / classes
    return ops.mean(keras.losses.categorical_crossentropy(targets, logits, from_logits=True))
