"""VGG16 with batch normalisation, in the form that is usual for small images (Simonyan & Zisserman 2015)."""

import keras
from keras import layers

from i2p_tf.models.layers.batch_normalization import BatchNormalization
from i2p_tf.models.layers.minimal_filtering import Conv2D
from i2p_tf.models.layers.normalization import imagenet_normalization

# Filters of the convolutions of each block; a 2x2 pooling follows each block.
STACKWISE_FILTERS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
DENSE_UNITS = (512, 512)
DROPOUT = 0.5


def vgg16(image_size: int, num_classes: int) -> keras.Model:
    """Builds the classifier ψ.

    Args:
        image_size: height and width of the images; a multiple of 32.
        num_classes: number of logits.

    Returns:
        A functional model: RGB in [0, 1], `(batch, image_size, image_size, 3)`, to logits `(batch, num_classes)`.
        Normalisation is its first layer; logits are float32 under every precision.
    """
    images = keras.Input((image_size, image_size, 3), name="images")
    x = imagenet_normalization()(images)
    for block, stack in enumerate(STACKWISE_FILTERS, start=1):
        for conv, filters in enumerate(stack, start=1):
            name = f"block{block}_conv{conv}"
            x = Conv2D(filters, 3, padding="same", kernel_initializer="he_normal", name=name)(x)
            x = BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
            x = layers.ReLU(name=f"{name}_relu")(x)
        x = layers.MaxPooling2D(2, name=f"block{block}_pool")(x)
    x = layers.Flatten(name="flatten")(x)
    for index, units in enumerate(DENSE_UNITS, start=1):
        x = layers.Dropout(DROPOUT, name=f"dropout{index}")(x)
        x = layers.Dense(units, activation="relu", kernel_initializer="he_normal", name=f"dense{index}")(x)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(images, logits, name="vgg16")
