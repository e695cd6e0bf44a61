"""The table of transformation networks h_θ."""

import dataclasses
import math
from typing import Any

from i2p_tf import drawing
from i2p_tf.hints import Network, Values
from i2p_tf.tables import Parameter, Table, load

# What is sent of a plain picture, which decides by which objectives h_θ can be trained.
PICTURE = "picture"  # another picture, which depends on all of it
CODEWORD = "codeword"  # one of as many fixed pictures as there are classes
CODE = "code"  # one of 2**bits drawings of a code
ENCODER_START = Parameter(
    "encoder_start",
    "classifier",
    "weights that the encoder begins with: those of the classifier, if that is a residual network, or random ones",
    allowed=("classifier", "random"),
)
_PICTURE_CARD = (
    "The transformation network changes the picture, and what it sends depends on all of it. How much of it an "
    "attacker gets back is a matter of measurement; assume that it can be reconstructed where nothing is measured "
    "below."
)
_CODEWORD_CARD = (
    "The transformation network is a codebook: it classifies the picture on the device and sends the one picture that "
    "stands for the class. So a protected image says which of {words} words was chosen and nothing else of the "
    "picture, whatever is done with it (and which of the files below made it, as theirs differ slightly); and the "
    "classifier can't be right more often than the network on the device is: the accuracy on protected images is the "
    "device's own, and a table of {words} entries would do what the classifier does. Its probabilities are constants "
    "of the word and carry no confidence. The word is no secret: everybody who has this network can list the pictures, "
    "and so read the class of what they see."
)

_CODE_CARD = (
    "The transformation network is an encoder that has learned the class: it sends a code of {bits} bits, or "
    "of as many from 8 to 512 as the client chooses instead (--bits), drawn as flat grey blocks. So a protected image "
    "is one of 2^{bits} drawings, or of as many as that choice makes, and says no more of the picture than its bits, "
    "whatever is done with it. More bits show attackers more. Bits are a bound and no measure of what an attacker "
    "gets: that is measured below, or it is not known."
)


@dataclasses.dataclass(frozen=True)
class Transform:
    """A transformation network.

    Attributes:
        name: of `--transform`.
        help: what it is, in a line.
        builder: the function of `image_size`, `num_classes`, `parameters` (values by name) and the options that gives
            the network: RGB in [0, 1] to RGB in [0, 1].
        options: what else the builder is given, by name.
        image_multiple: height and width must be a multiple of it.
        sends: a word for what is sent of a picture; the objectives with that word can train it.
        bits: the function of a `Config` and the number of classes that gives the most bits of a picture that leave the
            device; None where nothing but the size of the picture limits them.
        reader: the function of `image_size` and `num_classes` that gives a network for the cloud's
            side, which reads what is sent and gives logits and which the objective trains along; None if ψ does.
        card: what a model card says of it; `{words}` stands for the number of classes, `{bits}` for `bits`.
        quantization_aware: whether it can be trained on with rounded weights.
        parameters: of its own.
    """

    name: str
    help: str
    builder: object
    options: dict = dataclasses.field(default_factory=dict)
    image_multiple: int = 1
    sends: str = PICTURE
    bits: object = None
    reader: object = None
    card: str = _PICTURE_CARD
    quantization_aware: bool = False
    parameters: tuple = ()

    @property
    def sends_codewords(self) -> bool:
        """Whether one of as many fixed pictures as there are classes is sent, whatever the picture is."""
        return self.sends == CODEWORD

    def build(self, image_size: int, num_classes: int, parameters: Values | None = None) -> Network:
        """The network with random weights; `parameters` that are not given have their defaults."""
        parameters = {own.name: own.default for own in self.parameters} | dict(parameters or {})
        return load(self.builder)(image_size=image_size, num_classes=num_classes, parameters=parameters, **self.options)

    def build_reader(self, image_size: int, num_classes: int) -> Network:
        """The network for the cloud's side, with random weights."""
        return load(self.reader)(image_size=image_size, num_classes=num_classes)

    def most_bits(self, config: Any, num_classes: int) -> float | None:
        """The most bits of a picture that leave the device, a float; None where it is not limited."""
        return load(self.bits)(config, num_classes) if self.bits else None


def codeword_bits(config: Any, num_classes: int) -> float:
    """Which of the words it is."""
    return math.log2(num_classes)


def code_bits(config: Any, num_classes: int) -> float:
    """What the client sends unless it is told to send fewer bits."""
    return float(config.parameters["bits"])


def _unet(size, multiple):
    return Transform(
        size,
        f"U-Net, {size}" if size != "paper" else "U-Net, of the paper's size",
        "i2p_tf.models.transforms.unet:build",
        {"size": size},
        image_multiple=multiple,
        quantization_aware=True,
    )


def _bottleneck(name):
    return Transform(
        name,
        "network without skips, through a short vector",
        "i2p_tf.models.transforms.bottleneck:build",
        {"size": name},
        image_multiple=4,
        parameters=(ENCODER_START,),
    )


def _codebook(name):
    return Transform(
        name,
        "one fixed picture for each class",
        "i2p_tf.models.transforms.codebook:build",
        {"size": name},
        image_multiple=4,
        sends=CODEWORD,
        bits=codeword_bits,
        card=_CODEWORD_CARD,
        parameters=(ENCODER_START,),
    )


def _code(name):
    return Transform(
        name,
        "a code of few bits, in which a network in the cloud finds the class",
        "i2p_tf.models.transforms.code:build",
        {"size": name},
        image_multiple=2 * drawing.GRID,
        sends=CODE,
        bits=code_bits,
        reader="i2p_tf.models.reader:reader",
        card=_CODE_CARD,
        parameters=(
            Parameter(
                "bits",
                64,
                "how many bits of an image are sent if the client chooses no other number",
                allowed=drawing.BITS,
            ),
        ),
    )


TRANSFORMS = Table(
    "transform",
    [
        _unet("paper", 16),
        _unet("small", 8),
        _unet("tiny", 4),
        *map(_bottleneck, ("bottleneck", "bottleneck_small")),
        *map(_codebook, ("codebook", "codebook_small", "codebook_tiny")),
        *map(_code, ("code", "code_small", "code_tiny", "code_nano")),
    ],
)
