"""ψ served by a second real server, KServe's Python SDK: the same answers, as far as its protocols go.

KServe is not among the pins: 0.21 needs psutil before 6, and constraints.txt has a later one. In an environment of its
own that has both, with psutil 5.9.8, this runs.
"""

import base64
import io
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import urllib3
import yaml
from PIL import Image

ROOT = Path(__file__).parents[2]
NAME = "cifar10_resnet20"
VERSION = ROOT / "exports" / NAME / "classifier" / "1"


def documented_manifest():
    """The InferenceService of docs/deployment.md."""
    lines = (ROOT / "docs" / "deployment.md").read_text().splitlines()
    start = lines.index("    apiVersion: serving.kserve.io/v1beta1")
    block = []
    for line in lines[start:]:
        if not line.startswith("    "):
            break
        block.append(line[4:])
    return yaml.safe_load("\n".join(block))


def test_the_documented_manifest():
    service = documented_manifest()
    assert (service["apiVersion"], service["kind"]) == ("serving.kserve.io/v1beta1", "InferenceService")
    predictor = service["spec"]["predictor"]
    assert set(predictor) == {"minReplicas", "maxReplicas", "serviceAccountName", "model"}
    model = predictor["model"]
    assert set(model) == {"modelFormat", "protocolVersion", "storageUri", "resources"}
    assert model["modelFormat"] == {"name": "tensorflow"} and model["storageUri"].endswith("/NAME/classifier")


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    """REST and gRPC addresses of a running server."""
    pytest.importorskip("kserve", reason="kserve is not installed: it needs psutil<6, which the pins exclude")
    with socket.socket() as first, socket.socket() as second:
        first.bind(("127.0.0.1", 0))
        second.bind(("127.0.0.1", 0))
        rest, grpc = first.getsockname()[1], second.getsockname()[1]
    command = [sys.executable, Path(__file__).with_name("kserve_server.py"), NAME, VERSION, rest, grpc]
    with open(tmp_path_factory.mktemp("kserve") / "log", "w") as log:
        process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log)
    try:
        url = f"http://127.0.0.1:{rest}"
        wait_until_ready(process, url)
        yield url, f"127.0.0.1:{grpc}"
    finally:
        process.terminate()
        process.wait()


def wait_until_ready(process, url):
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        assert process.poll() is None
        try:
            if urllib3.request("GET", f"{url}/v2/models/{NAME}/ready", retries=False).json()["ready"]:
                return
        except (urllib3.exceptions.HTTPError, KeyError):
            time.sleep(0.2)
    raise AssertionError("not ready")


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def expected(images):
    import tensorflow as tf

    answer = tf.saved_model.load(str(VERSION)).signatures["serving_default"](images=tf.constant(images))
    return answer["probabilities"].numpy(), [name.decode() for name in answer["classes"].numpy()]


def png(image):
    file = io.BytesIO()
    Image.fromarray(image).save(file, format="PNG")
    return file.getvalue()


def predict(url, contents):
    instances = [{"b64": base64.b64encode(content).decode()} for content in contents]
    body = json.dumps({"signature_name": "image_bytes", "instances": instances})
    return urllib3.request("POST", f"{url}/v1/models/{NAME}:predict", body=body, retries=False)


@pytest.mark.slow
def test_pictures_by_the_first_protocol(address, images, expected):
    """The request that TF Serving takes, and the answer that it gives."""
    response = predict(address[0], map(png, images))
    predictions = response.json()["predictions"]
    assert response.status == 200 and [row["classes"] for row in predictions] == expected[1]
    np.testing.assert_allclose([row["probabilities"] for row in predictions], expected[0], atol=1e-5)
    for content in (b"none", png(images[0][:8])):
        assert predict(address[0], [content]).status == 400


@pytest.mark.slow
def test_tensors_by_the_second_protocol_over_grpc(address, images, expected):
    import grpc
    from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
    from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import GRPCInferenceServiceStub

    request = messages.ModelInferRequest(model_name=NAME, raw_input_contents=[images.tobytes()])
    request.inputs.add(name="images", datatype="UINT8", shape=images.shape)
    with grpc.insecure_channel(address[1]) as channel:
        answer = GRPCInferenceServiceStub(channel).ModelInfer(request, timeout=60)
    values = (
        np.frombuffer(answer.raw_output_contents[0], np.float32)
        if answer.raw_output_contents
        else np.array(answer.outputs[0].contents.fp32_contents)
    )
    np.testing.assert_allclose(values.reshape(expected[0].shape), expected[0], atol=1e-5)
