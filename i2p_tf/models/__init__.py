"""Keras functional models, built from `keras.layers` and `keras.ops` alone, with their sizes as data beside them."""

from i2p_tf.models.classifiers.table import CLASSIFIERS
from i2p_tf.models.transforms.table import TRANSFORMS


def classifier(name, image_size, num_classes, encryption=None):
    """Builds the classifier ψ called `name`, a row of `classifiers.table.CLASSIFIERS`.

    With `encryption`, a row of `encryption.SCHEMES`, it has the adaptation network of that method in front.
    """
    from i2p_tf.models.classifiers.adaptation import adapted

    return adapted(CLASSIFIERS.find(name).build(image_size, num_classes), encryption)


def transform(name, image_size, num_classes, parameters=None):
    """Builds the transformation network h_θ called `name`, a row of `transforms.table.TRANSFORMS`.

    Args:
        name: of the row.
        image_size: height and width of the images.
        num_classes: of ψ, which is the length of a codebook.
        parameters: of the row, values by name; those that are missing have their defaults.
    """
    return TRANSFORMS.find(name).build(image_size, num_classes, parameters)
