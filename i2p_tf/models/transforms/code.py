"""A transformation network h_θ that sends a code of few bits: a small encoder, a quantiser, and a drawing of the code.

Whatever a picture contains, at most `drawing.BITS_AN_ELEMENT` bits leave the device for each element that is sent, for
there are no more pictures than that. A reader network in the cloud (`i2p_tf.models.reader`), of many times the
encoder's size, finds the class in them. The quantiser is finite scalar quantisation (Mentzer et al. 2023, arXiv
2309.15505).

The elements are ordered: what the whole picture says comes first, then one map of 4x4 places after another. The maps
are made of an earlier layer. What they add helps the cloud, and it shows more of the picture to attackers
(docs/results/codes.md).
"""

import math

import keras
from keras import layers, ops

from i2p_tf import drawing
from i2p_tf.hints import Tensor, Values
from i2p_tf.models.layers.batch_normalization import BatchNormalization
from i2p_tf.models.layers.drawing import DrawnCode
from i2p_tf.models.layers.normalization import imagenet_normalization

IMAGE_MULTIPLE = 2 * drawing.GRID  # JPEG files of quality 75 mix blocks of one pixel
# The elements: of the whole picture, and maps of PLACES x PLACES places.
GLOBAL, MAPS, PLACES = 64, 12, 4

STEM_PLACES = 8  # in a row, behind the first layer
# Filters at 8x8 places; there are twice as many at 4x4. At 32x32 these cost 0.25, 0.6, 2.0 and 7.4 million
# multiplications.
SIZES = {"code_nano": 12, "code_tiny": 20, "code_small": 40, "code": 80}
EXPANSION = 3  # of the channels, within a block
HEAD_EXPANSION = 8  # before they are pooled for the class


def build(image_size: int, num_classes: int, parameters: Values, size: str) -> keras.Model:
    """What the rows of the table build."""
    return code(size, image_size)


def code(size: str, image_size: int) -> keras.Model:
    """Builds the transformation network h_θ.

    Args:
        size: a key of `SIZES`.
        image_size: height and width of the images; a multiple of `IMAGE_MULTIPLE`. What the first layer costs grows
            with it, and nothing else does.

    Returns:
        A functional model: RGB in [0, 1], `(batch, image_size, image_size, 3)`, to the drawing of the whole code, RGB
        in [0, 1]; its layer `elements` gives the code, float32 `(batch, drawing.ELEMENTS)`.

    Raises:
        ValueError: if `image_size` does not divide.
    """
    if image_size <= 0 or image_size % IMAGE_MULTIPLE:
        raise ValueError(f"`image_size` must be a multiple of {IMAGE_MULTIPLE}. Received: {image_size}")
    images = keras.Input((image_size, image_size, 3), name="images")
    details = earlier(images, SIZES[size])
    x = later(details)
    of_picture = layers.Dense(GLOBAL, use_bias=False, name="global")(layers.Flatten(name="flatten")(x))
    parts = [_centred(of_picture, "global_bn"), _centred(_maps(details), "maps_bn")]
    x = layers.Concatenate(dtype="float32", name="code")(parts)
    x = FiniteScalarQuantizer(dtype="float32", name="elements")(x)
    return keras.Model(images, DrawnCode(image_size, dtype="float32", name="protected")(x), name="transform")


def encoder(transform: keras.Model) -> keras.Model:
    """The part of h_θ that gives the code: RGB in [0, 1] to elements, float32 `(batch, drawing.ELEMENTS)`."""
    return keras.Model(transform.input, transform.get_layer("elements").output, name="encoder")


def last_map(transform: keras.Model) -> Tensor:
    """The output of `later` within h_θ, of which the first elements are made."""
    return transform.get_layer("flatten").input


