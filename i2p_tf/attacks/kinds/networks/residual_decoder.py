"""The decoder that works on conditional entropy attack split inference with: eight residual blocks of 64 channels.

There it sees features of lower resolution and enlarges them; a protected image has the plain one's resolution, and so
have the blocks. As published it is trained by Adam from 1e-3.
"""

import keras
from keras import layers

from i2p_tf.models.layers.batch_normalization import BatchNormalization
from i2p_tf.models.layers.minimal_filtering import Conv2D

FILTERS, BLOCKS = 64, 8


def residual_decoder(size: int, channels: int) -> keras.Model:
    """As a row of `rows.NETWORKS` has it."""
    images = keras.Input((size, size, channels))
    x = layers.ReLU()(_convolution(images))
    for _ in range(BLOCKS):
        branch = _convolution(layers.ReLU()(_convolution(x)))
        x = layers.ReLU()(layers.Add()([x, branch]))
    return keras.Model(images, layers.Conv2D(3, 3, padding="same", kernel_initializer="zeros")(x), name="correction")


def _convolution(x):
    x = Conv2D(FILTERS, 3, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    return BatchNormalization(momentum=0.9, epsilon=1e-5)(x)
