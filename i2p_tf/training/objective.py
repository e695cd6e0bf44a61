"""The objectives of h_θ: the paper's (Ito et al. 2021, section III) and the adversarial one, on any Keras backend."""

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


class AdversarialObjective:
    """loss = classification - w * min(1, error(adversary(p)) / error(guess)), with p = h_θ(x) rounded to 8 bits.

    The classification is (1 - d) * cross_entropy(ψ(p), y) + d * distillation: ψ's softened outputs on the plain image
    are what it shall give on the protected one (Hinton et al. 2015). The guess is the mean plain image of the class,
    which whoever reads the class can make without any picture in p. An error beyond that of the guess counts no more:
    driving the adversary to something worse than a guess would hide nothing.

    Args:
        classifier: ψ, images in [0, 1] to logits; runs in inference mode.
        adversary: images in [0, 1] to restored ones, in training and in inference the same function. It is trained
            beside h_θ to make `adversary_error` small.
        class_means: plain images in [0, 1], `(classes, height, width, 3)`: the guess for each class.
        adversary_weight: w.
        distillation_weight: d, in [0, 1].
        label_smoothing: share of the label spread over all classes in the cross entropy.
    """

    def __init__(
        self, classifier, adversary, class_means, adversary_weight, distillation_weight=0.0, label_smoothing=0.0
    ):
        self.classifier = classifier
        self.adversary = adversary
        self.class_means = class_means
        self.adversary_weight = adversary_weight
        self.distillation_weight = distillation_weight
        self.label_smoothing = label_smoothing

    def __call__(self, plain, protected, labels):
        """Computes the loss and its parts, all float32.

        Args:
            plain: RGB in [0, 1], `(batch, height, width, 3)`.
            protected: h_θ(plain) of the same shape, not yet rounded.
            labels: integers `(batch,)`.

        Returns:
            A dictionary of scalars `loss`, `cross_entropy`, `distillation`, `adversary_error`, `adversary_gain` (the
            share by which the adversary is better than the guess; negative where it is worse), and `logits`
            `(batch, classes)` of the protected images.
        """
        protected = round_to_8_bits(protected)
        logits = ops.cast(self.classifier(protected, training=False), "float32")
        cross_entropy = mean_cross_entropy(labels, logits, self.label_smoothing)
        distillation = self._distillation(plain, logits)
        classification = (1.0 - self.distillation_weight) * cross_entropy + self.distillation_weight * distillation
        error = reconstruction_error(self.adversary(protected), plain)
        share = error / reconstruction_error(ops.take(self.class_means, labels, axis=0), plain)
        return {
            "loss": classification - self.adversary_weight * ops.minimum(share, 1.0),
            "cross_entropy": cross_entropy,
            "distillation": distillation,
            "adversary_error": error,
            "adversary_gain": 1.0 - share,
            "logits": logits,
        }

    def _distillation(self, plain, logits):
        """Divergence of ψ's softened outputs on protected images from those on plain ones; gradients as of logits."""
        of_plain = ops.cast(self.classifier(plain, training=False), "float32")
        targets = ops.stop_gradient(ops.softmax(of_plain / TEMPERATURE))
        divergences = keras.losses.kl_divergence(targets, ops.softmax(logits / TEMPERATURE))
        return TEMPERATURE**2 * ops.mean(divergences)


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
