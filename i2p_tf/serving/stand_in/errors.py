"""How a request fails: with one of gRPC's status codes, which REST translates as TF Serving does."""

from typing import Any

import grpc

HTTP_STATUS = {
    grpc.StatusCode.CANCELLED: 499,
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
MAX_MESSAGE = 1000  # characters; a message may quote what the client sent
_BY_NUMBER = {code.value[0]: code for code in grpc.StatusCode}


class ServingError(Exception):
    """The answer to a request that can't be served.

    Args:
        code: a `grpc.StatusCode`.
        message: one line for the client.
    """

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(code, message if len(message) <= MAX_MESSAGE else f"{message[:MAX_MESSAGE]}...")
        self.code = code

    def __str__(self) -> str:
        return self.args[1]

    @property
    def http_status(self) -> int:
        return HTTP_STATUS.get(self.code, 500)


def invalid(message: str) -> ServingError:
    """A `ServingError` that tells the client that its request is wrong."""
    return ServingError(grpc.StatusCode.INVALID_ARGUMENT, message)


def from_tensorflow(error: Any) -> ServingError:
    """A `ServingError` from a `tf.errors.OpError`, without TensorFlow's account of the graph."""
    lines = [line for line in error.message.splitlines() if line.strip() and "[[{{node" not in line]
    return ServingError(_BY_NUMBER[error.error_code], lines[-1] if lines else type(error).__name__)
