"""More connections than a server has room for."""

import contextlib
import re
import resource
import socket
import subprocess
import sys
import time

import pytest

from i2p_tf.serving.stand_in import descriptors

# The HTTP server alone, under the given limit of descriptors, for the given number of connections.
SERVER = """
import asyncio, resource, sys
from i2p_tf.serving import ports
from i2p_tf.serving.stand_in import rest_server, server_log

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})

async def serve():
    asyncio.get_running_loop().set_exception_handler(server_log.of_event_loop)
    bound = ports.bind("127.0.0.1", 0, "--rest_port")
    _, running = await rest_server.start(app, bound, int(sys.argv[2]), 1)
    print(bound.getsockname()[1], flush=True)
    await running

server_log.configure()
resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[1]),) * 2)
asyncio.run(serve())
"""


@contextlib.contextmanager
def server(tmp_path, max_descriptors, max_connections):
    """Yields its port and the file of its stderr."""
    log = tmp_path / "stderr"
    command = [sys.executable, "-c", SERVER, str(max_descriptors), str(max_connections)]
    with open(log, "wb") as stderr, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=stderr) as process:
        try:
            yield int(process.stdout.readline()), log
        finally:
            process.terminate()


def ask(connection):
    """The first line of an answer; empty if the connection was closed."""
    connection.settimeout(60)
    with contextlib.suppress(ConnectionError):
        connection.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\n\r\n")
        return connection.recv(1000).partition(b"\r\n")[0]
    return b""


def connect(port):
    return socket.create_connection(("127.0.0.1", port))


def wait_until_served(port):
    deadline = time.monotonic() + 60
    while True:
        with connect(port) as connection:
            if ask(connection).startswith(b"HTTP/1.1 200 "):
                return
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_what_is_beyond_the_largest_number_is_closed_at_once(tmp_path):
    with server(tmp_path, 200, 10) as (port, log):
        with contextlib.ExitStack() as stack:
            first = [stack.enter_context(connect(port)) for _ in range(10)]
            assert all(ask(connection).startswith(b"HTTP/1.1 200 ") for connection in first)
            more = [stack.enter_context(connect(port)) for _ in range(50)]
            assert [ask(connection) for connection in more] == [b""] * 50
        wait_until_served(port)
        lines = log.read_text().splitlines()
        assert lines and all("more than 10 connections are open: new ones are closed" in line for line in lines)
        times = [line[:19] for line in lines]  # to the second
        assert len(lines) <= len(set(times)) + 1


def test_without_descriptors_the_server_waits_and_says_so_once_a_second(tmp_path):
    """Should anything else use them up."""
    with server(tmp_path, 30, 1000) as (port, log):
        with contextlib.ExitStack() as stack:
            for _ in range(100):
                stack.enter_context(connect(port))
            deadline = time.monotonic() + 60
            while not log.read_text():
                assert time.monotonic() < deadline
                time.sleep(0.02)
        wait_until_served(port)
        lines = log.read_text().splitlines()
        assert all(re.search(r"socket.accept\(\) out of system resource: Too many open files", line) for line in lines)
        assert len(lines) <= len({line[:19] for line in lines}) + 1


@pytest.mark.parametrize(
    ("limits", "raised", "expected"),
    [
        ((1024, 4096), 2128, 1000),
        ((1024, resource.RLIM_INFINITY), 2128, 1000),
        ((1024, 1024), 1024, 448),
        ((1024, 2000), 2000, 936),
        ((64, 64), 64, 8),
        ((20_000, 20_000), None, 1000),
        ((resource.RLIM_INFINITY,) * 2, None, 1000),
    ],
)
def test_the_soft_limit_is_raised_as_far_as_it_may(limits, raised, expected, monkeypatch):
    current = [limits]
    monkeypatch.setattr(resource, "getrlimit", lambda kind: current[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda kind, pair: current.append(pair))
    assert descriptors.max_connections() == expected
    assert current[-1] == ((raised or limits[0]), limits[1])
