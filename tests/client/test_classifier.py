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
from i2p_tf.client import classifier as client_classifier
from i2p_tf.client import messages
from i2p_tf.client.deadline import Deadline
from i2p_tf.client.errors import ModelMismatch, NotInService, ServerError, Unavailable
from i2p_tf.client.model_metadata import MAX_CLASSES, ModelMetadata
from i2p_tf.client.rest_connection import RestConnection
from i2p_tf.errors import InputError

TLS = Path(__file__).parent / "tls"  # a key for tests only: it protects nothing
CERTIFICATE = str(TLS / "certificate.pem")


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch):
    monkeypatch.setattr(client_classifier, "_PAUSE_SECONDS", 0.01)


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
    class_names = tuple(f"name {index}" for index in range(10))

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
        monkeypatch.setattr(client_classifier, "MAX_REQUEST_BYTES", 12_000)
        classifier.predict(images16[:20], plain=True)
        assert [len(request["inputs"]) for request in fake.sent()[2:]] == [10, 10]
        assert max(fake.lengths) < 64 * 16 * 16 * 3 * 1.5


def test_what_the_client_sends_at_once_is_what_the_server_takes():
    from i2p_tf.serving.limits import MAX_BATCH_SIZE

    assert client_classifier.MAX_REQUEST_IMAGES <= MAX_BATCH_SIZE


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


def test_an_answer_may_not_drip_for_ever_nor_be_endless(images16):
    def drip(connection):
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _ in range(100):
            connection.sendall(b"x")
            time.sleep(0.02)

    with Raw(drip) as raw, pytest.raises(ServerError, match="did not answer within 0.3 s"):
        client.Classifier(raw.url, "small", timeout=0.3).predict(images16[:1], plain=True)

    def flood(connection):
        connection.recv(1000)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        for _ in range(100):
            connection.sendall(bytes(1 << 16))

    with Raw(flood) as raw, pytest.raises(ServerError, match="sent more than 1,048,576 bytes"):
        client.Classifier(raw.url, "small").predict(images16[:1], plain=True)


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"", b"H"),
        (HEAD, b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (HEAD + b"Content-Length: 100000\r\n\r\n", b"x"),
        (CHUNKED, b"1\r\nx\r\n"),
        (CHUNKED + b"10000\r\n", b"x"),
        (CHUNKED, b"1"),
        (CHUNKED + b"0\r\n", b"X: y\r\n"),
        (HEAD + b"Content-Encoding: gzip\r\n\r\n", b"x"),
    ],
    ids=["line", "head", "continue", "body", "chunks", "chunk", "size", "trailers", "packed"],
)
def test_one_deadline_holds_for_the_whole_exchange(first, again):
    """Byte after byte comes in time, and the server never ends; that it does shows that the client has hung up."""

    def drip(connection):
        connection.recv(1000)
        connection.sendall(first)
        while True:
            connection.sendall(again)
            time.sleep(0.01)

    with Raw(drip) as raw:
        with pytest.raises(ServerError, match=f"{raw.url} did not answer within 0.2 s"):
            RestConnection(raw.url, "small", {}).metadata(None, Deadline(0.2))
        raw.thread.join(10)
        assert not raw.thread.is_alive()


def test_the_deadline_holds_for_what_comes_before_the_answer(monkeypatch):
    def never_read(connection):
        with contextlib.suppress(TimeoutError):
            connection.settimeout(10)
            ended.wait(10)

    images = np.random.default_rng(0).integers(0, 256, (4, 1024, 1024, 3), dtype=np.uint8)
    model = ModelMetadata(version=1, image_size=1024, class_count=10)
    ended = threading.Event()
    with Raw(never_read) as raw:
        with pytest.raises(ServerError, match="did not answer within 1 s"):
            RestConnection(raw.url, "small", {}).probabilities(model, images, Deadline(1))
        ended.set()
    with Raw(never_read) as raw:  # no TLS comes either
        ended.clear()
        with pytest.raises(ServerError, match="did not answer within 0.2 s"):
            RestConnection(raw.url.replace("http", "https"), "small", {}).metadata(None, Deadline(0.2))
        ended.set()

    names = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: names.wait(10) and [])
    with pytest.raises(ServerError, match="did not answer within 0.2 s"):
        RestConnection("http://example.org", "small", {}).metadata(None, Deadline(0.2))
    names.set()


def test_what_nobody_waits_for_is_not_sent(monkeypatch):
    with Fake() as fake:
        connected = threading.Event()
        slowly = socket.create_connection

        def connect(*arguments, **keywords):
            connection = slowly(*arguments, **keywords)
            assert connected.wait(10)
            return connection

        monkeypatch.setattr(
            "urllib3.util.connection.create_connection", lambda *a, **k: connect((fake.host, fake.port))
        )
        before = set(threading.enumerate())
        with pytest.raises(ServerError, match="did not answer"):
            RestConnection(fake.url, "small", {}).metadata(None, Deadline(0.2))
        connected.set()
        for thread in set(threading.enumerate()) - before:
            thread.join(10)
        assert fake.paths == []


