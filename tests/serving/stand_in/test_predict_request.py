"""gRPC's requests, before protobuf and NumPy unpack them; no model."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from i2p_tf.serving.stand_in import predict_request
from i2p_tf.serving.stand_in.errors import ServingError
from i2p_tf.serving.stand_in.signatures import Signature, TensorSpec

IMAGES = Signature("serving_default", {"images": TensorSpec("uint8", (None, 64, 64, 3))})
FILES = Signature("image_bytes", {"image_bytes": TensorSpec("string", (None,))})
ANY = Signature("any", {"x": TensorSpec("float32", None)})


def request(**arrays):
    message = predict_pb2.PredictRequest()
    for name, array in arrays.items():
        message.inputs[name].CopyFrom(tf.make_tensor_proto(array))
    return message


def with_one_value(name, dtype, *sides):
    """A value and a shape that it shall fill."""
    message = predict_pb2.PredictRequest()
    tensor = message.inputs[name]
    tensor.dtype = tf.as_dtype(dtype).as_datatype_enum
    for side in sides:
        tensor.tensor_shape.dim.add(size=side)
    {"string": tensor.string_val, "float32": tensor.float_val}.get(dtype, tensor.int_val).append(
        b"x" if dtype == "string" else 1
    )
    return message


def unpack(message, signature):
    return predict_request.unpack(predict_request.parse(message.SerializeToString()), signature)


def test_what_fits_is_unpacked():
    images = np.random.default_rng(0).integers(0, 256, (64, 64, 64, 3), dtype=np.uint8)
    inputs, count = unpack(request(images=images), IMAGES)
    assert count == 64 and inputs["images"].dtype == np.uint8 and np.array_equal(inputs["images"], images)
    inputs, count = unpack(request(image_bytes=[b"a", bytes(1 << 20)]), FILES)
    assert count == 2 and inputs["image_bytes"].tolist() == [b"a", bytes(1 << 20)]
    inputs, _ = unpack(with_one_value("images", "uint8", 2, 64, 64, 3), IMAGES)  # a little may be filled up
    assert inputs["images"].shape == (2, 64, 64, 3) and (inputs["images"] == 1).all()


@pytest.mark.parametrize(
    ("message", "signature", "word"),
    [
        (with_one_value("images", "uint8", 16_000_000), IMAGES, "expects shape"),
        (with_one_value("images", "uint8", -1, 64, 64, 3), IMAGES, "expects shape"),
        (with_one_value("images", "uint8"), IMAGES, "expects shape"),
        (with_one_value("images", "int32", 1, 64, 64, 3), IMAGES, "expects uint8 but int32"),
        (with_one_value("images", "uint8", 2**40, 64, 64, 3), IMAGES, "larger than maximum input batch size"),
        (with_one_value("x", "float32", 1, 16_000_000), ANY, "32 times the bytes sent"),
        (with_one_value("x", "float32", 1, 2**40, 2**40), ANY, "32 times the bytes sent"),
        (with_one_value("x", "float32", 0, 2**40), ANY, "no valid TensorProto"),
        (with_one_value("image_bytes", "string", 64), FILES, "states 64 strings and has 1"),
        (predict_pb2.PredictRequest(), IMAGES, "Missing but required: {images}"),
    ],
)
def test_shapes_are_not_believed(message, signature, word):
    with pytest.raises(ServingError, match=word) as caught:
        unpack(message, signature)
    assert caught.value.http_status == 400 and len(str(caught.value)) < 1100


def test_unknown_inputs_are_never_unpacked(monkeypatch):
    monkeypatch.setattr(tf, "make_ndarray", None)
    message = predict_pb2.PredictRequest()
    for index in range(12):
        message.MergeFrom(with_one_value(f"x{index}", "float32", 16_000_000))
    assert message.ByteSize() < 500
    with pytest.raises(ServingError, match="input size does not match signature: 12!=1"):
        unpack(message, IMAGES)


@pytest.mark.parametrize("damage", ["dtype", "content", "type"])
def test_a_tensor_that_is_none(damage):
    message = request(images=np.zeros((1, 64, 64, 3), np.uint8))
    tensor = message.inputs["images"]
    if damage == "dtype":
        tensor.dtype = 0
    elif damage == "content":
        tensor.tensor_content = tensor.tensor_content[:-1]
    else:
        tensor.dtype = tf.resource.as_datatype_enum
    with pytest.raises(ServingError, match=r"^input images .*(expects uint8|is no valid TensorProto)"):
        unpack(message, IMAGES)


def test_what_takes_many_times_its_bytes_is_refused_before_it_is_parsed(monkeypatch):
    many_inputs = predict_pb2.PredictRequest()
    for index in range(2000):
        many_inputs.inputs[str(index)].dtype = 1
    many_strings = request(image_bytes=[b""] * 10_000)
    resources = predict_pb2.PredictRequest()
    for _ in range(200_000):
        resources.inputs["x"].resource_handle_val.add()
    sides = predict_pb2.PredictRequest()
    for _ in range(600_000):
        sides.inputs["x"].tensor_shape.dim.add()
    listed = with_one_value("images", "uint8", 64, 64, 64, 3)
    listed.inputs["images"].int_val.extend([255] * (1 << 19))
    names = predict_pb2.PredictRequest(output_filter=["x"] * 5000)
    contents = [message.SerializeToString() for message in (many_inputs, many_strings, resources, sides, listed, names)]
    monkeypatch.setattr(predict_request, "parse_message", None)
    for content in contents:
        with pytest.raises(ServingError, match="fields|bytes besides tensor_content"):
            predict_request.parse(content)


def test_malformed_messages_are_the_clients_fault():
    whole = request(images=np.zeros((1, 64, 64, 3), np.uint8)).SerializeToString()
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(500):
        content = bytearray(whole[: random.integers(1, 100)] if random.random() < 0.5 else whole)
        content[random.integers(min(len(content), 60))] ^= 1 << random.integers(8)
        try:
            predict_request.unpack(predict_request.parse(bytes(content)), IMAGES)
        except ServingError as error:
            refused += 1
            assert error.http_status == 400
    assert refused > 250
    for content in (b"\x0f", b"\x12\xff", b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x13", bytes(9)):
        with pytest.raises(ServingError, match="malformed"):
            predict_request.parse(content)
