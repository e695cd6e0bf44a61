"""The objectives of h_θ, on any Keras backend.

The paper's (Ito et al. 2021, section III), the adversarial one, and the classification in both, which is all that the
encoder of a codebook learns from.
"""

import keras
from keras import ops

from i2p_tf import metrics

SSIM_WEIGHT = 0.1  # brings the two parts of `reconstruction_error` to one order of magnitude
TEMPERATURE = 4.0  # by which logits are divided before they are distilled


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


class Classification:
    """(1 - d) * cross_entropy(logits, y) + d * distillation: what all objectives have in common.

    In the distillation the softened outputs of ψ on the plain image are what `logits` shall give (Hinton et al. 2015).
    ψ runs in inference mode.

    Args:
        classifier: ψ, images in [0, 1] to logits.
        distillation_weight: d, in [0, 1].
        label_smoothing: share of the label spread over all classes in the cross entropy.
        transport: function of 8-bit images to what arrives of them, both in [0, 1]; None if they arrive as they are.
    """

    def __init__(self, classifier, distillation_weight=0.0, label_smoothing=0.0, transport=None):
        self.classifier = classifier
        self.distillation_weight = distillation_weight
        self.label_smoothing = label_smoothing
        self.transport = transport

    def read(self, protected):
        """What ψ makes of protected images: RGB at the 256 levels in [0, 1] to float32 logits `(batch, classes)`."""
        arrived = self.transport(protected) if self.transport else protected
        return ops.cast(self.classifier(arrived, training=False), "float32")

    def __call__(self, plain, logits, labels):
        """Computes the loss and its parts, all float32.

        Args:
            plain: RGB in [0, 1], `(batch, height, width, 3)`.
            logits: that shall be right, `(batch, classes)`.
            labels: integers `(batch,)`.

        Returns:
            A dictionary of scalars `loss`, `cross_entropy`, with a distillation weight `distillation`, and `logits`.
        """
        cross_entropy = mean_cross_entropy(labels, logits, self.label_smoothing)
        values = {"loss": cross_entropy, "cross_entropy": cross_entropy, "logits": logits}
        if self.distillation_weight:
            distillation, d = self._distillation(plain, logits), self.distillation_weight
            values |= {"loss": (1.0 - d) * cross_entropy + d * distillation, "distillation": distillation}
        return values

    def _distillation(self, plain, logits):
        """Divergence of the softened outputs from ψ's on plain images, scaled to have gradients as of logits."""
        of_plain = ops.cast(self.classifier(plain, training=False), "float32")
        targets = ops.stop_gradient(ops.softmax(of_plain / TEMPERATURE))
        divergences = keras.losses.kl_divergence(targets, ops.softmax(logits / TEMPERATURE))
        return TEMPERATURE**2 * ops.mean(divergences)


class PaperObjective:
    """loss = classification - λ * distance(φ(p), φ(x)), with p = h_θ(x) rounded to 8 bits.

    φ runs in inference mode. With `SquaredDistance`, and a classification by labels alone, this is the paper's, its λ
    multiplied by the variance.

    Args:
        classification: a `Classification`.
        feature_extractor: φ, images in [0, 1] to feature maps.
        distance: a member of `DISTANCES`, made from features of plain training images.
        feature_loss_weight: λ.
        feature_batch_fraction: the feature term is the mean over this first share of the batch. Batches are drawn at
            random, so its expectation does not depend on it; its cost does.
    """

    def __init__(self, classification, feature_extractor, distance, feature_loss_weight, feature_batch_fraction=1.0):
        self.classification = classification
        self.feature_extractor = feature_extractor
        self.distance = distance
        self.feature_loss_weight = feature_loss_weight
        self.feature_batch_fraction = feature_batch_fraction

    def __call__(self, plain, protected, labels):
        """Computes the loss and its parts, all float32.

        Args:
            plain: RGB in [0, 1], `(batch, height, width, 3)`.
            protected: h_θ(plain) of the same shape, not yet rounded.
            labels: integers `(batch,)`.

        Returns:
            The dictionary of `Classification`, for ψ's logits of the protected images, and the scalar
            `feature_distance`; `loss` is of the whole.
        """
        protected = round_to_8_bits(protected)
        values = self.classification(plain, self.classification.read(protected), labels)
        feature_distance = self._feature_distance(plain, protected)
        loss = values["loss"] - self.feature_loss_weight * feature_distance
        return values | {"loss": loss, "feature_distance": feature_distance}

    def _feature_distance(self, plain, protected):
        count = max(1, round(self.feature_batch_fraction * plain.shape[0])) if plain.shape[0] else None
        of_plain = ops.cast(self.feature_extractor(plain[:count], training=False), "float32")
        of_protected = ops.cast(self.feature_extractor(protected[:count], training=False), "float32")
        return ops.mean(self.distance(of_protected, ops.stop_gradient(of_plain)))


class AdversarialObjective:
    """loss = classification - w * min(1, error(adversary(p)) / error(guess)), with p = h_θ(x) rounded to 8 bits.

    The guess is the mean plain image of the class, which whoever reads the class can make without any picture in p. An
    error beyond that of the guess counts no more: driving the adversary to something worse than a guess would hide
    nothing.

    Args:
        classification: a `Classification`.
        adversary: images in [0, 1] to restored ones, in training and in inference the same function. It is trained
            beside h_θ to make `adversary_error` small.
        class_means: plain images in [0, 1], `(classes, height, width, 3)`: the guess for each class.
        adversary_weight: w.
    """

    def __init__(self, classification, adversary, class_means, adversary_weight):
        self.classification = classification
        self.adversary = adversary
        self.class_means = class_means
        self.adversary_weight = adversary_weight

    def __call__(self, plain, protected, labels):
        """Computes the loss and its parts, all float32.

        Args:
            plain: RGB in [0, 1], `(batch, height, width, 3)`.
            protected: h_θ(plain) of the same shape, not yet rounded.
            labels: integers `(batch,)`.

        Returns:
            The dictionary of `Classification`, for ψ's logits of the protected images, and the scalars
            `adversary_error` and `adversary_gain` (the share by which the adversary is better than the guess; negative
            where it is worse); `loss` is of the whole.
        """
        protected = round_to_8_bits(protected)
        values = self.classification(plain, self.classification.read(protected), labels)
        error = reconstruction_error(self.adversary(protected), plain)
        share = error / reconstruction_error(ops.take(self.class_means, labels, axis=0), plain)
        loss = values["loss"] - self.adversary_weight * ops.minimum(share, 1.0)
        return values | {"loss": loss, "adversary_error": error, "adversary_gain": 1.0 - share}


def reconstruction_error(restored, plain):
    """Mean squared error + 0.1 * (1 - SSIM), over a batch of images in [0, 1]: a scalar."""
    restored = ops.cast(restored, "float32")
    dissimilarity = 1.0 - ops.mean(metrics.ssim(restored, plain))
    return ops.mean(ops.square(restored - plain)) + SSIM_WEIGHT * dissimilarity


def mean_cross_entropy(labels, logits, label_smoothing=0.0):
    """Mean over the batch of the cross entropy of integer `labels` `(batch,)` and `logits` `(batch, classes)`."""
    classes = logits.shape[-1]
    targets = ops.one_hot(labels, classes) * (1.0 - label_smoothing) + label_smoothing / classes
    return ops.mean(keras.losses.categorical_crossentropy(targets, logits, from_logits=True))
