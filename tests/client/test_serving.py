"""The client against the stand-in, and against servers that misbehave."""

import base64
import concurrent.futures
import contextlib
import http.server
import io
import json
import socket
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

import grpc
import numpy as np
import pytest
from PIL import Image

import i2p_tf
from i2p_tf import client
from i2p_tf.client import messages
from i2p_tf.client import serving as client_serving
from i2p_tf.client.errors import ModelMismatch, NotInService, ServerError, Unavailable
from i2p_tf.errors import InputError

TLS = Path(__file__).parent / "tls"  # a key for tests only: it protects nothing
CERTIFICATE = str(TLS / "certificate.pem")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(client_serving, "_PAUSE_SECONDS", 0.01)


@pytest.fixture(scope="session")
def transform(small_export):
    return i2p_tf.load_transform(small_export)


@pytest.fixture
def images16():
    return np.random.default_rng(0).integers(0, 256, (70, 16, 16, 3), dtype=np.uint8)


@pytest.fixture(params=["rest", "grpc"])
def address(request, stand_in):
    return stand_in.rest if request.param == "rest" else f"grpc://{stand_in.grpc}"


def expected(small_export, images):
    import tensorflow as tf

    loaded = tf.saved_model.load(str(small_export / "classifier" / "1"))
    return loaded.signatures["serving_default"](images=tf.constant(images))["probabilities"].numpy()


@pytest.mark.slow
def test_the_protected_images_are_classified(address, small_export, transform, images16):
    protected = transform(images16)
    with client.Classifier(address, "small", transform) as classifier:
        np.testing.assert_allclose(classifier.predict(images16), expected(small_export, protected), atol=1e-6)
        plain = classifier.predict(images16[:1], plain=True)
        np.testing.assert_allclose(plain, expected(small_export, images16[:1]), atol=1e-6)
        assert classifier.predict(images16[:0]).shape == (0, 10)
        assert classifier.class_names == [f"class {index}" for index in range(10)] and classifier.image_size == 16
        with pytest.raises(ValueError, match="must be uint8"):
            classifier.predict(np.float32(images16))


@pytest.mark.slow
def test_pictures_of_any_kind(address, transform, images16, tmp_path):
    Image.fromarray(images16[0]).save(tmp_path / "a.png")
    Image.fromarray(images16[1].repeat(3, axis=1)).save(tmp_path / "b.jpg")
    (tmp_path / "c.txt").write_text("no picture")
    with client.Classifier(address, "small", transform) as classifier:
        sources = [tmp_path / "a.png", tmp_path / "c.txt", tmp_path / "b.jpg"]
        results = list(classifier.classify(sources, top=3))
        probabilities = classifier.predict(images16[:1])[0]
    assert [result.source for result in results] == sources
    assert results[1].labels == () and "not a picture" in results[1].reason
    best = np.argsort(-probabilities)[:3]
    assert [name for name, _ in results[0].labels] == [f"class {index}" for index in best]
    np.testing.assert_allclose([value for _, value in results[0].labels], probabilities[best], atol=1e-6)
    assert len(results[2].labels) == 3


@pytest.mark.slow
def test_a_transform_of_another_run_is_refused_and_nothing_sent(address, other_export, images16):
    with (
        client.Classifier(address, "small", i2p_tf.load_transform(other_export)) as classifier,
        pytest.raises(ModelMismatch, match=f"{address} is of run .* Nothing was sent"),
    ):
        classifier.predict(images16[:1])


@pytest.mark.slow
def test_an_unknown_model_or_label_is_named(address, transform, images16):
    with pytest.raises(NotInService, match="is nobody the name of a model"):
        client.Classifier(address, "nobody", transform).predict(images16[:1])
    with pytest.raises(ServerError, match="label"):
        client.Classifier(address, "small", transform, label="canary").predict(images16[:1])


