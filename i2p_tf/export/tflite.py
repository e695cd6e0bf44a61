"""h_θ as TensorFlow Lite files: uint8 in, uint8 out, built-in operators only, what the client must know inside."""

import contextlib
import hashlib
import io
import json
import os
import pathlib
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import layers

import i2p_tf
from i2p_tf import drawing
from i2p_tf.client.transform_file import METADATA, SCHEMA
from i2p_tf.export import saved_model
from i2p_tf.models.layers.drawing import DrawnCode
from i2p_tf.models.transforms.codebook import Word

FLOAT_VARIANTS = ("float32", "float16")
_TAKES_NORMALIZATION = layers.Conv2D | layers.DepthwiseConv2D | layers.Dense  # that is behind it


def float_model(transform: keras.Model, variant: str) -> bytes:
    """Converts h_θ with float arithmetic; scaling and rounding are in the graph.

    Args:
        transform: h_θ, as `models.transforms.unet` builds it.
        variant: `float32`, or `float16` for weights of half the size, which the device expands when it loads them.

    Returns:
        The bytes of a TensorFlow Lite model.
    """
    folded = fold(transform)

    def protect(images):
        protected = folded(tf.cast(images, tf.float32) / 255.0, training=False)
        return {"protected": tf.cast(tf.round(protected * 255.0), tf.uint8)}

    with converter(folded, protect, tf.uint8) as conversion:
        if variant == "float16":
            conversion.optimizations = [tf.lite.Optimize.DEFAULT]
            conversion.target_spec.supported_types = [tf.float16]
        return _quietly(conversion.convert)


def int8_model(transform: keras.Model, images: np.ndarray) -> bytes:
    """Converts h_θ to 8-bit integer arithmetic, quantised after training.

    Args:
        transform: h_θ, as `models.transforms.unet` builds it.
        images: uint8 `(n, height, width, 3)`, the representative set: the ranges of all layers are measured on it.

    Returns:
        The bytes of a TensorFlow Lite model.
    """
    folded = fold(transform)
    images = images.copy()
    images[0, 0, 0], images[0, 0, 1] = 0, 255  # so that no level of an input lies outside the measured range
    representative = (np.float32(image[np.newaxis]) / np.float32(255.0) for image in images)

    with converter(folded, lambda x: {"protected": folded(x, training=False)}, tf.float32) as conversion:
        conversion.optimizations = [tf.lite.Optimize.DEFAULT]
        conversion.representative_dataset = lambda: ([image] for image in representative)
        conversion.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        conversion.inference_input_type = conversion.inference_output_type = tf.uint8
        return in_levels(_quietly(conversion.convert))


def converted_twin(twin: Any) -> bytes:
    """Converts a tf-keras network that knows the ranges of its activations; as `int8_model`."""
    with converter(twin, lambda x: {"protected": twin(x, training=False)}, tf.float32) as conversion:
        conversion.optimizations = [tf.lite.Optimize.DEFAULT]
        conversion.inference_input_type = conversion.inference_output_type = tf.uint8
        return in_levels(_quietly(conversion.convert))


def fold(transform: keras.Model) -> keras.Model:
    """h_θ for inference with the same results and fewer operations.

    Each batch normalisation becomes part of the convolution or dense layer before it, if it is directly behind one.
    Nearest upsampling becomes a concatenation and `depth_to_space`, which delegates can run, and which works for any
    batch. A codebook's word, and the drawing of a code, go without their gradients.
    """
    normalizations = {
        layer.input._keras_history.operation.name: layer
        for layer in transform.layers
        if isinstance(layer, layers.BatchNormalization)
        and isinstance(layer.input._keras_history.operation, _TAKES_NORMALIZATION)
    }
    gone = {layer.name for layer in normalizations.values()}

    def call(layer, *arguments, **keywords):
        if layer.name in gone:
            return arguments[0]
        if isinstance(layer, layers.UpSampling2D):
            return NearestUpsampling(name=layer.name)(*arguments)
        if isinstance(layer, Word):
            return LikeliestWord(name=layer.name)(*arguments)
        if isinstance(layer, DrawnCode):
            return DrawnLevels(layer.image_size, name=layer.name)(*arguments)
        return layer(*arguments, **keywords)

    folded = keras.models.clone_model(transform, call_function=call, clone_function=_clone_with_bias)
    for layer in folded.layers:
        if isinstance(layer, _TAKES_NORMALIZATION):
            layer.set_weights(_folded_weights(transform.get_layer(layer.name), normalizations.get(layer.name)))
        elif layer.weights:
            layer.set_weights(transform.get_layer(layer.name).get_weights())
    return folded


class NearestUpsampling(layers.Layer):
    """Doubles height and width by repeating pixels."""

    def call(self, inputs: Any) -> Any:
        return tf.nn.depth_to_space(tf.concat([inputs] * 4, axis=-1), 2)


