"""The HTTP server of the stand-in. No TensorFlow."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Iterator

import uvicorn

from i2p_tf.serving.errors import NotServing
from i2p_tf.serving.stand_in import http_connection

BACKLOG = 128  # connections that the system keeps until they are accepted


class Server(uvicorn.Server):
    """uvicorn's, which leaves the signals to whoever stops both protocols."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def start(
    app: Callable, bound_socket: socket.socket, connections: int, drain_seconds: int
) -> tuple[Server, asyncio.Task]:
    """Starts a server.

    Args:
        app: an ASGI application.
        bound_socket: a TCP socket that does not listen yet.
        connections: how many may be open; what comes then is closed at once.
        drain_seconds: for which requests under way are waited for at the end.

    Returns:
        The server, and the task in which it runs until its `should_exit` is set and everything is answered.

    Raises:
        NotServing: if another server listens on the port.
    """
    config = uvicorn.Config(
        app,
        http=http_connection.limited_to(connections),
        loop="none",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",
        access_log=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=drain_seconds,
    )
    server = Server(config)
    running = asyncio.create_task(server.serve(sockets=[bound_socket]))
    while not server.started:
        if running.done():
            reason = running.exception() or "the server has ended"
            raise NotServing(f"port {bound_socket.getsockname()[1]}: {reason}; give another one with --rest_port")
        await asyncio.sleep(0.01)
    return server, running
