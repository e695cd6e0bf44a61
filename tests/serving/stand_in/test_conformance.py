"""One list of requests and of the answers that TF Serving's documentation promises, for any address.

By default the address is that of the stand-in in a process of its own. A real TF Serving with an export of this version
is put through the same by

    export TF_SERVING_URL=http://HOST:8501 TF_SERVING_GRPC=HOST:8500 TF_SERVING_MODEL=NAME
    bin/test tests/serving/test_conformance.py

The clients are the stock stubs of tensorflow-serving-api, and plain HTTP.
"""

import base64
import dataclasses
import io
import json
import os
import zlib

import grpc
import numpy as np
import pytest
import tensorflow as tf
import urllib3
from PIL import Image
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

pytestmark = pytest.mark.slow


@dataclasses.dataclass(frozen=True)
class Target:
    url: str
    channel: grpc.Channel
    model: str

    def http(self, method, path, body=None):
        """Status and JSON."""
        response = urllib3.request(method, self.url + path.replace("MODEL", self.model), body=body, retries=False)
        assert response.headers["Content-Type"] == "application/json"
        return response.status, response.json()

    def predict(self, request, path="/v1/models/MODEL:predict"):
        return self.http("POST", path, json.dumps(request))


@pytest.fixture(scope="module")
def target(request):
    if "TF_SERVING_URL" in os.environ:
        url, address, model = (os.environ[f"TF_SERVING_{name}"] for name in ("URL", "GRPC", "MODEL"))
    else:
        server = request.getfixturevalue("stand_in")
        url, address, model = server.rest, server.grpc, "small"
    with grpc.insecure_channel(address) as channel:
        yield Target(url, channel, model)


@pytest.fixture(scope="module")
def size(target):
    """Height and width of the model's images."""
    _, answer = target.http("GET", "/v1/models/MODEL/metadata")
    images = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]["images"]
    assert images["dtype"] == "DT_UINT8"
    count, height, width, channels = (int(side["size"]) for side in images["tensor_shape"]["dim"])
    assert (count, channels) == (-1, 3) and height == width
    return height


@pytest.fixture(scope="module")
def images(size):
    return np.random.default_rng(0).integers(0, 256, (3, size, size, 3), dtype=np.uint8)


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


def b64(content):
    return {"b64": base64.b64encode(content).decode()}


def predict_request(model, signature="", version=None, **inputs):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    if version is not None:
        request.model_spec.version.value = version
    for name, array in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(array))
    return request


def grpc_predict(target, *arguments, **keywords):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(target.channel)
    return stub.Predict(predict_request(target.model, *arguments, **keywords), timeout=30)


def test_status(target):
    status, answer = target.http("GET", "/v1/models/MODEL")
    (version,) = answer["model_version_status"]
    assert status == 200
    assert version == {
        "version": version["version"],
        "state": "AVAILABLE",
        "status": {"error_code": "OK", "error_message": ""},
    }
    assert target.http("GET", f"/v1/models/MODEL/versions/{version['version']}") == (200, answer)

    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = target.model
    response = model_service_pb2_grpc.ModelServiceStub(target.channel).GetModelStatus(request, timeout=30)
    (other,) = response.model_version_status
    assert (str(other.version), other.state) == (version["version"], get_model_status_pb2.ModelVersionStatus.AVAILABLE)


def test_metadata_are_the_same_by_both_protocols(target):
    status, answer = target.http("GET", "/v1/models/MODEL/metadata")
    assert status == 200 and answer["model_spec"]["name"] == target.model
    by_rest = answer["metadata"]["signature_def"]["signature_def"]
    assert {"serving_default", "image_bytes", "class_names"} <= set(by_rest)
    assert by_rest["serving_default"]["method_name"] == "tensorflow/serving/predict"

    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = target.model
    stub = prediction_service_pb2_grpc.PredictionServiceStub(target.channel)
    response = stub.GetModelMetadata(request, timeout=30)
    assert str(response.model_spec.version.value) == answer["model_spec"]["version"]
    by_grpc = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(by_grpc)
    for name, signature in by_grpc.signature_def.items():
        for tensors, others in ((signature.inputs, "inputs"), (signature.outputs, "outputs")):
            for key, info in tensors.items():
                sides = [int(side["size"]) for side in by_rest[name][others][key]["tensor_shape"].get("dim", [])]
                assert [side.size for side in info.tensor_shape.dim] == sides


