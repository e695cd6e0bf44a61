"""The configuration of an experiment: frozen values, checked when they are made, JSON both ways.

What there is to choose from stands in the tables of the concepts. Standard library only, so that a command can refuse
bad input before it loads TensorFlow.
"""

import dataclasses
import math
import os
import pathlib
from typing import Any

from i2p_tf import checks, concepts
from i2p_tf.channels.table import CHANNELS
from i2p_tf.encryption.table import SCHEMES
from i2p_tf.errors import InputError, unknown_name
from i2p_tf.hints import Values
from i2p_tf.models.classifiers.table import APPLICATION, CLASSIFIERS, OWN, shown_names
from i2p_tf.models.transforms.table import TRANSFORMS
from i2p_tf.objectives.table import OBJECTIVES
from i2p_tf.recipe import Recipe

CLASSIFIER_RANGES = ("0..1", "0..255", "-1..1", "imagenet")
CLASSIFIER_OUTPUTS = ("logits", "probabilities")
SMALLEST_IMAGE = 12  # SSIM needs 11 pixels
LARGEST_IMAGE = 2048  # that a client takes, see client.model_metadata
PRECISIONS = ("auto", "float32", "mixed_bfloat16", "mixed_float16")
AUGMENTATIONS = ("none", "crop", "flip_crop")
_FORMER_NAMES = {"transport": "channel"}  # of fields, in config.json of earlier versions


