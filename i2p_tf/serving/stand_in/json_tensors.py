"""TF Serving's JSON: requests in row or column format to arrays, and arrays back. No TensorFlow."""

import base64
import binascii
import itertools
import json
from typing import Any

import grpc
import numpy as np

from i2p_tf.serving.stand_in import signatures as signatures_
from i2p_tf.serving.stand_in.errors import ServingError, invalid
from i2p_tf.serving.stand_in.signatures import Signature, Tensors, check_tensor, count_examples

_WHITE_SPACE = b" \t\n\v\f\r"  # of ASCII
_INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
_FLOATS = ("float16", "float32", "float64")
_PYTHON_TYPES: dict[str, set[type]] = {
    **{name: {int} for name in _INTEGERS},
    **{name: {int, float} for name in _FLOATS},
    "bool": {bool},
    "string": {str, dict},
}


ParsedRequest = tuple[Signature, Tensors, bool, int]


def parse(body: bytes, signatures: dict[str, Signature]) -> ParsedRequest:
    """Reads a request.

    Args:
        body: `bytes`.
        signatures: name -> `Signature`, of the model that is asked.

    Returns:
        The `Signature` that is asked, name -> array, whether the request is in row format, the number of examples.
        Strings are arrays of `bytes` objects.

    Raises:
        ServingError: says what is wrong, and where. Nothing else is raised, whatever the body is, but MemoryError.
    """
    try:
        document = _parse_document(body)
        signature = signatures_.find(signatures, _signature_name(document))
        columns, by_row = _columns(document, signature)
        tensors = {name: _flatten(value) for name, value in columns.items()}
        for name, (values, shape) in tensors.items():
            _check_types(values, signature.inputs[name].dtype)
            check_tensor(name, signature.inputs[name], signature.inputs[name].dtype, shape)
        count = count_examples(shape for _, shape in tensors.values())
        inputs = {name: _to_array(*tensors[name], signature.inputs[name].dtype) for name in tensors}
    except (ServingError, MemoryError):
        raise
    except RecursionError:
        raise invalid("JSON Parse error: nested too deeply") from None
    except Exception as error:
        raise invalid(f"the request cannot be read ({type(error).__name__})") from error
    return signature, inputs, by_row, count


def format_outputs(outputs: Tensors, by_row: bool) -> bytes:
    """The answer to a request, as JSON.

    Args:
        outputs: name -> array, all with as many examples.
        by_row: whether the request was in row format.

    Returns:
        `bytes`.
    """
    columns = {name: _to_json(name, array) for name, array in outputs.items()}
    alone = len(columns) == 1
    if by_row:
        rows = list(zip(*columns.values(), strict=True))
        named = [row[0] if alone else dict(zip(columns, row, strict=True)) for row in rows]
        return json.dumps({"predictions": named}).encode()
    return json.dumps({"outputs": next(iter(columns.values())) if alone else columns}).encode()


def _parse_document(body):
    try:
        document = json.loads(body)
    except ValueError as error:
        raise invalid(f"JSON Parse error: {error}") from error
    if not isinstance(document, dict):
        raise invalid("JSON Value: Is not object")
    return document


def _signature_name(document):
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid("JSON Value not formatted correctly. 'signature_name' key must be a string value.")
    return name


def _columns(document, signature):
    """Input name -> JSON value for the whole batch, and whether the request is in row format."""
    if "instances" in document and "inputs" in document:
        raise invalid("Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist")
    if "instances" in document:
        return _of_rows(document["instances"], signature), True
    if "inputs" in document:
        return _of_columns(document["inputs"], signature), False
    raise invalid("Missing 'inputs' or 'instances' key")


def _of_rows(instances, signature):
    if not isinstance(instances, list):
        raise invalid("Expecting 'instances' to be a list/array")
    if not instances:
        raise invalid("No values in 'instances' array")
    if not any(_is_object(instance) for instance in instances):
        return {_only_input(signature, "instances"): instances}
    for index, instance in enumerate(instances):
        if not _is_object(instance) or set(instance) != set(signature.inputs):
            raise invalid(
                f"Failed to process element: {index} of 'instances' list. JSON object: keys must be equal to: "
                f"{','.join(sorted(signature.inputs))}"
            )
    return {name: [instance[name] for instance in instances] for name in signature.inputs}


