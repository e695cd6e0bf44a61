"""Classifiers that a device could run instead of the encoder: four architectures, as wide as its cost allows.

Each builder takes a width, of which its MACs grow, and gives RGB in [0, 1] to logits.
"""

from collections.abc import Callable

import keras
from keras import layers

from i2p_tf.drawing import GRID
from i2p_tf.models import cost
from i2p_tf.models.layers.minimal_filtering import Conv2D
from i2p_tf.models.transforms.code import class_head, earlier, inverted_residual, later, normalized, stem

WIDEST = 1024


def early_strides(width: int, image_size: int, num_classes: int) -> keras.Model:
    """The encoder's own layers, all at 8x8 places or fewer; `width` filters at 8x8."""
    images = keras.Input((image_size, image_size, 3), name="images")
    logits = class_head(later(earlier(images, width)), num_classes)
    return keras.Model(images, logits, name="early_strides")


def inverted_residuals(width: int, image_size: int, num_classes: int) -> keras.Model:
    """The same blocks from 16x16 places on; `width` filters there."""
    images = keras.Input((image_size, image_size, 3), name="images")
    x = inverted_residual(stem(images, width, GRID), width, "block1")
    x = inverted_residual(x, 2 * width, "block2", stride=2)
    x = inverted_residual(x, 2 * width, "block3")
    x = inverted_residual(x, 4 * width, "block4", stride=2)
    x = inverted_residual(x, 4 * width, "block5")
    return _classifier(images, x, num_classes, "inverted_residuals")


def residual(width: int, image_size: int, num_classes: int) -> keras.Model:
    """Strided convolutions and a residual block at 8x8 places; `width` filters at 16x16 places."""
    images = keras.Input((image_size, image_size, 3), name="images")
    x = _convolution(stem(images, width, GRID), 2 * width, "down1", 2)
    y = _convolution(_convolution(x, 2 * width, "block_1"), 2 * width, "block_2", activation=False)
    x = layers.ReLU(name="block_relu")(layers.Add(name="block_add")([x, y]))
    return _classifier(images, _convolution(x, 4 * width, "down2", 2), num_classes, "residual")


def plain(width: int, image_size: int, num_classes: int) -> keras.Model:
    """Four convolutions, the resolution halved at each; `width` filters at 16x16 places."""
    images = keras.Input((image_size, image_size, 3), name="images")
    x = _convolution(stem(images, width, GRID), 2 * width, "down1", 2)
    x = _convolution(x, 4 * width, "down2", 2)
    return _classifier(images, _convolution(x, 4 * width, "deep"), num_classes, "plain")


ARCHITECTURES = {builder.__name__: builder for builder in (early_strides, inverted_residuals, residual, plain)}


def widest(name: str, macs: int, image_size: int, num_classes: int) -> tuple[Callable[[], keras.Model], int] | None:
    """The widest network of an architecture that costs at most `macs`, and what it costs.

    Args:
        name: a key of `ARCHITECTURES`.
        macs: those of the client.
        image_size: height and width of the images.
        num_classes: number of logits.

    Returns:
        A function without arguments that builds it with new weights, and its MACs; None if even the narrowest costs
        more.
    """

    def build(width):
        return ARCHITECTURES[name](width, image_size, num_classes)

    fits, too_wide = 0, WIDEST
    costs: dict[int, int] = {}
    while too_wide - fits > 1:
        width = (fits + too_wide) // 2
        costs[width] = cost.macs(build(width)) or 0  # they are known of these layers
        if costs[width] <= macs:
            fits = width
        else:
            too_wide = width
    return (lambda: build(fits), costs[fits]) if fits else None


def _convolution(x, filters, name, stride=1, activation=True):
    x = Conv2D(filters, 3, stride, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return normalized(x, name, activation)


def _classifier(images, x, num_classes, name):
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(images, layers.Dense(num_classes, dtype="float32", name="logits")(x), name=name)
