"""JSON requests against signatures, here and in the process that reads the large ones; no model."""

import asyncio
import json
import os
import signal
import subprocess
import sys

import grpc
import numpy as np
import pytest

from i2p_tf.serving.stand_in import json_tensors
from i2p_tf.serving.stand_in.errors import ServingError
from i2p_tf.serving.stand_in.json_process import JsonProcess
from i2p_tf.serving.stand_in.signatures import Signature, TensorSpec

SIGNATURES = {
    "serving_default": Signature("serving_default", {"images": TensorSpec("uint8", (None, 2, 2, 3))}),
    "image_bytes": Signature("image_bytes", {"image_bytes": TensorSpec("string", (None,))}),
    "numbers": Signature("numbers", {"x": TensorSpec("float32", (None, None))}),
    "any": Signature("any", {"x": TensorSpec("int64", None)}),
    "two": Signature("two", {"a": TensorSpec("bool", (None,)), "b": TensorSpec("float16", (None, 1))}),
    "complex": Signature("complex", {"x": TensorSpec("complex64", (None,))}),
}
IMAGE = np.arange(12).reshape(2, 2, 3)


def parse(request, signature=""):
    body = request if isinstance(request, bytes) else json.dumps(request | {"signature_name": signature}).encode()
    return json_tensors.parse(body, SIGNATURES)


def test_arrays_have_the_type_and_shape_of_the_signature():
    signature, inputs, by_row, count = parse({"instances": [IMAGE.tolist()] * 3})
    assert (signature.name, by_row, count) == ("serving_default", True, 3)
    assert inputs["images"].dtype == np.uint8 and np.array_equal(inputs["images"], [IMAGE] * 3)
    _, inputs, by_row, count = parse({"inputs": {"a": [True, False], "b": [[1], [2.5]]}}, "two")
    assert (by_row, count) == (False, 2) and inputs["a"].tolist() == [True, False]
    assert inputs["b"].dtype == np.float16 and inputs["b"].tolist() == [[1], [2.5]]
    _, inputs, _, _ = parse({"instances": ["é", {"b64": "AAE="}]}, "image_bytes")
    assert inputs["image_bytes"].tolist() == ["é".encode(), b"\0\1"]
    assert parse({"instances": [[[-(2**63)]], [[5]]]}, "any")[1]["x"].shape == (2, 1, 1)
    assert parse({"instances": [[], []]}, "numbers")[1]["x"].shape == (2, 0)


def with_numbers(text, signature="numbers"):
    return b'{"signature_name": "%s", "instances": [[%s]]}' % (signature.encode(), text)


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b'{"instances": %s}' % json.dumps(["a" * 9000] + ["b"] * 20_000).encode(), "str is not of expected type"),
        (with_numbers(b'"x"'), "str is not of expected type"),
        (with_numbers(b"true"), "bool is not of expected type"),
        (with_numbers(b"null"), "NoneType is not of expected type"),
        (with_numbers(b"{}"), "dict is not of expected type"),
        (with_numbers(b"[0], 0"), "equally long at each level"),
        (with_numbers(b"[0]"), "expects shape"),
        (with_numbers(b"1e999"), "not finite or too large"),
        (with_numbers(b"-1e39"), "not finite or too large"),
        (with_numbers(b"NaN"), "not finite or too large"),
        (with_numbers(b"9" * 4000), "not finite or too large"),
        (with_numbers(b"9" * 4000, "any"), "does not fit the expected type: int64"),
        (with_numbers(b"9" * 5000), "JSON Parse error"),
        (with_numbers(b"1e5", "any"), "float is not of expected type"),
        (with_numbers(b"1", "complex"), "Conversion of JSON Value to type: complex64"),
        (with_numbers(b"1", "x" * 100_000), "Serving signature key"),
        (b'{"instances":' + b"[" * 200_000, "nested too deeply"),
        (b'{"signature_name": "any", "instances": [' + b"[" * 900 + b"]" * 900 + b"]}", "cannot be read"),
        (b'{"instances": [{"images": ' + b'{"a":' * 100_000, "nested too deeply"),
        (b"\xff\xfe\x00", "JSON Parse error"),
        (b"\x00" * 100, "JSON Parse error"),
        (b"", "JSON Parse error"),
    ],
)
def test_what_a_request_may_not_be(body, word):
    with pytest.raises(ServingError, match=word) as caught:
        parse(body)
    message = str(caught.value)
    assert caught.value.http_status in (400, 501) and len(message) < 1100 and "\n" not in message


def test_a_batch_has_a_largest_size():
    assert parse({"instances": [IMAGE.tolist()] * 64})[3] == 64
    with pytest.raises(ServingError, match="Task size 65 is larger than maximum input batch size 64"):
        parse({"instances": [IMAGE.tolist()] * 65})
    with pytest.raises(ServingError, match="equal 0th-dimension size"):
        parse({"inputs": {"a": [True], "b": [[1], [2]]}}, "two")


def test_the_process_reads_what_this_one_reads_and_outlives_its_own_death():
    good = json.dumps({"instances": [IMAGE.tolist()] * 3}).encode()
    deep = b'{"instances":' + b"[" * 200_000

    async def work():
        reader = JsonProcess()
        try:
            for _ in range(2):
                signature, inputs, by_row, count = await reader.parse(bytearray(good), SIGNATURES)
                assert (signature, by_row, count) == (SIGNATURES["serving_default"], True, 3)
                assert inputs["images"].dtype == np.uint8 and np.array_equal(inputs["images"], [IMAGE] * 3)
                with pytest.raises(ServingError, match="nested too deeply") as caught:
                    await reader.parse(deep, SIGNATURES)
                assert caught.value.code == grpc.StatusCode.INVALID_ARGUMENT
            pid = reader._process.pid
            os.kill(pid, signal.SIGINT)  # as Ctrl-C does to the whole group
            assert (await reader.parse(good, SIGNATURES))[3] == 3 and reader._process.pid == pid
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(ServingError, match="try again") as caught:
                await reader.parse(good, SIGNATURES)
            assert caught.value.http_status == 503
            assert (await reader.parse(good, SIGNATURES))[3] == 3
        finally:
            await reader.close()

    asyncio.run(work())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the memory of a process")
def test_memory_is_bounded():
    code = """
from i2p_tf.serving.stand_in.json_process import _bounded_memory
with _bounded_memory(4 << 20):
    try:
        bytes(16 << 20)
    except MemoryError:
        print("bounded")
print(len(bytes(16 << 20)))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.split() == ["bounded", str(16 << 20)], result.stderr
