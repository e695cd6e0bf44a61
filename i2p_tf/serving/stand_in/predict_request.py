"""gRPC's Predict requests: looked at on the wire, checked against a signature, and only then unpacked.

Protobuf takes up to fifty times the memory of a hostile message, and lets nobody else run while it unpacks one. The
values of a tensor are cheap in `tensor_content` and `string_val`; everything else in a message is bounded.
"""

import contextlib
import functools
import math
from typing import Any

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2

from i2p_tf.serving.stand_in.errors import invalid
from i2p_tf.serving.stand_in.limits import EXPANSION, SMALL_REQUEST_BYTES
from i2p_tf.serving.stand_in.signatures import Signature, Tensors, check_names, check_tensor, count_examples

MAX_FIELDS = 4096  # down to those of the tensors
MAX_LISTED_BYTES = 1 << 20  # of all but the contents of `tensor_content` and `string_val`
# Numbers of the fields in predict.proto and tensor.proto, from the request down to the contents.
_INPUTS, _VALUE, _CONTENTS = 2, 2, (4, 8)
_VARINT, _FIXED64, _LENGTH, _FIXED32 = 0, 1, 2, 5  # kinds of fields on the wire


def parse_message(kind: Any, content: bytes) -> Any:
    """A message of the class `kind` from `bytes`; `ServingError` where they are none."""
    try:
        return kind.FromString(content)
    except DecodeError as error:
        raise _malformed() from error


def parse(content: bytes) -> Any:
    """A `PredictRequest` from `bytes`, of bounded size; `ServingError` where they are none."""
    fields = contents = 0
    try:
        for depth, number, start, end in _walk(content):
            fields += 1
            if fields > MAX_FIELDS:
                raise invalid(f"the request has more than {MAX_FIELDS} fields")
            if depth == 2 and number in _CONTENTS:
                contents += end - start
    except IndexError:
        raise _malformed() from None
    if len(content) - contents > MAX_LISTED_BYTES:
        raise invalid(
            f"the request has more than {MAX_LISTED_BYTES} bytes besides tensor_content and string_val; "
            "send the values of large tensors as tensor_content"
        )
    return parse_message(predict_pb2.PredictRequest, content)


def unpack(request: Any, signature: Signature) -> tuple[Tensors, int]:
    """Reads the tensors of a request.

    Args:
        request: a `PredictRequest`.
        signature: the `Signature` that it names.

    Returns:
        Name -> array, and the number of examples.

    Raises:
        ServingError: says which input is wrong. Nothing else is raised, whatever the request is.
    """
    check_names(signature, set(request.inputs))
    shapes = {}
    for name, spec in signature.inputs.items():
        proto = request.inputs[name]
        shapes[name] = tuple([side.size for side in proto.tensor_shape.dim])
        check_tensor(name, spec, _dtype_name(proto.dtype), shapes[name])
    count = count_examples(shapes.values())
    room = EXPANSION * max(request.ByteSize(), SMALL_REQUEST_BYTES)
    inputs = {}
    for name, shape in shapes.items():
        proto = request.inputs[name]
        room -= math.prod(shape) * _bytes_of_a_value(name, proto, math.prod(shape))
        if room < 0:
            raise invalid(f"input {name}: the values that are stated take {EXPANSION} times the bytes sent; send all")
        inputs[name] = _to_array(name, proto)
    return inputs, count


@functools.lru_cache(maxsize=256)  # whatever number a client sends
def _dtype_name(number):
    with contextlib.suppress(TypeError):
        return tf.as_dtype(number).name
    return f"type {number}"


def _bytes_of_a_value(name, proto, size):
    if proto.dtype != types_pb2.DT_STRING:
        return tf.as_dtype(proto.dtype).size
    if len(proto.string_val) != size:  # one may stand for all, and each be copied later
        raise invalid(f"input {name} states {size} strings and has {len(proto.string_val)}")
    return np.dtype(object).itemsize


def _to_array(name, proto):
    """The values, of bytes as they lie in the message: TensorFlow's own way takes a multiple of that time."""
    shape, content = [side.size for side in proto.tensor_shape.dim], proto.tensor_content
    if content and proto.dtype == types_pb2.DT_UINT8 and len(content) == math.prod(shape):
        return np.frombuffer(content, np.uint8).reshape(shape)
    try:
        return np.asarray(tf.make_ndarray(proto))
    except Exception as error:
        raise invalid(f"input {name} is no valid TensorProto ({type(error).__name__})") from error


def _walk(content):
    """Yields depth, number, start and end of the fields of a request, of its inputs and of their tensors.

    IndexError where a field goes beyond the end.
    """
    waiting = [(0, 0, len(content))]
    while waiting:
        depth, position, end = waiting.pop()
        while position < end:
            tag, position = _varint(content, position)
            number, kind = tag >> 3, tag & 7
            if kind == _VARINT:
                start, stop = position, _varint(content, position)[1]
            elif kind == _LENGTH:
                length, start = _varint(content, position)
                stop = start + length
            elif kind in (_FIXED64, _FIXED32):
                start, stop = position, position + (8 if kind == _FIXED64 else 4)
            else:
                raise IndexError
            if stop > end:
                raise IndexError
            yield depth, number, start, stop
            if kind == _LENGTH and (depth, number) in ((0, _INPUTS), (1, _VALUE)):
                waiting.append((depth + 1, start, stop))
            position = stop


def _varint(content, position):
    """A number of variable length and the position behind it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = content[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, position
    raise IndexError


def _malformed():
    return invalid("the message is malformed")
