"""The table of classifiers ψ that are built here."""

import dataclasses

from i2p_tf.hints import Network
from i2p_tf.tables import Parameter, Table, load

OWN = "own"  # what the classifier in a file is called; it is no row, as nothing of it is known before it is read
APPLICATION = "applications:"  # begins the name of a network of keras.applications
WEIGHTS = Parameter(
    "classifier_weights",
    "imagenet",
    "what a network of keras.applications begins with: imagenet (downloaded), random, or a file of it without its top",
    allowed=("imagenet", "random"),
    file=True,
)


@dataclasses.dataclass(frozen=True)
class Classifier:
    """A classifier.

    Attributes:
        name: of `--classifier`.
        help: what it is, in a line.
        builder: the function of `image_size`, `num_classes` and the options that gives the network: RGB in [0, 1] to
            logits.
        options: what else the builder is given, by name.
        image_multiple: height and width must be a multiple of it.
        smallest_image: height and width at least.
        application: the network of `keras.applications` that it is; None where it is another.
        parameters: of its own.
    """

    name: str
    help: str
    builder: object
    options: dict = dataclasses.field(default_factory=dict)
    image_multiple: int = 1
    smallest_image: int = 1
    application: str | None = None
    parameters: tuple = ()

    def build(self, image_size: int, num_classes: int) -> Network:
        """The network with random weights."""
        return load(self.builder)(image_size=image_size, num_classes=num_classes, **self.options)


def _resnet(depth):
    return Classifier(
        f"resnet{depth}",
        f"residual network of {depth} layers in the form for CIFAR",
        "i2p_tf.models.classifiers.resnet:resnet",
        {"variant": f"resnet{depth}"},
        image_multiple=4,
    )


def _application(name, smallest_image=32):
    return Classifier(
        f"{APPLICATION}{name}",
        f"{name} of keras.applications, for pictures of any size",
        "i2p_tf.models.classifiers.applications:application",
        {"name": name},
        smallest_image=smallest_image,
        application=name,
        parameters=(WEIGHTS,),
    )


_APPLICATIONS = (
    *("MobileNet", "MobileNetV2", "MobileNetV3Small", "MobileNetV3Large"),
    *(f"EfficientNetB{number}" for number in range(8)),
    *(f"EfficientNetV2{size}" for size in ("B0", "B1", "B2", "B3", "S", "M", "L")),
    *(f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge")),
    *(f"DenseNet{depth}" for depth in (121, 169, 201)),
    *(f"ResNet{depth}V2" for depth in (50, 101, 152)),
)
CLASSIFIERS = Table(
    "classifier",
    [
        *map(_resnet, (20, 32, 44, 56)),
        Classifier(
            "vgg16",
            "VGG16 with batch normalisation",
            "i2p_tf.models.classifiers.vgg:vgg16",
            image_multiple=32,
        ),
        *map(_application, _APPLICATIONS),
        _application("Xception", 71),
        _application("InceptionV3", 75),
        _application("InceptionResNetV2", 75),
    ],
)


def shown_names() -> tuple[str, ...]:
    """What a message or a help text names: not each network of keras.applications."""
    names = [row.name for row in CLASSIFIERS.values() if not row.application]
    return (*names, f"{APPLICATION}NAME", "FILE.keras", "FOLDER of a SavedModel")
