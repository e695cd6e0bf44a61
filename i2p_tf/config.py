"""The configuration of an experiment: frozen values, checked when they are made, JSON both ways.

Standard library only, so that a command can refuse bad input before it loads TensorFlow.
"""

import dataclasses
import math
import os
import pathlib
import sys

from i2p_tf.errors import InputError, unknown_name

CLASSIFIERS = ("resnet20", "resnet32", "resnet44", "resnet56", "vgg16")
OWN = "own"  # a file's
APPLICATION = "applications:"
# Networks of keras.applications that take pictures of any size, from this one on.
APPLICATIONS = (
    dict.fromkeys(("MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large"), 32)
    | {f"EfficientNetB{number}": 32 for number in range(8)}
    | {f"EfficientNetV2{size}": 32 for size in ("B0", "B1", "B2", "B3", "S", "M", "L")}
    | {f"ConvNeXt{size}": 32 for size in ("Tiny", "Small", "Base", "Large", "XLarge")}
    | {f"DenseNet{depth}": 32 for depth in (121, 169, 201)}
    | {f"ResNet{depth}V2": 32 for depth in (50, 101, 152)}
    | {"Xception": 71, "InceptionV3": 75, "InceptionResNetV2": 75}
)
CLASSIFIER_RANGES = ("0..1", "0..255", "-1..1", "imagenet")
CLASSIFIER_OUTPUTS = ("logits", "probabilities")
CLASSIFIER_WEIGHTS = ("imagenet", "random")  # or a file
BOTTLENECKS = ("bottleneck", "bottleneck_small")
CODEBOOKS = ("codebook", "codebook_small", "codebook_tiny")
# Height and width must be a multiple of this: the transforms' poolings and the classifiers' strides.
TRANSFORM_MULTIPLES = {"paper": 16, "small": 8, "tiny": 4} | dict.fromkeys(BOTTLENECKS + CODEBOOKS, 4)
CLASSIFIER_MULTIPLES = dict.fromkeys(CLASSIFIERS[:-1], 4) | {"vgg16": 32}
SMALLEST_IMAGE = 12  # SSIM needs 11 pixels
LARGEST_IMAGE = 2048  # that a client takes, see client.model_metadata
FEATURE_WEIGHTS = ("imagenet", "classifier")  # or a file
# Fields that hold paths of files, where they do not hold one of these words.
PATHS = {
    "classifier_path": (),
    "custom_objects": (),
    "classifier_weights": CLASSIFIER_WEIGHTS,
    "feature_weights": FEATURE_WEIGHTS,
}
FEATURE_DISTANCES = ("squared", "cosine")
OBJECTIVES = ("codebook", "paper", "adversarial")
TRANSPORTS = ("png", "jpeg")
SMALLEST_LOSSY_BATCH = 4
ENCODER_STARTS = ("classifier", "random")
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
OPTIMIZERS = ("sgd", "muon")
SCHEDULES = ("one_cycle", "steps")
AUGMENTATIONS = ("none", "crop", "flip_crop")
ENCRYPTIONS = ("le", "ele", "pe", "etc")


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How one network is trained.

    Attributes:
        epochs: passes over the training split.
        minimum_steps: epochs are added until there are at least this many steps, so that a small data set is
            trained long enough by the recipe of a large one.
        batch_size: images a step.
        learning_rate: the highest one.
        optimizer: `sgd`, with momentum 0.9, Nesterov's with `one_cycle`, plain with `steps`; or `muon`, which learns
            convolutions in fewer epochs.
        schedule: `one_cycle` (a fifth of the steps up, linearly down to 0) or `steps` (times 0.2 after 30, 60 and
            80 % of the steps: the published 60, 120 and 160 of 200 epochs).
        weight_decay: of `sgd`, the factor of the L2 penalty on kernels; of `muon`, the share of the learning rate by
            which a step shrinks them.
        label_smoothing: share of the label spread over all classes.
        clip_norm: limit of the global gradient norm; None for no limit.
        follows_data: whether batches get smaller, and the minimum of steps, for few or large pictures.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: str = "sgd"
    schedule: str = "one_cycle"
    minimum_steps: int = 0
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    clip_norm: float | None = None
    follows_data: bool = False

    def __post_init__(self):
        _check_integer("epochs", self.epochs, 1)
        _check_integer("batch_size", self.batch_size, 1)
        _check_integer("minimum_steps", self.minimum_steps, 0)
        _check_number("learning_rate", self.learning_rate, zero=False)
        _check_number("weight_decay", self.weight_decay)
        _check_choice("optimizer", self.optimizer, OPTIMIZERS)
        _check_choice("schedule", self.schedule, SCHEDULES)
        if self.clip_norm is not None:
            _check_number("clip_norm", self.clip_norm, zero=False)
        if not 0 <= self.label_smoothing < 1:
            raise InputError(
                f"label_smoothing must be at least 0 and below 1. Received: {_shown(self.label_smoothing)}"
            )

    def total_epochs(self, steps_per_epoch):
        """Epochs to run, the minimum number of steps included."""
        return max(self.epochs, math.ceil(self.minimum_steps / steps_per_epoch))


