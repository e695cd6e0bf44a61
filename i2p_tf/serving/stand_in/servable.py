"""One version of a model in memory."""

import pathlib

import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow_serving.apis import prediction_log_pb2

from i2p_tf.serving.stand_in import signatures
from i2p_tf.serving.stand_in.errors import from_tensorflow
from i2p_tf.serving.stand_in.signatures import Signature, Tensors, TensorSpec

WARM_UP = "assets.extra/tf_serving_warmup_requests"


class Servable:
    """A SavedModel, loaded and warmed up, that checks what it is asked.

    Attributes:
        name, version: of the model.
        signature_defs: name -> `SignatureDef`, as the SavedModel states them.
        signatures: name -> `Signature`.

    Args:
        name: of the model.
        version: a number.
        path: the folder of the version.

    Raises:
        Exception: whatever the file system or TensorFlow finds wrong with the folder, or with a warm-up request.
    """

    def __init__(self, name: str, version: int, path: pathlib.Path) -> None:
        path = pathlib.Path(path)
        self.name = name
        self.version = version
        self.signature_defs = _read_signature_defs(path)
        self._saved_model = tf.saved_model.load(str(path))  # the signatures live as long as this
        self.signatures = {name: self._signature(name) for name in self._saved_model.signatures}
        for request in _read_warm_up(path / WARM_UP):
            signature = signatures.find(self.signatures, request.model_spec.signature_name)
            self.run(signature, {name: tf.make_ndarray(proto) for name, proto in request.inputs.items()})

    def run(self, signature: Signature, inputs: Tensors) -> Tensors:
        """Computes.

        Args:
            signature: a `Signature` of this servable.
            inputs: name -> array, which fit it.

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

    def _signature(self, name):
        inputs = self.signature_defs[name].inputs
        return Signature(name, {key: TensorSpec(_dtype(info), _shape(info)) for key, info in inputs.items()})


def _dtype(info):
    return tf.as_dtype(info.dtype).name


def _shape(info):
    shape = tf.TensorShape(info.tensor_shape)
    return None if shape.rank is None else tuple(shape)


def _read_signature_defs(path):
    content = (path / "saved_model.pb").read_bytes()
    graphs = saved_model_pb2.SavedModel.FromString(content).meta_graphs
    served = [graph for graph in graphs if tf.saved_model.SERVING in graph.meta_info_def.tags]
    if not served:
        raise ValueError(f"{path} has no graph with the tag {tf.saved_model.SERVING!r}")
    return dict(served[0].signature_def)


def _read_warm_up(file):
    """Yields the `PredictRequest`s that have to succeed before a version is taken into service."""
    if not file.is_file():
        return
    for record in tf.data.TFRecordDataset(str(file)).as_numpy_iterator():
        log = prediction_log_pb2.PredictionLog.FromString(record)
        if log.WhichOneof("log_type") != "predict_log":
            raise ValueError(f"{file} has a request of a kind that is not served here")
        yield log.predict_log.request
