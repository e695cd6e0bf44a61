"""An independent classifier that reads restored images.

ψ itself is no judge: h_θ was trained so that ψ reads the protected image, and a restored one may still carry what ψ
reads and no picture shows.
"""

import keras
from keras import layers

from i2p_tf.attacks import fitting
from i2p_tf.models.layers.batch_normalization import BatchNormalization
from i2p_tf.models.layers.normalization import imagenet_normalization

STACKWISE_FILTERS = (32, 64, 128)  # the resolution is halved at each but the first


def train_judge(dataset, training, seed, say):
    """Trains a small convolutional network on plain training images.

    Args:
        dataset: a `data.dataset.Dataset`.
        training: a `suite.Training`.
        seed: of initialisation and order.
        say: called with each line of progress.

    Returns:
        A Keras model: RGB in [0, 1] to logits.
    """
    return train_classifier(dataset.train.images, dataset.train.labels, dataset.num_classes, training, seed, say)


def train_classifier(images, labels, classes, training, seed, say):
    """As `train_judge`, from uint8 images and integer labels below `classes`."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input(images.shape[1:], name="images")
    x = imagenet_normalization()(inputs)
    for index, filters in enumerate(STACKWISE_FILTERS):
        x = layers.Conv2D(filters, 3, strides=2 if index else 1, padding="same", use_bias=False)(x)
        x = layers.ReLU()(BatchNormalization(momentum=0.9, epsilon=1e-5)(x))
    x = layers.GlobalAveragePooling2D()(x)
    network = keras.Model(inputs, layers.Dense(classes, name="logits")(x), name="judge")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    fitting.fit(network, (images, labels), loss, training, seed, say)
    return network
