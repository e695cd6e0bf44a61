"""Block-based encryption before compression, EtC (Chuman, Sirichotedumrong and Kiya, IEEE TIFS 2019, in colour).

The literature takes blocks of 16x16 for photographs that are sent as JPEG, and 4x4 for images of 32x32.
"""

import numpy as np

from i2p_tf.encryption import key_stream
from i2p_tf.encryption.scrambling import Scrambling, from_blocks, positions, to_blocks
from i2p_tf.encryption.table import BLOCK

COLOURS = 3


def etc(key: bytes, image_size: int) -> Scrambling:
    """Blocks are shuffled; each is turned by quarters and mirrored or not, inverted or not, and its colours shuffled.

    The eight ways to turn and mirror a square are equally probable.
    """
    count = (image_size // BLOCK) ** 2
    blocks = to_blocks(positions(image_size, COLOURS))
    inverted = np.empty(blocks.shape, bool)
    inverted[:] = key_stream.choices(key, "etc.inverted", (count, 1, 1, 1), 2)
    blocks = blocks[key_stream.permutations(key, "etc.blocks", (count,))]
    blocks = _turn(blocks, key_stream.choices(key, "etc.quarters", (count,), 4))
    blocks = _mirror(blocks, key_stream.choices(key, "etc.mirrored", (count,), 2))
    colours = key_stream.permutations(key, "etc.colours", (count, COLOURS))
    blocks = np.take_along_axis(blocks, colours[:, np.newaxis, np.newaxis, :], axis=3)
    return Scrambling(from_blocks(blocks, image_size), from_blocks(inverted, image_size), image_size)


def _turn(blocks, quarters):
    """Turns each block counter-clockwise by its number of quarters."""
    turned = np.stack([np.rot90(blocks, k, axes=(1, 2)) for k in range(4)])
    return turned[quarters, np.arange(len(blocks))]


def _mirror(blocks, mirrored):
    """Mirrors the chosen blocks left to right."""
    return np.where(mirrored[:, np.newaxis, np.newaxis, np.newaxis], blocks[:, :, ::-1], blocks)
