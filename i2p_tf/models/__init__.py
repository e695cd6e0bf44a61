"""Keras functional models, built from `keras.layers` and `keras.ops` alone, with their sizes as data beside them."""

from i2p_tf.models.classifiers.adaptation import adapted
from i2p_tf.models.classifiers.applications import PREFIX, application
from i2p_tf.models.classifiers.resnet import STACKWISE_BLOCKS, resnet
from i2p_tf.models.classifiers.vgg import vgg16
from i2p_tf.models.transforms import bottleneck, codebook, unet


def classifier(name, image_size, num_classes, encryption=None):
    """Builds the classifier ψ called `name`: a key of `resnet.STACKWISE_BLOCKS`, `vgg16`, or `applications:NAME`.

    With `encryption`, a key of `encryption.SCHEMES`, it has the adaptation network of that method in front.
    """
    return adapted(_plain_classifier(name, image_size, num_classes), encryption)


def transform(size, image_size, num_classes):
    """Builds the transformation network h_θ called `size`, a key of one of the tables of sizes.

    They are `bottleneck.SIZES`, `codebook.STACKWISE_BLOCKS` and `unet.STACKWISE_FILTERS`. `num_classes` is the length
    of a codebook; the others do without.
    """
    if size in bottleneck.SIZES:
        return bottleneck.bottleneck(size, image_size)
    if size in codebook.STACKWISE_BLOCKS:
        return codebook.codebook(size, image_size, num_classes)
    if size in unet.STACKWISE_FILTERS:
        return unet.unet(size, image_size)
    sizes = (*bottleneck.SIZES, *codebook.STACKWISE_BLOCKS, *unet.STACKWISE_FILTERS)
    raise ValueError(f"`size` must be one of {sizes}. Received: {size!r}")


def _plain_classifier(name, image_size, num_classes):
    if name in STACKWISE_BLOCKS:
        return resnet(name, image_size, num_classes)
    if name == "vgg16":
        return vgg16(image_size, num_classes)
    if name.startswith(PREFIX):
        return application(name.removeprefix(PREFIX), image_size, num_classes)
    raise ValueError(f"`name` must be one of {(*STACKWISE_BLOCKS, 'vgg16')}. Received: {name!r}")
