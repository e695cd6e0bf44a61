"""Adaptation networks: what stands in front of a classifier that has to read encrypted pictures.

They learn to undo, as far as that helps, what a conventional method of `encryption` does to each block of pixels; the
key is not known here. They start as if nothing had been encrypted: the classifier sees what they get.
"""

import keras
import numpy as np
from keras import layers, ops

from i2p_tf.encryption import BLOCK, SCHEMES
from i2p_tf.hints import Tensor
from i2p_tf.tables import load

PATCH = BLOCK * BLOCK * 3  # numbers that each block becomes
WHOLE = np.eye(PATCH)  # of a block's bytes
JOINED = np.kron(np.eye(PATCH), [[240 / 255], [15 / 255]])  # of the upper and lower halves of bytes, each in [0, 1]


def le(images: Tensor) -> Tensor:
    """One linear map for all blocks, as all have the same key, then sub-pixel rearrangement (Tanaka 2018)."""
    block = layers.Conv2D(PATCH, BLOCK, strides=BLOCK, name="adaptation_block")
    patches = block(halves(images))
    _start(block, JOINED)
    return _to_image(patches)


def ele(images: Tensor) -> Tensor:
    """Each block a linear map of its own, then a learned order of the blocks (after Madono et al. 2020)."""
    return _own_map_for_each_block(halves(images), JOINED)


def etc(images: Tensor) -> Tensor:
    """As `ele`, on whole bytes: the method does not split them."""
    return _own_map_for_each_block(images, WHOLE)


def adapted(classifier: keras.Model, encryption: str | None) -> keras.Model:
    """A classifier for the encrypted pictures of a method, with the method's adaptation network, if any, in front.

    Args:
        classifier: a functional model, RGB in [0, 1] to logits.
        encryption: a key of `encryption.SCHEMES`; None for plain pictures.

    Returns:
        A functional model: encrypted RGB of 8 bits in [0, 1] to logits. It is called `<name>_<encryption>`, so that
        nobody takes it for one of plain pictures; without encryption it is the classifier itself.
    """
    if encryption is None:
        return classifier
    images = keras.Input(classifier.input_shape[1:], name="images")
    adapt = load(SCHEMES.find(encryption).adaptation)
    read = adapt(images) if adapt else images
    return keras.Model(images, classifier(read), name=f"{classifier.name}_{encryption}")


def halves(images: Tensor) -> Tensor:
    """8-bit images in [0, 1] `(n, size, size, 3)` to the upper and lower half of each byte, in [0, 1] `(..., 6)`."""
    values = ops.round(images * 255.0)
    upper = ops.floor(values / 16.0)
    pairs = ops.stack([upper, values - 16.0 * upper], axis=-1) / 15.0
    return ops.reshape(pairs, (-1, *images.shape[1:3], 6))


def _own_map_for_each_block(x, start):
    side, channels = x.shape[1] // BLOCK, x.shape[3]
    x = ops.reshape(x, (-1, side, BLOCK, side, BLOCK, channels))
    x = ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, side**2, BLOCK * BLOCK * channels))
    shape = (side**2, PATCH)
    block = layers.EinsumDense("nbi,bio->nbo", shape, bias_axes="bo", name="adaptation_block")
    x = block(x)
    _start(block, start)
    x = layers.EinsumDense("nbo,bc->nco", shape, kernel_initializer="identity", name="adaptation_order")(x)
    return _to_image(ops.reshape(x, (-1, side, side, PATCH)))


def _start(block, matrix):
    """Gives a layer, for each block where it has several, `matrix` as its kernel."""
    kernel, bias = block.get_weights()
    matrix = matrix.reshape(kernel.shape) if kernel.size == matrix.size else np.broadcast_to(matrix, kernel.shape)
    block.set_weights([matrix, bias])


def _to_image(patches):
    """`(n, side, side, PATCH)` to `(n, side * BLOCK, side * BLOCK, 3)`."""
    side = patches.shape[1]
    x = ops.reshape(patches, (-1, side, side, BLOCK, BLOCK, 3))
    return ops.reshape(ops.transpose(x, (0, 1, 3, 2, 4, 5)), (-1, side * BLOCK, side * BLOCK, 3))
