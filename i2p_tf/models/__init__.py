"""Keras functional models, built from `keras.layers` and `keras.ops` alone, with their sizes as data beside them."""

from i2p_tf.models import bottleneck, unet
from i2p_tf.models.adaptation import adapted
from i2p_tf.models.resnet import STACKWISE_BLOCKS, resnet
from i2p_tf.models.vgg import vgg16


def classifier(name, image_size, num_classes, encryption=None):
    """Builds the classifier ψ called `name`: a key of `resnet.STACKWISE_BLOCKS`, or `vgg16`.

    With `encryption`, a key of `encryption.SCHEMES`, it has the adaptation network of that method in front.
    """
    return adapted(_plain_classifier(name, image_size, num_classes), encryption)


def transform(size, image_size):
    """Builds the transformation network h_θ called `size`: a key of `bottleneck.SIZES` or `unet.STACKWISE_FILTERS`."""
    if size in bottleneck.SIZES:
        return bottleneck.bottleneck(size, image_size)
    if size in unet.STACKWISE_FILTERS:
        return unet.unet(size, image_size)
    raise ValueError(f"`size` must be one of {(*bottleneck.SIZES, *unet.STACKWISE_FILTERS)}. Received: {size!r}")


def _plain_classifier(name, image_size, num_classes):
    if name in STACKWISE_BLOCKS:
        return resnet(name, image_size, num_classes)
    if name == "vgg16":
        return vgg16(image_size, num_classes)
    raise ValueError(f"`name` must be one of {(*STACKWISE_BLOCKS, 'vgg16')}. Received: {name!r}")
