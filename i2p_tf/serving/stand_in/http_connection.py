"""An HTTP connection of uvicorn with the limits that uvicorn leaves to a proxy in front of it."""

import functools
import logging
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

REQUEST_SECONDS = 40.0  # from the first byte of a request, or from connecting, to its last
MAX_HEAD_BYTES = 64 << 10  # of the request line and the headers

_log = logging.getLogger(__name__)


def limited_to(max_connections: int) -> Any:
    """The class of connections of a server that keeps so many open at most."""
    return functools.partial(HttpConnection, max_connections)


class HttpConnection(HttpToolsProtocol):
    """Closes connections that are too many, send nothing, send for ever, or send an endless head.

    Args:
        max_connections: how many of the server may be open; what comes then is closed at once.
        arguments: uvicorn's.
    """

    def __init__(self, max_connections: int, *arguments: Any, **keywords: Any) -> None:
        super().__init__(*arguments, **keywords)
        self._max_connections = max_connections

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        if len(self.connections) > self._max_connections:
            _log.warning("more than %d connections are open: new ones are closed", self._max_connections)
            transport.abort()
        self._head_bytes = 0
        self._in_head = True
        self._timer = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self._in_head:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES and not self.transport.is_closing():
                self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        self._in_head = True
        self._timer.cancel()
        self._timer = self.loop.call_later(REQUEST_SECONDS, self.transport.abort)

    def on_headers_complete(self) -> None:
        self._in_head = False
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._timer.cancel()
        super().on_message_complete()