@dataclasses.dataclass(frozen=True, init=False)
class Config:
    """One experiment: a classifier ψ and a transformation network h_θ trained against it.

    The entries of the tables that it names have parameters of their own, such as the weight of a term of the
    objective. They are given by their names as if they were fields, `Config(..., objective="adversarial",
    adversary_weight=3.0)`, and so replaced by `dataclasses.replace` and read: `config.adversary_weight`.

    Attributes:
        dataset: `digits`, `cifar10`, `cifar100`, `tfds:NAME`, `folder:PATH` or `tfrecord:PATH`.
        classifier_recipe, transform_recipe: how the two are trained.
        data_dir: a prepared TFDS directory; None for TFDS' own default.
        image_size: height and width in pixels; None for the data set's own.
        training_images: train on only this many images, the same ones in every run; None for all.
        augmentation: a member of `AUGMENTATIONS`.
        classifier: a row of `CLASSIFIERS`; or `own`, of a file.
        classifier_path: the file of a trained classifier, any Keras network, or the folder of a SavedModel, which is
            taken as it is. `classifier` is then `own`.
        classifier_range: of the pictures that it wants, a member of `CLASSIFIER_RANGES`; None to recognise it.
        classifier_output: a member of `CLASSIFIER_OUTPUTS`; None to recognise it.
        custom_objects: the module, by name or as a file, that registers the layers of an own classifier.
        class_names: the classes in the order of the classifier's outputs; None for the order of the data.
        encryption: a row of `SCHEMES`: ψ is trained on pictures that a conventional keyed method has encrypted, with a
            key of the run's own, and there is no h_θ; what speaks of h_θ has no effect. None for h_θ.
        transform: a row of `TRANSFORMS`.
        objective: a row of `OBJECTIVES` that can train the transform.
        channel: how protected images travel in training, a row of `CHANNELS`.
        precision: a member of `PRECISIONS`.
        seed: drives initialisation, order and augmentation.
        parameters: of the rows that are named above, all of them, values by name. Where they are given together, as by
            a preset, those that these rows do not have are left out.
    """

    dataset: str
    classifier_recipe: Recipe
    transform_recipe: Recipe
    data_dir: str | None = None
    image_size: int | None = None
    training_images: int | None = None
    augmentation: str = "flip_crop"
    classifier: str = "resnet20"
    classifier_path: str | None = None
    classifier_range: str | None = None
    classifier_output: str | None = None
    custom_objects: str | None = None
    class_names: tuple[str, ...] | None = None
    encryption: str | None = None
    transform: str = "small"
    objective: str = "paper"
    channel: str = "png"
    precision: str = "auto"
    seed: int = 0
    parameters: dict = dataclasses.field(default_factory=dict, hash=False)

    def __init__(self, parameters: Values | None = None, **values: Any):
        for field in dataclasses.fields(self)[:-1]:
            if field.default is dataclasses.MISSING and field.name not in values:
                raise TypeError(f"Config lacks {field.name}")
            object.__setattr__(self, field.name, values.pop(field.name, field.default))
        object.__setattr__(self, "parameters", {})
        self._check()
        object.__setattr__(self, "parameters", self._all_parameters(parameters or {}, values))

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["parameters"][name]
        except KeyError:
            raise AttributeError(f"Config has no field or parameter {name!r}") from None

    def rows(self) -> dict[str, Any]:
        """The rows of the tables that it names, by concept."""
        named = {concept: getattr(self, concept) for concept in concepts.TABLES}
        if self.classifier == OWN:
            del named["classifier"]
        return {concept: concepts.TABLES[concept].find(name) for concept, name in named.items() if name is not None}

    def _all_parameters(self, together, given):
        """Those of its rows: `given`, which these must have, before `together`, before the defaults."""
        own = {parameter.name: parameter for row in self.rows().values() for parameter in row.parameters}
        every = concepts.all_parameters()
        for name, value in (*together.items(), *given.items()):
            if name not in every:
                raise TypeError(f"Config has no field or parameter {name!r}")
            own.get(name, every[name]).check(value)
            if name in given and name not in own:
                raise InputError(f"{name} is for {concepts.owners(name)} only. Received: {self._named(name)}")
        defaults = {name: parameter.default for name, parameter in own.items()}
        return {name: given.get(name, together.get(name, default)) for name, default in defaults.items()}

    def _named(self, parameter):
        """The entries in the place of those that have a parameter, in words."""
        names = {concept for concept, row in concepts.rows_with(parameter)}
        return ", ".join(f"the {concept} {getattr(self, concept)!r}" for concept in sorted(names))

    def _check(self):
        for name in ("dataset", "classifier"):
            checks.text(name, getattr(self, name))
        for name in ("data_dir", "classifier_path", "custom_objects"):
            if getattr(self, name) is not None:
                checks.text(name, getattr(self, name))
        self._check_classifier()
        if self.encryption is not None:
            checks.choice("encryption", self.encryption, SCHEMES, quoted=True)
            if self.classifier_path is not None:
                raise InputError(
                    "encryption and classifier_path exclude each other: the classifier has to learn to read"
                )
        for name, allowed in (
            ("transform", TRANSFORMS),
            ("precision", PRECISIONS),
            ("augmentation", AUGMENTATIONS),
            ("objective", OBJECTIVES),
            ("channel", CHANNELS),
        ):
            checks.choice(name, getattr(self, name), allowed)
        self._check_objective()
        checks.integer("seed", self.seed, 0, 2**32 - 1)
        if self.training_images is not None:
            checks.integer("training_images", self.training_images, 1)
        if self.image_size is not None:
            self.check_image_size(self.image_size)

    def _check_classifier(self):
        if self.classifier_path is not None:
            object.__setattr__(self, "classifier", OWN)  # a run of an earlier version names a network beside the file
        elif self.classifier not in CLASSIFIERS:
            kind, colon, name = self.classifier.partition(":")
            if kind + colon == APPLICATION:
                names = tuple(row.application for row in CLASSIFIERS.values() if row.application)
                raise unknown_name("network of keras.applications", name, names)
            raise unknown_name("classifier", self.classifier, shown_names())
        for name, allowed in (("classifier_range", CLASSIFIER_RANGES), ("classifier_output", CLASSIFIER_OUTPUTS)):
            if getattr(self, name) is not None:
                checks.choice(name, getattr(self, name), allowed)
        for name in ("classifier_range", "classifier_output", "custom_objects"):
            if getattr(self, name) is not None and self.classifier_path is None:
                raise InputError(f"{name} is for an own classifier only, --classifier=FILE.keras or FOLDER")
        if self.class_names is not None:
            object.__setattr__(self, "class_names", tuple(self.class_names))  # a list, in JSON
            for name in self.class_names:
                checks.text("class_names", name)
            if len(set(self.class_names)) < len(self.class_names):
                raise InputError(f"class_names holds a name twice. Received: {', '.join(self.class_names)}")

    def _check_objective(self):
        """Not every objective can train every transform, nor in batches of any size through every channel."""
        transform, objective, channel = TRANSFORMS[self.transform], OBJECTIVES[self.objective], CHANNELS[self.channel]
        if transform.sends not in objective.trains:
            fitting = sorted(row.name for row in TRANSFORMS.values() if row.sends in objective.trains)
            others = sorted(row.name for row in OBJECTIVES.values() if transform.sends in row.trains)
            raise InputError(
                f"the objective {self.objective!r} goes with the transforms {', '.join(fitting)}, and the transform "
                f"{self.transform!r} with the objectives {', '.join(others)}; --preset=two_cores has a codebook, "
                "paper_two_cores and adversarial have others"
            )
        if self.transform_recipe.batch_size < channel.ways:
            raise InputError(
                f"batch_size must be at least {channel.ways} with the channel {channel.name!r}, whose parts of a batch "
                f"travel in as many ways. Received: {self.transform_recipe.batch_size}"
            )

    @property
    def application(self) -> str | None:
        """The network of `keras.applications` that ψ is made from; None where it is another."""
        return CLASSIFIERS[self.classifier].application if self.classifier in CLASSIFIERS else None

    @property
    def classifier_name(self) -> str:
        """What ψ is called in files and on pages: of an own one, its file without folders and ending."""
        if self.classifier_path is not None:
            return pathlib.PurePath(self.classifier_path).stem
        return self.application.lower() if self.application else self.classifier

    @property
    def sends_codewords(self) -> bool:
        """Whether one of as many fixed pictures as there are classes is sent."""
        return self.encryption is None and TRANSFORMS[self.transform].sends_codewords

    @property
    def has_reader(self) -> bool:
        """Whether a network of its own reads what is sent, at the cloud's side."""
        return self.encryption is None and TRANSFORMS[self.transform].reader is not None

    def check_image_size(self, image_size: int) -> None:
        """Raises `InputError`, naming the next fitting size, where one of the networks can't take the image."""
        row = CLASSIFIERS.get(self.classifier)
        smallest, multiple = (row.smallest_image, row.image_multiple) if row else (1, 1)
        checks.integer("image_size", image_size, max(SMALLEST_IMAGE, smallest), LARGEST_IMAGE)
        networks = f"the classifier {self.classifier!r}"
        if self.encryption is None:
            multiple = math.lcm(multiple, TRANSFORMS[self.transform].image_multiple)
            networks = f"the transform {self.transform!r} and {networks}"
        if image_size % multiple:
            raise InputError(
                f"image_size must be a multiple of {multiple} for {networks}; "
                f"the next one is {-(-image_size // multiple) * multiple}. Received: {image_size}"
            )

    def to_json(self) -> Values:
        """A dictionary that `json.dump` takes and `from_json` gives back as an equal `Config`.

        Parameters stand among the fields.
        """
        values = dataclasses.asdict(self)
        return values | values.pop("parameters")

    @classmethod
    def from_json(cls, values: Values) -> "Config":
        """The inverse of `to_json`; `InputError` names fields that are missing or unknown.

        What an earlier version has written is read too: parameters of other rows than those that it names are left out.
        """
        try:
            values = {_FORMER_NAMES.get(name, name): value for name, value in dict(values).items()}
            recipes = {key: Recipe(**values.pop(key)) for key in ("classifier_recipe", "transform_recipe")}
            parameters = {name: values.pop(name) for name in concepts.all_parameters() if name in values}
            return cls(**recipes, **values, parameters=parameters)
        except InputError:
            raise
        except Exception as error:  # a value of another type makes a check stumble somehow
            raise InputError(f"not a configuration of this version: {error}") from error

    def differences(self, other: "Config") -> list[str]:
        """The fields that make `other` another experiment, as `name: self -> other` lines.

        Where the data lie is no part of an experiment: `data_dir` may differ, and the path of a folder; what is in it,
        a `Fingerprint` says. Parameters that only one of them has follow from other differences.
        """
        mine, theirs = _flat(self.to_json()), _flat(other.to_json())
        return [
            f"{name}: {mine[name]} -> {theirs[name]}"
            for name in mine
            if name != "data_dir"
            and name in theirs
            and _comparable(name, mine[name]) != _comparable(name, theirs[name])
        ]


def _flat(values, prefix=""):
    flat: dict[str, Any] = {}
    for key, value in values.items():
        flat |= _flat(value, f"{key}.") if isinstance(value, dict) else {prefix + key: value}
    return flat


def _comparable(name, value):
    if name == "dataset" and value.startswith(("folder:", "tfrecord:")):
        return value.partition(":")[0]
    if value is not None and value not in concepts.paths().get(name, (value,)):
        return os.path.abspath(value)
    return value
