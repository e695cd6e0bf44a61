"""Keras functional models, built from `keras.layers` and `keras.ops` alone, with their sizes as data beside them."""

from i2p_tf.models.resnet import STACKWISE_BLOCKS, resnet
from i2p_tf.models.vgg import vgg16


def classifier(name, image_size, num_classes):
    """Builds the classifier ψ called `name`: a key of `resnet.STACKWISE_BLOCKS`, or `vgg16`."""
    if name in STACKWISE_BLOCKS:
        return resnet(name, image_size, num_classes)
    if name == "vgg16":
        return vgg16(image_size, num_classes)
    raise ValueError(f"`name` must be one of {(*STACKWISE_BLOCKS, 'vgg16')}. Received: {name!r}")
