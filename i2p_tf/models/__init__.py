"""Keras functional models, built from `keras.layers` and `keras.ops` alone, with their sizes as data beside them."""

from i2p_tf.hints import Network, Values
from i2p_tf.models.classifiers.table import CLASSIFIERS
from i2p_tf.models.transforms.table import TRANSFORMS
from i2p_tf.tables import load


def classifier(name: str, image_size: int, num_classes: int, encryption: str | None = None) -> Network:
    """Builds the classifier ψ called `name`, a row of `classifiers.table.CLASSIFIERS`.

    With `encryption`, a row of `encryption.SCHEMES`, it has the adaptation network of that method in front.
    """
    from i2p_tf.models.classifiers.adaptation import adapted

    return adapted(CLASSIFIERS.find(name).build(image_size, num_classes), encryption)


def transform(name: str, image_size: int, num_classes: int, parameters: Values | None = None) -> Network:
    """Builds the transformation network h_θ called `name`, a row of `transforms.table.TRANSFORMS`.

    Args:
        name: of the row.
        image_size: height and width of the images.
        num_classes: of ψ, which is the length of a codebook.
        parameters: of the row, values by name; those that are missing have their defaults.
    """
    return TRANSFORMS.find(name).build(image_size, num_classes, parameters)


def import_builders() -> None:
    """Imports what builds the networks of all rows, and so registers their layers: a saved network needs them."""
    from i2p_tf.models.layers import saved_model as saved_model  # of an own classifier

    for row in (*CLASSIFIERS.values(), *TRANSFORMS.values()):
        load(row.builder)
        load(getattr(row, "reader", None))
