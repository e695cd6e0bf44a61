"""Speed of bin/serve beside calling the SavedModel in-process, in one run; and a soak with version swaps.

  python benchmarks/serving.py --export=exports/NAME
  python benchmarks/serving.py --export=exports/NAME --soak=1000000 --state=soak.json --minutes=9

Each connection sends one image, waits for the answer and sends the next. Ways: REST with the image as JSON lists, REST
with it as PNG in base64, gRPC with it as uint8 tensor; what is sent is encoded beforehand, so that the server is
measured and not the clients, which share its processor. In-process: the same SavedModel called on batches as large as
there are connections.

A soak goes on where the file of --state says that the last one has stopped: after --minutes, or killed.
"""

import asyncio
import base64
import contextlib
import io
import json
import os
import pathlib
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

import numpy as np
from absl import app, flags
from PIL import Image

from i2p_tf.files import write_json

FLAGS = flags.FLAGS
flags.DEFINE_string("export", None, "folder that bin/export has written")
flags.DEFINE_float("seconds", 5.0, "seconds of each measurement")
flags.DEFINE_integer("rounds", 3, "rounds; the median of the rounds counts")
flags.DEFINE_integer("soak", 0, "requests of the soak; 0 for the measurement instead")
flags.DEFINE_string("state", None, "file in which a soak keeps how far it has come")
flags.DEFINE_float("minutes", None, "after which a soak stops; it goes on with the same command")

ROOT = pathlib.Path(__file__).resolve().parents[1]
CONNECTIONS = (1, 8, 64)
SWAPS = 10  # of the version, in a whole soak
PIECE = 3000  # requests of a soak between two looks at the clock and the memory


def main(arguments):
    """Starts the server, measures, prints."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # else the server would stay
    from i2p_tf.environment import describe_environment

    environment = describe_environment()
    packages = ", ".join(f"{name} {environment['packages'][name]}" for name in ("tensorflow", "numpy"))
    print(f"{environment['processor']}, {environment['cores']} cores, commit {environment['commit']}, {packages}")
    with tempfile.TemporaryDirectory() as folder:
        export = pathlib.Path(folder) / "model"
        shutil.copytree(FLAGS.export, export)
        if FLAGS.soak:
            return 1 if asyncio.run(soak(export)) else 0
        measure(export)


def measure(export):
    """Prints the table. What is timed alternates, round by round, so that a change of the machine's speed meets all."""
    images = some_images(export)
    in_process = in_process_model(export)
    alone = {connections: [] for connections in CONNECTIONS}
    served = {}
    with server(export) as (_, rest_port, grpc_port):
        for _ in range(FLAGS.rounds):
            for connections in CONNECTIONS:
                alone[connections].append(in_process_rate(in_process, images[:connections]))
                for way, client in ways(images[0], rest_port, grpc_port).items():
                    rate, p50, p99 = asyncio.run(load(client, connections))
                    served.setdefault((way, connections), []).append((rate, p50, p99, rate / alone[connections][-1]))
    medians = {
        key: [statistics.median(values) for values in zip(*rounds, strict=True)] for key, rounds in served.items()
    }
    print("\nway            connections   images/s    p50 ms    p99 ms   of in-process")
    for (way, connections), (rate, p50, p99, ratio) in sorted(medians.items()):
        print(f"{way:14} {connections:11} {rate:10.0f} {p50:9.1f} {p99:9.1f} {ratio:15.2f}")
    for connections, rates in alone.items():
        print(f"in-process, batches of {connections:3}: {statistics.median(rates):10.0f} images/s")
    for connections in CONNECTIONS:
        ratio = medians["REST bytes", connections][0] / medians["REST lists", connections][0]
        print(f"bytes are {ratio:.1f} times as fast as lists at {connections} connections")


def some_images(export):
    """64 images of random pixels: the hardest to compress, as protected ones nearly are."""
    manifest = json.loads((export / "manifest.json").read_text())
    size = manifest["image_size"]
    return np.random.default_rng(0).integers(0, 256, (max(CONNECTIONS), size, size, 3), dtype=np.uint8)


def in_process_model(export):
    """The newest version of the classifier, loaded here."""
    import tensorflow as tf

    version = max(int(folder.name) for folder in (export / "classifier").iterdir())
    return tf.saved_model.load(str(export / "classifier" / str(version)))


def in_process_rate(model, batch):
    """Images a second."""
    signature = model.signatures["serving_default"]
    signature(images=batch)
    started, count = time.perf_counter(), 0
    while time.perf_counter() - started < FLAGS.seconds:
        signature(images=batch)["probabilities"].numpy()
        count += len(batch)
    return count / (time.perf_counter() - started)


