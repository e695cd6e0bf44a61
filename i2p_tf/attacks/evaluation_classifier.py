"""The evaluation classifier, which reads reconstructed images.

It is independent of ψ: h_θ was trained so that ψ reads the protected image, and a reconstructed one may still carry
what ψ reads and no picture shows.
"""

import keras
import numpy as np
from keras import layers

from i2p_tf.attacks import fitting
from i2p_tf.attacks.specification import Training
from i2p_tf.hints import Say
from i2p_tf.models.layers.batch_normalization import BatchNormalization
from i2p_tf.models.layers.normalization import imagenet_normalization

STACKWISE_FILTERS = (32, 64, 128)  # the resolution is halved at each but the first


def train_classifier(
    images: np.ndarray, labels: np.ndarray, classes: int, training: Training, seed: int, say: Say
) -> keras.Model:
    """Trains a small convolutional network on plain images and labels, or on an attribute instead.

    Args:
        images: uint8 `(n, size, size, 3)`.
        labels: integers below `classes`.
        classes: how many there are.
        training: a `Training`.
        seed: of initialisation and order.
        say: called with each line of progress.

    Returns:
        A Keras model: RGB in [0, 1] to logits.
    """
    keras.utils.set_random_seed(seed)
    inputs = keras.Input(images.shape[1:], name="images")
    x = imagenet_normalization()(inputs)
    for index, filters in enumerate(STACKWISE_FILTERS):
        x = layers.Conv2D(filters, 3, strides=2 if index else 1, padding="same", use_bias=False)(x)
        x = layers.ReLU()(BatchNormalization(momentum=0.9, epsilon=1e-5)(x))
    x = layers.GlobalAveragePooling2D()(x)
    network = keras.Model(inputs, layers.Dense(classes, name="logits")(x), name="evaluation_classifier")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    fitting.fit(network, (images, labels), loss, training, seed, say)
    return network
