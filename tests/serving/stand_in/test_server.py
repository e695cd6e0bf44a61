"""The stand-in in a process of its own: swaps, damage, floods, clients that stop half-way, the end."""

import asyncio
import concurrent.futures
import contextlib
import gc
import hashlib
import http.client
import json
import os
import select
import shutil
import signal
import socket
import sys
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
import tensorflow as tf
import urllib3
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

from i2p_tf.files import write_json
from i2p_tf.serving import ports
from i2p_tf.serving.errors import NotServing
from i2p_tf.serving.integrity import Damaged
from i2p_tf.serving.stand_in import rest_server
from i2p_tf.serving.stand_in import server as local_server
from i2p_tf.serving.stand_in.http_connection import MAX_HEAD_BYTES
from i2p_tf.serving.stand_in.limits import SMALL_REQUEST_BYTES

pytestmark = pytest.mark.slow

IMAGES = np.random.default_rng(0).integers(0, 256, (64, 16, 16, 3), dtype=np.uint8)
BODY = json.dumps({"instances": IMAGES[:1].tolist()}).encode()
PATH = "/v1/models/small:predict"


def connect(server):
    host, port = server.rest.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)))


def post(server, body=BODY, path=PATH):
    response = urllib3.request("POST", server.rest + path, body=body, retries=False)
    return response.status, response.json()


def works(server):
    status, answer = post(server)
    return status == 200 and len(answer["predictions"][0]["probabilities"]) == 10


def versions(server):
    answer = urllib3.request("GET", f"{server.rest}/v1/models/small", retries=False).json()
    return {int(entry["version"]): entry for entry in answer["model_version_status"]}


def wait_for(condition):
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def memory(server):
    """Resident megabytes."""
    pages = int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def add_version(export, number, damage=None):
    """Copies version 1 beside the others, whole under its name at once, and then lists it, as bin/export does."""
    hidden = export.with_name("unfinished")
    shutil.copytree(export / "classifier" / "1", hidden)
    if damage:
        damage(hidden)
    files = {file.relative_to(hidden): file.read_bytes() for file in hidden.rglob("*") if file.is_file()}
    hidden.rename(export / "classifier" / str(number))
    list_files(export, {f"classifier/{number}/{name}": content for name, content in files.items()})


def list_files(export, files):
    manifest = json.loads((export / "manifest.json").read_text())
    manifest["files"] |= {name: {"sha256": hashlib.sha256(content).hexdigest()} for name, content in files.items()}
    write_json(export / "manifest.json", manifest)


@pytest.fixture
def export(small_export, tmp_path):
    return shutil.copytree(small_export, tmp_path / "small")


def test_swaps_drop_no_request(export, start_server):
    """With a second model beside the one that changes."""
    other = shutil.copytree(export, export.with_name("other"))
    server = start_server(f"--export={export},{other}")
    asking = True
    statuses = []

    def ask():
        connection = urllib3.PoolManager(retries=False)
        while asking:
            statuses.append(connection.request("POST", server.rest + PATH, body=BODY).status)

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        clients = [pool.submit(ask) for _ in range(8)]
        for number in (2, 3):
            add_version(export, number)
            wait_for(lambda number=number: versions(server).get(number - 1, {}).get("state") == "END")
        shutil.rmtree(export / "classifier" / "3")  # rolled back
        wait_for(lambda: versions(server)[3]["state"] == "END")
        asking = False
        for client in clients:
            client.result()
    assert versions(server)[2]["state"] == "AVAILABLE"
    assert len(statuses) > 100 and set(statuses) == {200}
    assert post(server, path="/v1/models/small/versions/1:predict")[0] == 404
    assert post(server, path="/v1/models/other/versions/1:predict")[0] == 200


def damage_graph(folder):
    (folder / "saved_model.pb").write_bytes(b"damaged")


def damage_warm_up(folder):
    """The model is whole, but a request that it has to answer first isn't one."""
    shutil.copy(folder / "saved_model.pb", folder / "assets.extra" / "tf_serving_warmup_requests")