def earlier(images: Tensor, width: int) -> Tensor:
    """Images to the feature map of 4x4 places and twice `width` filters of which the maps are made.

    Inverted residuals (Sandler et al. 2018, arXiv 1801.04381), here and in `later`. None of them works at more than 8x8
    places: below 1 MMAC the filters that this would cost are worth more (docs/results/NOTES.md).
    """
    x = inverted_residual(stem(images, width, STEM_PLACES), width, "block1")
    return inverted_residual(x, 2 * width, "block2", stride=2)


def later(x: Tensor) -> Tensor:
    """The map that `earlier` gives to another of its shape, which says most of the class."""
    return inverted_residual(x, x.shape[-1], "block3")


def class_head(x: Tensor, num_classes: int) -> Tensor:
    """What a classifier of these layers ends with: the map that `later` gives to logits, float32."""
    x = normalized(_conv(HEAD_EXPANSION * x.shape[-1], 1, 1, "head_conv")(x), "head")
    x = layers.GlobalAveragePooling2D(name="head_pool")(x)
    return layers.Dense(num_classes, dtype="float32", name="logits")(x)


def stem(images: Tensor, filters: int, places: int) -> Tensor:
    """Images of any size to a feature map of `places` x `places`."""
    stride = images.shape[1] // places
    x = imagenet_normalization()(images)
    return normalized(_conv(filters, max(3, stride), stride, "stem_conv")(x), "stem")


def normalized(x: Tensor, name: str, activation: bool = True) -> Tensor:
    """What follows every convolution of a small network: batch normalisation and, but for a block's last, ReLU."""
    x = BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if activation else x


def inverted_residual(x: Tensor, filters: int, name: str, stride: int = 1) -> Tensor:
    """Wider, then each channel by itself, then narrow again; with the input added where the shapes agree."""
    y = normalized(_conv(EXPANSION * x.shape[-1], 1, 1, f"{name}_wide_conv")(x), f"{name}_wide")
    depthwise = layers.DepthwiseConv2D(
        3,
        stride,
        padding="same",
        use_bias=False,
        depthwise_initializer="he_normal",
        # TensorFlow's bfloat16 kernel of strided ones takes ten times as long.
        dtype="float32" if stride > 1 else None,
        name=f"{name}_depthwise_conv",
    )
    y = normalized(depthwise(y), f"{name}_depthwise")
    y = normalized(_conv(filters, 1, 1, f"{name}_narrow_conv")(y), f"{name}_narrow", activation=False)
    return layers.Add(name=f"{name}_add")([x, y]) if x.shape == y.shape else y


def _conv(filters, kernel, stride, name):
    return layers.Conv2D(
        filters, kernel, stride, padding="same", use_bias=False, kernel_initializer="he_normal", name=name
    )


def _maps(x):
    """The maps as a vector, one after another."""
    x = layers.Conv2D(MAPS, 1, use_bias=False, name="map")(x)
    return layers.Flatten(name="map_elements")(layers.Permute((3, 1, 2), name="map_channels")(x))


def _centred(x, name):
    """Keeps the quantiser out of its flat ends; by Keras' own layer, as ours is for feature maps."""
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name=name)(x)


@keras.saving.register_keras_serializable("i2p_tf")
class FiniteScalarQuantizer(layers.Layer):
    """Each value to the nearest of four, evenly from -1 to 1; the gradient is that of the bound (straight through).

    Bounded by tanh, shifted so that 0 stays 0 and falls in the middle of what becomes 1/3, then rounded (Mentzer et al.
    2023, section 3 and the appendix).
    """

    LEVELS = 4
    MARGIN = 1e-3  # by which the bound reaches beyond the outer values, as published

    def call(self, values: Tensor) -> Tensor:
        half = (self.LEVELS - 1) * (1.0 + self.MARGIN) / 2.0
        offset = 0.5  # of an even number of levels
        bounded = ops.tanh(values + math.atanh(offset / half)) * half - offset
        rounded = bounded + ops.stop_gradient(ops.round(bounded) - bounded)
        return (rounded + offset) / ((self.LEVELS - 1) / 2.0)