def test_all_attempts_and_all_checks_have_one_deadline(images16):
    with (
        Fake(failures=[503] * 1000) as fake,
        client.Classifier(fake.url, "small", timeout=0.3, attempts=1000) as classifier,
        pytest.raises(ServerError, match="try again later|did not answer within 0.3 s"),
    ):
        classifier.predict(images16[:1], plain=True)
    assert 0 < len(fake.paths) < 1000
    with (
        Fake(metadata=metadata_answer(classes=MAX_CLASSES), pause=0.05) as fake,
        client.Classifier(fake.url, "small", timeout=0.3) as classifier,
        pytest.raises(ServerError, match="did not answer within 0.3 s"),
    ):
        classifier.predict(images16[:1], plain=True)
    assert len(fake.paths) < MAX_CLASSES // 64  # so many requests would ask for all names


def test_threads_that_wait_for_a_check_of_another_wait_no_longer(images16):
    def be_silent(connection):
        ended.wait(10)

    ended = threading.Event()
    with Raw(be_silent) as raw, client.Classifier(raw.url, "small", timeout=0.3, attempts=1) as classifier:
        with concurrent.futures.ThreadPoolExecutor(20) as callers:
            errors = list(callers.map(lambda _: error_of(classifier, images16), range(20)))
        ended.set()
    assert all("did not answer within 0.3 s" in error for error in errors)


def error_of(classifier, images):
    with pytest.raises(ServerError) as caught:
        classifier.predict(images[:1], plain=True)
    return str(caught.value)


def test_with_a_transform_its_own_names_count_and_one_is_asked_for(images16, tmp_path):
    Image.fromarray(images16[0]).save(tmp_path / "a.png")
    with Fake() as fake, client.Classifier(fake.url, "small", FakeTransform()) as classifier:
        (result,) = classifier.classify([tmp_path / "a.png"])
        assert result.labels[0][0] == "name 0" and classifier.class_names[9] == "name 9"
        assert [request["inputs"] for _, request in fake.requests if request["signature_name"] == "class_names"] == [
            [0]
        ]
    with (
        Fake(metadata=metadata_answer(classes=11)) as fake,
        client.Classifier(fake.url, "small", FakeTransform()) as classifier,
        pytest.raises(ModelMismatch, match="knows 11 classes, the transform 10"),
    ):
        classifier.predict(images16[:1])


@pytest.mark.parametrize(
    "claim",
    [{"size": size} for size in (12_000, 1_000_000, 0, -1, 1e999, 10**400, "9" * 5_000, None, [16])]
    + [{"classes": count} for count in (0, -1, 100_000, 10**400, "x")]
    + [{"version": version} for version in (-1, 1 << 63, 10**400, "9" * 5_000, 1e999, None)],
    ids=lambda claim: str(claim)[:30],
)
def test_what_a_server_claims_is_in_bounds_or_refused_before_anything_is_made_of_it(claim, images16, tmp_path):
    Image.fromarray(images16[0]).save(tmp_path / "a.png")
    with Fake(metadata=metadata_answer(**claim)) as fake, client.Classifier(fake.url, "small") as classifier:
        with pytest.raises(ServerError, match=fake.url):
            list(classifier.classify([tmp_path / "a.png"], plain=True))
        assert len(fake.paths) == 1


@pytest.mark.parametrize(
    "value",
    ["NaN", "Infinity", "-Infinity", "1e999", "-0.1", "1.5", "9" * 400, "9" * 5_000, '"x"', "null", "[" * 99_999],
)
def test_probabilities_are_probabilities(value, images16):
    answer = f'{{"outputs": {{"probabilities": [[{", ".join([value] + ["0.1"] * 9)}]]}}}}'.encode()
    with Fake(probabilities=answer) as fake, client.Classifier(fake.url, "small") as classifier:
        message = error_of(classifier, images16)
    assert fake.url in message and "\n" not in message


def test_a_probability_may_be_rounded_up_and_is_1_then(images16):
    answer = b'{"outputs": {"probabilities": [[1.0000001, 0, 0, 0, 0, 0, 0, 0, 0, 0]]}}'
    with Fake(probabilities=answer) as fake, client.Classifier(fake.url, "small") as classifier:
        assert classifier.predict(images16[:1], plain=True)[0, 0] == 1.0


@pytest.mark.parametrize("answer", [b"[" * 100_000, b'{"error": ' + b"[" * 900 + b"]" * 900 + b"}", b"9" * 5_000])
def test_deep_and_long_answers_are_one_line(answer, images16):
    for failures in ([(200, answer)], [(400, answer)]):
        with Fake(failures=failures) as fake, client.Classifier(fake.url, "small") as classifier:
            assert fake.url in error_of(classifier, images16)


def test_names_and_run_are_text(images16):
    for names, run in [([1] * 10, "r"), (["x"] * 10, 3), (["x"] * 9, "r"), (["x"] * 11, "r")]:
        outputs = {"outputs": {"class_names": names, "run_id": [run]}}
        answers = [(200, metadata_answer()), (200, json.dumps(outputs).encode())]
        with Fake(failures=answers) as fake, client.Classifier(fake.url, "small") as classifier:
            assert fake.url in error_of(classifier, images16)