@pytest.mark.slow
def test_many_threads_share_a_classifier(address, transform, images16):
    with client.Classifier(address, "small", transform) as classifier:
        whole = classifier.predict(images16[:8])
        answers = [None] * 8

        def ask(index):
            answers[index] = classifier.predict(images16[index : index + 1])

        threads = [threading.Thread(target=ask, args=(index,)) for index in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    np.testing.assert_allclose(np.concatenate(answers), whole, atol=1e-6)


class FakeTransform:
    """Inverts; belongs to the run of `Fake`."""

    image_size, resize_rule, run_id = 16, "crop", "r"

    def __call__(self, images):
        return 255 - images


def test_a_new_version_is_compared_before_it_is_asked(images16):
    with Fake() as fake, client.Classifier(fake.url, "small", FakeTransform()) as classifier:
        classifier.predict(images16[:1])
        fake.version = 2
        classifier.predict(images16[:1])
        assert [path for path, _ in fake.predictions()] == ["/v1/models/small/versions/1:predict"] * 2 + [
            "/v1/models/small/versions/2:predict"
        ]
        fake.version, fake.run_id = 3, "another"
        with pytest.raises(ModelMismatch, match="version 3 .* of run another, the transform of run r"):
            classifier.predict(images16[:1])
        assert len(fake.sent()) == 4 and not any("versions/3" in path for path, _ in fake.predictions())


def test_what_is_sent_is_what_the_transform_made(images16):
    with Fake() as fake, client.Classifier(fake.url, "small", FakeTransform()) as classifier:
        classifier.predict(images16[:2])
        (request,) = fake.sent()
    files = [base64.b64decode(file["b64"]) for file in request["inputs"]]
    np.testing.assert_array_equal([np.asarray(Image.open(io.BytesIO(file))) for file in files], 255 - images16[:2])
    assert all(file.startswith(b"\x89PNG") for file in files)


def test_a_restarted_server_goes_unnoticed(images16):
    with Fake() as fake, client.Classifier(fake.url, "small") as classifier:
        classifier.predict(images16[:1], plain=True)
        port = fake.server.server_port
        fake.stop()
        with pytest.raises(Unavailable, match=f"{fake.url} cannot be reached .*is the server running"):
            classifier.predict(images16[:1], plain=True)
        with Fake(port=port):
            assert classifier.predict(images16[:1], plain=True).shape == (1, 10)


def test_bad_addresses():
    for server, message in [
        ("127.0.0.1:8501", "http://"),
        ("ftp://host", "unknown kind of address"),
        ("http://", "has the form"),
        ("http://user@host", "has the form"),
        ("http://host:99999", "no address of a server"),
        ("grpc://host", "no port"),
        ("grpc://host:1/path", "has the form"),
    ]:
        with pytest.raises(InputError, match=message):
            client.Classifier(server, "small")
    with pytest.raises(InputError, match="unencrypted"):
        client.Classifier("http://example.org", "small", token="secret")
    for timeout in (0, float("nan"), float("inf")):
        with pytest.raises(InputError, match="timeout"):
            client.Classifier("http://host", "small", timeout=timeout)
    for token in ("", "two\nlines", "\u2026"):
        with pytest.raises(InputError, match="the token must be one line"):
            client.Classifier("https://host", "small", token=token)


@pytest.mark.parametrize("server", ["GRPCS://host:1", " grpcs://host:1/"])
def test_tls_is_used_however_the_address_is_written(server, monkeypatch):
    """And with it the token travels encrypted."""
    opened = []
    for kind in ("secure_channel", "insecure_channel"):
        monkeypatch.setattr(grpc, kind, lambda target, *_, kind=kind: opened.append((kind, target)))
    client.Classifier(server, "small", token="secret")
    assert opened == [("secure_channel", "host:1")]


def test_without_a_transform_only_plain_images_are_sent(images16):
    with Fake() as fake, client.Classifier(fake.url, "small") as classifier:
        with pytest.raises(ValueError, match="no transform"):
            classifier.predict(images16[:1])
        assert fake.sent() == []
        assert classifier.predict(images16[:2], plain=True).shape == (2, 10)
        assert len(fake.sent()) == 1


def test_large_batches_are_split(images16, monkeypatch):
    with Fake() as fake, client.Classifier(fake.url, "small") as classifier:
        classifier.predict(images16, plain=True)
        assert [len(request["inputs"]) for request in fake.sent()] == [64, 6]
        monkeypatch.setattr(client_serving, "MAX_REQUEST_BYTES", 12_000)
        classifier.predict(images16[:20], plain=True)
        assert [len(request["inputs"]) for request in fake.sent()[2:]] == [10, 10]
        assert max(fake.lengths) < 64 * 16 * 16 * 3 * 1.5


def test_what_the_client_sends_at_once_is_what_the_server_takes():
    from i2p_tf.serving.limits import MAX_BATCH_SIZE

    assert client_serving.MAX_REQUEST_IMAGES <= MAX_BATCH_SIZE


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_succeed_later_is_tried_again(status, images16):
    with Fake(failures=[status, status]) as fake, client.Classifier(fake.url, "small", attempts=3) as classifier:
        assert classifier.predict(images16[:1], plain=True).shape == (1, 10)
    with Fake(failures=[status] * 3) as fake, client.Classifier(fake.url, "small", attempts=3) as classifier:
        with pytest.raises(Unavailable, match=f"{fake.url}: .*status {status}.*try again later"):
            classifier.predict(images16[:1], plain=True)
        assert len(fake.paths) == 3


@pytest.mark.parametrize(
    ("status", "message"), [(400, "not as TF Serving"), (401, "token"), (500, "not as TF Serving")]
)
def test_what_will_not_succeed_is_asked_once(status, message, images16):
    with Fake(failures=[status] * 9) as fake, client.Classifier(fake.url, "small") as classifier:
        with pytest.raises(ServerError, match=message):
            classifier.predict(images16[:1], plain=True)
        assert len(fake.paths) == 1


@pytest.mark.parametrize(
    "answer",
    [b"<html>", b"", b"[]", b"{}", b'{"model_spec": 1}', b'{"model_spec": {"version": "1"}, "metadata": {}}', b"null"],
)
def test_garbage_names_the_address(answer, images16):
    with Fake(metadata=answer) as fake, client.Classifier(fake.url, "small") as classifier:
        with pytest.raises(ServerError, match=f"{fake.url} answers, but .*(REST port|TF Serving)"):
            classifier.predict(images16[:1], plain=True)
        assert fake.sent() == []


@pytest.mark.parametrize(
    "answer",
    [
        b'{"outputs": 1}',
        b'{"outputs": {"probabilities": "x"}}',
        b'{"outputs": {"probabilities": [[0.5]]}}',
        b'{"x": 1}',
    ],
)
def test_garbage_in_place_of_probabilities(answer, images16):
    with (
        Fake(probabilities=answer) as fake,
        client.Classifier(fake.url, "small") as classifier,
        pytest.raises(ServerError, match=fake.url),
    ):
        classifier.predict(images16[:1], plain=True)


def test_what_a_server_says_is_one_printable_line(images16):
    told = json.dumps({"error": "bad\n\x1b[2J" + "x" * 10_000}).encode()
    with Fake(failures=[(400, told)]) as fake, client.Classifier(fake.url, "small") as classifier:
        with pytest.raises(ServerError) as caught:
            classifier.predict(images16[:1], plain=True)
        assert str(caught.value).isprintable() and len(str(caught.value)) <= 1000
        assert str(caught.value).startswith(f"{fake.url}: bad")


def test_no_http_and_no_answer_at_all(images16):
    def speak(connection):
        connection.recv(1000)
        connection.sendall(b"220 mail.example.org ESMTP\r\n\0\0")

    with Raw(speak) as raw, pytest.raises(ServerError, match=f"{raw.url} cannot be reached"):
        client.Classifier(raw.url, "small", attempts=1).predict(images16[:1], plain=True)

    def be_silent(connection):
        connection.recv(1000)
        time.sleep(2)

    with Raw(be_silent) as raw, pytest.raises(ServerError, match=f"{raw.url} did not answer within 0.2 s"):
        client.Classifier(raw.url, "small", timeout=0.2).predict(images16[:1], plain=True)


def test_an_answer_may_not_drip_for_ever_nor_be_endless(images16, monkeypatch):
    def drip(connection):
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.02)

    with Raw(drip) as raw, pytest.raises(ServerError, match="did not answer within 0.3 s"):
        client.Classifier(raw.url, "small", timeout=0.3).predict(images16[:1], plain=True)

    monkeypatch.setattr("i2p_tf.client.rest_connection.MAX_ANSWER_BYTES", 1 << 20)

    def flood(connection):
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(100):
            connection.sendall(bytes(1 << 16))

    with Raw(flood) as raw, pytest.raises(ServerError, match="sent more than 1 MiB"):
        client.Classifier(raw.url, "small").predict(images16[:1], plain=True)


