"""TF Serving's gRPC services.

Requests arrive as bytes, because gRPC would unpack them whatever it costs, and log a traceback where it can't.
"""

import functools
import logging
from typing import Any

import grpc
from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2, predict_pb2

from i2p_tf.serving.stand_in import predict_request, responses, signatures
from i2p_tf.serving.stand_in.errors import ServingError, invalid
from i2p_tf.serving.stand_in.limits import SMALL_REQUEST_BYTES
from i2p_tf.serving.stand_in.model_store import ModelStore

SIGNATURE_DEF = "signature_def"  # the one kind of metadata that TF Serving has

_log = logging.getLogger(__name__)


def _answering(method):
    """Turns a `ServingError` into the status of the call."""

    @functools.wraps(method)
    async def answer(self, content, context):
        try:
            return await method(self, content)
        except ServingError as error:
            await context.abort(error.code, str(error))
        except Exception:
            _log.exception("a request failed")
            await context.abort(grpc.StatusCode.INTERNAL, "internal error; the server's log has more")

    return answer


def handlers(store: ModelStore) -> list[grpc.GenericRpcHandler]:
    """What a server answers, of a `ModelStore`: handlers for `grpc.Server.add_generic_rpc_handlers`."""
    api = GrpcApi(store)
    services = {
        "PredictionService": {"Predict": api.predict, "GetModelMetadata": api.model_metadata},
        "ModelService": {"GetModelStatus": api.model_status},
    }
    return [
        grpc.method_handlers_generic_handler(
            f"tensorflow.serving.{service}",
            {
                name: grpc.unary_unary_rpc_method_handler(
                    method, response_serializer=lambda response: response.SerializeToString()
                )
                for name, method in methods.items()
            },
        )
        for service, methods in services.items()
    ]


class GrpcApi:
    """The methods: each takes `bytes` and returns a message.

    Args:
        store: a `ModelStore`.
    """

    def __init__(self, store: ModelStore) -> None:
        self._store = store

    @_answering
    async def predict(self, content: bytes) -> Any:
        request = predict_request.parse(content)
        with self._store.use(**_model(request)) as served:
            signature = signatures.find(served.servable.signatures, request.model_spec.signature_name)
            inputs, count = predict_request.unpack(request, signature)
            outputs = await served.predict(signature, inputs, count)
        if unknown := set(request.output_filter) - set(outputs):
            raise invalid(f"output tensor alias not found in signature: {', '.join(sorted(unknown))}")
        response = predict_pb2.PredictResponse(model_spec=responses.model_spec(served.servable, signature.name))
        for name, array in outputs.items():
            if not request.output_filter or name in request.output_filter:
                responses.write_tensor(response.outputs[name], array)
        return response

    @_answering
    async def model_metadata(self, content: bytes) -> Any:
        request = _parse_small(get_model_metadata_pb2.GetModelMetadataRequest, content)
        if unknown := set(request.metadata_field) - {SIGNATURE_DEF}:
            raise invalid(f"Metadata field {', '.join(sorted(unknown))} is not supported")
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        with self._store.use(**_model(request)) as served:
            spec, signatures = responses.metadata(served.servable)
        response = get_model_metadata_pb2.GetModelMetadataResponse(model_spec=spec)
        response.metadata[SIGNATURE_DEF].Pack(signatures)
        return response

    @_answering
    async def model_status(self, content: bytes) -> Any:
        request = _parse_small(get_model_status_pb2.GetModelStatusRequest, content)
        return responses.model_status(self._store, **_model(request))


def _parse_small(kind, content):
    """A request that asks about a model, and has no reason to be long."""
    if len(content) > SMALL_REQUEST_BYTES:
        raise invalid(f"a request for metadata or status may have {SMALL_REQUEST_BYTES} bytes")
    return predict_request.parse_message(kind, content)


def _model(request):
    """Name, version and label of a request, for a `ModelStore`."""
    spec = request.model_spec
    return {
        "name": spec.name,
        "version": spec.version.value if spec.HasField("version") else None,
        "label": spec.version_label or None,
    }
