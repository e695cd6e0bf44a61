"""TF Serving's REST API: pictures travel as PNG files."""

import base64
import contextlib
import json
import socket
import threading
import urllib.parse
from collections.abc import Sequence
from typing import Any

import numpy as np
import urllib3

from i2p_tf.client import png
from i2p_tf.client.deadline import Deadline, run_within
from i2p_tf.client.errors import NotInService, ServerError, Unavailable
from i2p_tf.client.model_metadata import ModelMetadata

MAX_ANSWER_BYTES = 1 << 20  # besides the probabilities
_BYTES_A_PROBABILITY = 64  # at most: TF Serving writes each on a line of its own, with blanks before it
_MAY_BE_RETRIED = (429, 502, 503, 504)
_LEAST_SECONDS = 0.001  # urllib3 takes no 0
_of_thread = threading.local()  # its `exchange`, where it has one


class RestConnection:
    """Some connections to one model; may be used from several threads.

    Args:
        url: `http://` or `https://`, a host, and optionally a port and a path in front of `/v1`.
        model: its name.
        headers: sent with each request.
        certificate: file of the authorities to trust for `https://`; the system's if None.

    What asks the server takes a `Deadline` and raises a `ServerError` when it has passed.
    """

    def __init__(self, url: str, model: str, headers: dict[str, str], certificate: str | None = None) -> None:
        self.address = url
        self._base = f"{url.rstrip('/')}/v1/models/{urllib.parse.quote(model, safe='')}"
        self._model = model
        self._pool = urllib3.PoolManager(maxsize=16, headers=headers, ca_certs=certificate, retries=False)
        self._pool.pool_classes_by_scheme = {"http": _HttpPool, "https": _HttpsPool}

    def metadata(self, label: str | None, deadline: Deadline) -> ModelMetadata:
        """`ModelMetadata` of the newest version, or of that with a label."""
        path = f"/labels/{label}/metadata" if label else "/metadata"
        answer = self._request("GET", path, deadline)
        with self._expected("its metadata"):
            version = int(answer["model_spec"]["version"])
            shapes = {
                name: _shapes(signature)
                for name, signature in answer["metadata"]["signature_def"]["signature_def"].items()
            }
        return ModelMetadata.from_shapes(version, shapes, self.address)

    def class_names(self, model: ModelMetadata, labels: Sequence[int], deadline: Deadline) -> tuple[list[str], str]:
        """The names of labels of a model, of which `metadata` has told, as a list; and its run id."""
        outputs = self._predict(model.version, {"signature_name": "class_names", "inputs": list(labels)}, deadline)
        with self._expected("the names of its classes"):
            names, run_id = list(outputs["class_names"]), outputs["run_id"][0]
            if not all(isinstance(text, str) for text in (*names, run_id)):
                raise TypeError
            return names, run_id

    def probabilities(self, model: ModelMetadata, images: np.ndarray, deadline: Deadline) -> np.ndarray:
        """Float32 `(n, classes)` of uint8 images `(n, height, width, 3)`, n at least 1."""
        files = [{"b64": base64.b64encode(png.encode(image)).decode()} for image in images]
        limit = MAX_ANSWER_BYTES + len(images) * model.class_count * _BYTES_A_PROBABILITY
        outputs = self._predict(model.version, {"signature_name": "image_bytes", "inputs": files}, deadline, limit)
        with self._expected("probabilities"):
            return np.array(outputs["probabilities"], np.float32)

    def close(self) -> None:
        self._pool.clear()

    def _predict(self, version, request, deadline, limit=MAX_ANSWER_BYTES):
        body = json.dumps(request).encode()
        answer = self._request("POST", f"/versions/{version}:predict", deadline, body, limit)
        with self._expected("outputs"):
            return answer["outputs"]

    def _request(self, method, path, deadline, body=None, limit=MAX_ANSWER_BYTES):
        """The JSON of an answer."""
        try:
            status, content = self._exchange(method, path, deadline, body, limit)
        except ServerError:
            raise
        except urllib3.exceptions.NewConnectionError as error:  # which urllib3 counts among the time-outs
            raise self._unreachable(error) from error
        except (TimeoutError, urllib3.exceptions.TimeoutError) as error:
            raise ServerError(
                f"{self.address} did not answer within {deadline.seconds:g} s; try a longer time-out"
            ) from error
        except urllib3.exceptions.SSLError as error:
            raise ServerError(
                f"no safe connection to {self.address}: {error}; is its certificate trusted here?"
            ) from error
        except Exception as error:  # of names, sockets and HTTP
            raise self._unreachable(error) from error
        try:
            answer = json.loads(content)
        except Exception:  # not a ValueError alone: JSON may be deep
            answer = None
        if status == 200 and isinstance(answer, dict):
            return answer
        raise self._failure(status, answer, content)

    def _exchange(self, method, path, deadline, body, limit):
        """Status and content. A server may neither drip its answer for ever nor send one without end."""
        exchange = _Exchange()

        def work():
            _of_thread.exchange = exchange
            timeout = urllib3.Timeout(max(deadline.left(), _LEAST_SECONDS))
            response = self._pool.request(
                method, self._base + path, body=body, preload_content=False, redirect=False, timeout=timeout
            )
            try:
                content = bytearray()
                while chunk := response.read1(1 << 16, decode_content=False):  # nothing packed was asked for
                    content += chunk
                    if len(content) > limit:
                        raise ServerError(f"{self.address} sent more than {limit:,} bytes: is it TF Serving?")
            except BaseException:
                response.close()
                raise
            response.release_conn()
            return response.status, bytes(content)

        return run_within(deadline, work, exchange.end)

    def _unreachable(self, error):
        return Unavailable(
            f"{self.address} cannot be reached ({_reason(error)}): is the server running, and is this its REST port?"
        )

    def _failure(self, status, answer, content):
        told = answer.get("error") if isinstance(answer, dict) else None
        told = told if isinstance(told, str) else None
        message = f"{self.address}: {told or 'no reason given'} (status {status})"
        if status in _MAY_BE_RETRIED:
            return Unavailable(f"{message}; try again later")
        if status in (401, 403):  # from a proxy: TF Serving knows no tokens
            return ServerError(f"{message}; is the token right?")
        if told is None:
            return ServerError(
                f"{self.address} answers, but not as TF Serving does (status {status}, {_excerpt(content)}): "
                "is this its REST port?"
            )
        if status == 404:
            return NotInService(f"{message}; is {self._model} the name of a model that it serves?")
        return ServerError(message)

    @contextlib.contextmanager
    def _expected(self, what):
        """Turns what goes wrong on an answer of an unexpected form into a `ServerError`."""
        try:
            yield
        except Exception as error:  # a number may be too long, or too large for its type
            raise ServerError(f"{self.address} answers, but without {what}: is it TF Serving?") from error


class _Exchange:
    """One request and its answer, for another thread to end."""

    def __init__(self):
        self._socket = None
        self._ended = False

    def goes_through(self, connection):
        """Notes the socket, which the connection may forget; if nobody waits any more, nothing is sent."""
        self._socket = connection.sock
        if self._ended:
            connection.close()
            raise TimeoutError

    def end(self):
        """Makes whatever waits for the socket fail at once."""
        self._ended = True
        if self._socket is not None:
            with contextlib.suppress(OSError):  # it may be closed by now
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)  # of TLS too, without its farewell


class _HttpConnection(urllib3.connection.HTTPConnection):
    """A connection of urllib3's that can be ended from another thread."""

    def connect(self):
        super().connect()
        _of_thread.exchange.goes_through(self)

    def request(self, *arguments: Any, **keywords: Any) -> None:
        _of_thread.exchange.goes_through(self)
        super().request(*arguments, **keywords)


class _HttpsConnection(_HttpConnection, urllib3.connection.HTTPSConnection):
    pass


class _HttpPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _HttpConnection


class _HttpsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _HttpsConnection


def _shapes(signature):
    tensors = signature["inputs"] | signature["outputs"]
    return {name: [int(side["size"]) for side in info["tensor_shape"].get("dim", [])] for name, info in tensors.items()}


def _reason(error):
    cause = error
    while not isinstance(cause, OSError) and (cause.__cause__ or cause.__context__):
        cause = cause.__cause__ or cause.__context__
    reason = (getattr(cause, "strerror", None) or str(cause) or type(cause).__name__).lower()
    return reason if reason.isprintable() else "its answer is no HTTP"


def _excerpt(content):
    return ascii(content[:40].decode(errors="replace"))