def test_tls_and_token_by_rest(images16):
    with Fake(tls=True) as fake:
        with client.Classifier(fake.url, "small", token="secret", certificate=CERTIFICATE) as classifier:
            classifier.predict(images16[:1], plain=True)
        assert set(fake.tokens) == {"Bearer secret"}
        with pytest.raises(ServerError, match="is its certificate trusted here"):
            client.Classifier(fake.url, "small").predict(images16[:1], plain=True)


def test_tls_and_token_by_grpc(images16):
    tokens = []

    def answer(request, context):
        tokens.append(dict(context.invocation_metadata())["authorization"])
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you?")

    handler = grpc.method_handlers_generic_handler(
        "tensorflow.serving.PredictionService", {"GetModelMetadata": grpc.unary_unary_rpc_method_handler(answer)}
    )
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1), handlers=[handler])
    pair = ((TLS / "key.pem").read_bytes(), (TLS / "certificate.pem").read_bytes())
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    server.start()
    try:
        url = f"grpcs://127.0.0.1:{port}"
        with (
            client.Classifier(url, "small", token="secret", certificate=CERTIFICATE) as classifier,
            pytest.raises(ServerError, match="who are you.*is the token right"),
        ):
            classifier.predict(images16[:1], plain=True)
        assert tokens == ["Bearer secret"]
    finally:
        server.stop(None)


