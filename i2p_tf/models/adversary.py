"""The network that h_θ is trained against: it restores plain images from protected ones."""

import keras
import numpy as np
from keras import layers

HIDDEN_UNITS = (512, 512)
LINEAR_UNITS = 128  # a way past the hidden layers: what a linear map can restore is found first


def adversary(mean_image: np.ndarray, sees: tuple[int, ...] | None = None) -> keras.Model:
    """Builds a network that sees the whole protected image at once, and starts as the guess `mean_image`.

    Args:
        mean_image: what it gives before it has learned anything, float in [0, 1], `(size, size, 3)`.

        sees: shape of what it restores from, without the batch; that of `mean_image` if it is protected images.

    Returns:
        A functional model: what is sent, `(batch, *sees)`, to restored images `(batch, size, size, 3)`, float32, not
        clipped.
    """
    protected = keras.Input(sees or mean_image.shape, name="protected")
    x = pixels = layers.Flatten(name="flatten")(protected)
    for index, units in enumerate(HIDDEN_UNITS, start=1):
        x = layers.Dense(units, activation="relu", kernel_initializer="he_normal", name=f"dense{index}")(x)
    x = layers.Concatenate(name="both")([x, layers.Dense(LINEAR_UNITS, name="linear")(pixels)])
    x = layers.Dense(mean_image.size, kernel_initializer="zeros", dtype="float32", name="picture")(x)
    model = keras.Model(
        protected, layers.Reshape(mean_image.shape, dtype="float32", name="restored")(x), name="adversary"
    )
    picture = model.get_layer("picture")
    picture.set_weights([picture.get_weights()[0], np.ravel(mean_image)])
    return model
