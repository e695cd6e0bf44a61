"""The table of channels: what may happen to a protected image on its way to ψ."""

import dataclasses

from i2p_tf.hints import Protect
from i2p_tf.tables import Table, load


@dataclasses.dataclass(frozen=True)
class Channel:
    """A channel.

    Attributes:
        name: of `--channel`, and in results.json.
        help: what happens in it, in a line.
        file: the function of one uint8 image `(height, width, 3)` to what arrives of it, by real files: accuracy after
            it is measured. None for a channel of trainings alone.
        twin: the same as Keras operations with a gradient: a function of RGB at the 256 levels in [0, 1],
            `(batch, height, width, 3)`, to the same. None if images arrive as they are.
        ways: that the images of a batch go, each its share of them. The smallest batch of a training.
        parameters: of its own.
    """

    name: str
    help: str
    file: object = None
    twin: object = None
    ways: int = 1
    parameters: tuple = ()


CHANNELS = Table(
    "channel",
    [
        Channel("png", "unchanged, in a PNG file", file="i2p_tf.channels.files:png"),
        Channel(
            "jpeg_90",
            "a JPEG file of quality 90",
            file="i2p_tf.channels.files:jpeg_90",
            twin="i2p_tf.channels.jpeg:jpeg_90",
        ),
        Channel(
            "jpeg_75",
            "a JPEG file of quality 75",
            file="i2p_tf.channels.files:jpeg_75",
            twin="i2p_tf.channels.jpeg:jpeg_75",
        ),
        Channel(
            "resize_2x",
            "scaled to twice the size and back",
            file="i2p_tf.channels.files:resize_2x",
            twin="i2p_tf.channels.scaling:resized_2x",
        ),
        Channel(
            "jpeg",
            "a quarter of each batch unchanged, half as JPEG files, a quarter scaled and back",
            twin="i2p_tf.channels.mixture:lossy",
            ways=4,
        ),
    ],
)


def measured() -> dict[str, Protect]:
    """What real files do, by name of the channel, as functions of one uint8 image to another of the same shape."""
    return {name: load(row.file) for name, row in CHANNELS.items() if row.file}
