"""Pixel-based encryption, PE (Sirichotedumrong et al., ICIP 2019)."""

import numpy as np

from i2p_tf.encryption import key_stream
from i2p_tf.encryption.scrambling import Scrambling, positions

COLOURS = 3


def pe(key: bytes, image_size: int) -> Scrambling:
    """Each colour of each pixel is inverted or not, by a bit of its own; then each pixel's colours are shuffled."""
    shape = (image_size, image_size, COLOURS)
    inverted = key_stream.choices(key, "pe.inverted", shape, 2)
    order = key_stream.permutations(key, "pe.colours", shape)
    return Scrambling(np.take_along_axis(positions(image_size, COLOURS), order, axis=2), inverted, image_size)