def test_damaged_versions_leave_the_old_one_in_service(export, start_server):
    server = start_server(f"--export={export}")
    for number, damage in ((2, damage_graph), (3, damage_warm_up)):
        add_version(export, number, damage)
        wait_for(lambda number=number: versions(server).get(number, {}).get("state") == "END")
        status = versions(server)[number]["status"]
        assert status["error_code"] == "UNKNOWN" and status["error_message"]
        assert "could not be loaded" in status["error_message"] and "/" not in status["error_message"]
        assert versions(server)[1]["state"] == "AVAILABLE" and works(server)
    warm_up = "assets.extra/tf_serving_warmup_requests"  # repaired in place
    shutil.copy(export / "classifier" / "1" / warm_up, export / "classifier" / "3" / warm_up)
    list_files(export, {f"classifier/3/{warm_up}": (export / "classifier" / "1" / warm_up).read_bytes()})
    wait_for(lambda: versions(server)[3]["state"] == "AVAILABLE")
    assert works(server)


def test_class_names_that_were_edited_are_not_served(export):
    """And no byte more: TensorFlow finds nothing wrong with it."""
    graph = export / "classifier" / "1" / "saved_model.pb"
    content = graph.read_bytes()
    assert b"class 3" in content
    graph.write_bytes(content.replace(b"class 3", b"class 4"))
    with pytest.raises(Damaged, match=r"^classifier/1/saved_model.pb is not the file that manifest.json lists"):
        local_server._load("small", 1, export / "classifier" / "1")


def test_requests_are_computed_together_and_one_bad_picture_is_its_senders_alone(stand_in):
    good = json.dumps({"signature_name": "image_bytes", "instances": [png64(image) for image in IMAGES[:2]]}).encode()
    bad = json.dumps({"signature_name": "image_bytes", "instances": [{"b64": "aGVsbG8="}]}).encode()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda index: post(stand_in, bad if index % 4 == 0 else good)[0], range(64)))
    assert answers == [400 if index % 4 == 0 else 200 for index in range(64)]
    status, answer = post(stand_in, json.dumps({"instances": np.tile(IMAGES, (2, 1, 1, 1)).tolist()}))
    assert status == 400 and "larger than maximum input batch size 64" in answer["error"]


def png64(image):
    import base64

    return {"b64": base64.b64encode(tf.io.encode_png(image).numpy()).decode()}


def test_too_large_bodies_are_refused_without_being_kept(stand_in):
    before = memory(stand_in)
    for headers in ("Content-Length: 100000000", "Transfer-Encoding: chunked"):
        with connect(stand_in) as connection:
            connection.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\n{headers}\r\n\r\n".encode())
            chunk = bytes(1 << 20) if "Length" in headers else b"100000\r\n" + bytes(1 << 20) + b"\r\n"
            with contextlib.suppress(OSError):
                for _ in range(95):
                    connection.sendall(chunk)
            answer = connection.recv(1000)
        assert answer.startswith(b"HTTP/1.1 413 ") and b'{"error": "the body of a request may have' in answer
    assert memory(stand_in) - before < 60
    assert works(stand_in)


def test_too_large_messages_are_refused(stand_in):
    with grpc.insecure_channel(stand_in.grpc) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        request = predict_pb2.PredictRequest()
        request.model_spec.name = "small"
        request.inputs["images"].CopyFrom(tf.make_tensor_proto(np.zeros(17 << 20, np.uint8)))
        with pytest.raises(grpc.RpcError) as caught:
            stub.Predict(request)
        assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert works(stand_in)


def test_a_few_bytes_that_stand_for_gigabytes_cost_nothing(stand_in):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "small"
    for index in range(12):
        tensor = request.inputs[f"x{index}"]
        tensor.dtype = tf.float64.as_datatype_enum
        tensor.tensor_shape.dim.add(size=16_000_000)
        tensor.double_val.append(0)
    strings = json.dumps({"instances": ["a" * 10_000] + ["b"] * 20_000})
    before = memory(stand_in)
    with grpc.insecure_channel(stand_in.grpc) as channel:
        with pytest.raises(grpc.RpcError, match="input size does not match signature") as caught:
            prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert post(stand_in, strings)[0] == 400
    assert memory(stand_in) - before < 60 and works(stand_in)


