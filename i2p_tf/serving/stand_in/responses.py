"""What REST and gRPC both answer about a model, as TF Serving's messages."""

from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, model_pb2

# Numbers of tensorflow.serving.ModelVersionStatus.State and of google.rpc.Code.
_OK, _UNKNOWN = 0, 2


def model_status(store, name, version=None, label=None):
    """A `GetModelStatusResponse`."""
    response = get_model_status_pb2.GetModelStatusResponse()
    for number, status in store.status(name, version, label).items():
        entry = response.model_version_status.add(version=number)
        entry.state = get_model_status_pb2.ModelVersionStatus.State.Value(status.state)
        entry.status.error_code = _UNKNOWN if status.error else _OK
        entry.status.error_message = status.error
    return response


def model_spec(servable, signature_name=""):
    """A `ModelSpec` that names the version which answers."""
    spec = model_pb2.ModelSpec(name=servable.name, signature_name=signature_name)
    spec.version.value = servable.version
    return spec


def metadata(servable):
    """A `ModelSpec` and a `SignatureDefMap`."""
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, definition in servable.signature_defs.items():
        signatures.signature_def[name].CopyFrom(definition)
    return model_spec(servable), signatures
