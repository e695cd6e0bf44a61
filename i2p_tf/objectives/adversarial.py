"""The adversarial objective: classification against a network that restores, which is trained beside h_θ.

It takes from the training images: the mean plain images.
"""

import functools

import keras
import numpy as np
from keras import ops

from i2p_tf import metrics, whole_batch
from i2p_tf.channels.rounding import round_to_8_bits
from i2p_tf.config import Config
from i2p_tf.data.dataset import Dataset, Split
from i2p_tf.hints import Tensor
from i2p_tf.models.adversary import adversary
from i2p_tf.objectives.classification import Classification, classification
from i2p_tf.objectives.setting import Setting
from i2p_tf.objectives.trainer import TransformTrainer, WithAdversary

SSIM_WEIGHT = 0.1  # brings the two parts of `reconstruction_error` to one order of magnitude


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

    def __init__(
        self, classification: Classification, adversary: keras.Model, class_means: np.ndarray, adversary_weight: float
    ):
        self.classification = classification
        self.adversary = adversary
        self.class_means = class_means
        self.adversary_weight = adversary_weight

    def __call__(self, plain: Tensor, protected: Tensor, labels: Tensor) -> dict[str, Tensor]:
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
        share = share_of_guess(error, ops.take(self.class_means, labels, axis=0), plain)
        loss = values["loss"] - self.adversary_weight * ops.minimum(share, 1.0)
        return values | {"loss": loss, "adversary_error": error, "adversary_gain": 1.0 - share}


class AdversarialTrainer(WithAdversary, TransformTrainer):
    """Trains h_θ and, in the same step and on the same protected images, the adversary of an `AdversarialObjective`."""

    def __init__(self, transform: keras.Model, objective: AdversarialObjective):
        super().__init__(transform, objective)
        self.learn_along(objective.adversary)


def reconstruction_error(restored: Tensor, plain: Tensor) -> Tensor:
    """Mean squared error + 0.1 * (1 - SSIM), over a batch of images in [0, 1]: a scalar."""
    restored = ops.cast(restored, "float32")
    dissimilarity = 1.0 - ops.mean(metrics.ssim(restored, plain))
    return ops.mean(ops.square(restored - plain)) + SSIM_WEIGHT * dissimilarity


def share_of_guess(error: Tensor, guess: Tensor, plain: Tensor) -> Tensor:
    """A `reconstruction_error` of a whole batch, as a multiple of that of guessed images: a scalar."""
    return whole_batch.mean(error) / whole_batch.mean(reconstruction_error(guess, plain))


def trainer(setting: Setting) -> AdversarialTrainer:
    """The `AdversarialTrainer` of a `setting.Setting`."""
    transform = setting.new_transform()
    make = functools.partial(adversarial_objective, setting.config, setting.dataset, setting.classifier)
    return AdversarialTrainer(transform, setting.build(make))


def adversarial_objective(config: Config, dataset: Dataset, classifier: keras.Model) -> AdversarialObjective:
    """Builds the adversarial objective, with an adversary that has learned nothing yet.

    Args:
        config: a `Config`.
        dataset: its `data.dataset.Dataset`.
        classifier: ψ, frozen.

    Returns:
        A `AdversarialObjective`.
    """
    means = class_means(dataset.train, dataset.num_classes)
    return AdversarialObjective(
        classification(config, classifier),
        adversary(_mean_image(dataset.train.images)),
        ops.convert_to_tensor(means),
        config.adversary_weight,
    )


def class_means(train: Split, num_classes: int) -> np.ndarray:
    """The mean image of each class, float32 in [0, 1]; of a class without images, of all.

    Args:
        train: a `data.dataset.Split`.
        num_classes: how many there are.

    Returns:
        `(num_classes, size, size, 3)`.
    """
    of_classes = [train.take(train.labels == label).images for label in range(num_classes)]
    return np.stack([_mean_image(images if len(images) else train.images) for images in of_classes])


def _mean_image(images):
    return np.float32(images.mean(axis=0) / 255.0)