def test_the_client_loads_no_tensorflow():
    code = (
        "import sys; from i2p_tf.client import Classifier; Classifier('grpc://127.0.0.1:1', 'm'); "
        "Classifier('http://127.0.0.1:1', 'm'); print({name.partition('.')[0] for name in sys.modules})"
    )
    loaded = eval(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    assert not loaded & {"tensorflow", "keras", "tensorflow_serving"} and {"grpc", "urllib3"} <= loaded


def test_grpc_without_its_extra_says_what_to_install():
    code = (
        "import sys; sys.modules['grpc'] = None; from i2p_tf.client import Classifier\n"
        "try: Classifier('grpc://127.0.0.1:1', 'm')\nexcept ValueError as error: print(error)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "needs grpcio and protobuf; the extra `grpc` has them" in result.stdout


@pytest.mark.slow
def test_messages_have_the_bytes_of_the_stock_ones():
    import tensorflow as tf
    from tensorflow_serving.apis import get_model_metadata_pb2, predict_pb2

    array = np.arange(6, dtype=np.uint8).reshape(1, 6)
    stock = predict_pb2.PredictRequest()
    mine = messages.PredictRequest()
    for request in (stock, mine):
        request.model_spec.name = "m"
        request.model_spec.version.value = 3
        request.model_spec.signature_name = "serving_default"
    stock.inputs["images"].CopyFrom(tf.make_tensor_proto(array))
    tensor = mine.inputs.add(key="images").value
    tensor.dtype = 4
    tensor.tensor_shape.dim.add(size=1)
    tensor.tensor_shape.dim.add(size=6)
    tensor.tensor_content = array.tobytes()
    assert mine.SerializeToString() == stock.SerializeToString(deterministic=True)

    response = predict_pb2.PredictResponse()
    response.model_spec.version.value = 7
    response.outputs["p"].CopyFrom(tf.make_tensor_proto(np.float32([[0.25, 0.75]])))
    response.outputs["p"].ClearField("tensor_content")
    response.outputs["p"].float_val.extend([0.25, 0.75])  # as TF Serving answers
    parsed = messages.PredictResponse.FromString(response.SerializeToString())
    assert (parsed.model_spec.version.value, list(parsed.outputs[0].value.float_val)) == (7, [0.25, 0.75])
    assert [side.size for side in parsed.outputs[0].value.tensor_shape.dim] == [1, 2]

    stock = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    stock.model_spec.name, stock.model_spec.version_label = "m", "canary"
    mine = messages.GetModelMetadataRequest(metadata_field=["signature_def"])
    mine.model_spec.name, mine.model_spec.version_label = "m", "canary"
    assert mine.SerializeToString() == stock.SerializeToString()

    signatures = get_model_metadata_pb2.SignatureDefMap()
    signatures.signature_def["s"].inputs["i"].tensor_shape.dim.add(size=-1)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.metadata["signature_def"].Pack(signatures)
    parsed = messages.GetModelMetadataResponse.FromString(response.SerializeToString())
    inner = messages.SignatureDefMap.FromString(parsed.metadata[0].value.value)
    assert inner.signature_def[0].value.inputs[0].value.tensor_shape.dim[0].size == -1


def shape(*sides):
    return {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": str(side)} for side in sides]}}


METADATA = {
    "signature_def": {
        "signature_def": {
            "serving_default": {
                "inputs": {"images": shape(-1, 16, 16, 3)},
                "outputs": {"probabilities": shape(-1, 10)},
            },
            "image_bytes": {"inputs": {}, "outputs": {}},
            "class_names": {"inputs": {}, "outputs": {}},
        }
    }
}


class Fake:
    """A REST server that answers as one is told; `failures` are the first: status codes, or pairs with what is said."""

    def __init__(self, failures=(), metadata=None, probabilities=None, tls=False, port=0):
        self.version, self.run_id = 1, "r"
        self.failures = [failure if isinstance(failure, tuple) else (failure, b"not now") for failure in failures]
        self.metadata = metadata
        self.probabilities = probabilities
        self.paths, self.requests, self.lengths, self.tokens, self.connections = [], [], [], [], []
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                fake.answer(self, b"")

            def do_POST(self):
                fake.answer(self, self.rfile.read(int(self.headers["Content-Length"])))

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self.server.daemon_threads = True
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(CERTIFICATE, TLS / "key.pem")
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if tls else ''}://127.0.0.1:{self.server.server_port}"

    def __enter__(self):
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()
        for connection in self.connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def sent(self):
        """The requests that held pictures."""
        return [request for _, request in self.predictions()]

    def predictions(self):
        """Path and request of what held pictures."""
        return [entry for entry in self.requests if entry[1]["signature_name"] == "image_bytes"]

    def answer(self, handler, body):
        self.paths.append(handler.path)
        self.tokens.append(handler.headers["Authorization"])
        self.lengths.append(len(body))
        self.connections.append(handler.connection)
        status, content = 200, self.metadata
        if content is None:
            spec = {"name": "small", "version": str(self.version)}
            content = json.dumps({"model_spec": spec, "metadata": METADATA}).encode()
        if self.failures:
            status, content = self.failures.pop(0)
        elif body:
            request = json.loads(body)
            self.requests.append((handler.path, request))
            status, content = self.predict(handler.path, request)
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content)))
        handler.end_headers()
        handler.wfile.write(content)

    def predict(self, path, request):
        """Status and content."""
        count = len(request["inputs"])
        if path != f"/v1/models/small/versions/{self.version}:predict":
            return 404, b'{"error": "Servable not found"}'
        if request["signature_name"] == "class_names":
            outputs = {"class_names": [str(label) for label in request["inputs"]], "run_id": [self.run_id] * count}
        elif self.probabilities is not None:
            return 200, self.probabilities
        else:
            outputs = {"probabilities": [[0.1] * 10] * count}
        return 200, json.dumps({"outputs": outputs}).encode()


class Raw:
    """Takes one TCP connection and lets a function speak."""

    def __init__(self, speak):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        self.speak = speak

    def __enter__(self):
        threading.Thread(target=self.run, daemon=True).start()
        return self

    def run(self):
        connection, _ = self.listener.accept()
        with connection, contextlib.suppress(OSError):
            self.speak(connection)

    def __exit__(self, *_):
        self.listener.close()
