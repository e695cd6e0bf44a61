"""Codes as attackers see them: the symbols of pictures, and what is left of these at a number of bits."""

from typing import Any

import keras
import numpy as np

from i2p_tf import drawing, inference


def codes(transform: keras.Model, images: np.ndarray) -> np.ndarray:
    """The whole codes that h_θ draws of uint8 images: int8 `(n, drawing.ELEMENTS)`, 0 to 3."""
    return drawing.read(inference.protect(transform, images))


def sent(codes: np.ndarray, counts: Any) -> np.ndarray:
    """What arrives of codes.

    Args:
        codes: int8 `(n, drawing.ELEMENTS)`.
        counts: of elements that are sent, an integer or `(n,)`.

    Returns:
        float32 `(n, 2 * drawing.ELEMENTS)`, as `models.reader.cut` gives it: elements from -1 to 1, 0 where they are
        not sent, and 1 for each that is.
    """
    present = np.arange(drawing.ELEMENTS) < np.reshape(counts, (-1, 1))
    present = np.broadcast_to(present, codes.shape)
    elements = np.where(present, codes * np.float32(2 / 3) - np.float32(1), np.float32(0))
    return np.concatenate([elements, np.float32(present)], axis=1)


def elements_of(bits: int) -> int:
    """How many elements so many bits are."""
    return bits // drawing.BITS_AN_ELEMENT
