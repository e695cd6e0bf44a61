"""TF Serving's gRPC services."""

import functools
import logging

import grpc
import tensorflow as tf
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from i2p_tf.serving import responses
from i2p_tf.serving.errors import ServingError, invalid
from i2p_tf.serving.servable import check, parse_tensors

SIGNATURE_DEF = "signature_def"  # the one kind of metadata that TF Serving has

_log = logging.getLogger(__name__)


def _answering(method):
    """Turns a `ServingError` into the status of the call."""

    @functools.wraps(method)
    async def answer(self, request, context):
        try:
            return await method(self, request)
        except ServingError as error:
            await context.abort(error.code, str(error))
        except Exception:
            _log.exception("a request failed")
            await context.abort(grpc.StatusCode.INTERNAL, "internal error; the server's log has more")

    return answer


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Predict and GetModelMetadata.

    Args:
        store: a `ModelStore`.
    """

    def __init__(self, store):
        self._store = store

    @_answering
    async def Predict(self, request):
        with self._store.use(**_model(request)) as served:
            signature = served.servable.signature(request.model_spec.signature_name)
            inputs = parse_tensors(request.inputs)
            outputs = await served.predict(signature, inputs, check(signature, inputs))
        if unknown := set(request.output_filter) - set(outputs):
            raise invalid(f"output tensor alias not found in signature: {', '.join(sorted(unknown))}")
        response = predict_pb2.PredictResponse(model_spec=responses.model_spec(served.servable, signature.name))
        for name, array in outputs.items():
            if not request.output_filter or name in request.output_filter:
                response.outputs[name].CopyFrom(tf.make_tensor_proto(array))
        return response

    @_answering
    async def GetModelMetadata(self, request):
        if unknown := set(request.metadata_field) - {SIGNATURE_DEF}:
            raise invalid(f"Metadata field {', '.join(sorted(unknown))} is not supported")
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        with self._store.use(**_model(request)) as served:
            spec, signatures = responses.metadata(served.servable)
        response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=spec)
        response.metadata[SIGNATURE_DEF].Pack(signatures)
        return response


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """GetModelStatus.

    Args:
        store: a `ModelStore`.
    """

    def __init__(self, store):
        self._store = store

    @_answering
    async def GetModelStatus(self, request):
        return responses.model_status(self._store, **_model(request))


def _model(request):
    """Name, version and label of a request, for a `ModelStore`."""
    spec = request.model_spec
    return {
        "name": spec.name,
        "version": spec.version.value if spec.HasField("version") else None,
        "label": spec.version_label or None,
    }
