"""Learnable image encryption, LE (Tanaka, ICCE-TW 2018), and its extension ELE (Madono et al. 2020)."""

import numpy as np

from i2p_tf.encryption import key_stream
from i2p_tf.encryption.scrambling import Scrambling, from_blocks, positions, to_blocks
from i2p_tf.encryption.table import BLOCK

HALVES = 6  # symbols of a pixel: three colours, each an upper and a lower half of 4 bits
SYMBOLS = BLOCK * BLOCK * HALVES  # of a block


def le(key: bytes, image_size: int) -> Scrambling:
    """In each 4x4 block the 96 halves of the bytes are shuffled and some inverted, alike in all blocks."""
    order = key_stream.permutations(key, "le.order", (1, SYMBOLS))
    inverted = key_stream.choices(key, "le.inverted", (1, SYMBOLS), 2)
    blocks = _shuffle_halves(to_blocks(positions(image_size, HALVES)), order)
    return Scrambling(from_blocks(blocks, image_size), _per_block(inverted, image_size), image_size)


def ele(key: bytes, image_size: int) -> Scrambling:
    """As LE, but in each block by a key of its own; then the blocks are shuffled."""
    count = (image_size // BLOCK) ** 2
    order = key_stream.permutations(key, "ele.order", (count, SYMBOLS))
    inverted = key_stream.choices(key, "ele.inverted", (count, SYMBOLS), 2)
    blocks = _shuffle_halves(to_blocks(positions(image_size, HALVES)), order)
    blocks = blocks[key_stream.permutations(key, "ele.blocks", (count,))]
    return Scrambling(from_blocks(blocks, image_size), _per_block(inverted, image_size), image_size)


def _shuffle_halves(blocks, order):
    """Applies to each block its row of `order`, or to all of them its only row."""
    flat = blocks.reshape(len(blocks), SYMBOLS)
    return np.take_along_axis(flat, np.broadcast_to(order, flat.shape), axis=1).reshape(blocks.shape)


def _per_block(inverted, image_size):
    """Flags by position in the block to flags by position in the image."""
    count = (image_size // BLOCK) ** 2
    blocks = np.broadcast_to(inverted, (count, SYMBOLS)).reshape(count, BLOCK, BLOCK, HALVES)
    return from_blocks(blocks, image_size)
