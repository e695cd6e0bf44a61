"""The network at the cloud's side that reads drawn codes: many times the size of the encoder that made them."""

from typing import Any

import keras
from keras import layers, ops

from i2p_tf import drawing
from i2p_tf.hints import Tensor
from i2p_tf.models.layers.batch_normalization import BatchNormalization
from i2p_tf.models.layers.drawing import ReadCode, is_drawing
from i2p_tf.models.layers.minimal_filtering import Conv2D
from i2p_tf.models.transforms.code import GLOBAL, MAPS, PLACES

FILTERS = 160  # no encoder has more where the elements of the whole picture are made
BLOCKS = 4
DENSE_UNITS = 256
LAST_MAP = "last_map"  # name of the layer whose output is pooled for the class
WITH_READER = "classifier_with_reader"  # name of the network that `with_reader` builds


def reader(image_size: int, num_classes: int) -> keras.Model:
    """Builds the reader of drawings.

    Args:
        image_size: height and width of the drawings, a multiple of `drawing.GRID`.
        num_classes: number of logits.

    Returns:
        A functional model: drawings as they arrive, RGB in [0, 1], `(batch, image_size, image_size, 3)`, to logits
        `(batch, num_classes)`, float32.
    """
    pictures = keras.Input((image_size, image_size, 3), name="images")
    x = ReadCode(dtype="float32", name="read_code")(pictures)
    return keras.Model(pictures, code_reader(num_classes)(x), name="reader")


def code_reader(num_classes: int) -> keras.Model:
    """Builds the reader of codes: `(batch, 2 * drawing.ELEMENTS)`, as `cut` gives them, to logits."""
    code = keras.Input((2 * drawing.ELEMENTS,), name="cut_code")
    x = _unfolded(code)
    for block in range(1, BLOCKS + 1):
        x = _residual_block(x, f"block{block}")
    x = layers.Identity(name=LAST_MAP)(x)
    x = layers.GlobalAveragePooling2D(name="pool")(x)
    return keras.Model(code, layers.Dense(num_classes, dtype="float32", name="logits")(x), name="code_reader")


def cut(elements: Tensor, counts: Tensor) -> Tensor:
    """The first `counts` elements of codes, as a reader takes them.

    Args:
        elements: float32 `(batch, drawing.ELEMENTS)`.
        counts: integers `(batch,)`.

    Returns:
        `(batch, 2 * drawing.ELEMENTS)`: the elements, 0 where they are not sent, and 1 for each that is.
    """
    sent = ops.cast(ops.arange(drawing.ELEMENTS)[None] < ops.cast(counts, "int32")[:, None], "float32")
    return ops.concatenate([elements * sent, sent], axis=-1)


def with_reader(classifier: keras.Model, reader: keras.Model) -> keras.Model:
    """ψ for plain pictures and drawings alike: each goes to the network that reads it.

    Args:
        classifier: ψ, RGB in [0, 1] to logits.
        reader: of the same images and classes.

    Returns:
        A functional model of the same inputs and outputs; plain pictures get the bits that `classifier` gives them.
    """
    images = keras.Input(classifier.input_shape[1:], name="images")
    return keras.Model(images, Either(classifier, reader, name="either")(images), name=WITH_READER)


def readers(both: keras.Model) -> dict[str, keras.Model]:
    """The two networks of `with_reader`, `classifier` and `reader` by name."""
    either = both.get_layer("either")
    return {"classifier": either.classifier, "reader": either.reader}


@keras.saving.register_keras_serializable("i2p_tf")
class Either(layers.Layer):
    """Logits of `reader` for drawings, and of `classifier` for all other pictures."""

    def __init__(self, classifier: keras.Model, reader: keras.Model, **kwargs: Any) -> None:
        super().__init__(**kwargs | {"dtype": "float32"})
        self.classifier, self.reader = classifier, reader

    def call(self, images: Tensor) -> Tensor:
        drawn = is_drawing(images)
        shape = (ops.shape(images)[0], self.classifier.output_shape[-1])

        def logits(network):
            return lambda: ops.cast(network(images, training=False), "float32")

        def none():
            return ops.zeros(shape, "float32")

        of_drawings = ops.cond(ops.any(drawn), logits(self.reader), none)
        of_pictures = ops.cond(ops.all(drawn), none, logits(self.classifier))
        return ops.where(drawn[:, None], of_drawings, of_pictures)

    def compute_output_shape(self, input_shape: tuple) -> tuple:
        return (input_shape[0], self.classifier.output_shape[-1])

    def get_config(self) -> dict[str, Any]:
        networks = {"classifier": self.classifier, "reader": self.reader}
        return super().get_config() | {
            name: keras.saving.serialize_keras_object(network) for name, network in networks.items()
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Either":
        networks = {name: keras.saving.deserialize_keras_object(config.pop(name)) for name in ("classifier", "reader")}
        return cls(**networks, **config)


def _unfolded(code):
    """A code as one feature map."""
    of_picture = layers.Dense(DENSE_UNITS, use_bias=False, name="global_dense")(_part(code, 0, GLOBAL))
    of_picture = layers.BatchNormalization(momentum=0.9, epsilon=1e-5, name="global_bn")(of_picture)
    of_picture = layers.ReLU(name="global_relu")(of_picture)
    of_picture = layers.Dense(PLACES**2 * FILTERS, kernel_initializer="he_normal", name="global_map")(of_picture)
    of_picture = layers.Reshape((PLACES, PLACES, FILTERS), name="global_reshape")(of_picture)
    return _conv(layers.Concatenate(name="both")([of_picture, _details(code)]), FILTERS, "both")


def _details(code):
    """The elements that belong to places."""
    x = layers.Reshape((2 * MAPS, PLACES, PLACES), name="map_reshape")(_part(code, GLOBAL, drawing.ELEMENTS))
    return _conv(layers.Permute((2, 3, 1), name="map_places")(x), FILTERS, "map")


def _part(code, start, end):
    """Some of the elements, and which of them were sent."""
    return ops.concatenate([code[:, start:end], code[:, drawing.ELEMENTS + start : drawing.ELEMENTS + end]], axis=-1)


def _residual_block(x, name):
    y = _conv(x, x.shape[-1], f"{name}_1")
    y = _conv(y, x.shape[-1], f"{name}_2", activation=False)
    return layers.ReLU(name=f"{name}_relu")(layers.Add(name=f"{name}_add")([x, y]))


def _conv(x, filters, name, activation=True):
    kernel = {"kernel_initializer": "he_normal", "use_bias": False}
    x = Conv2D(filters, 3, padding="same", name=f"{name}_conv", **kernel)(x)
    x = BatchNormalization(momentum=0.9, epsilon=1e-5, name=f"{name}_bn")(x)
    return layers.ReLU(name=f"{name}_relu")(x) if activation else x
