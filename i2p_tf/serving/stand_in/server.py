"""A stand-in for TF Serving on one machine: REST and gRPC in one process.

It is for trying things out and for few users: one process, one thread that computes, no TLS, no monitoring.
"""

import asyncio
import contextlib
import gc
import logging
import pathlib
import signal
import socket
import sys
from collections.abc import Callable, Sequence

import grpc

from i2p_tf.serving import integrity
from i2p_tf.serving.errors import NotServing
from i2p_tf.serving.model_config import ModelConfig
from i2p_tf.serving.stand_in import cors, descriptors, grpc_api, rest_api, rest_server, server_log, web_page
from i2p_tf.serving.stand_in.limits import MAX_REQUEST_BYTES
from i2p_tf.serving.stand_in.model_store import ModelStore
from i2p_tf.serving.stand_in.servable import Servable

DRAIN_SECONDS = 30
SWITCH_SECONDS = 0.0005
MAX_CALLS = 500  # of gRPC, at the same time

_GRPC_OPTIONS = [
    ("grpc.so_reuseport", 0),  # else a second server on the same port would take half of the requests
    ("grpc.max_receive_message_length", MAX_REQUEST_BYTES),
    ("grpc.server_handshake_timeout_ms", 10_000),
    # Clients that stop in the middle of a message are let go; the others connect again without noticing.
    ("grpc.max_connection_age_ms", 300_000),
    ("grpc.max_connection_age_grace_ms", 30_000),
]

_log = logging.getLogger(__name__)


def serve(
    configs: Sequence[ModelConfig],
    host: str,
    rest_socket: socket.socket,
    grpc_port: int,
    say: Callable[[str], None],
    origins: Sequence[str] = (),
    web: pathlib.Path | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT, then answers what is under way.

    Args:
        configs: list of `ModelConfig`s.
        host: the address to listen on.
        rest_socket: a bound TCP socket for REST.
        grpc_port: the port for gRPC.
        say: called with a line once everything is in service.
        origins: which pages of others may ask from a browser; `*` for all.
        web: folder of the page that is served with the first model; None for no page.

    Raises:
        NotServing: if a model has no version that can be served, or the port for gRPC is taken.
    """
    server_log.configure()
    # The thread that computes needs the interpreter between two calls of TensorFlow, and by default waits up to 5 ms
    # each time while the event loop is busy.
    sys.setswitchinterval(SWITCH_SECONDS)
    # TensorFlow's modules stay. A full collection that looks through all of them holds everybody up for 0.2 s.
    gc.collect()
    gc.freeze()
    asyncio.run(_serve(configs, host, rest_socket, grpc_port, say, origins, web))


async def _serve(configs, host, rest_socket, grpc_port, say, origins, web):
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    asyncio.get_running_loop().set_exception_handler(server_log.of_event_loop)
    connections = descriptors.max_connections()
    store = ModelStore(configs, _load)
    try:
        if not await _finished(store.refresh(), stop):
            return
        if failures := store.failures():
            raise NotServing("; ".join(failures))
        grpc_server = await _start_grpc(store, host, grpc_port, connections)
        api = rest_api.RestApi(store)
        page = web_page.WebPage(api, web, configs[0].base_path.parent) if web else api
        app = cors.Cors(page, origins)
        http_server, running = await rest_server.start(app, rest_socket, connections, DRAIN_SECONDS)
        try:
            say(f"serving {', '.join(config.name for config in configs)}")
            await _finished(store.watch(), stop)
        finally:
            _log.info("stopping: answering what is under way")
            http_server.should_exit = True
            await asyncio.gather(grpc_server.stop(DRAIN_SECONDS), running)
            await api.close()
    finally:
        await store.close()


def _load(name, version, path):
    if unchecked := integrity.verify(path.parent, version):
        _log.warning("%s: version %d: %s", name, version, integrity.warning(unchecked))
    return Servable(name, version, path)


async def _finished(work, stop):
    """Runs `work` until it ends or `stop` is set; returns whether it ended."""
    tasks = [asyncio.ensure_future(work), asyncio.create_task(stop.wait())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await tasks[0]
        return True
    return False


async def _start_grpc(store, host, port, connections):
    options = [*_GRPC_OPTIONS, ("grpc.max_allowed_incoming_connections", connections)]
    server = grpc.aio.server(options=options, maximum_concurrent_rpcs=MAX_CALLS)
    server.add_generic_rpc_handlers(grpc_api.handlers(store))
    address = f"[{host}]" if ":" in host else host
    try:
        server.add_insecure_port(f"{address}:{port}")
    except RuntimeError as error:
        raise NotServing(f"port {port} of {host} is taken; give another one with --grpc_port") from error
    await server.start()
    return server