class LikeliestWord(layers.Layer):
    """The word of `models.transforms.codebook.Word`, of built-in operators alone."""

    def call(self, logits: Any) -> Any:
        return tf.one_hot(tf.argmax(logits, axis=-1, output_type=tf.int32), logits.shape[-1])


class DrawnLevels(layers.Layer):
    """`models.layers.drawing.DrawnCode` by a table, whose levels are exact in 8 bits as well."""

    def __init__(self, image_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.image_size = image_size

    def call(self, elements: tf.Tensor) -> tf.Tensor:
        side = self.image_size // drawing.GRID
        values = tf.cast(tf.round((elements + 1.0) * 1.5), tf.int32)
        grey = tf.gather(tf.constant(drawing.LEVELS / 255.0, tf.float32), values)
        pixels = tf.tile(tf.reshape(grey, (-1, drawing.GRID, 1, drawing.GRID, 1)), (1, 1, side, 1, side * 3))
        return tf.reshape(pixels, (-1, self.image_size, self.image_size, 3))


@contextlib.contextmanager
def converter(model: Any, function: Callable, dtype: Any) -> Iterator[Any]:
    """A `tf.lite.TFLiteConverter` of `function`, which calls `model` on one image of `dtype` named `images`."""
    with tempfile.TemporaryDirectory() as folder:
        specification = tf.TensorSpec([1, *model.input_shape[1:]], dtype, name="images")
        signatures = {"serving_default": (function, specification)}
        _quietly(lambda: saved_model.write(model, signatures, pathlib.Path(folder)))
        yield tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=["serving_default"])


def in_levels(model: bytes) -> bytes:
    """Makes the uint8 input and output of an integer model the levels 0..255.

    The converter lets the input count in steps of the range that was measured on it, and the output in 1/256, as the
    8-bit sigmoid does. The first and the last operator change between uint8 and int8; told that the one side counts in
    1/255, they also rescale, at no cost.
    """
    from tensorflow.lite.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    graph = parsed.subgraphs[0]
    for tensor in (graph.inputs[0], graph.outputs[0]):
        graph.tensors[tensor].quantization.scale = np.array([1.0 / 255.0], np.float32)
        graph.tensors[tensor].quantization.zeroPoint = np.array([0], np.int64)
    return bytes(flatbuffer_utils.convert_object_to_bytearray(parsed))


def with_metadata(model: bytes, values: dict[str, Any]) -> bytes:
    """Appends what the client must know, as a zip archive behind the model: TensorFlow Lite's own convention.

    Args:
        model: bytes of a TensorFlow Lite model.
        values: dictionary of `run_id`, `variant`, `image_size`, `resize_rule`, `class_names`, `codewords` and
            `bits`.

    Returns:
        The bytes of the file.
    """
    metadata = {"schema": SCHEMA, "package": f"i2p_tf {i2p_tf.__version__}", "images": "uint8 NHWC RGB, 0 to 255"}
    metadata |= values | {"model_sha256": hashlib.sha256(model).hexdigest()}
    file = io.BytesIO(model)
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(zipfile.ZipInfo(METADATA), json.dumps(metadata, indent=2) + "\n")  # without the time of day
    return file.getvalue()


def operators(model: bytes) -> list[str]:
    """The names of the operators in a TensorFlow Lite model, in their order."""
    from tensorflow.lite.tools import flatbuffer_utils

    parsed = flatbuffer_utils.read_model_from_bytearray(bytearray(model))
    return [flatbuffer_utils.opcode_to_name(parsed, operator.opcodeIndex) for operator in parsed.subgraphs[0].operators]


def _clone_with_bias(layer):
    """A new layer with a bias, which the offset of a batch normalisation behind it becomes."""
    bias = {"use_bias": True} if isinstance(layer, _TAKES_NORMALIZATION) else {}
    return layer.__class__.from_config(layer.get_config() | bias)


def _folded_weights(layer, normalization):
    """Kernel and bias of a convolution or dense layer and of the batch normalisation behind it, if there is one."""
    kernel, *bias = layer.get_weights()
    bias = bias[0] if bias else np.zeros(kernel.shape[-1], np.float32)
    if normalization is None:
        return [kernel, bias]
    gamma, beta, mean, variance = (np.float64(weight) for weight in normalization.get_weights())
    scale = gamma / np.sqrt(variance + normalization.epsilon)
    by_channel = scale[:, None] if isinstance(layer, layers.DepthwiseConv2D) else scale
    return [kernel * by_channel, (bias - mean) * scale + beta]


def _quietly(function):
    """Calls a converter, whose C++ half writes pages to stderr; they are shown only if it fails."""
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            return function()
        except Exception:
            file.seek(0)
            os.write(kept, file.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
