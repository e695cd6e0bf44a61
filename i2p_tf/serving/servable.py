"""One version of a model in memory."""

import collections
import math
import pathlib

import grpc
import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from i2p_tf.serving.errors import ServingError, from_tensorflow, invalid

DEFAULT_SIGNATURE = "serving_default"
MAX_TENSOR_SIZE = 16 << 20  # values
WARM_UP = "assets.extra/tf_serving_warmup_requests"

Signature = collections.namedtuple("Signature", ["name", "inputs"])  # inputs: name -> tf.TensorSpec


class Servable:
    """A SavedModel, loaded and warmed up, that checks what it is asked.

    Attributes:
        name, version: of the model.
        signature_defs: name -> `SignatureDef`, as the SavedModel states them.

    Args:
        name: of the model.
        version: a number.
        path: the folder of the version.

    Raises:
        Exception: whatever the file system or TensorFlow finds wrong with the folder, or with a warm-up request.
    """

    def __init__(self, name, version, path):
        path = pathlib.Path(path)
        self.name = name
        self.version = version
        self.signature_defs = _read_signature_defs(path)
        self._saved_model = tf.saved_model.load(str(path))  # the signatures live as long as this
        for signature, inputs in _read_warm_up(path / WARM_UP):
            self.run(self.signature(signature), inputs)

    def signature(self, name):
        """The `Signature` of that name, or the default one for an empty name; `ServingError` if there is none."""
        name = name or DEFAULT_SIGNATURE
        if name not in self._saved_model.signatures:
            raise ServingError(grpc.StatusCode.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        inputs = self.signature_defs[name].inputs
        specs = {key: tf.TensorSpec(info.tensor_shape, info.dtype) for key, info in inputs.items()}
        return Signature(name, specs)

    def run(self, signature, inputs):
        """Computes.

        Args:
            signature: a `Signature` of this servable.
            inputs: name -> array; `check` has found nothing wrong with them.

        Returns:
            Name -> array.

        Raises:
            ServingError: with what TensorFlow found wrong.
        """
        tensors = {name: tf.constant(array) for name, array in inputs.items()}
        try:
            outputs = self._saved_model.signatures[signature.name](**tensors)
        except tf.errors.OpError as error:
            raise from_tensorflow(error) from error
        return {name: tensor.numpy() for name, tensor in outputs.items()}


def check(signature, inputs):
    """Refuses inputs that don't fit a signature, before they are batched with those of others.

    Args:
        signature: a `Signature`.
        inputs: name -> array; strings as arrays of `bytes` objects.

    Returns:
        The number of examples in the batch.

    Raises:
        ServingError: says which input, and what it should be.
    """
    sent, wanted = set(inputs), set(signature.inputs)
    if sent != wanted:
        raise invalid(
            f"input size does not match signature: {len(sent)}!={len(wanted)} len({{{','.join(sorted(sent))}}}) != "
            f"len({{{','.join(sorted(wanted))}}}). Sent extra: {{{','.join(sorted(sent - wanted))}}}. "
            f"Missing but required: {{{','.join(sorted(wanted - sent))}}}."
        )
    for name, spec in signature.inputs.items():
        array = inputs[name]
        dtype = tf.string if array.dtype == object else tf.as_dtype(array.dtype)
        if dtype != spec.dtype:
            raise invalid(f"input {name} expects {spec.dtype.name} but {dtype.name} is provided")
        if not spec.shape.is_compatible_with(array.shape):
            raise invalid(f"input {name} expects shape {spec.shape} but {tf.TensorShape(array.shape)} is provided")
    counts = {array.shape[:1] for array in inputs.values()}
    if len(counts) != 1 or counts == {()}:
        raise invalid("Batching session Run() input tensors must have equal 0th-dimension size")
    return counts.pop()[0]


def parse_tensors(protos):
    """Name -> array, from a map of `TensorProto`s that a client has sent; `ServingError` if one is malformed."""
    inputs = {}
    for name, proto in protos.items():
        sides = [side.size for side in proto.tensor_shape.dim]
        # A single value may stand for a tensor of any size, so the size is looked at before there is memory for it.
        if min(sides, default=0) < 0 or math.prod(sides) > MAX_TENSOR_SIZE:
            raise invalid(f"input {name} has shape {sides}; a tensor may have {MAX_TENSOR_SIZE} values")
        try:
            inputs[name] = np.asarray(tf.make_ndarray(proto))
        except (TypeError, ValueError, KeyError) as error:
            raise invalid(f"input {name} is no valid TensorProto: {error}") from error
    return inputs


def _read_signature_defs(path):
    content = (path / "saved_model.pb").read_bytes()
    graphs = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    served = [graph for graph in graphs if tf.saved_model.SERVING in graph.meta_info_def.tags]
    if not served:
        raise ValueError(f"{path} has no graph with the tag {tf.saved_model.SERVING!r}")
    return dict(served[0].signature_def)


def _read_warm_up(file):
    """Yields signature name and inputs of the requests that have to succeed before a version is taken into service."""
    if not file.is_file():
        return
    for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        if log.WhichOneof("log_type") != "predict_log":
            raise ValueError(f"{file} has a request of a kind that is not served here")
        request = log.predict_log.request
        yield request.model_spec.signature_name, parse_tensors(request.inputs)
