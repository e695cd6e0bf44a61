"""The table of the conventional keyed methods."""

import dataclasses
from typing import Any

from i2p_tf.tables import Table, load

KEY_BYTES = 32
BLOCK = 4  # height and width of a block in pixels, as the literature has it for 32x32 images


@dataclasses.dataclass(frozen=True)
class Scheme:
    """A keyed method.

    Attributes:
        name: of `--encryption`.
        help: what it is, in a line; up to the first comma what it is called.
        scheme: the function of a key and an image size that gives its `scrambling.Scrambling`.
        adaptation: the function of images that puts its adaptation network in front of ψ; None if it has none.
        splits_bytes: whether it shuffles the upper and lower halves of bytes, not whole bytes.
        parameters: of its own.
    """

    name: str
    help: str
    scheme: object
    adaptation: object = None
    splits_bytes: bool = False
    parameters: tuple = ()

    def scrambling(self, key: bytes, image_size: int) -> Any:
        """What it does with a key to images of a size."""
        return load(self.scheme)(key, image_size)


SCHEMES = Table(
    "encryption",
    [
        Scheme(
            "le",
            "LE, learnable image encryption, one key for all blocks",
            scheme="i2p_tf.encryption.learnable:le",
            adaptation="i2p_tf.models.classifiers.adaptation:le",
            splits_bytes=True,
        ),
        Scheme(
            "ele",
            "ELE, extended learnable image encryption, a key for each block",
            scheme="i2p_tf.encryption.learnable:ele",
            adaptation="i2p_tf.models.classifiers.adaptation:ele",
            splits_bytes=True,
        ),
        # It moves nothing, so convolutions see a picture.
        Scheme("pe", "PE, pixel-based encryption", scheme="i2p_tf.encryption.pixel:pe"),
        Scheme(
            "etc",
            "EtC, encryption then compression, on blocks",
            scheme="i2p_tf.encryption.block:etc",
            adaptation="i2p_tf.models.classifiers.adaptation:etc",
        ),
    ],
)
