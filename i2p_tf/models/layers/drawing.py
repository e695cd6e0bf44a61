"""Drawings of codes (`i2p_tf.drawing`) inside networks: drawn by h_θ, read by the network that ψ has for them.

Of all channels those are recognised that leave a drawing as it is, up to the errors of JPEG files, and those that scale
it to twice the size and back, which mixes neighbouring blocks. Both are tried; whichever brings the blocks closer to
levels that exist is right.
"""

from typing import Any

import keras
import numpy as np
from keras import layers, ops

from i2p_tf import drawing
from i2p_tf.hints import Tensor

VALUES = (-1.0, -1 / 3, 1 / 3, 1.0)  # of an element inside networks, by its level
# Grey is an odd cubic polynomial of the value around the middle grey, so that there is a slope everywhere.
MIDDLE, SLOPE, CURVE = 127.5, 198.375, -70.875
# Bilinearly to twice the size and back: the share of a pixel and of each of its two neighbours in a row or a column.
KEPT, MIXED = 0.625, 0.1875
# Mean over the pixels of a drawing that a channel has changed: of grey levels (JPEG files of quality 75 leave 5.4
# of 255 at most, in 1,000 drawings), and of a colour's distance to grey (almost none).
LARGEST_ERROR = 6 / 255
LARGEST_COLOUR = 1.5 / 255
_LEVELS = np.array([*drawing.LEVELS, drawing.NOT_SENT], np.float32) / np.float32(255)


@keras.saving.register_keras_serializable("i2p_tf")
class DrawnCode(layers.Layer):
    """Elements `(batch, ELEMENTS)` at `VALUES` to their drawing, RGB in [0, 1], in the four levels.

    Args:
        image_size: height and width of the drawing, a multiple of `drawing.GRID`.
    """

    def __init__(self, image_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.image_size = image_size

    def call(self, elements: Tensor) -> Tensor:
        side = self.image_size // drawing.GRID
        grey = (MIDDLE + SLOPE * elements + CURVE * elements**3) / 255.0
        blocks = ops.reshape(grey, (-1, drawing.GRID, 1, drawing.GRID, 1))
        pixels = ops.tile(blocks, (1, 1, side, 1, side * 3))
        return ops.reshape(pixels, (-1, self.image_size, self.image_size, 3))

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {"image_size": self.image_size}


@keras.saving.register_keras_serializable("i2p_tf")
class ReadCode(layers.Layer):
    """Drawings as they arrive, RGB in [0, 1], to `(batch, 2 * ELEMENTS)`: the elements, and 1 for each that was sent.

    An element that was not sent is 0. There is no gradient: a drawing is read, or it isn't.
    """

    def call(self, pictures: Tensor) -> Tensor:
        elements, sent, _ = _read(pictures)
        return ops.concatenate([elements, sent], axis=-1)


def is_drawing(pictures: Tensor) -> Tensor:
    """Whether pictures, RGB in [0, 1], are drawings that a channel may have changed: booleans `(batch,)`.

    A drawing is grey, as flat as JPEG files leave it, and has the elements that are not sent behind all others. Of the
    120,000 pictures of CIFAR-10 and CIFAR-100 three pass for one, a small object on white each.
    """
    _, sent, error = _read(pictures)
    colour = ops.mean(ops.abs(pictures - ops.mean(pictures, axis=-1, keepdims=True)), axis=(1, 2, 3))
    count = ops.sum(sent, axis=-1)
    ordered = ops.all(sent[:, 1:] <= sent[:, :-1], axis=-1)
    counts = ops.convert_to_tensor([bits / drawing.BITS_AN_ELEMENT for bits in drawing.BITS], "float32")
    allowed = ops.any(ops.equal(count[:, None], counts[None]), axis=-1)
    flat = ops.logical_and(error < LARGEST_ERROR, colour < LARGEST_COLOUR)
    return ops.logical_and(ops.logical_and(ordered, allowed), flat)


def _read(pictures):
    """Elements, which of them were sent, and the mean distance of a picture's pixels to the drawing that was read."""
    pictures = ops.stop_gradient(ops.cast(pictures, "float32"))
    size = pictures.shape[1]
    grey = ops.mean(pictures, axis=-1)
    average, blur = _averages(size), _blur(size)
    blocks = _both_ways(average, grey)
    sharpened = _both_ways(np.linalg.inv(average @ blur @ _spread(size)), blocks)
    (near, distance), (near_sharpened, distance_sharpened) = _nearest(blocks), _nearest(sharpened)
    as_sent = ops.cast(distance <= distance_sharpened, "float32")[:, None, None]
    level = as_sent * near + (1.0 - as_sent) * near_sharpened

    drawn = _both_ways(_spread(size), level)
    expected = as_sent * drawn + (1.0 - as_sent) * _both_ways(blur, drawn)
    error = ops.mean(ops.abs(pictures - expected[..., None]), axis=(1, 2, 3))
    level = ops.reshape(level, (-1, drawing.ELEMENTS))
    sent = ops.cast(ops.abs(level - _LEVELS[-1]) > 1e-3, "float32")
    darkness = ops.sum(ops.cast(level[..., None] > _LEVELS[:-1], "float32"), axis=-1)  # levels below it: 0 to 3
    return sent * (ops.minimum(darkness, 3.0) * 2.0 / 3.0 - 1.0), sent, error


def _nearest(blocks):
    """The level that is nearest to each block, and the sum of a picture's distances to them."""
    distances = ops.abs(blocks[..., None] - _LEVELS)
    return ops.take(_LEVELS, ops.argmin(distances, axis=-1)), ops.sum(ops.min(distances, axis=-1), axis=(1, 2))


def _both_ways(matrix, images):
    matrix = ops.convert_to_tensor(np.float32(matrix))
    return ops.einsum("ai,nij,bj->nab", matrix, images, matrix)


def _spread(size):
    """From blocks to pixels, `(size, GRID)`."""
    return np.repeat(np.eye(drawing.GRID), size // drawing.GRID, axis=0)


def _averages(size):
    """From pixels to the means of blocks, `(GRID, size)`."""
    return _spread(size).T * drawing.GRID / size


def _blur(size):
    """What scaling to twice the size and back does to a row of pixels, `(size, size)`."""
    blur = KEPT * np.eye(size) + MIXED * (np.eye(size, k=1) + np.eye(size, k=-1))
    blur[0, 0] = blur[-1, -1] = KEPT + MIXED
    return blur