def test_pictures_are_decoded_as_many_as_are_sent_at_once():
    assert client_classifier._images_at_once(16) == client_classifier.MAX_REQUEST_IMAGES
    assert client_classifier._images_at_once(2048) == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([float("nan")] * 10, "not all from 0 to 1"),
        ([2.0] * 10, "not all from 0 to 1"),
        ([0.1] * 9, "without probabilities"),
        ([0.1] * 5_000_000, "sent more than 16,777,216 bytes"),
        (None, "did not answer within 0.5 s"),
    ],
    ids=["nan", "two", "nine", "many", "none"],
)
def test_hostile_answers_by_grpc(values, message, images16):
    timeout = 30 if values else 0.5
    with FakeGrpc(values) as fake, client.Classifier(fake.url, "small", timeout=timeout) as classifier:
        error = error_of(classifier, images16)
    assert fake.url in error and message in error


def test_hostile_claims_by_grpc(images16):
    for size, classes in [(12_000, 10), (0, 10), (-1, 10), (16, 100_000)]:
        with FakeGrpc([0.1] * 10, size, classes) as fake, client.Classifier(fake.url, "small") as classifier:
            assert "it has to take square RGB images" in error_of(classifier, images16)


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


def metadata_answer(size=16, classes=10, version=1):
    """The answer to a request for metadata, bytes."""
    signatures = {
        "serving_default": {
            "inputs": {"images": shape(-1, size, size, 3)},
            "outputs": {"probabilities": shape(-1, classes)},
        },
        "image_bytes": {"inputs": {}, "outputs": {}},
        "class_names": {"inputs": {}, "outputs": {}},
    }
    spec = {"name": "small", "version": str(version)}
    return json.dumps({"model_spec": spec, "metadata": {"signature_def": {"signature_def": signatures}}}).encode()


class Fake:
    """A REST server that answers as one is told; `failures` are the first: status codes, or pairs with what is said."""

    def __init__(self, failures=(), metadata=None, probabilities=None, tls=False, port=0, pause=0):
        self.version, self.run_id = 1, "r"
        self.failures = [failure if isinstance(failure, tuple) else (failure, b"not now") for failure in failures]
        self.metadata = metadata
        self.probabilities = probabilities
        self.pause = pause  # seconds before each answer
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
        self.host, self.port = "127.0.0.1", self.server.server_port
        self.url = f"http{'s' if tls else ''}://{self.host}:{self.port}"

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
            content = metadata_answer(version=self.version)
        if self.failures:
            status, content = self.failures.pop(0)
        elif body:
            request = json.loads(body)
            self.requests.append((handler.path, request))
            status, content = self.predict(handler.path, request)
        time.sleep(self.pause)
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(content)))
        with contextlib.suppress(OSError):  # the client may have hung up
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
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()
        return self

    def run(self):
        connection, _ = self.listener.accept()
        with connection, contextlib.suppress(OSError):
            self.speak(connection)

    def __exit__(self, *_):
        self.listener.close()


class FakeGrpc:
    """A gRPC server that answers with these probabilities, whatever it is sent; None for no answer."""

    def __init__(self, values, size=16, classes=10):
        self.values, self.size, self.classes = values, size, classes
        self.ended = threading.Event()
        methods = {
            name: grpc.unary_unary_rpc_method_handler(
                answer, response_serializer=lambda message: message.SerializeToString()
            )
            for name, answer in (("GetModelMetadata", self.metadata), ("Predict", self.predict))
        }
        handler = grpc.method_handlers_generic_handler("tensorflow.serving.PredictionService", methods)
        self.server = grpc.server(concurrent.futures.ThreadPoolExecutor(1), handlers=[handler])
        self.url = f"grpc://127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"

    def __enter__(self):
        self.server.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.server.stop(None)

    def metadata(self, *_):
        signatures = messages.SignatureDefMap()
        for name in ("serving_default", "image_bytes", "class_names"):
            signature = signatures.signature_def.add(key=name).value
            add_tensor(signature.inputs, "images", [-1, self.size, self.size, 3])
            add_tensor(signature.outputs, "probabilities", [-1, self.classes])
        answer = messages.GetModelMetadataResponse()
        answer.model_spec.version.value = 1
        answer.metadata.add(key="signature_def").value.value = signatures.SerializeToString()
        return answer

    def predict(self, request, _):
        answer = messages.PredictResponse()
        if messages.PredictRequest.FromString(request).model_spec.signature_name == "class_names":
            add_tensor(answer.outputs, "class_names", []).string_val.extend([b"x"] * 10)
            add_tensor(answer.outputs, "run_id", []).string_val.extend([b"r"])
            return answer
        if self.values is None:
            self.ended.wait(10)
        add_tensor(answer.outputs, "probabilities", [1, 10]).float_val.extend(self.values or [])
        return answer


def add_tensor(entries, name, sides):
    tensor = entries.add(key=name).value
    for side in sides:
        tensor.tensor_shape.dim.add(size=side)
    return tensor