@contextlib.contextmanager
def server(export):
    """The stand-in in a process of its own; yields the process and its ports."""
    ports = []
    for _ in range(2):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            ports.append(listener.getsockname()[1])
    command = [sys.executable, "-m", "i2p_tf.cli.serve", f"--export={export}"]
    command += [f"--rest_port={ports[0]}", f"--grpc_port={ports[1]}"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            process.stdout.readline()
            yield process, *ports
        finally:
            process.send_signal(signal.SIGTERM)


def ways(image, rest_port, grpc_port):
    """Name -> a coroutine function that opens a connection and yields the function that asks once."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", compress_level=1)
    encoded = {"b64": base64.b64encode(file.getvalue()).decode()}
    return {
        "REST lists": lambda: rest_client(rest_port, {"instances": [image.tolist()]}),
        "REST bytes": lambda: rest_client(rest_port, {"signature_name": "image_bytes", "instances": [encoded]}),
        "gRPC": lambda: grpc_client(grpc_port, image),
    }


@contextlib.asynccontextmanager
async def rest_client(port, request):
    """A connection of its own, with no more HTTP than it takes, so that little of the processor goes to it."""
    body = json.dumps(request).encode()
    head = f"POST /v1/models/model:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n\r\n"
    message = head.encode() + body
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    async def ask():
        writer.write(message)
        answer = await reader.readuntil(b"\r\n\r\n")
        length = int(answer.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
        if not answer.startswith(b"HTTP/1.1 200 "):
            raise RuntimeError(answer)

    yield ask
    writer.close()
    await writer.wait_closed()


@contextlib.asynccontextmanager
async def grpc_client(port, image):
    """A channel of its own."""
    import grpc
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "model"
    request.inputs["images"].CopyFrom(tf.make_tensor_proto(image[np.newaxis]))
    content = request.SerializeToString()
    options = [("grpc.use_local_subchannel_pool", 1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options) as channel:
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        yield lambda: call(content, timeout=60)


async def load(client, connections):
    """Requests a second, and the 50th and 99th percentile of the milliseconds of one."""
    seconds = []

    async def work(until):
        async with client() as ask:
            await ask()
            ready.release()
            await begin.wait()
            while (started := time.perf_counter()) < until():
                await ask()
                seconds.append(time.perf_counter() - started)

    ready, begin = asyncio.Semaphore(0), asyncio.Event()
    deadline = [0.0]
    tasks = [asyncio.create_task(work(lambda: deadline[0])) for _ in range(connections)]
    for _ in tasks:
        await ready.acquire()
    started = time.perf_counter()
    deadline[0] = started + FLAGS.seconds
    begin.set()
    await asyncio.gather(*tasks)
    rate = len(seconds) / (time.perf_counter() - started)
    p50, p99 = np.percentile(seconds, [50, 99]) * 1000
    return rate, p50, p99


async def soak(export):
    """Sends many requests in all three ways at once and swaps the version meanwhile; returns how many failed.

    Prints memory piece by piece; it starts anew with each start of this command, as the server does.
    """
    images = some_images(export)
    state = read_state()
    begun_with = state["sent"]
    with server(export) as (process, rest_port, grpc_port):
        started = time.perf_counter()
        clients = [client for client in ways(images[0], rest_port, grpc_port).values() for _ in range(4)]
        while state["sent"] < FLAGS.soak and not out_of_time(started):
            if state["sent"] >= FLAGS.soak * (state["swaps"] + 1) / (SWAPS + 1):
                add_version(export)
                state["swaps"] += 1
            share = -(-min(PIECE, FLAGS.soak - state["sent"]) // len(clients))
            state["failed"] += sum(await asyncio.gather(*(send(client, share) for client in clients)))
            state["sent"] += share * len(clients)
            state["megabytes"].append(round(resident(process)))
            write_state(state)
            print(
                f"{state['sent']:9} requests, {state['swaps']:2} swaps, {state['failed']} failed, "
                f"resident {state['megabytes'][-1]} MB",
                flush=True,
            )
    rate = (state["sent"] - begun_with) / (time.perf_counter() - started)
    print(f"{rate:.0f} requests/s in this run; {'done' if state['sent'] >= FLAGS.soak else 'to be continued'}")
    return state["failed"]


def out_of_time(started):
    """Whether `--minutes` have passed."""
    return FLAGS.minutes is not None and time.perf_counter() - started > 60 * FLAGS.minutes


def read_state():
    """What `write_state` has written last, or the beginning."""
    if FLAGS.state and pathlib.Path(FLAGS.state).is_file():
        return json.loads(pathlib.Path(FLAGS.state).read_text())
    return {"sent": 0, "failed": 0, "swaps": 0, "megabytes": []}


def write_state(state):
    """Replaces the file of `--state`, if one is given."""
    if FLAGS.state:
        write_json(pathlib.Path(FLAGS.state), state)


def add_version(export):
    """Puts a copy of the newest version beside it, and lists it as bin/export does."""
    newest = max(int(folder.name) for folder in (export / "classifier").iterdir())
    shutil.copytree(export / "classifier" / str(newest), export.with_name("unfinished"))
    manifest = json.loads((export / "manifest.json").read_text())
    own = f"classifier/{newest}/"
    files = {name: entry for name, entry in manifest["files"].items() if name.startswith(own)}
    manifest["files"] |= {name.replace(own, f"classifier/{newest + 1}/"): entry for name, entry in files.items()}
    write_json(export / "manifest.json", manifest)
    export.with_name("unfinished").rename(export / "classifier" / str(newest + 1))


async def send(client, count):
    """How many of `count` requests failed."""
    failed = 0
    async with client() as ask:
        for _ in range(count):
            try:
                await ask()
            except Exception as error:
                print(f"failed: {error!r}"[:200])
                failed += 1
    return failed


def resident(process):
    """Megabytes of a process."""
    pages = int(pathlib.Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


if __name__ == "__main__":
    app.run(main)
