"""A classifier from the folder of a SavedModel: one signature with one input and one output, as a Keras model."""

import os
import pathlib
import re
from typing import Any

import keras
import tensorflow as tf

from i2p_tf.classifier_file import GRAPH
from i2p_tf.errors import InputError, one_line
from i2p_tf.models.layers.saved_model import SavedModel

DEFAULT = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY


def load(path: str | os.PathLike) -> keras.Model:
    """The classifier in a folder that `model.export`, `tf.saved_model.save` or Keras 2 wrote.

    Args:
        path: the folder. The model holds a copy of it, also when it is saved.

    Returns:
        A functional model of one frozen layer: pictures in the range that the SavedModel wants to its scores, float32.

    Raises:
        InputError: if it can't be loaded, or it can't be told which tensors are the pictures and the scores.
    """
    _check_version(path)
    try:
        loaded = tf.saved_model.load(os.fspath(path))
    except Exception as error:  # TensorFlow raises whatever the folder made it stumble over
        raise InputError(f"no SavedModel that can be loaded: {one_line(error)}") from error
    name, function = _signature(getattr(loaded, "signatures", {}))
    image = _only("input", function.structured_input_signature[1])
    scores = _only("output", function.structured_outputs)
    _check_tensors(image, scores[1])
    _check_operations(function)
    layer = SavedModel(name, image[0], scores[0], scores[1].shape[1], dtype="float32", name="saved_model")
    layer.load_assets(os.fspath(path))
    images = keras.Input(image[1].shape[1:], name="images")
    return keras.Model(images, layer(images), name=re.sub(r"[^A-Za-z0-9_.-]", "_", pathlib.Path(path).name))


def _check_version(path):
    """Refuses a file that is none, and one of TensorFlow 1, which has no objects."""
    from tensorflow.core.protobuf import saved_model_pb2

    content = saved_model_pb2.SavedModel()
    try:
        content.ParseFromString(pathlib.Path(path, GRAPH).read_bytes())
    except Exception as error:  # a class of its own in each implementation of protocol buffers
        raise InputError(f"{GRAPH} is damaged: {one_line(error)}") from error
    if not content.meta_graphs:
        raise InputError(f"{GRAPH} is damaged: it holds no graph")
    if not content.meta_graphs[0].HasField("object_graph_def"):
        raise InputError("a SavedModel of TensorFlow 1; save it anew with TensorFlow 2")


def _signature(signatures):
    names = sorted(signatures)
    if not names:
        raise InputError("it has no signature; model.export('FOLDER') and tf.saved_model.save(signatures=...) give one")
    name = DEFAULT if DEFAULT in names else names[0]
    if name != DEFAULT and len(names) > 1:
        raise InputError(f"none of its signatures is called {DEFAULT}. Received: {', '.join(names)}")
    return name, signatures[name]


def _only(what, tensors: dict[str, Any]) -> tuple[str, tf.TensorSpec]:
    """The name and the specification of the only one."""
    if len(tensors) != 1:
        names = f" ({', '.join(sorted(tensors))})" if tensors else ""
        raise InputError(f"its signature has {len(tensors)} {what}s{names}; a classifier has one")
    (found,) = tensors.items()
    return found


def _check_tensors(image, scores):
    name, pictures = image
    if not pictures.dtype.is_floating:
        raise InputError(
            f"its input {name} is {pictures.dtype.name}, by which scores have no gradient; float32 is needed"
        )
    if pictures.shape.rank is None or scores.shape.rank is None:
        raise InputError(
            "its signature does not say the shapes of its pictures and scores; save it with an input_signature"
        )
    if pictures.shape.rank and pictures.shape[0] is not None:
        raise InputError(f"it takes batches of {pictures.shape[0]} alone; save it with an input of (None, ...)")
    if scores.shape.rank != 2 or scores.shape[1] is None:
        raise InputError(f"it gives {scores.shape}; one row of scores for each picture is needed, (None, classes)")
    if not scores.dtype.is_floating:
        raise InputError(f"it gives {scores.dtype.name}; scores of all classes are needed, float32")


def _check_operations(function):
    """Code in Python stays with the process that saved it."""
    graph = function.graph.as_graph_def()
    nodes = [*graph.node, *(node for inner in graph.library.function for node in inner.node_def)]
    if any("PyFunc" in node.op for node in nodes):
        raise InputError(
            "it calls code in Python (tf.py_function, tf.numpy_function), which a SavedModel does not hold"
        )