def _of_columns(inputs, signature):
    if not _is_object(inputs):
        return {_only_input(signature, "inputs"): inputs}
    for name in signature.inputs:
        if name not in inputs:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: inputs[name] for name in signature.inputs}


def _only_input(signature, key):
    """Name of the input that need not be named."""
    if len(signature.inputs) > 1:
        raise invalid(f"{key} is a plain list, but expecting objects as multiple input tensors are required")
    return next(iter(signature.inputs))


def _is_object(value):
    """Whether it names tensors; `{"b64": ...}` is a value."""
    return isinstance(value, dict) and not _is_base64(value)


def _is_base64(value):
    return isinstance(value, dict) and list(value) == ["b64"] and isinstance(value["b64"], str)


def _flatten(value: Any) -> tuple[list, tuple[int, ...]]:
    """The values of nested lists in one list, and the shape, a tuple."""
    values: list[Any] = [value]
    shape: list[int] = []
    while any(kinds := [type(item) is list for item in values]):
        lengths = set(map(len, values)) if all(kinds) else ()
        if len(lengths) != 1:
            raise invalid("JSON lists must be equally long at each level, and end at the same one")
        shape += lengths
        values = list(itertools.chain.from_iterable(values))
    return values, tuple(shape)


def _check_types(values, dtype):
    if dtype not in _PYTHON_TYPES:
        raise ServingError(grpc.StatusCode.UNIMPLEMENTED, f"Conversion of JSON Value to type: {dtype}")
    if unexpected := set(map(type, values)) - _PYTHON_TYPES[dtype]:
        raise invalid(f"JSON Value: Type: {unexpected.pop().__name__} is not of expected type: {dtype}")


def _to_array(values, shape, dtype):
    if dtype == "string":
        array = np.empty(len(values), object)
        array[:] = [_to_bytes(value) for value in values]
        return array.reshape(shape)
    if dtype in _INTEGERS and values:
        limits = np.iinfo(dtype)
        for extreme in (min(values), max(values)):
            if not limits.min <= extreme <= limits.max:
                raise invalid(f"JSON Value: a number does not fit the expected type: {dtype}. Received: {extreme}")
    try:
        with np.errstate(over="ignore"):
            array = np.array(values, dtype).reshape(shape)
    except OverflowError:
        raise _too_large(dtype) from None
    if dtype in _FLOATS and not np.isfinite(array).all():
        raise _too_large(dtype)
    return array


def _too_large(dtype):
    return invalid(f"JSON Value: a number is not finite or too large for the expected type: {dtype}")


def _to_bytes(value):
    """A string or a `{"b64": ...}` object as `bytes`."""
    if isinstance(value, str):
        return value.encode(errors="surrogatepass")
    if not _is_base64(value):
        raise invalid("JSON Value is not of expected type: string")
    return _decode_base64(value["b64"])


def _decode_base64(text):
    """As TF Serving does: of the standard alphabet, white space anywhere, padding complete or left out, `.` as `=`."""
    try:
        compact = text.encode("ascii").translate(None, _WHITE_SPACE)
        digits = compact.rstrip(b"=.")
        padding = -len(digits) % 4
        if len(compact) - len(digits) in (0, padding):
            return base64.b64decode(digits + b"=" * padding, validate=True)
    except (binascii.Error, UnicodeEncodeError):
        pass
    raise invalid("Unable to base64 decode")


def _to_json(name, array):
    if array.dtype != object:
        return array.tolist()
    if name.endswith("_bytes"):
        values = [{"b64": base64.b64encode(item).decode()} for item in array.flat]
    else:
        values = [item.decode(errors="replace") for item in array.flat]
    converted = np.empty(array.size, object)
    converted[:] = values
    return converted.reshape(array.shape).tolist()
