"""TF Serving's REST API as an ASGI application."""

import asyncio
import contextlib
import json
import logging
import re
from collections.abc import Callable

import grpc
from google.protobuf import json_format

from i2p_tf.serving.model_config import VERSION_DIGITS
from i2p_tf.serving.stand_in import json_tensors, responses
from i2p_tf.serving.stand_in.errors import ServingError, invalid
from i2p_tf.serving.stand_in.json_process import JsonProcess
from i2p_tf.serving.stand_in.limits import MAX_REQUEST_BYTES, SMALL_REQUEST_BYTES
from i2p_tf.serving.stand_in.model_store import ModelStore

MAX_BODIES_BYTES = 128 << 20  # of all requests that are being received or parsed
BODY_SECONDS = 30.0  # in which a body has to be there

_VERSION = f"[0-9]{{1,{VERSION_DIGITS}}}"
_MODEL = rf"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>{_VERSION})|/labels/(?P<label>[^/:]+))?"
_PREDICT = re.compile(_MODEL + ":predict")
_STATUS = re.compile(_MODEL)
_METADATA = re.compile(_MODEL + "/metadata")

_log = logging.getLogger(__name__)


class _ClientGone(Exception):
    """There is nobody to answer."""


class _TooLarge(Exception):
    """A body has more than `MAX_REQUEST_BYTES`."""


class RestApi:
    """The ASGI application.

    Args:
        store: a `ModelStore`.
    """

    def __init__(self, store: ModelStore) -> None:
        self._store = store
        self._bodies_bytes = 0
        self._json_process = JsonProcess()

    async def close(self) -> None:
        """Lets go of what it holds. No request may be under way."""
        await self._json_process.close()

    async def __call__(self, scope: dict, receive: Callable, send: Callable) -> None:
        try:
            status, body = 200, await self._answer(scope, receive)
        except _ClientGone:
            return
        except ServingError as error:
            status, body = error.http_status, _error(str(error))
        except _TooLarge:
            status, body = 413, _error(f"the body of a request may have {MAX_REQUEST_BYTES} bytes")
        except TimeoutError:
            status, body = 408, _error(f"the request was not complete after {BODY_SECONDS:.0f} s")
        except Exception:
            _log.exception("a request failed")
            status, body = 500, _error("internal error; the server's log has more")
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        if status == 408:
            headers.append((b"connection", b"close"))
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    async def _answer(self, scope, receive):
        method, path = scope["method"], scope["path"]
        if method == "POST" and (match := _PREDICT.fullmatch(path)):
            return await self._predict(_model(match), scope, receive)
        if method == "GET" and (match := _STATUS.fullmatch(path)):
            return _json(responses.model_status(self._store, **_model(match)))
        if method == "GET" and (match := _METADATA.fullmatch(path)):
            return self._metadata(_model(match))
        raise invalid(f"Malformed request: {method} {path}")

    def _metadata(self, model):
        with self._store.use(**model) as served:
            spec, signatures = responses.metadata(served.servable)
        return json.dumps({"model_spec": _to_dict(spec), "metadata": {"signature_def": _to_dict(signatures)}}).encode()

    async def _predict(self, model, scope, receive):
        async with self._body(scope, receive) as body:
            with self._store.use(**model) as served:
                signature, inputs, by_row, count = await self._parse(body, served.servable.signatures)
                outputs = await served.predict(signature, inputs, count)
        return json_tensors.format_outputs(outputs, by_row)

    async def _parse(self, body, signatures):
        if len(body) <= SMALL_REQUEST_BYTES:
            return json_tensors.parse(body, signatures)
        return await self._json_process.parse(body, signatures)

    @contextlib.asynccontextmanager
    async def _body(self, scope, receive):
        """Receives a body and counts it among `MAX_BODIES_BYTES` while it is used."""
        stated = dict(scope["headers"]).get(b"content-length", b"0")
        if int(stated) > MAX_REQUEST_BYTES:
            raise _TooLarge
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while await self._receive_part(receive, body):
                    pass
            yield body
        finally:
            self._bodies_bytes -= len(body)

    async def _receive_part(self, receive, body):
        """Appends to `body`; returns whether there is more."""
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _ClientGone
        body += message["body"]
        self._bodies_bytes += len(message["body"])
        if len(body) > MAX_REQUEST_BYTES:
            raise _TooLarge
        if self._bodies_bytes > MAX_BODIES_BYTES:
            raise ServingError(grpc.StatusCode.UNAVAILABLE, "too many large requests at once; try again later")
        return message.get("more_body", False)


def _model(match):
    version = match["version"]
    return {"name": match["name"], "version": None if version is None else int(version), "label": match["label"]}


def _to_dict(message):
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _json(message):
    return json.dumps(_to_dict(message)).encode()


def _error(message):
    return json.dumps({"error": message}).encode()
