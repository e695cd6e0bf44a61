"""Requests of few bytes that claim much: peak memory of bin/serve, and how long they keep another client waiting.

  python benchmarks/request_bombs.py --export=exports/NAME

Each is sent once to a server of its own; meanwhile another client asks for the status every 5 ms. Run it in a checkout
of an earlier commit to compare. Memory is the peak of the server and its processes beyond that of the idle server.
"""

import json
import os
import pathlib
import re
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import grpc
from absl import app, flags
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2

FLAGS = flags.FLAGS
flags.DEFINE_string("export", None, "folder that bin/export has written", required=True)
ROOT = pathlib.Path(__file__).resolve().parents[1]
PAUSE_SECONDS = 0.005
LIMIT = 16 << 20  # bytes that a request may have


def main(arguments):
    """Prints one row for each request."""
    model = pathlib.Path(FLAGS.export).resolve().name
    print("request                             bytes   beyond idle MB   other client's longest wait s   answer")
    for name, (protocol, content) in bombs(model).items():
        with Server(FLAGS.export) as server:
            send = server.post if protocol == "REST" else server.call
            send(*((model, b"{}") if protocol == "REST" else (b"",)))  # what the first request costs anyway
            idle = server.peak()
            with OtherClient(f"{server.rest}/v1/models/{model}") as other:
                answer = send(*((model, content) if protocol == "REST" else (content,)))
            beyond = server.peak() - idle
            print(f"{name:31} {len(content):9} {beyond:16.0f} {other.longest:31.2f}   {answer[:80]}", flush=True)


def bombs(model):
    """Name -> protocol and bytes."""
    fill = LIMIT - 1000
    return {
        "gRPC, 12 unknown inputs": ("gRPC", filled_up(model, [f"x{index}" for index in range(12)])),
        "gRPC, one string for 64": ("gRPC", one_string(model, LIMIT // 2)),
        "gRPC, resource handles": ("gRPC", resource_handles(model, fill // 2)),
        "REST, strings for numbers": ("REST", json.dumps({"instances": ["a" * 9000] + ["b"] * 14_000}).encode()),
        "REST, 16 MiB of numbers": ("REST", b'{"instances": [' + b"0," * (fill // 2) + b"0]}"),
        "REST, 16 MiB of objects": ("REST", b'{"instances": [' + b'{"":{}},' * (fill // 8) + b"0]}"),
        "REST, 16 MiB of long numbers": ("REST", b'{"instances": [' + (b"9" * 4000 + b",") * (fill // 4001) + b"0]}"),
        "REST, 16 MiB of brackets": ("REST", b'{"instances": ' + b"[" * fill),
        "REST, 64 kB of brackets": ("REST", b'{"instances": [' + b"[]," * 21_000 + b"0]}"),
    }


def filled_up(model, names):
    """Inputs of one value each, which shall stand for 16 million."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    for name in names:
        tensor = request.inputs[name]
        tensor.dtype = types_pb2.DT_DOUBLE
        tensor.tensor_shape.dim.add(size=16_000_000)
        tensor.double_val.append(0)
    return request.SerializeToString()


def one_string(model, length):
    """A file that shall stand for 64 of them."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = model, "image_bytes"
    tensor = request.inputs["image_bytes"]
    tensor.dtype = types_pb2.DT_STRING
    tensor.tensor_shape.dim.add(size=64)
    tensor.string_val.append(bytes(length))
    return request.SerializeToString()


def resource_handles(model, count):
    """Empty messages within a tensor, of two bytes each."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.inputs["images"].dtype = types_pb2.DT_RESOURCE
    tensor = request.inputs["images"].SerializeToString() + b"\x72\x00" * count
    entry = b"\x0a\x06images\x12" + varint(len(tensor)) + tensor
    head = predict_pb2.PredictRequest()
    head.model_spec.name = model
    return head.SerializeToString() + b"\x12" + varint(len(entry)) + entry


def varint(value):
    """A number as protobuf writes it."""
    content = bytearray()
    while value > 127:
        content.append(value & 127 | 128)
        value >>= 7
    return bytes([*content, value])


class Server:
    """The stand-in in a process of its own."""

    def __init__(self, export):
        command = [sys.executable, "-m", "i2p_tf.cli.serve", f"--export={export}", "--rest_port=0", "--grpc_port=0"]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.rest, self.grpc = re.search(r"(http://\S+) grpc://(\S+)", self.process.stdout.readline()).groups()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()

    def post(self, model, content):
        """The answer to a body, as text."""
        request = urllib.request.Request(f"{self.rest}/v1/models/{model}:predict", content, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                return f"{answer.status} {answer.read()}"
        except urllib.error.HTTPError as error:
            return f"{error.code} {error.read().decode()}"

    def call(self, content):
        """The answer to a message, as text."""
        with grpc.insecure_channel(self.grpc) as channel:
            try:
                method = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
                return f"OK, {len(method(content, timeout=300))} bytes"
            except grpc.RpcError as error:
                return f"{error.code().name} {error.details()}"

    def peak(self):
        """Megabytes: the largest resident sizes of the server and of its children, added up."""
        pids, total = [self.process.pid], 0
        for pid in pids:
            tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/children")
            pids += [int(child) for file in tasks for child in file.read_text().split()]
            total += int(re.search(r"VmHWM:\s+(\d+)", pathlib.Path(f"/proc/{pid}/status").read_text())[1])
        return total / 1000


class OtherClient:
    """Asks over and over while it is entered.

    Attributes:
        longest: seconds from a question to its answer.
    """

    def __init__(self, url):
        self.longest = 0.0
        self._url = url
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._ask)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._done.set()
        self._thread.join()

    def _ask(self):
        while not self._done.wait(PAUSE_SECONDS):
            started = time.perf_counter()
            urllib.request.urlopen(self._url, timeout=300).read()
            self.longest = max(self.longest, time.perf_counter() - started)


if __name__ == "__main__":
    app.run(main)
