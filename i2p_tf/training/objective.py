"""The objective of h_θ (Ito et al. 2021, section III), on any Keras backend."""

import keras
from keras import ops


def round_to_8_bits(images):
    """Images in [0, 1] at the 256 levels that travel; the gradient passes as if nothing had been rounded."""
    return images + ops.stop_gradient(ops.round(images * 255.0) / 255.0 - images)


class SquaredDistance:
    """The paper's distance of features, mean((a - b)²), in units of their variance over plain images.

    The releases of VGG16 differ by orders of magnitude in the scale of their features. In these units one λ means the
    same for each of them, and two unrelated pictures are 2 apart. It grows without bound with the contrast of the
    protected image.
    """

    def __init__(self, plain_features):
        self.variance = ops.mean(ops.var(plain_features, axis=(0, 1, 2)))

    def __call__(self, a, b):
        """Feature maps `(n, height, width, channels)` to distances `(n,)`."""
        return ops.mean(ops.square(a - b), axis=(1, 2, 3)) / self.variance


class CosineDistance:
    """1 - cosine of the angle between the features at each place, averaged over the places; from 0 to 2.

    The mean of each channel over plain images is subtracted first. The distance depends on which features there are,
    not on how strong they are, so that it can't be enlarged by strengthening those of the plain image. Normalised in
    the channels like the perceptual distance of Zhang et al. 2018.
    """

    def __init__(self, plain_features):
        self.mean = ops.mean(plain_features, axis=(0, 1, 2))

    def __call__(self, a, b):
        """Feature maps `(n, height, width, channels)` to distances `(n,)`."""
        cosines = ops.sum(self._directions(a) * self._directions(b), axis=-1)
        return 1.0 - ops.mean(cosines, axis=(1, 2))

    def _directions(self, features):
        centred = features - self.mean
        return centred * ops.rsqrt(ops.sum(ops.square(centred), axis=-1, keepdims=True) + 1e-6)


DISTANCES = {"squared": SquaredDistance, "cosine": CosineDistance}


class Objective:
    """loss = cross_entropy(ψ(p), y) - λ * distance(φ(p), φ(x)), with p = h_θ(x) rounded to 8 bits.

    ψ and φ run in inference mode. With `SquaredDistance` this is the paper's, its λ multiplied by the variance.

    Args:
        classifier: ψ, images in [0, 1] to logits.
        feature_extractor: φ, images in [0, 1] to feature maps.
        distance: a member of `DISTANCES`, made from features of plain training images.
        feature_loss_weight: λ.
        feature_batch_fraction: the feature term is the mean over this first share of the batch. Batches are drawn at
            random, so its expectation does not depend on it; its cost does.
        label_smoothing: share of the label spread over all classes in the cross entropy.
    """

    def __init__(
        self,
        classifier,
        feature_extractor,
        distance,
        feature_loss_weight,
        feature_batch_fraction=1.0,
        label_smoothing=0.0,
    ):
        self.classifier = classifier
        self.feature_extractor = feature_extractor
        self.distance = distance
        self.feature_loss_weight = feature_loss_weight
        self.feature_batch_fraction = feature_batch_fraction
        self.label_smoothing = label_smoothing

    def __call__(self, plain, protected, labels):
        """Computes the loss and its parts, all float32.

        Args:
            plain: RGB in [0, 1], `(batch, height, width, 3)`.
            protected: h_θ(plain) of the same shape, not yet rounded.
            labels: integers `(batch,)`.

        Returns:
            A dictionary of scalars `loss`, `cross_entropy`, `feature_distance`, and
            `logits` `(batch, classes)` of the protected images.
        """
        protected = round_to_8_bits(protected)
        logits = ops.cast(self.classifier(protected, training=False), "float32")
        cross_entropy = mean_cross_entropy(labels, logits, self.label_smoothing)
        feature_distance = self._feature_distance(plain, protected)
        loss = cross_entropy - self.feature_loss_weight * feature_distance
        return {
            "loss": loss,
            "cross_entropy": cross_entropy,
            "feature_distance": feature_distance,
            "logits": logits,
        }

    def _feature_distance(self, plain, protected):
        count = max(1, round(self.feature_batch_fraction * plain.shape[0])) if plain.shape[0] else None
        of_plain = ops.cast(self.feature_extractor(plain[:count], training=False), "float32")
        of_protected = ops.cast(self.feature_extractor(protected[:count], training=False), "float32")
        return ops.mean(self.distance(of_protected, ops.stop_gradient(of_plain)))


def mean_cross_entropy(labels, logits, label_smoothing=0.0):
    """Mean over the batch of the cross entropy of integer `labels` `(batch,)` and `logits` `(batch, classes)`."""
    classes = logits.shape[-1]
    targets = ops.one_hot(labels, classes) * (1.0 - label_smoothing) + label_smoothing / classes
    return ops.mean(keras.losses.categorical_crossentropy(targets, logits, from_logits=True))