def test_every_way_to_send_images_gives_the_same_answer(target, images):
    rows, columns = images.tolist(), {"images": images.tolist()}
    files = [b64(png(image)) for image in images]
    requests = [
        {"instances": rows},
        {"signature_name": "serving_default", "instances": [{"images": image} for image in rows]},
        {"signature_name": "image_bytes", "instances": files},
        {"signature_name": "image_bytes", "instances": [{"image_bytes": file} for file in files]},
    ]
    answers = []
    for request in requests:
        status, answer = target.predict(request)
        assert status == 200 and set(answer) == {"predictions"}
        answers.append([[row["probabilities"], row["classes"]] for row in answer["predictions"]])
    for request in (
        {"inputs": rows},
        {"inputs": columns},
        {"signature_name": "image_bytes", "inputs": files},
        {"signature_name": "image_bytes", "inputs": {"image_bytes": files}},
    ):
        status, answer = target.predict(request)
        assert status == 200 and set(answer["outputs"]) == {"probabilities", "classes"}
        answers.append(
            [list(row) for row in zip(*(answer["outputs"][n] for n in ("probabilities", "classes")), strict=True)]
        )
    for inputs in (
        {"signature": "serving_default", "images": images},
        {"signature": "image_bytes", "image_bytes": [png(i) for i in images]},
    ):
        outputs = grpc_predict(target, **inputs).outputs
        probabilities, classes = (tf.make_ndarray(outputs[name]) for name in ("probabilities", "classes"))
        answers.append([[row.tolist(), name.decode()] for row, name in zip(probabilities, classes, strict=True)])
    for answer in answers:
        for (probabilities, name), (expected, expected_name) in zip(answer, answers[0], strict=True):
            np.testing.assert_allclose(probabilities, expected, atol=1e-6)
            assert name == expected_name and sum(probabilities) == pytest.approx(1, abs=1e-5)


def in_lines(text):
    """As the program base64, Python's encodebytes and Android's Base64.DEFAULT write it."""
    return "".join(f"{text[start : start + 76]}\n" for start in range(0, len(text), 76))


@pytest.mark.parametrize(
    "written",
    [in_lines, lambda text: text.rstrip("="), lambda text: in_lines(text.rstrip("=")), lambda text: f" {text}\r\n\t"],
    ids=["in lines", "without padding", "in lines without padding", "amid white space"],
)
def test_base64_as_it_is_written_elsewhere(written, target, images):
    files = [png(image) for image in images]
    files = [file + bytes(length) for length, file in enumerate(files)]  # some with padding, some without
    assert len({len(file) % 3 for file in files}) == 3
    _, expected = target.predict(in_bytes(*map(b64, files)))
    texts = [{"b64": written(b64(file)["b64"])} for file in files]
    assert target.predict(in_bytes(*texts)) == (200, expected)


def test_class_names_and_run_id(target):
    status, answer = target.predict({"signature_name": "class_names", "inputs": {"labels": [1, 0]}})
    assert status == 200
    names = answer["outputs"]["class_names"]
    assert len(set(names)) == 2 and len(set(answer["outputs"]["run_id"])) == 1
    status, rows = target.predict({"signature_name": "class_names", "instances": [0]})
    assert rows["predictions"] == [{"class_names": names[1], "run_id": answer["outputs"]["run_id"][0]}]


def test_a_version_and_a_part_of_the_outputs(target, images):
    _, answer = target.http("GET", "/v1/models/MODEL/metadata")
    version = int(answer["model_spec"]["version"])
    status, _ = target.predict({"instances": images.tolist()}, f"/v1/models/MODEL/versions/{version}:predict")
    assert status == 200
    request = predict_request(target.model, version=version, images=images)
    request.output_filter.append("classes")
    response = prediction_service_pb2_grpc.PredictionServiceStub(target.channel).Predict(request, timeout=30)
    assert set(response.outputs) == {"classes"} and response.model_spec.version.value == version


def zeros(*shape):
    return np.zeros(shape, int).tolist()


def bomb():
    """A PNG file of less than a kilobyte that says it has 30,000 x 30,000 pixels."""
    header = b"\0\0\0\rIHDR" + (30_000).to_bytes(4) * 2 + b"\x08\x02\0\0\0"
    return b"\x89PNG\r\n\x1a\n" + header + zlib.crc32(header[4:]).to_bytes(4) + bytes(100)


def in_bytes(*files):
    return {"signature_name": "image_bytes", "instances": list(files)}


# Method, path, status, and a word of the message; what is posted would be right for the model.
REFUSED_ADDRESSES = [
    ("GET", "/v1/models/nobody", 404, "nobody"),
    ("GET", "/v1/models/MODEL/versions/999", 404, "999"),
    ("GET", "/v1/models/nobody/metadata", 404, "Servable not found"),
    ("GET", "/v1/models/MODEL/versions/999/metadata", 404, "Servable not found"),
    ("POST", "/v1/models/nobody:predict", 404, "Servable not found"),
    ("POST", "/v1/models/MODEL/versions/999:predict", 404, "Servable not found"),
    ("POST", "/v1/models/MODEL:guess", 400, "Malformed request"),
    ("GET", "/v1/models/MODEL:predict", 400, "Malformed request"),
    ("GET", "/v1/else", 400, "Malformed request"),
]