@dataclasses.dataclass(frozen=True)
class Config:
    """One experiment: a classifier ψ and a transformation network h_θ trained against it.

    Attributes:
        dataset: `digits`, `cifar10`, `cifar100`, `tfds:NAME` or `folder:PATH`.
        data_dir: a prepared TFDS directory; None for TFDS' own default.
        image_size: height and width in pixels; None for the data set's own.
        training_images: train on only this many images, the same ones in every run; None for all.
        augmentation: a member of `AUGMENTATIONS`.
        classifier: a member of `CLASSIFIERS`; `applications:` and a key of `APPLICATIONS`; or `own`, of a file.
        classifier_path: the file of a trained classifier, any Keras network, which is taken as it is. `classifier` is
            then `own`.
        classifier_range: of the pictures that it wants, a member of `CLASSIFIER_RANGES`; None to recognise it.
        classifier_output: a member of `CLASSIFIER_OUTPUTS`; None to recognise it.
        custom_objects: the module, by name or as a file, that registers the layers of an own classifier.
        classifier_weights: what an application begins with: `imagenet` (downloaded), `random`, or a file.
        class_names: the classes in the order of the classifier's outputs; None for the order of the data.
        encryption: a member of `ENCRYPTIONS`: ψ is trained on pictures that a conventional keyed method has encrypted,
            with a key of the run's own, and there is no h_θ; fields that speak of h_θ have no effect. None for h_θ.
        transform: size of the U-Net, the bottleneck or the codebook, a key of `TRANSFORM_MULTIPLES`.
        encoder_start: where the encoder of a bottleneck or a codebook starts: from the layers of the `classifier`, if
            that is a residual network, or at `random`.
        objective: `codebook`, classification by its encoder, for codebooks and for them alone; `paper`, cross entropy
            and the feature term; or `adversarial`, classification and a reconstruction adversary. Each has fields of
            its own; those of the others have no effect.
        transport: how the protected image travels in training: as a `png` file, unchanged, or `jpeg`: half of each
            batch as JPEG files, and a quarter scaled and back, so that ψ reads it after that too.
        adversary_weight: of the adversary in the adversarial objective.
        distillation_weight: share of the classification, outside the paper's objective, that ψ's outputs on the plain
            image have; the labels have the rest.
        feature_loss_weight: λ, the weight of the feature term in the paper's objective.
        feature_batch_fraction: share of each batch on which the feature term is computed. Below 1 it is an unbiased
            estimate of the paper's term at a fraction of its cost.
        feature_distance: how far apart two images are for φ: `squared`, as in the paper, or `cosine`.
        feature_weights: where φ comes from: `imagenet` (the stock VGG16, downloaded; the trained classifier where that
            fails), `classifier` (the trained classifier's own features) or a file with the weights of VGG16.
        classifier_recipe, transform_recipe: how the two are trained.
        precision: a member of `PRECISIONS`.
        seed: drives initialisation, order and augmentation.
    """

    dataset: str
    classifier_recipe: Recipe
    transform_recipe: Recipe
    feature_loss_weight: float
    data_dir: str | None = None
    image_size: int | None = None
    training_images: int | None = None
    augmentation: str = "flip_crop"
    classifier: str = "resnet20"
    classifier_path: str | None = None
    classifier_range: str | None = None
    classifier_output: str | None = None
    custom_objects: str | None = None
    classifier_weights: str = "imagenet"
    class_names: tuple[str, ...] | None = None
    encryption: str | None = None
    transform: str = "small"
    encoder_start: str = "classifier"
    objective: str = "paper"
    transport: str = "png"
    adversary_weight: float = 2.0
    distillation_weight: float = 0.5
    feature_batch_fraction: float = 1.0
    feature_distance: str = "squared"
    feature_weights: str = "imagenet"
    precision: str = "auto"
    seed: int = 0

    def __post_init__(self):
        for name in ("dataset", "classifier", "feature_weights", "classifier_weights"):
            _check_text(name, getattr(self, name))
        for name in ("data_dir", "classifier_path", "custom_objects"):
            if getattr(self, name) is not None:
                _check_text(name, getattr(self, name))
        self._check_classifier()
        if self.encryption is not None:
            _check_choice("encryption", self.encryption, ENCRYPTIONS, quoted=True)
            if self.classifier_path is not None:
                raise InputError(
                    "encryption and classifier_path exclude each other: the classifier has to learn to read"
                )
        _check_choice("transform", self.transform, tuple(TRANSFORM_MULTIPLES))
        _check_choice("precision", self.precision, PRECISIONS)
        _check_choice("feature_distance", self.feature_distance, FEATURE_DISTANCES)
        _check_choice("augmentation", self.augmentation, AUGMENTATIONS)
        _check_choice("objective", self.objective, OBJECTIVES)
        _check_choice("transport", self.transport, TRANSPORTS)
        if self.transport == "jpeg" and self.transform_recipe.batch_size < SMALLEST_LOSSY_BATCH:
            raise InputError(
                f"batch_size must be at least {SMALLEST_LOSSY_BATCH} with the transport 'jpeg', whose parts of a batch "
                f"travel in as many ways. Received: {self.transform_recipe.batch_size}"
            )
        _check_choice("encoder_start", self.encoder_start, ENCODER_STARTS)
        self._check_objective()
        _check_number("feature_loss_weight", self.feature_loss_weight)
        _check_number("adversary_weight", self.adversary_weight)
        _check_integer("seed", self.seed, 0, 2**32 - 1)
        if not 0 < self.feature_batch_fraction <= 1:
            raise InputError(
                f"feature_batch_fraction must be above 0 and at most 1. Received: {_shown(self.feature_batch_fraction)}"
            )
        if not 0 <= self.distillation_weight <= 1:
            raise InputError(f"distillation_weight must be from 0 to 1. Received: {_shown(self.distillation_weight)}")
        if self.training_images is not None:
            _check_integer("training_images", self.training_images, 1)
        if self.image_size is not None:
            self.check_image_size(self.image_size)

    def _check_classifier(self):
        if self.classifier_path is not None:
            object.__setattr__(self, "classifier", OWN)  # a run of an earlier version names a network beside the file
        elif self.application is None:
            _check_choice("classifier", self.classifier, CLASSIFIERS, others=(f"{APPLICATION}NAME", "FILE.keras"))
        elif self.application not in APPLICATIONS:
            raise unknown_name("network of keras.applications", self.application, tuple(APPLICATIONS))
        for name, allowed in (("classifier_range", CLASSIFIER_RANGES), ("classifier_output", CLASSIFIER_OUTPUTS)):
            if getattr(self, name) is not None:
                _check_choice(name, getattr(self, name), allowed)
        for name in ("classifier_range", "classifier_output", "custom_objects"):
            if getattr(self, name) is not None and self.classifier_path is None:
                raise InputError(f"{name} is for an own classifier only, --classifier=FILE.keras")
        if self.classifier_weights != CLASSIFIER_WEIGHTS[0] and self.application is None:
            raise InputError(f"classifier_weights is for --classifier={APPLICATION}NAME only")
        if self.class_names is not None:
            object.__setattr__(self, "class_names", tuple(self.class_names))  # a list, in JSON
            for name in self.class_names:
                _check_text("class_names", name)
            if len(set(self.class_names)) < len(self.class_names):
                raise InputError(f"class_names holds a name twice. Received: {', '.join(self.class_names)}")

    @property
    def application(self):
        """The network of `keras.applications` that ψ is made from; None where it is another."""
        kind, colon, name = self.classifier.partition(":")
        return name if kind + colon == APPLICATION else None

    @property
    def classifier_name(self):
        """What ψ is called in files and on pages: of an own one, its file without folders and ending."""
        if self.classifier_path is not None:
            return pathlib.PurePath(self.classifier_path).stem
        return self.application.lower() if self.application else self.classifier

    def _check_objective(self):
        """A codebook has no slope to follow; another transform protects nothing without a term that says so."""
        if (self.objective == "codebook") != (self.transform in CODEBOOKS):
            fitting = CODEBOOKS if self.objective == "codebook" else set(TRANSFORM_MULTIPLES) - set(CODEBOOKS)
            raise InputError(
                f"the objective {self.objective!r} goes with the transforms {', '.join(sorted(fitting))}; "
                "--preset=two_cores has a codebook, paper_two_cores and adversarial have others. "
                f"Received: {self.transform!r}"
            )

    def check_image_size(self, image_size):
        """Raises `InputError`, naming the next fitting size, where one of the networks can't take the image."""
        _check_integer("image_size", image_size, APPLICATIONS.get(self.application, SMALLEST_IMAGE), LARGEST_IMAGE)
        multiples, networks = [CLASSIFIER_MULTIPLES.get(self.classifier, 1)], f"the classifier {self.classifier!r}"
        if self.encryption is None:
            multiples.append(TRANSFORM_MULTIPLES[self.transform])
            networks = f"the transform {self.transform!r} and {networks}"
        multiple = math.lcm(*multiples)
        if image_size % multiple:
            raise InputError(
                f"image_size must be a multiple of {multiple} for {networks}; "
                f"the next one is {-(-image_size // multiple) * multiple}. Received: {image_size}"
            )

    def to_json(self):
        """A dictionary that `json.dump` takes and `from_json` gives back as an equal `Config`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, values):
        """The inverse of `to_json`; `InputError` names fields that are missing or unknown."""
        try:
            values = dict(values)
            recipes = {key: Recipe(**values.pop(key)) for key in ("classifier_recipe", "transform_recipe")}
            return cls(**recipes, **values)
        except InputError:
            raise
        except Exception as error:  # a value of another type makes a check stumble somehow
            raise InputError(f"not a configuration of this version: {error}") from error

    def differences(self, other):
        """The fields that make `other` another experiment, as `name: self -> other` lines.

        Where the data lie is no part of an experiment: `data_dir` may differ, and the path of a folder; what is in it,
        a `Fingerprint` says.
        """
        mine, theirs = _flat(self.to_json()), _flat(other.to_json())
        return [
            f"{name}: {mine[name]} -> {theirs[name]}"
            for name in mine
            if name != "data_dir" and _comparable(name, mine[name]) != _comparable(name, theirs[name])
        ]


def _flat(values, prefix=""):
    flat = {}
    for key, value in values.items():
        flat |= _flat(value, f"{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _comparable(name, value):
    if name == "dataset" and value.startswith("folder:"):
        return "folder:"
    if value is not None and value not in PATHS.get(name, (value,)):
        return os.path.abspath(value)
    return value


def _check_text(name, value):
    if not isinstance(value, str):
        raise InputError(f"{name} must be a text. Received: {value!r}")


def _check_choice(name, value, allowed, quoted=False, others=()):
    _check_text(name, value)
    if value not in allowed:
        raise unknown_name(name, value, (*allowed, *others), quoted)


def _check_integer(name, value, minimum, maximum=2**31 - 1):
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise InputError(f"{name} must be an integer of at least {minimum}. Received: {_shown(value)}")
    if value > maximum:
        raise InputError(f"{name} must be an integer of at most {maximum}. Received: {_shown(value)}")


def _shown(value):
    return repr(value)[:40]


def _check_number(name, value, zero=True):
    finite = isinstance(value, int | float) and abs(value) <= sys.float_info.max
    if not finite or value < 0 or (value == 0 and not zero):
        raise InputError(
            f"{name} must be a finite number {'of at least' if zero else 'above'} 0. Received: {_shown(value)}"
        )
