"""TF Serving's JSON: requests in row or column format to arrays, and arrays back."""

import base64
import binascii
import json

import numpy as np
import tensorflow as tf

from i2p_tf.serving.errors import invalid

_WHITE_SPACE = b" \t\n\v\f\r"  # of ASCII


def parse_document(body):
    """The JSON object in `bytes`; `ServingError` where it is none."""
    try:
        document = json.loads(body)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise invalid(f"JSON Parse error: {error}") from error
    if not isinstance(document, dict):
        raise invalid("JSON Value: Is not object")
    return document


def signature_name(document):
    """The signature that a request names; empty for the default one."""
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid("JSON Value not formatted correctly. 'signature_name' key must be a string value.")
    return name


def parse_inputs(document, signature):
    """Reads the tensors of a request.

    Args:
        document: the JSON object.
        signature: the `Signature` that it names.

    Returns:
        Name -> array, and whether the request is in row format.

    Raises:
        ServingError: says what is wrong, and where.
    """
    if "instances" in document and "inputs" in document:
        raise invalid("Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist")
    try:
        if "instances" in document:
            return _parse_rows(document["instances"], signature), True
        if "inputs" in document:
            return _parse_columns(document["inputs"], signature), False
    except RecursionError:
        raise _too_deep() from None
    raise invalid("Missing 'inputs' or 'instances' key")


def format_outputs(outputs, by_row):
    """The answer to a request, as JSON.

    Args:
        outputs: name -> array, all with as many examples.
        by_row: whether the request was in row format.

    Returns:
        `bytes`.
    """
    columns = {name: _to_json(name, array) for name, array in outputs.items()}
    if by_row:
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        answer = {"predictions": [row.popitem()[1] for row in rows] if len(columns) == 1 else rows}
    else:
        answer = {"outputs": next(iter(columns.values())) if len(columns) == 1 else columns}
    return json.dumps(answer).encode()


def _too_deep():
    return invalid("JSON Parse error: nested too deeply")


def _parse_rows(instances, signature):
    if not isinstance(instances, list):
        raise invalid("Expecting 'instances' to be a list/array")
    if not instances:
        raise invalid("No values in 'instances' array")
    if not any(_is_object(instance) for instance in instances):
        name, spec = _only_input(signature, "instances")
        return {name: _to_array(instances, spec)}
    for index, instance in enumerate(instances):
        if not _is_object(instance) or set(instance) != set(signature.inputs):
            raise invalid(
                f"Failed to process element: {index} of 'instances' list. JSON object: keys must be equal to: "
                f"{','.join(sorted(signature.inputs))}"
            )
    return {
        name: _to_array([instance[name] for instance in instances], spec) for name, spec in signature.inputs.items()
    }


def _parse_columns(inputs, signature):
    if not _is_object(inputs):
        name, spec = _only_input(signature, "inputs")
        return {name: _to_array(inputs, spec)}
    for name in signature.inputs:
        if name not in inputs:
            raise invalid(f"Missing named input: {name} in 'inputs' object.")
    return {name: _to_array(inputs[name], spec) for name, spec in signature.inputs.items()}


def _only_input(signature, key):
    """Name and specification of the input that need not be named."""
    if len(signature.inputs) > 1:
        raise invalid(f"{key} is a plain list, but expecting objects as multiple input tensors are required")
    return next(iter(signature.inputs.items()))


def _is_object(value):
    """Whether it names tensors; `{"b64": ...}` is a value."""
    return isinstance(value, dict) and not _is_base64(value)


def _is_base64(value):
    return isinstance(value, dict) and list(value) == ["b64"] and isinstance(value["b64"], str)


def _to_array(value, spec):
    if spec.dtype == tf.string:
        value = _to_bytes(value)
        array = np.array(value, dtype=object)
        if not all(isinstance(item, bytes) for item in array.flat):
            raise invalid("JSON lists of strings must be equally long at each level")
        return array
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise invalid("JSON lists must be equally long at each level") from error
    dtype = spec.dtype.as_numpy_dtype
    integer = np.issubdtype(dtype, np.integer)
    if array.size and array.dtype.kind not in ("iu" if integer else "iuf"):
        raise invalid(f"JSON Value: Type: {array.dtype} is not of expected type: {spec.dtype.name}")
    if integer and array.size and not np.iinfo(dtype).min <= array.min() <= array.max() <= np.iinfo(dtype).max:
        raise invalid(f"JSON Value: {array.min()} to {array.max()} does not fit the expected type: {spec.dtype.name}")
    return array.astype(dtype)


def _to_bytes(value):
    """Strings and `{"b64": ...}` objects in nested lists as `bytes`."""
    if isinstance(value, list):
        return [_to_bytes(item) for item in value]
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
        return np.vectorize(lambda item: {"b64": base64.b64encode(item).decode()}, otypes=[object])(array).tolist()
    return np.vectorize(lambda item: item.decode(errors="replace"), otypes=[object])(array).tolist()