def test_malformed_messages_are_refused_without_a_line_in_the_log(stand_in):
    services = {"PredictionService": ["Predict", "GetModelMetadata"], "ModelService": ["GetModelStatus"]}
    before = stand_in.log.read_text()
    with grpc.insecure_channel(stand_in.grpc) as channel:
        for service, methods in services.items():
            for method in methods:
                call = channel.unary_unary(f"/tensorflow.serving.{service}/{method}")
                for content in (b"\xff", b"\x0a\x05", os.urandom(1000), bytes(100_000)):
                    with pytest.raises(grpc.RpcError) as caught:
                        call(content, timeout=60)
                    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/tensorflow.serving.PredictionService/Classify")(b"", timeout=60)
        assert caught.value.code() == grpc.StatusCode.UNIMPLEMENTED
    assert stand_in.log.read_text() == before


def test_a_large_request_that_is_being_read_keeps_nobody_waiting(stand_in):
    """The process that reads it is stopped meanwhile."""
    large = json.dumps({"instances": np.tile(IMAGES[:1], (40, 1, 1, 1)).tolist()})
    assert len(large) > SMALL_REQUEST_BYTES and post(stand_in, large)[0] == 200
    (reader,) = [
        int(pid)
        for pid in children(stand_in.process.pid)
        if b"json_process" in Path(f"/proc/{pid}/cmdline").read_bytes()  # there is also the one that filters stderr
    ]
    os.kill(reader, signal.SIGSTOP)
    try:
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            answer = pool.submit(post, stand_in, large)
            assert all(works(stand_in) for _ in range(5)) and not answer.done()
            os.kill(reader, signal.SIGCONT)
            assert answer.result()[0] == 200
    finally:
        os.kill(reader, signal.SIGCONT)


def children(pid):
    return [child for file in Path(f"/proc/{pid}/task").glob("*/children") for child in file.read_text().split()]


@pytest.mark.parametrize(
    "body",
    [
        b'{"instances":' + b"[" * 200_000,
        b'{"instances": [' + b"[" * 900 + b"]" * 900 + b"]}",
        b'{"signature_name": "image_bytes", "instances": [' + b"[" * 900 + b"]" * 900 + b"]}",
        b'{"instances": [1e999]}',
        b'{"instances": [' + b"9" * 5000 + b"]}",
        b'{"instances": [' + b"9" * 50 + b"]}",
        b'{"instances": [null, true, {}]}',
        b'{"instances": [{"images": {"images": []}}]}',
        b'{"signature_name": "image_bytes", "instances": [["\\ud800"], "x"]}',
        b"\xff\xfe\x00",
    ],
)
def test_odd_bodies_are_the_clients_fault(body, stand_in):
    status, answer = post(stand_in, body)
    assert status == 400 and answer["error"]


def test_clients_that_go_half_way_leave_nothing_behind(stand_in):
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(BODY)}\r\n\r\n".encode()
    for sent in (b"POST /v1", head, head + BODY[:1000], head + BODY):
        for _ in range(20):
            with connect(stand_in) as connection:
                connection.sendall(sent)
    assert works(stand_in)
    log = stand_in.log.read_text()
    assert "Traceback" not in log and "a request failed" not in log


