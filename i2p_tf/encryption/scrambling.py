"""What all the methods do to an image: invert some of its symbols, and put all of them into another order."""

import math

import numpy as np

from i2p_tf.encryption.table import BLOCK


class Scrambling:
    """A keyed scrambling of images; it is its own description of what a key means.

    An image is a sequence of symbols, either its bytes or the upper and lower halves of its bytes, row by row, pixel by
    pixel, channel by channel. Encrypted symbol i is plain symbol `order[i]`, inverted (255 or 15 minus it) where
    `inverted[order[i]]`.

    Args:
        order: integers, a permutation of the positions of all symbols, of any shape.
        inverted: booleans by plain position, of any shape.
        image_size: height and width of the images.
    """

    def __init__(self, order: np.ndarray, inverted: np.ndarray, image_size: int):
        self.order = np.ravel(order)
        self.image_size = image_size
        halves = self.order.size == 2 * image_size**2 * 3
        self._split, self._join = (_split_bytes, _join_bytes) if halves else (_flatten, _flatten)
        self._mask = np.where(np.ravel(inverted), 15 if halves else 255, 0).astype(np.uint8)

    def encrypt(self, images: np.ndarray) -> np.ndarray:
        """uint8 images `(n, image_size, image_size, 3)` to uint8 of the same shape; `ValueError` for any others."""
        return self._join((self._split(self._check(images)) ^ self._mask)[:, self.order]).reshape(images.shape)

    def decrypt(self, images: np.ndarray) -> np.ndarray:
        """The inverse of `encrypt`."""
        symbols = self._split(self._check(images))
        plain = np.empty_like(symbols)
        plain[:, self.order] = symbols
        return self._join(plain ^ self._mask).reshape(images.shape)

    def _check(self, images):
        shape = (self.image_size, self.image_size, 3)
        if images.dtype != np.uint8 or images.shape[1:] != shape:
            raise ValueError(
                f"`images` must be uint8 of shape (n, {', '.join(map(str, shape))}). "
                f"Received: {images.dtype} of shape {images.shape}"
            )
        return images


def positions(image_size: int, symbols: int) -> np.ndarray:
    """Position numbers of an image's symbols, `(image_size, image_size, symbols)`: a picture to be scrambled."""
    return np.arange(image_size**2 * symbols).reshape(image_size, image_size, symbols)


def to_blocks(picture: np.ndarray) -> np.ndarray:
    """`(size, size, symbols)` to `(blocks, BLOCK, BLOCK, symbols)`, row by row."""
    side, symbols = picture.shape[0] // BLOCK, picture.shape[2]
    blocks = picture.reshape(side, BLOCK, side, BLOCK, symbols).swapaxes(1, 2)
    return blocks.reshape(side * side, BLOCK, BLOCK, symbols)


def from_blocks(blocks: np.ndarray, image_size: int) -> np.ndarray:
    """The inverse of `to_blocks`."""
    side, symbols = image_size // BLOCK, blocks.shape[3]
    picture = blocks.reshape(side, side, BLOCK, BLOCK, symbols).swapaxes(1, 2)
    return picture.reshape(image_size, image_size, symbols)


def _flatten(values):
    return values.reshape(len(values), math.prod(values.shape[1:]))


def _split_bytes(images):
    return _flatten(np.stack([images >> 4, images & 15], axis=-1))


def _join_bytes(halves):
    return halves[:, ::2] << 4 | halves[:, 1::2]
