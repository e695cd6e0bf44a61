"""Peers that never end: how long a client waits for a server that drips, and what idle connections do to bin/serve.

  python benchmarks/hostile_peers.py --export=exports/NAME

The first part asks servers that send byte after byte, each well within the time-out. The second holds more idle
connections than a server's soft limit of descriptors, and asks it something over one more.
"""

import contextlib
import logging
import os
import pathlib
import re
import resource
import socket
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from absl import app, flags

from i2p_tf.client.classifier import Classifier
from i2p_tf.client.errors import ServerError
from i2p_tf.environment import describe_environment

ROOT = pathlib.Path(__file__).resolve().parents[1]
FLAGS = flags.FLAGS
flags.DEFINE_string("export", None, "folder that bin/export has written", required=True)
flags.DEFINE_float("timeout", 2.0, "of the client, in seconds")
flags.DEFINE_integer("connections", 1_100, "that are idle")
flags.DEFINE_integer("seconds", 20, "for which they are held")

SOFT_LIMIT = 1_024  # descriptors, as most systems have it
PAUSE_SECONDS = 0.5
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
DRIPS = {  # what is sent first, and then again and again
    "status line": (b"", b"H"),
    "headers": (HEAD, b"x"),
    "100 Continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": (HEAD + b"Content-Length: 100000\r\n\r\n", b"x"),
    "chunks": (CHUNKED, b"1\r\nx\r\n"),
    "trailers": (CHUNKED + b"0\r\n", b"X: y\r\n"),
}


def main(arguments):
    """Prints a row for each kind of server, and what happened to the one with idle connections."""
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # as bin/classify shows it
    print(f"--timeout={FLAGS.timeout:g}; a server that drips   seconds until the client gave up   what it said")
    for name, (first, again) in DRIPS.items():
        with dripping(first, again) as url:
            print("{:38} {:20.2f}   {}".format(name, *asked(url)), flush=True)
    idle_connections()
    environment = describe_environment()
    print(f"{environment['processor']}, commit {environment['commit']}")


def asked(url):
    """Seconds, and the error."""
    images = np.zeros((1, 32, 32, 3), np.uint8)
    started = time.perf_counter()
    try:
        with Classifier(url, "model", timeout=FLAGS.timeout) as classifier:
            classifier.predict(images, plain=True)
        said = "answered"
    except ServerError as error:
        said = str(error)
    return time.perf_counter() - started, said


@contextlib.contextmanager
def dripping(first, again):
    """Yields the address of a server that answers so for ever."""

    def drip(connection):
        with connection, contextlib.suppress(OSError):
            connection.recv(1000)
            connection.sendall(first)
            while True:
                connection.sendall(again)
                time.sleep(PAUSE_SECONDS)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=drip, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield "http://{}:{}".format(*listener.getsockname())


def idle_connections():
    """Holds them, asks, and prints lines of the log, processor time and the waiting."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (FLAGS.connections + 100, hard))
    with (
        tempfile.NamedTemporaryFile("ab") as log,
        started(log) as (process, host, port),
        contextlib.ExitStack() as held,
    ):
        begun, lines = processor_seconds(process.pid), log_lines(log.name)
        for _ in range(FLAGS.connections):
            held.enter_context(socket.create_connection((host, port)))
        time.sleep(FLAGS.seconds)
        used, lines = processor_seconds(process.pid) - begun, log_lines(log.name) - lines
        print(
            f"{FLAGS.connections} idle connections, soft limit {SOFT_LIMIT}: in {FLAGS.seconds} s {used:.1f} processor "
            f"seconds and {lines} lines of log; one more client: {status(host, port)}"
        )
        held.close()
        print(f"when they are gone: {status(host, port)}")


@contextlib.contextmanager
def started(log):
    """Yields the process of a server under the soft limit, its host and its port."""
    command = [sys.executable, "-m", "i2p_tf.cli.serve", f"--export={FLAGS.export}", "--rest_port=0", "--grpc_port=0"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "2"}
    process = subprocess.Popen(
        ["sh", "-c", f'ulimit -S -n {SOFT_LIMIT}; exec "$@"', "sh", *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=log,
        text=True,
    )
    try:
        host, port = re.search(r"http://([^:]+):(\d+)", process.stdout.readline()).groups()
        yield process, host, int(port)
    finally:
        process.terminate()
        process.wait()


def status(host, port):
    """How a new client fares, in words."""
    begun = time.perf_counter()
    try:
        with socket.create_connection((host, port), timeout=30) as connection:
            connection.sendall(f"GET /v1/models/x HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            first = connection.recv(1000).partition(b"\r\n")[0].decode()
    except OSError as error:
        first = type(error).__name__
    return f"{first or 'closed at once'} after {time.perf_counter() - begun:.2f} s"


def processor_seconds(pid):
    """User and system time of a process so far."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def log_lines(path):
    """How many there are so far."""
    return pathlib.Path(path).read_bytes().count(b"\n")


if __name__ == "__main__":
    app.run(main)
