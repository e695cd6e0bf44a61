"""MACs of layers that this package's own networks do not have."""

import keras
import pytest
from keras import layers, ops

from i2p_tf.models import cost

SIZE = 8


def ended(make):
    """A network of 3 classes whose first layers `make` puts on the pictures."""
    images = keras.Input((SIZE, SIZE, 3))
    x = make(images)
    x = layers.Reshape((-1, x.shape[-1]))(x)
    return keras.Model(images, layers.Dense(3)(layers.GlobalAveragePooling1D()(x)))


def shared(images):
    layer = layers.Conv2D(3, 3, padding="same")
    return layer(layer(images))


def attention(images):
    x = layers.Reshape((SIZE**2, 3))(images)
    return layers.MultiHeadAttention(2, 4)(x, x)


def nested(images):
    inner = keras.Sequential([keras.Input((SIZE, SIZE, 3)), layers.Conv2D(4, 3, padding="same")])
    return keras.Sequential([keras.Input((SIZE, SIZE, 3)), inner])(images)


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda x: layers.Conv2D(6, 3, padding="same", groups=3)(x), 64 * 9 * 6 + 18),
        (lambda x: layers.DepthwiseConv2D(3, depth_multiplier=2, padding="same")(x), 64 * 9 * 6 + 18),
        (lambda x: layers.SeparableConv2D(5, 3, padding="same")(x), 64 * (27 + 15) + 15),
        (lambda x: layers.Conv2DTranspose(4, 3, strides=2, padding="same")(x), 64 * 9 * 3 * 4 + 12),
        (lambda x: layers.Dense(4)(x), 64 * 3 * 4 + 12),
        (shared, 2 * 64 * 81 + 9),
        (attention, 64 * 3 * 8 * 3 + 2 * 64 * 64 * 8 + 64 * 8 * 3 + 9),
        (nested, 64 * 27 * 4 + 12),
        (lambda x: ops.einsum("bhwc,bhwd->bcd", x, x), 64 * 9 + 9),
        (lambda x: layers.LSTM(2)(layers.Reshape((SIZE, SIZE * 3))(x)), None),
        (lambda x: ops.cond(ops.mean(x) > 0, lambda: layers.Dense(4)(x), lambda: ops.tile(x[..., :1], 4)), None),
    ],
)
def test_macs(make, expected):
    assert cost.macs(ended(make)) == expected


def test_statistics_are_no_trained_parameters():
    normalisation = layers.Normalization(mean=[0.5] * 3, variance=[0.1] * 3)
    adapted = layers.Normalization()
    model = ended(lambda x: layers.BatchNormalization()(adapted(normalisation(x))))
    assert cost.parameters(model) == 6 + 12
