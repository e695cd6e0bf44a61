"""What REST and gRPC both answer about a model, as TF Serving's messages."""

from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

from i2p_tf.serving.stand_in.model_store import ModelStore
from i2p_tf.serving.stand_in.servable import Servable

# Numbers of tensorflow.serving.ModelVersionStatus.State and of google.rpc.Code.
_OK, _UNKNOWN = 0, 2


def model_status(store: ModelStore, name: str, version: int | None = None, label: str | None = None) -> Any:
    """A `GetModelStatusResponse`."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for number, status in store.status(name, version, label).items():
        entry = response.model_version_status.add(version=number)
        entry.state = get_model_status_pb2.ModelVersionStatus.State.Value(status.state)
        entry.status.error_code = _UNKNOWN if status.error else _OK
        entry.status.error_message = status.error
    return response


def model_spec(servable: Servable, signature_name: str = "") -> Any:
    """A `ModelSpec` that names the version which answers."""
    spec = model_pb2.ModelSpec(name=servable.name, signature_name=signature_name)
    spec.version.value = servable.version
    return spec


def metadata(servable: Servable) -> tuple[Any, Any]:
    """A `ModelSpec` and a `SignatureDefMap`."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, definition in servable.signature_defs.items():
        signatures.signature_def[name].CopyFrom(definition)
    return model_spec(servable), signatures


def write_tensor(proto: Any, array: np.ndarray) -> None:
    """Fills an empty `TensorProto` with what `tf.make_tensor_proto` would make, of names and of floats much faster."""
    if array.dtype == object:
        proto.dtype = types_pb2.DT_STRING
        proto.string_val.extend(array.flat)
    elif array.dtype == np.float32 and array.size > 1:
        proto.dtype = types_pb2.DT_FLOAT
        proto.tensor_content = array.tobytes()
    else:
        proto.CopyFrom(tf.make_tensor_proto(array))
        return
    for side in array.shape:
        proto.tensor_shape.dim.add(size=side)
