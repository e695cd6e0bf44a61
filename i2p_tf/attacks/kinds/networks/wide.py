"""One wide layer that sees the whole picture at once, and so can put shuffled blocks back."""

import keras
from keras import layers

UNITS = 2048


def wide(size: int, channels: int) -> keras.Model:
    """As a row of `rows.NETWORKS` has it."""
    images = keras.Input((size, size, channels))
    x = layers.Dense(UNITS, activation="relu", kernel_initializer="he_normal")(layers.Flatten()(images))
    x = layers.Dense(size * size * 3, kernel_initializer="zeros")(x)
    return keras.Model(images, layers.Reshape((size, size, 3))(x), name="correction")
