"""The transformation network h_θ: a U-Net (Ronneberger et al. 2015) as Ito et al. 2021 use it."""

import keras
from keras import layers

from i2p_tf.hints import Values
from i2p_tf.models.layers.batch_normalization import BatchNormalization
from i2p_tf.models.layers.minimal_filtering import Conv2D, UpsampledConv2D

# Filters at each level, from full resolution downwards; one 2x2 pooling between two levels.
STACKWISE_FILTERS = {
    "paper": (64, 128, 256, 512, 1024),
    "small": (16, 32, 64, 128),
    "tiny": (8, 16, 32),
}


def build(image_size: int, num_classes: int, parameters: Values, size: str) -> keras.Model:
    """What the rows of the table build."""
    return unet(size, image_size)


def unet(size: str, image_size: int, name: str = "transform", channels: int = 3) -> keras.Model:
    """Builds the transformation network h_θ (and, with other weights, its inverse).

    Args:
        size: a key of `STACKWISE_FILTERS`.
        image_size: height and width of the images; a multiple of `2 ** (levels - 1)`.
        name: name of the model.
        channels: of the input; a network that restores images may be given more than RGB.

    Returns:
        A functional model: `(batch, image_size, image_size, channels)`, RGB in [0, 1], to RGB in [0, 1].
        The final sigmoid is float32 under every precision.

    Raises:
        ValueError: if `image_size` does not divide.
    """
    stackwise_filters = STACKWISE_FILTERS[size]
    check_image_size(size, image_size)

    images = keras.Input((image_size, image_size, channels), name="images")
    x, skips = images, []
    for level, filters in enumerate(stackwise_filters[:-1]):
        x = _conv_pair(x, filters, f"down{level}")
        skips.append(x)
        x = layers.MaxPooling2D(2, name=f"down{level}_pool")(x)
    x = _conv_pair(x, stackwise_filters[-1], "bottom")
    for level in reversed(range(len(skips))):
        filters = stackwise_filters[level]
        x = layers.UpSampling2D(2, interpolation="nearest", name=f"up{level}_upsample")(x)
        x = _conv(x, filters, f"up{level}_0", UpsampledConv2D)
        x = layers.Concatenate(name=f"up{level}_concat")([skips[level], x])
        x = _conv_pair(x, filters, f"up{level}")
    x = layers.Conv2D(3, 1, name="head")(x)
    x = layers.Activation("sigmoid", dtype="float32", name="protected")(x)
    return keras.Model(images, x, name=name)


def check_image_size(size: str, image_size: int) -> None:
    """Raises a `ValueError` that names the next fitting size where `image_size` can't be pooled `levels - 1` times."""
    multiple = 2 ** (len(STACKWISE_FILTERS[size]) - 1)
    if image_size <= 0 or image_size % multiple:
        fitting = max(multiple, -(-image_size // multiple) * multiple)
        raise ValueError(
            f"`image_size` must be a multiple of {multiple} for the U-Net size {size!r}; the next one is {fitting}. "
            f"Received: {image_size}"
        )


def _conv_pair(x, filters, name):
    return _conv(_conv(x, filters, f"{name}_1"), filters, f"{name}_2")


def _conv(x, filters, name, convolution=Conv2D):
    x = convolution(filters, 3, padding="same", kernel_initializer="he_normal", name=f"{name}_conv")(x)
    x = BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x)
