"""Classifiers that a device could run instead of the encoder: three architectures, as wide as its cost allows.

Each builder takes a width, of which its MACs grow, and gives RGB in [0, 1] to logits.
"""

from collections.abc import Callable

import keras
from keras import layers

from i2p_tf import drawing
from i2p_tf.models import cost
from i2p_tf.models.layers.batch_normalization import BatchNormalization
from i2p_tf.models.layers.normalization import imagenet_normalization
from i2p_tf.models.transforms.code import SIZES, Size, trunk

WIDEST = 1024


def encoder_trunk(width: int, transform: str, image_size: int, num_classes: int) -> keras.Model:
    """The encoder's own layers, pooled; `width` 16 is its own number of filters."""
    own = SIZES[transform]
    stem, middle, deep = (max(1, count * width // 16) for count in own.stackwise_filters)
    images = keras.Input((image_size, image_size, 3), name="images")
    _, x = trunk(images, Size((stem, middle, deep), own.stackwise_blocks))
    return _classifier(images, x, num_classes, "encoder_trunk")


def inverted_residuals(width: int, transform: str, image_size: int, num_classes: int) -> keras.Model:
    """Depthwise convolutions between pointwise ones (Sandler et al. 2018); `width` filters at 16x16 places."""
    images = keras.Input((image_size, image_size, 3), name="images")
    x = _stem(images, width)
    for filters, stride in ((width, 1), (2 * width, 2), (2 * width, 1), (4 * width, 2), (4 * width, 1)):
        x = _inverted_residual(x, filters, stride)
    return _classifier(images, x, num_classes, "inverted_residuals")


def plain(width: int, transform: str, image_size: int, num_classes: int) -> keras.Model:
    """Four convolutions, the resolution halved at each; `width` filters at 16x16 places."""
    images = keras.Input((image_size, image_size, 3), name="images")
    x = _stem(images, width)
    for filters, stride in ((2 * width, 2), (4 * width, 2), (4 * width, 1)):
        x = _normalized(layers.Conv2D(filters, 3, stride, padding="same", use_bias=False)(x))
    return _classifier(images, x, num_classes, "plain")


ARCHITECTURES = {builder.__name__: builder for builder in (encoder_trunk, inverted_residuals, plain)}


def widest(
    name: str, macs: int, transform: str, image_size: int, num_classes: int
) -> tuple[Callable[[], keras.Model], int] | None:
    """The widest network of an architecture that costs at most `macs`, and what it costs.

    Args:
        name: a key of `ARCHITECTURES`.
        macs: those of the client.
        transform: a key of `models.transforms.code.SIZES`, the client's.
        image_size: height and width of the images.
        num_classes: number of logits.

    Returns:
        A function without arguments that builds it with new weights, and its MACs; None if even the narrowest costs
        more.
    """

    def build(width):
        return ARCHITECTURES[name](width, transform, image_size, num_classes)

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


def _stem(images, filters):
    stride = images.shape[1] // drawing.GRID
    x = imagenet_normalization()(images)
    return _normalized(layers.Conv2D(filters, max(3, stride), stride, padding="same", use_bias=False)(x))


def _inverted_residual(x, filters, stride, expansion=3):
    y = _normalized(layers.Conv2D(expansion * x.shape[-1], 1, use_bias=False)(x))
    y = _normalized(layers.DepthwiseConv2D(3, stride, padding="same", use_bias=False)(y))
    y = _normalized(layers.Conv2D(filters, 1, use_bias=False)(y), activation=False)
    return layers.Add()([x, y]) if x.shape == y.shape else y


def _normalized(x, activation=True):
    x = BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
    return layers.ReLU()(x) if activation else x


def _classifier(images, x, num_classes, name):
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(images, layers.Dense(num_classes, dtype="float32", name="logits")(x), name=name)
