"""A transformation network h_θ without a way round its middle: an encoder, a short vector, a decoder, no skips.

Whatever the protected image says of the plain one has passed through the vector. The encoder is the trunk of a residual
network, so that it can start from that of ψ.
"""

import dataclasses

import keras
from keras import layers

from i2p_tf.hints import Values
from i2p_tf.models.classifiers import resnet
from i2p_tf.models.layers.batch_normalization import BatchNormalization

IMAGE_MULTIPLE = 4  # the encoder halves the resolution twice, the decoder doubles it twice


@dataclasses.dataclass(frozen=True)
class Size:
    """The numbers of one size.

    Attributes:
        stackwise_blocks: residual blocks in each stage of the encoder.
        code_units: length of the vector, whose values are in [0, 1].
        stackwise_filters: of the decoder, at a quarter, a half and all of the resolution.
    """

    stackwise_blocks: tuple[int, int, int]
    code_units: int
    stackwise_filters: tuple[int, int, int]


# At 32x32 these cost 0.98 and 0.48 times what a ResNet-20 costs.
SIZES = {
    "bottleneck": Size((3, 3, 2), 16, (32, 16, 16)),
    "bottleneck_small": Size((1, 1, 2), 16, (32, 16, 8)),
}


def build(image_size: int, num_classes: int, parameters: Values, size: str) -> keras.Model:
    """What the rows of the table build."""
    return bottleneck(size, image_size)


def bottleneck(size: str, image_size: int) -> keras.Model:
    """Builds the transformation network h_θ.

    Args:
        size: a key of `SIZES`.
        image_size: height and width of the images; a multiple of `IMAGE_MULTIPLE`.

    Returns:
        A functional model: RGB in [0, 1], `(batch, image_size, image_size, 3)`, to RGB in [0, 1]; its layer `code`
        gives the vector. The final sigmoid is float32 under every precision.

    Raises:
        ValueError: if `image_size` does not divide.
    """
    if image_size <= 0 or image_size % IMAGE_MULTIPLE:
        raise ValueError(f"`image_size` must be a multiple of {IMAGE_MULTIPLE}. Received: {image_size}")
    numbers = SIZES[size]

    images = keras.Input((image_size, image_size, 3), name="images")
    x = resnet.trunk(images, numbers.stackwise_blocks)
    x = layers.Dense(numbers.code_units, name="code_dense")(x)
    # Keeps the sigmoid out of its flat ends; Keras' own layer, as ours is for feature maps.
    x = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="code_bn")(x)
    x = layers.Activation("sigmoid", name="code")(x)
    x = _decoder(x, numbers.stackwise_filters, image_size)
    return keras.Model(images, x, name="transform")


def _decoder(x, stackwise_filters, image_size):
    """A vector to a small feature map to an image."""
    side = image_size // 4
    x = layers.Dense(side * side * stackwise_filters[0], kernel_initializer="he_normal", name="decoder_dense")(x)
    x = layers.Reshape((side, side, stackwise_filters[0]), name="decoder_reshape")(x)
    x = layers.ReLU(name="decoder_relu")(x)
    for level, filters in enumerate(stackwise_filters[1:], start=1):
        x = layers.UpSampling2D(2, interpolation="nearest", name=f"up{level}_upsample")(x)
        x = layers.Conv2D(filters, 3, padding="same", kernel_initializer="he_normal", name=f"up{level}_conv")(x)
        x = BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"up{level}_bn")(x)
        x = layers.ReLU(name=f"up{level}_relu")(x)
    x = layers.Conv2D(3, 3, padding="same", name="head")(x)
    return layers.Activation("sigmoid", dtype="float32", name="protected")(x)
