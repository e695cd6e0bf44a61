"""The objective of Ito et al. 2021, section III: cross entropy and a feature term.

It takes from the training images: φ's features on plain ones, which distances refer to.
"""

import contextlib
import hashlib
import pathlib
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

from i2p_tf import whole_batch
from i2p_tf.channels.rounding import round_to_8_bits
from i2p_tf.config import Config
from i2p_tf.data.dataset import Dataset
from i2p_tf.errors import InputError
from i2p_tf.files import write_json
from i2p_tf.hints import Network, Tensor, Values
from i2p_tf.inference import batch_size
from i2p_tf.models.feature_extractor import classifier_features, vgg16_features
from i2p_tf.objectives.classification import Classification, classification
from i2p_tf.objectives.feature_distance import distance
from i2p_tf.objectives.setting import Setting
from i2p_tf.objectives.trainer import TransformTrainer

FEWEST_IMAGES = 50  # of plain ones that φ is calibrated on; of small images more


class PaperObjective:
    """loss = classification - λ * distance(φ(p), φ(x)), with p = h_θ(x) rounded to 8 bits.

    φ runs in inference mode. With `SquaredDistance` in published units, and a classification by labels alone, this is
    the paper's; in units of the variance it is too, with a λ that is multiplied by the variance.

    Args:
        classification: a `Classification`.
        feature_extractor: φ, images in [0, 1] to feature maps.
        distance: of `feature_distance`, calibrated on features of plain training images.
        feature_loss_weight: λ.
        feature_batch_fraction: the feature term is the mean over this first share of the batch. Batches are drawn at
            random, so its expectation does not depend on it; its cost does.
    """

    def __init__(
        self,
        classification: Classification,
        feature_extractor: Network,
        distance: Callable[[Tensor, Tensor], Tensor],
        feature_loss_weight: float,
        feature_batch_fraction: float = 1.0,
    ):
        self.classification = classification
        self.feature_extractor = feature_extractor
        self.distance = distance
        self.feature_loss_weight = feature_loss_weight
        self.feature_batch_fraction = feature_batch_fraction

    def __call__(self, plain: Tensor, protected: Tensor, labels: Tensor) -> dict[str, Tensor]:
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
        whole = (plain.shape[0] or 0) * whole_batch.place()[0]
        total = max(1, round(self.feature_batch_fraction * whole))
        count = whole_batch.before(total) if whole else None
        of_plain = ops.cast(self.feature_extractor(plain[:count], training=False), "float32")
        of_protected = ops.cast(self.feature_extractor(protected[:count], training=False), "float32")
        return whole_batch.mean_of_some(self.distance(of_protected, ops.stop_gradient(of_plain)), total)


def trainer(setting: Setting) -> TransformTrainer:
    """The `TransformTrainer` of a `setting.Setting`; records where φ came from, and requires the one of before."""
    config, run_dir = setting.config, setting.run_dir
    objective, description = setting.build(
        lambda: calibrated_objective(config, setting.dataset, setting.classifier, setting.progress)
    )
    environment = run_dir.read_environment()
    if any(run_dir.checkpoints.glob("transform-*")):
        require_same_features(description, environment, run_dir.path)
    write_json(run_dir.environment, environment | {"feature_extractor": description})
    return TransformTrainer(setting.new_transform(), objective)


def calibrated_objective(
    config: Config, dataset: Dataset, classifier: Network, progress: Any
) -> tuple[PaperObjective, Values]:
    """Builds the paper's objective.

    Args:
        config: a `Config`.
        dataset: its `data.dataset.Dataset`.
        classifier: ψ, frozen.
        progress: a `training.progress.Progress`.

    Returns:
        A `PaperObjective`, and a dictionary that says where φ came from and the `variance` of its
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
        distance(config, features),
        config.feature_loss_weight,
        config.feature_batch_fraction,
    )
    return objective, description | {"variance": variance}


def check(config: Config, dataset: Dataset, classifier: Network | None = None) -> None:
    """Raises an `InputError` now, not after ψ's epochs, where φ can't be had.

    Args:
        config: a `Config`.
        dataset: its `data.dataset.Dataset`.
        classifier: ψ, if it is there; None if it is yet to be trained.
    """
    if config.feature_weights == "classifier":
        if classifier is not None:
            classifier_features(classifier)
    elif config.feature_weights != "imagenet":
        _features_from_file(pathlib.Path(config.feature_weights), dataset.image_size)
    elif config.feature_substitute == "none":
        _stock_features(dataset.image_size)
    elif classifier is not None:
        _check_substitute(classifier, dataset.image_size)


def _check_substitute(classifier, image_size):
    """Raises an `InputError` where neither ψ nor ImageNet's network can give φ."""
    try:
        classifier_features(classifier)
    except InputError as error:
        try:
            _stock_features(image_size)
        except InputError:
            raise error from None  # which says what else to do


def require_same_features(description: Values, environment: Values, path: pathlib.Path) -> None:
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


def _named(description):
    return " ".join(filter(None, (description["source"], description.get("sha256", "")[:12])))


def _features(extractor, images, size=FEWEST_IMAGES):
    """φ's features of all images, float32; in batches, as the first layers take much memory."""
    batches = [extractor(images[i : i + size], training=False) for i in range(0, len(images), size)]
    return ops.cast(ops.concatenate(batches), "float32")


def _feature_extractor(config, dataset, classifier, progress):
    """φ and where it came from; the classifier's own features where the stock weights can't be had and need not."""
    own = {"source": f"{config.classifier_name}'s own features"}
    if config.feature_weights == "classifier":
        return classifier_features(classifier), own
    if config.feature_weights != "imagenet":
        return _features_from_file(pathlib.Path(config.feature_weights), dataset.image_size)
    try:
        return _stock_features(dataset.image_size), {"source": "VGG16 of keras.applications"}
    except InputError as error:
        if config.feature_substitute == "none":
            raise
        progress.warn(f"{error}. The features are those of the trained classifier")
        return classifier_features(classifier), own


def _stock_features(image_size):
    try:
        with contextlib.redirect_stdout(sys.stderr):  # Keras announces its download on stdout
            return vgg16_features(image_size, "imagenet")
    except Exception as error:  # Keras raises a bare Exception when the download fails
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"ImageNet weights of VGG16 can't be had ({reason}); give --feature_weights=FILE, which "
            "keras.applications.VGG16(include_top=False) has written or downloaded elsewhere, or =classifier"
        ) from error


def _features_from_file(path, image_size):
    try:
        extractor = vgg16_features(image_size, str(path))
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"--feature_weights={path} does not hold VGG16's first two blocks: {reason}") from error
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return extractor, {"source": "VGG16 from a file", "file": path.name, "sha256": digest}
