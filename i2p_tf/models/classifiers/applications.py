"""Classifiers from `keras.applications`: their feature maps, averaged, and a dense layer; any size of picture."""

import pathlib

import keras
from keras import layers

from i2p_tf.errors import InputError
from i2p_tf.models.classifiers.own import RANGES

PREFIX = "applications:"
# What the networks whose names begin so take; of others it is "-1..1".
_TAKE = {"EfficientNet": "0..255", "MobileNetV3": "0..255", "ConvNeXt": "0..255", "DenseNet": "imagenet"}


def application(name: str, image_size: int, num_classes: int) -> keras.Model:
    """Builds the classifier ψ from a network of `keras.applications`, with random weights.

    Args:
        name: of the function there, as `EfficientNetV2B0`.
        image_size: height and width of the images.
        num_classes: number of logits.

    Returns:
        A functional model: RGB in [0, 1], `(batch, image_size, image_size, 3)`, to logits `(batch, num_classes)`.
    """
    images = keras.Input((image_size, image_size, 3), name="images")
    rescale = RANGES[_range(name)]()
    x = backbone(name, None)(rescale(images) if rescale else images)
    logits = layers.Dense(num_classes, dtype="float32", name="logits")(x)
    return keras.Model(images, logits, name=name.lower())


def backbone(name: str, weights: str | None) -> keras.Model:
    """The network without its head: pictures of any size to pooled features.

    Args:
        name: of the function in `keras.applications`.
        weights: `"imagenet"`, downloaded; a file; or None for random ones.

    Raises:
        InputError: if the weights can't be had; the message says what to do.
    """
    stock = weights if weights == "imagenet" else None
    try:
        build = getattr(keras.applications, name)
        network = build(include_top=False, weights=stock, input_shape=(None, None, 3), pooling="avg")
        if weights and not stock:
            network.load_weights(pathlib.Path(weights))
    except Exception as error:  # Keras raises a bare Exception when the download fails
        reason = " ".join(str(error).split())[:200]
        if stock:
            raise InputError(
                f"ImageNet weights of {name} can't be had ({reason}); give --classifier_weights=FILE, which "
                f"keras.applications.{name}(include_top=False) has written or downloaded elsewhere, or =random"
            ) from error
        raise InputError(f"--classifier_weights={weights} does not hold {name} without its top: {reason}") from error
    network.name = "backbone"
    return network


def start(classifier: keras.Model, pretrained: keras.Model) -> None:
    """Gives the backbone in `classifier` the weights of another one."""
    classifier.get_layer("backbone").set_weights(pretrained.get_weights())


def _range(name):
    return next((taken for prefix, taken in _TAKE.items() if name.startswith(prefix)), "-1..1")