def test_an_endless_head_is_refused(stand_in):
    def head(size):
        begin = b"GET /v1/models/small HTTP/1.1\r\nHost: x\r\nX: "
        return begin + b"x" * (size - len(begin))

    with connect(stand_in) as connection:
        connection.sendall(head(MAX_HEAD_BYTES - 4) + b"\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    with connect(stand_in) as connection:
        connection.sendall(head(MAX_HEAD_BYTES + 1))  # no more, so that the server's end meets nothing unread
        answer = b"".join(iter(lambda: connection.recv(1000), b""))
        assert answer.startswith(b"HTTP/1.1 400 ") and b"head of the request is too long" in answer
    with connect(stand_in) as connection, pytest.raises(OSError):
        for _ in range(10_000):
            connection.sendall(head(100_000))
    assert works(stand_in)


def test_many_slow_clients_keep_nobody_waiting(stand_in):
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 16000000\r\n\r\n".encode()
    with contextlib.ExitStack() as stack:
        for sent in (b"POST /v1/models/small:predict HTTP/1.1\r\nHo", head):
            for _ in range(100):
                stack.enter_context(connect(stand_in)).sendall(sent)
        assert works(stand_in)


def test_many_large_bodies_at_once_are_bounded(stand_in):
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 16000000\r\n\r\n".encode()
    before = memory(stand_in)
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(connect(stand_in)) for _ in range(12)]
        for connection in connections:
            connection.sendall(head + bytes(15_900_000))
        answered, _, _ = select.select(connections, [], [], 10)
        assert answered and all(connection.recv(100).startswith(b"HTTP/1.1 503 ") for connection in answered)
        assert memory(stand_in) - before < 250
    wait_for(lambda: works(stand_in))


def test_sigterm_answers_what_is_under_way(small_export, start_server):
    server = start_server(f"--export={small_export}")
    body = json.dumps({"instances": IMAGES.tolist()}).encode()
    late = http.client.HTTPConnection(server.rest.removeprefix("http://"))
    late.putrequest("POST", PATH)
    late.putheader("Content-Length", str(len(body)))
    late.endheaders(body[:100])  # its head has arrived, its body not
    assert works(server)  # so that the server has read the head
    server.process.send_signal(signal.SIGTERM)
    wait_for(lambda: "stopping" in server.log.read_text())
    late.send(body[100:])
    assert late.getresponse().status == 200
    assert server.process.wait(timeout=30) == 0
    with pytest.raises(OSError):
        connect(server)


def test_slow_connections_are_closed(monkeypatch):
    """With shorter limits than the server's, in this process."""
    import asyncio

    import uvicorn

    from i2p_tf.serving.stand_in import http_connection, rest_api

    monkeypatch.setattr(http_connection, "REQUEST_SECONDS", 0.4)
    monkeypatch.setattr(rest_api, "BODY_SECONDS", 0.1)
    listener = socket.create_server(("127.0.0.1", 0))
    servers = []

    async def serve():
        app = rest_api.RestApi(store=None)
        config = uvicorn.Config(
            app, http=http_connection.limited_to(9), lifespan="off", log_config=None, timeout_keep_alive=1
        )
        servers.append(rest_server.Server(config))
        await servers[0].serve(sockets=[listener])

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    try:
        for sent, answer in [
            (b"", b""),
            (b"POST /v1/models/small", b""),
            (f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n123".encode(), b"HTTP/1.1 408 "),
        ]:
            with socket.create_connection(listener.getsockname()) as connection:
                connection.settimeout(20)
                connection.sendall(sent)
                received = b""
                with contextlib.suppress(ConnectionResetError):
                    while chunk := connection.recv(1000):  # until the server closes
                        received += chunk
                assert received.startswith(answer) and bool(received) == bool(answer)
    finally:
        wait_for(lambda: servers)
        servers[0].should_exit = True
        thread.join()


def test_a_rest_port_that_another_server_listens_on_by_now_is_named():
    """Both could bind it, as a server binds its port before it loads TensorFlow and listens only afterwards."""
    with ports.bind("127.0.0.1", 0, "--rest_port") as first:
        port = first.getsockname()[1]
        with ports.bind("127.0.0.1", port, "--rest_port") as second:
            first.listen()
            with pytest.raises(NotServing, match=f"port {port}: .*--rest_port"):
                asyncio.run(rest_server.start(None, second, 9, 1))


def test_collections_of_garbage_leave_tensorflow_out(monkeypatch):
    """One that looks through its modules takes 0.2 s, in which nobody is answered."""
    found = []
    monkeypatch.setattr(local_server.asyncio, "run", lambda work: (work.close(), found.append(gc.get_freeze_count())))
    interval = sys.getswitchinterval()
    try:
        local_server.serve([], "127.0.0.1", socket.socket(), 0, print)
    finally:
        gc.unfreeze()
        sys.setswitchinterval(interval)
    assert found[0] > 100_000  # TensorFlow is loaded here
