"""The messages of TF Serving's Predict and GetModelMetadata, as far as a client needs them.

The package tensorflow-serving-api has them whole, and brings TensorFlow. These have the same field numbers and types
and so the same bytes; names and what is left out don't travel. A map is on the wire what it is here: a list of keys
and values.
"""

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_INT32, _INT64, _FLOAT = _Field.TYPE_INT32, _Field.TYPE_INT64, _Field.TYPE_FLOAT
_STRING, _BYTES = _Field.TYPE_STRING, _Field.TYPE_BYTES

# Message -> its fields: name, number, type, and whether it is repeated.
_MESSAGES = {
    "Int64Value": [("value", 1, _INT64, False)],
    "ModelSpec": [
        ("name", 1, _STRING, False),
        ("version", 2, "Int64Value", False),
        ("signature_name", 3, _STRING, False),
        ("version_label", 4, _STRING, False),
    ],
    "Dim": [("size", 1, _INT64, False)],
    "TensorShape": [("dim", 2, "Dim", True)],
    "Tensor": [
        ("dtype", 1, _INT32, False),
        ("tensor_shape", 2, "TensorShape", False),
        ("tensor_content", 4, _BYTES, False),
        ("float_val", 5, _FLOAT, True),
        ("string_val", 8, _BYTES, True),
    ],
    "NamedTensor": [("key", 1, _STRING, False), ("value", 2, "Tensor", False)],
    "PredictRequest": [("model_spec", 1, "ModelSpec", False), ("inputs", 2, "NamedTensor", True)],
    "PredictResponse": [("outputs", 1, "NamedTensor", True), ("model_spec", 2, "ModelSpec", False)],
    "TensorInfo": [("tensor_shape", 3, "TensorShape", False)],
    "NamedTensorInfo": [("key", 1, _STRING, False), ("value", 2, "TensorInfo", False)],
    "SignatureDef": [("inputs", 1, "NamedTensorInfo", True), ("outputs", 2, "NamedTensorInfo", True)],
    "NamedSignatureDef": [("key", 1, _STRING, False), ("value", 2, "SignatureDef", False)],
    "SignatureDefMap": [("signature_def", 1, "NamedSignatureDef", True)],
    "Any": [("type_url", 1, _STRING, False), ("value", 2, _BYTES, False)],
    "NamedAny": [("key", 1, _STRING, False), ("value", 2, "Any", False)],
    "GetModelMetadataRequest": [("model_spec", 1, "ModelSpec", False), ("metadata_field", 2, _STRING, True)],
    "GetModelMetadataResponse": [("model_spec", 1, "ModelSpec", False), ("metadata", 2, "NamedAny", True)],
}
_PACKAGE = "i2p_tf"


def classes(file_name: str, messages: dict) -> dict:
    """Classes of messages by their names.

    Args:
        file_name: of the .proto file that they would stand in.
        messages: as `_MESSAGES`.
    """
    pool = descriptor_pool.DescriptorPool()  # not the default one: its names are those of tensorflow-serving-api
    pool.Add(_file(file_name, messages))
    found = message_factory.GetMessageClassesForFiles([file_name], pool)
    return {name.removeprefix(f"{_PACKAGE}."): message for name, message in found.items()}


def _file(file_name, messages):
    file = descriptor_pb2.FileDescriptorProto(name=file_name, package=_PACKAGE, syntax="proto3")
    for message, fields in messages.items():
        entry = file.message_type.add(name=message)
        for name, number, kind, repeated in fields:
            label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            field = entry.field.add(name=name, number=number, label=label)
            if isinstance(kind, str):
                field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                field.type = kind
    return file


_CLASSES = classes("i2p_tf/messages.proto", _MESSAGES)
PredictRequest = _CLASSES["PredictRequest"]
PredictResponse = _CLASSES["PredictResponse"]
GetModelMetadataRequest = _CLASSES["GetModelMetadataRequest"]
GetModelMetadataResponse = _CLASSES["GetModelMetadataResponse"]
SignatureDefMap = _CLASSES["SignatureDefMap"]
