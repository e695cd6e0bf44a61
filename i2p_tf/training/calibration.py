"""The objective of one experiment, with what it takes from the training images.

That is, of the paper's: where φ comes from, and its features on plain images, which distances refer to. Of the
adversarial one: the mean plain images.
"""

import contextlib
import hashlib
import pathlib

import numpy as np
from keras import ops

from i2p_tf.config import FEATURE_WEIGHTS
from i2p_tf.errors import InputError
from i2p_tf.inference import batch_size
from i2p_tf.models.adversary import adversary
from i2p_tf.models.feature_extractor import classifier_features, vgg16_features
from i2p_tf.training.objective import (
    DISTANCES,
    AdversarialObjective,
    Classification,
    PaperObjective,
)
from i2p_tf.training.transport import lossy_transport

FEWEST_IMAGES = 50  # of plain ones that φ is calibrated on; of small images more
TRANSPORTS = {"png": None, "jpeg": lossy_transport}


def calibrated_objective(config, dataset, classifier, progress):
    """Builds the paper's objective.

    Args:
        config: a `Config`.
        dataset: its `data.dataset.Dataset`.
        classifier: ψ, frozen.
        progress: a `training.progress.Progress`.

    Returns:
        A `training.objective.PaperObjective`, and a dictionary that says where φ came from and the `variance` of its
        features on plain images.

    Raises:
        InputError: if the file of φ's weights holds something else.
    """
    extractor, description = _feature_extractor(config, dataset, classifier, progress)
    plain = dataset.train.images[: max(FEWEST_IMAGES, batch_size(dataset.image_size))]
    features = _features(extractor, np.float32(plain) / 255.0)
    variance = float(ops.mean(ops.var(features, axis=(0, 1, 2))))
    progress.say(f"feature extractor: {description['source']}, variance {variance:.4g}")
    objective = PaperObjective(
        classification(config, classifier),
        extractor,
        DISTANCES[config.feature_distance](features),
        config.feature_loss_weight,
        config.feature_batch_fraction,
    )
    return objective, description | {"variance": variance}


def adversarial_objective(config, dataset, classifier):
    """Builds the adversarial objective, with an adversary that has learned nothing yet.

    Args:
        config: a `Config`.
        dataset: its `data.dataset.Dataset`.
        classifier: ψ, frozen.

    Returns:
        A `training.objective.AdversarialObjective`.
    """
    means = class_means(dataset.train, dataset.num_classes)
    return AdversarialObjective(
        classification(config, classifier),
        adversary(_mean_image(dataset.train.images)),
        ops.convert_to_tensor(means),
        config.adversary_weight,
    )


def classification(config, classifier):
    """Builds the part that all objectives share.

    Args:
        config: a `Config`; in the paper's objective the labels are all there is to learn from.
        classifier: ψ, frozen.

    Returns:
        A `training.objective.Classification`.
    """
    distillation_weight = 0.0 if config.objective == "paper" else config.distillation_weight
    label_smoothing = config.transform_recipe.label_smoothing
    return Classification(classifier, distillation_weight, label_smoothing, TRANSPORTS[config.transport])


def class_means(train, num_classes):
    """The mean image of each class, float32 in [0, 1]; of a class without images, of all.

    Args:
        train: a `data.dataset.Split`.
        num_classes: how many there are.

    Returns:
        `(num_classes, size, size, 3)`.
    """
    of_classes = [train.images[train.labels == label] for label in range(num_classes)]
    return np.stack([_mean_image(images if len(images) else train.images) for images in of_classes])


def check_feature_weights(config, dataset):
    """Raises an `InputError` now, not after hours, where φ is to come from a file that holds something else."""
    if config.objective == "paper" and config.feature_weights not in FEATURE_WEIGHTS:
        _features_from_file(pathlib.Path(config.feature_weights), dataset.image_size)


def require_same_features(description, environment, path):
    """Raises an `InputError` if φ is not the one that a run was begun with: its objective would be another.

    Args:
        description: of φ now, by `calibrated_objective`.
        environment: what the run has recorded in environment.json.
        path: of the run, for the message.
    """
    former = environment.get("feature_extractor", description)
    if any(former.get(key) != description.get(key) for key in ("source", "sha256")):
        raise InputError(
            f"{path} was begun with the features of {_named(former)}, which can't be had now; there would be those of "
            f"{_named(description)}. Give it back what it was begun with, or give another --run_dir"
        )


def _mean_image(images):
    return np.float32(images.mean(axis=0) / 255.0)


def _named(description):
    return " ".join(filter(None, (description["source"], description.get("sha256", "")[:12])))


def _features(extractor, images, size=FEWEST_IMAGES):
    """φ's features of all images, float32; in batches, as the first layers take much memory."""
    batches = [extractor(images[i : i + size], training=False) for i in range(0, len(images), size)]
    return ops.cast(ops.concatenate(batches), "float32")


def _feature_extractor(config, dataset, classifier, progress):
    """φ and where it came from; the classifier's own features where the stock weights can't be had."""
    own = {"source": f"{config.classifier_name}'s own features"}
    if config.feature_weights == "classifier":
        return classifier_features(classifier), own
    if config.feature_weights != "imagenet":
        return _features_from_file(pathlib.Path(config.feature_weights), dataset.image_size)
    try:
        with contextlib.redirect_stdout(progress.stream):  # Keras announces its download on stdout
            return vgg16_features(dataset.image_size, "imagenet"), {"source": "VGG16 of keras.applications"}
    except Exception as error:  # Keras raises a bare Exception when the download fails
        reason = " ".join(str(error).split())
        progress.warn(f"no ImageNet weights ({reason}); the features are those of the trained classifier")
        return classifier_features(classifier), own


def _features_from_file(path, image_size):
    try:
        extractor = vgg16_features(image_size, str(path))
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"--feature_weights={path} does not hold VGG16's first two blocks: {reason}") from error
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return extractor, {"source": "VGG16 from a file", "file": path.name, "sha256": digest}
