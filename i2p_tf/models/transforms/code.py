"""A transformation network h_θ that sends a code of few bits: a small encoder, a quantiser, and a drawing of the code.

Whatever a picture contains, at most `drawing.BITS_AN_ELEMENT` bits leave the device for each element that is sent, for
there are no more pictures than that. The encoder leaves the class to the cloud: a reader network there
(`i2p_tf.models.reader`), of many times its size, makes more of the code than the device could. The quantiser is finite
scalar quantisation (Mentzer et al. 2023, arXiv 2309.15505).

The elements are ordered from coarse to fine: what the whole picture says first, then maps of 4x4 places, then of 8x8.
"""

import dataclasses
import math

import keras
from keras import layers, ops

from i2p_tf import drawing
from i2p_tf.hints import Tensor, Values
from i2p_tf.models.layers.batch_normalization import BatchNormalization
from i2p_tf.models.layers.drawing import DrawnCode
from i2p_tf.models.layers.minimal_filtering import Conv2D
from i2p_tf.models.layers.normalization import imagenet_normalization

IMAGE_MULTIPLE = 2 * drawing.GRID  # JPEG files of quality 75 mix blocks of one pixel
# The elements: of the whole picture, and maps of so many channels at 4x4 and at 8x8 places.
GLOBAL, COARSE_CHANNELS, FINE_CHANNELS = 32, 2, 3
COARSE, FINE = 4, 8


@dataclasses.dataclass(frozen=True)
class Size:
    """The numbers of one size: filters at 16x16, 8x8 and 4x4 places, and residual blocks at 8x8 and at 4x4."""

    stackwise_filters: tuple[int, int, int]
    stackwise_blocks: tuple[int, int]


# At 32x32 these cost 1.9 and 7.6 million multiplications.
SIZES = {
    "code_small": Size((16, 32, 64), (1, 0)),
    "code": Size((24, 48, 96), (2, 1)),
}


def build(image_size: int, num_classes: int, parameters: Values, size: str) -> keras.Model:
    """What the rows of the table build."""
    return code(size, image_size)


def code(size: str, image_size: int) -> keras.Model:
    """Builds the transformation network h_θ.

    Args:
        size: a key of `SIZES`.
        image_size: height and width of the images; a multiple of `IMAGE_MULTIPLE`. The cost hardly depends on it.

    Returns:
        A functional model: RGB in [0, 1], `(batch, image_size, image_size, 3)`, to the drawing of the whole code, RGB
        in [0, 1]; its layer `elements` gives the code, float32 `(batch, drawing.ELEMENTS)`.

    Raises:
        ValueError: if `image_size` does not divide.
    """
    if image_size <= 0 or image_size % IMAGE_MULTIPLE:
        raise ValueError(f"`image_size` must be a multiple of {IMAGE_MULTIPLE}. Received: {image_size}")
    images = keras.Input((image_size, image_size, 3), name="images")
    fine, coarse = trunk(images, SIZES[size])
    parts = [
        layers.Dense(GLOBAL, use_bias=False, name="global")(layers.Flatten(name="flatten")(coarse)),
        _places(coarse, COARSE_CHANNELS, "coarse"),
        _places(fine, FINE_CHANNELS, "fine"),
    ]
    # Keeps the quantiser out of its flat ends; Keras' own layer, as ours is for feature maps.
    parts = [layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{part.name}_bn")(part) for part in parts]
    x = layers.Concatenate(dtype="float32", name="code")(parts)
    x = FiniteScalarQuantizer(dtype="float32", name="elements")(x)
    return keras.Model(images, DrawnCode(image_size, dtype="float32", name="protected")(x), name="transform")


def encoder(transform: keras.Model) -> keras.Model:
    """The part of h_θ that gives the code: RGB in [0, 1] to elements, float32 `(batch, drawing.ELEMENTS)`."""
    return keras.Model(transform.input, transform.get_layer("elements").output, name="encoder")


def trunk(images: Tensor, size: Size) -> tuple[Tensor, Tensor]:
    """Images to feature maps of 8x8 and of 4x4 places.

    Args:
        images: RGB in [0, 1], `(batch, image_size, image_size, 3)`.
        size: a `Size`.
    """
    stem, middle, deep = size.stackwise_filters
    stride = images.shape[1] // drawing.GRID
    x = imagenet_normalization()(images)
    x = _conv(x, stem, "stem", stride, kernel=max(3, stride))
    fine = _stage(x, middle, size.stackwise_blocks[0], "fine")
    return fine, _stage(fine, deep, size.stackwise_blocks[1], "coarse")


def _stage(x, filters, blocks, name):
    x = _conv(x, filters, f"{name}_down", 2)
    for block in range(1, blocks + 1):
        y = _conv(x, filters, f"{name}_block{block}_1")
        y = _conv(y, filters, f"{name}_block{block}_2", activation=False)
        x = layers.ReLU(name=f"{name}_block{block}_relu")(layers.Add(name=f"{name}_block{block}_add")([x, y]))
    return x


def _conv(x, filters, name, stride=1, kernel=3, activation=True):
    x = Conv2D(
        filters,
        kernel,
        strides=stride,
        padding="same",
        use_bias=False,
        kernel_initializer="he_normal",
        name=f"{name}_conv",
    )(x)
    x = BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if activation else x


def _places(x, channels, name):
    """A map of few channels as a vector, channel by channel, so that each further channel is one more layer of it."""
    x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_map")(x)
    return layers.Flatten(name=f"{name}_code")(layers.Permute((3, 1, 2), name=f"{name}_channels")(x))


@keras.saving.register_keras_serializable("i2p_tf")
class FiniteScalarQuantizer(layers.Layer):
    """Each value to the nearest of four, evenly from -1 to 1; the gradient is that of the bound (straight through).

    Bounded by tanh, shifted so that 0 lies between two values, then rounded (Mentzer et al. 2023, section 3 and the
    appendix).
    """

    LEVELS = 4
    MARGIN = 1e-3  # by which the bound reaches beyond the outer values, so that rounding can give them

    def call(self, values: Tensor) -> Tensor:
        half = (self.LEVELS - 1) * (1.0 + self.MARGIN) / 2.0
        offset = 0.5  # of an even number of levels
        bounded = ops.tanh(values + math.atanh(offset / half)) * half - offset
        rounded = bounded + ops.stop_gradient(ops.round(bounded) - bounded)
        return (rounded + offset) / ((self.LEVELS - 1) / 2.0)
