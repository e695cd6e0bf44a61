"""At half the resolution, without skips past it: a picture must come through the bottleneck."""

import keras
from keras import layers

from i2p_tf.models.layers.batch_normalization import BatchNormalization
from i2p_tf.models.layers.minimal_filtering import Conv2D

FILTERS, BLOCKS = 64, 5


def residual(size: int, channels: int) -> keras.Model:
    """As a row of `rows.NETWORKS` has it."""
    images = keras.Input((size, size, channels))
    x = _convolution(images, strides=2)
    for _ in range(BLOCKS):
        x = layers.Add()([x, _convolution(_convolution(x))])
    x = layers.Conv2DTranspose(FILTERS // 2, 4, strides=2, padding="same", activation="relu")(x)
    return keras.Model(images, layers.Conv2D(3, 3, padding="same", kernel_initializer="zeros")(x), name="correction")


def _convolution(x, strides=1):
    x = Conv2D(FILTERS, 3, strides, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    return layers.ReLU()(BatchNormalization(momentum=0.9, epsilon=1e-5)(x))
