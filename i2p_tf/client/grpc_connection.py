"""TF Serving's gRPC API: pictures travel as uint8 tensors. Needs the extra `grpc`."""

import contextlib
import math
from collections.abc import Sequence

import grpc
import numpy as np

from i2p_tf.client import messages
from i2p_tf.client.deadline import Deadline
from i2p_tf.client.errors import NotInService, ServerError, Unavailable
from i2p_tf.client.model_metadata import ModelMetadata

MAX_ANSWER_BYTES = 16 << 20  # 64 images of 32,768 classes are half of it
_SERVICE = "/tensorflow.serving.PredictionService/"
_DTYPES = {np.dtype(np.uint8): 4, np.dtype(np.int64): 9}  # numbers of tensorflow.DataType
_OPTIONS = [
    ("grpc.max_receive_message_length", MAX_ANSWER_BYTES),
    ("grpc.enable_http_proxy", 0),  # else pictures and token would go through whatever `http_proxy` names
    # Else a channel whose server was restarted would fail for seconds without trying.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]
_MAY_BE_RETRIED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)


class GrpcConnection:
    """A connection to one model; may be used from several threads.

    Args:
        url: `grpc://` or, with TLS, `grpcs://`, a host and a port.
        model: its name.
        headers: sent with each request.
        certificate: file of the authorities to trust for `grpcs://`; gRPC's own if None.

    What asks the server takes a `Deadline` and raises a `ServerError` when it has passed.
    """

    def __init__(self, url: str, model: str, headers: dict[str, str], certificate: str | None = None) -> None:
        self.address = url
        self._model = model
        self._metadata = [(name.lower(), value) for name, value in headers.items()]
        scheme, target = url.split("://")
        if scheme == "grpcs":
            authorities = None
            if certificate:
                with open(certificate, "rb") as file:
                    authorities = file.read()
            self._channel = grpc.secure_channel(target, grpc.ssl_channel_credentials(authorities), _OPTIONS)
        else:
            self._channel = grpc.insecure_channel(target, _OPTIONS)

    def metadata(self, label: str | None, deadline: Deadline) -> ModelMetadata:
        """`ModelMetadata` of the newest version, or of that with a label."""
        request = messages.GetModelMetadataRequest(metadata_field=["signature_def"])
        request.model_spec.name = self._model
        request.model_spec.version_label = label or ""
        response = self._call("GetModelMetadata", request, messages.GetModelMetadataResponse, deadline)
        with self._expected("its metadata"):
            packed = _by_key(response.metadata)["signature_def"]
            signatures = _by_key(messages.SignatureDefMap.FromString(packed.value).signature_def)
        shapes = {name: _shapes(signature) for name, signature in signatures.items()}
        return ModelMetadata.from_shapes(response.model_spec.version.value, shapes, self.address)

    def class_names(self, model: ModelMetadata, labels: Sequence[int], deadline: Deadline) -> tuple[list[str], str]:
        """The names of labels of a model, of which `metadata` has told, as a list; and its run id."""
        outputs = self._predict(model.version, "class_names", "labels", np.array(labels, np.int64), deadline)
        with self._expected("the names of its classes"):
            names = [name.decode() for name in outputs["class_names"].string_val]
            return names, outputs["run_id"].string_val[0].decode()

    def probabilities(self, model: ModelMetadata, images: np.ndarray, deadline: Deadline) -> np.ndarray:
        """Float32 `(n, classes)` of uint8 images `(n, height, width, 3)`, n at least 1."""
        outputs = self._predict(model.version, "serving_default", "images", images, deadline)
        with self._expected("probabilities"):
            tensor = outputs["probabilities"]
            values = np.frombuffer(tensor.tensor_content, "<f4") if tensor.tensor_content else tensor.float_val
            shape = _sides(tensor.tensor_shape)
            if math.prod(shape) != len(values):
                raise ValueError
            return np.array(values, np.float32).reshape(shape)

    def close(self) -> None:
        self._channel.close()

    def _predict(self, version, signature, name, array, deadline):
        request = messages.PredictRequest()
        request.model_spec.name = self._model
        request.model_spec.version.value = version
        request.model_spec.signature_name = signature
        tensor = request.inputs.add(key=name).value
        tensor.dtype = _DTYPES[array.dtype]
        for side in array.shape:
            tensor.tensor_shape.dim.add(size=side)
        tensor.tensor_content = array.tobytes()
        return _by_key(self._call("Predict", request, messages.PredictResponse, deadline).outputs)

    def _call(self, method, request, response_class, deadline):
        call = self._channel.unary_unary(
            _SERVICE + method,
            request_serializer=type(request).SerializeToString,
            response_deserializer=response_class.FromString,
        )
        try:
            return call(request, timeout=deadline.left(), metadata=self._metadata)
        except grpc.RpcError as error:
            raise self._failure(error, deadline) from error

    def _failure(self, error, deadline):
        code, details = error.code(), error.details() or "no reason given"
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return ServerError(f"{self.address} did not answer within {deadline.seconds:g} s; try a longer time-out")
        if code == grpc.StatusCode.RESOURCE_EXHAUSTED and "larger than max" in details:
            return ServerError(f"{self.address} sent more than {MAX_ANSWER_BYTES:,} bytes: is it TF Serving?")
        if code in _MAY_BE_RETRIED:
            return Unavailable(
                f"{self.address} cannot be reached ({details}): is the server running, and is this its gRPC port?"
            )
        message = f"{self.address}: {details} ({code.name})"
        if code == grpc.StatusCode.NOT_FOUND:
            return NotInService(f"{message}; is {self._model} the name of a model that it serves?")
        if code in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED):
            return ServerError(f"{message}; is the token right?")
        if code in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.UNIMPLEMENTED, grpc.StatusCode.INTERNAL):
            return ServerError(f"{message}: is this TF Serving's gRPC port?")
        return ServerError(message)

    @contextlib.contextmanager
    def _expected(self, what):
        """Turns what goes wrong on an answer of an unexpected form into a `ServerError`."""
        try:
            yield
        except Exception as error:  # the parser of protobuf has exceptions of its own
            raise ServerError(f"{self.address} answers, but without {what}: is it TF Serving?") from error


def _by_key(entries):
    return {entry.key: entry.value for entry in entries}


def _shapes(signature):
    return {entry.key: _sides(entry.value.tensor_shape) for entry in [*signature.inputs, *signature.outputs]}


def _sides(shape):
    return [side.size for side in shape.dim]