# Name -> body, or a function of the image size that makes its JSON; and a word of the message.
REFUSED_REQUESTS = {
    "no JSON": (b"{", "JSON Parse error"),
    "nothing": (b"", "JSON Parse error"),
    "no object": (b"[]", "object"),
    "no inputs": (b"{}", "Missing 'inputs' or 'instances' key"),
    "both formats": (b'{"instances": [1], "inputs": [1]}', "'inputs' or 'instances'"),
    "instances no list": (b'{"instances": 1}', "list/array"),
    "no instances": (b'{"instances": []}', "No values"),
    "unknown signature": (b'{"signature_name": "x", "instances": [1]}', "ignature"),
    "signature no string": (b'{"signature_name": 1, "instances": [1]}', "string"),
    "unknown input": (lambda n: {"inputs": {"x": zeros(1, n, n, 3)}}, "images"),
    "unknown input in rows": (lambda n: {"instances": [{"x": zeros(n, n, 3)}]}, "element: 0"),
    "strings for numbers": (b'{"instances": ["x"]}', "type"),
    "fractions for integers": (lambda n: {"instances": [[[[0.5] * 3] * n] * n]}, "type"),
    "ragged lists": (lambda n: {"instances": [zeros(n, n, 3), zeros(n, n, 2)]}, "level"),
    "another image size": (lambda n: {"instances": zeros(1, n + 1, n, 3)}, "shape"),
    "a list too few": (lambda n: {"instances": zeros(n, n, 3)}, "shape"),
    "no base64": (lambda n: in_bytes({"b64": "?"}), "base64"),
    "the other alphabet of base64": (lambda n: in_bytes({"b64": "-_-_"}), "base64"),
    "padding within base64": (lambda n: in_bytes({"b64": "QQ==QQ=="}), "base64"),
    "too little padding": (lambda n: in_bytes({"b64": "QQ="}), "base64"),
    "half a byte of base64": (lambda n: in_bytes({"b64": "QUJDR"}), "base64"),
    "no picture": (lambda n: in_bytes("hello"), "image_bytes"),
    "a picture of another size": (lambda n: in_bytes(b64(png(np.zeros((n, n + 1, 3), np.uint8)))), "image_bytes"),
    "a truncated picture": (lambda n: in_bytes(b64(png(np.zeros((n, n, 3), np.uint8))[:40])), "PNG"),
    "a bomb": (lambda n: in_bytes(b64(bomb())), "30000"),
    "an unknown label": (b'{"signature_name": "class_names", "instances": [1000000]}', "1000000"),
}


@pytest.mark.parametrize(("method", "path", "expected", "word"), REFUSED_ADDRESSES)
def test_rest_refuses_an_address(method, path, expected, word, target, images):
    body = json.dumps({"instances": images.tolist()}) if method == "POST" else None
    status, answer = target.http(method, path, body)
    assert (status, set(answer)) == (expected, {"error"})
    assert word in answer["error"]


@pytest.mark.parametrize("case", REFUSED_REQUESTS)
def test_rest_refuses_a_request(case, target, size):
    body, word = REFUSED_REQUESTS[case]
    body = json.dumps(body(size)) if callable(body) else body
    status, answer = target.http("POST", "/v1/models/MODEL:predict", body)
    assert (status, set(answer)) == (400, {"error"})
    assert word in answer["error"]


@pytest.mark.parametrize(
    ("request_of", "code"),
    [
        (lambda m, n: predict_request("nobody", images=np.zeros((1, n, n, 3), np.uint8)), "NOT_FOUND"),
        (lambda m, n: predict_request(m, version=999, images=np.zeros((1, n, n, 3), np.uint8)), "NOT_FOUND"),
        (lambda m, n: predict_request(m, "x", images=np.zeros((1, n, n, 3), np.uint8)), "FAILED_PRECONDITION"),
        (lambda m, n: predict_request(m), "INVALID_ARGUMENT"),
        (lambda m, n: predict_request(m, x=np.zeros((1, n, n, 3), np.uint8)), "INVALID_ARGUMENT"),
        (lambda m, n: predict_request(m, images=np.zeros((1, n, n, 3), np.float32)), "INVALID_ARGUMENT"),
        (lambda m, n: predict_request(m, images=np.zeros((1, n, n + 1, 3), np.uint8)), "INVALID_ARGUMENT"),
        (lambda m, n: predict_request(m, "image_bytes", image_bytes=[b"hello"]), "INVALID_ARGUMENT"),
        (lambda m, n: predict_request(m, "image_bytes", image_bytes=[bomb()]), "INVALID_ARGUMENT"),
    ],
)
def test_grpc_refuses(request_of, code, target, size):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(target.channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(request_of(target.model, size), timeout=30)
    assert caught.value.code().name == code and caught.value.details()


@pytest.mark.parametrize(
    ("model", "fields", "code"),
    [("nobody", ["signature_def"], "NOT_FOUND"), ("", ["x"], "INVALID_ARGUMENT"), ("", [], "INVALID_ARGUMENT")],
)
def test_grpc_refuses_metadata(model, fields, code, target):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = model or target.model
    with pytest.raises(grpc.RpcError) as caught:
        prediction_service_pb2_grpc.PredictionServiceStub(target.channel).GetModelMetadata(request, timeout=30)
    assert caught.value.code().name == code


def test_grpc_has_no_status_of_an_unknown_model(target):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "nobody"
    with pytest.raises(grpc.RpcError) as caught:
        model_service_pb2_grpc.ModelServiceStub(target.channel).GetModelStatus(request, timeout=30)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND
