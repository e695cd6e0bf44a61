"""TF Serving's REST API: pictures travel as PNG files."""

import base64
import contextlib
import io
import json
import time
import urllib.parse

import numpy as np
import urllib3
from PIL import Image

from i2p_tf.client.errors import NotInService, ServerError, Unavailable
from i2p_tf.client.model_metadata import ModelMetadata

MAX_ANSWER_BYTES = 64 << 20
_MAY_BE_RETRIED = (429, 502, 503, 504)


class RestConnection:
    """Some connections to one model; may be used from several threads.

    Args:
        url: `http://` or `https://`, a host, and optionally a port and a path in front of `/v1`.
        model: its name.
        timeout: seconds that an answer may take.
        headers: sent with each request.
        certificate: file of the authorities to trust for `https://`; the system's if None.
    """

    def __init__(self, url, model, timeout, headers, certificate=None):
        self.address = url
        self._base = f"{url.rstrip('/')}/v1/models/{urllib.parse.quote(model, safe='')}"
        self._model = model
        self._timeout = timeout
        self._pool = urllib3.PoolManager(
            maxsize=16, headers=headers, ca_certs=certificate, timeout=urllib3.Timeout(timeout), retries=False
        )

    def metadata(self, label=None):
        """`ModelMetadata` of the newest version, or of that with a label."""
        path = f"/labels/{label}/metadata" if label else "/metadata"
        answer = self._request("GET", path)
        with self._expected("its metadata"):
            version = int(answer["model_spec"]["version"])
            shapes = {
                name: _shapes(signature)
                for name, signature in answer["metadata"]["signature_def"]["signature_def"].items()
            }
        return ModelMetadata.from_shapes(version, shapes, self.address)

    def class_names(self, version, labels):
        """The names of labels, a list, and the run id."""
        outputs = self._predict(version, {"signature_name": "class_names", "inputs": list(labels)})
        with self._expected("the names of its classes"):
            return [str(name) for name in outputs["class_names"]], outputs["run_id"][0]

    def probabilities(self, version, images):
        """Float32 `(n, classes)` of uint8 images `(n, height, width, 3)`, n at least 1."""
        files = [{"b64": base64.b64encode(_png(image)).decode()} for image in images]
        outputs = self._predict(version, {"signature_name": "image_bytes", "inputs": files})
        with self._expected("probabilities"):
            return np.array(outputs["probabilities"], np.float32)

    def close(self):
        self._pool.clear()

    def _predict(self, version, request):
        answer = self._request("POST", f"/versions/{version}:predict", json.dumps(request).encode())
        with self._expected("outputs"):
            return answer["outputs"]

    def _request(self, method, path, body=None):
        """The JSON of an answer."""
        try:
            status, content = self._exchange(method, path, body)
        except urllib3.exceptions.NewConnectionError as error:  # which urllib3 counts among the time-outs
            raise self._unreachable(error) from error
        except urllib3.exceptions.TimeoutError as error:
            raise ServerError(
                f"{self.address} did not answer within {self._timeout:g} s; try a longer time-out"
            ) from error
        except urllib3.exceptions.SSLError as error:
            raise ServerError(
                f"no safe connection to {self.address}: {error}; is its certificate trusted here?"
            ) from error
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise self._unreachable(error) from error
        try:
            answer = json.loads(content)
        except ValueError:
            answer = None
        if status == 200 and isinstance(answer, dict):
            return answer
        raise self._failure(status, answer, content)

    def _exchange(self, method, path, body):
        """Status and content. A server may neither drip its answer for ever nor send one without end."""
        deadline = time.monotonic() + self._timeout
        response = self._pool.request(method, self._base + path, body=body, preload_content=False, redirect=False)
        content = bytearray()
        try:
            while chunk := response.read1(1 << 16):
                content += chunk
                if len(content) > MAX_ANSWER_BYTES:
                    raise ServerError(f"{self.address} sent more than {MAX_ANSWER_BYTES >> 20} MiB: is it TF Serving?")
                if time.monotonic() > deadline:
                    raise urllib3.exceptions.TimeoutError
        except BaseException:
            response.close()
            raise
        response.release_conn()
        return response.status, bytes(content)

    def _unreachable(self, error):
        return Unavailable(
            f"{self.address} cannot be reached ({_reason(error)}): is the server running, and is this its REST port?"
        )

    def _failure(self, status, answer, content):
        told = answer.get("error") if isinstance(answer, dict) else None
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
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise ServerError(f"{self.address} answers, but without {what}: is it TF Serving?") from error


def _shapes(signature):
    tensors = signature["inputs"] | signature["outputs"]
    return {name: [int(side["size"]) for side in info["tensor_shape"].get("dim", [])] for name, info in tensors.items()}


def _png(image):
    file = io.BytesIO()
    # The fastest compression: a protected picture hardly gets smaller with a better one.
    Image.fromarray(image).save(file, format="PNG", compress_level=1)
    return file.getvalue()


def _reason(error):
    cause = error
    while not isinstance(cause, OSError) and (cause.__cause__ or cause.__context__):
        cause = cause.__cause__ or cause.__context__
    reason = (getattr(cause, "strerror", None) or str(cause) or type(cause).__name__).lower()
    return reason if reason.isprintable() else "its answer is no HTTP"


def _excerpt(content):
    return ascii(content[:40].decode(errors="replace"))
