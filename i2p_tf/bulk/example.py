"""tf.train.Example, as far as a picture and its labels need it, and TFRecords of them. Without TensorFlow."""

import dataclasses
from typing import BinaryIO

from apache_beam.io.tfrecordio import _TFRecordUtil as tfrecords
from google.protobuf import descriptor_pb2

from i2p_tf.client import messages

PICTURE_FEATURES = ("image", "image/encoded")  # of TFDS, and of TensorFlow's own models
NAME_FEATURE = "name"

_INT64, _STRING, _BYTES = (
    getattr(descriptor_pb2.FieldDescriptorProto, f"TYPE_{name}") for name in ("INT64", "STRING", "BYTES")
)
_Example = messages.classes(
    "i2p_tf/example.proto",
    {
        "BytesList": [("value", 1, _BYTES, True)],
        "Int64List": [("value", 1, _INT64, True)],
        "Feature": [("bytes_list", 1, "BytesList", False), ("int64_list", 3, "Int64List", False)],
        "NamedFeature": [("key", 1, _STRING, False), ("value", 2, "Feature", False)],
        "Features": [("feature", 1, "NamedFeature", True)],
        "Example": [("features", 1, "Features", False)],
    },
)["Example"]


class RecordError(ValueError):
    """A record that can't be used. The message is the short reason."""


class ShardError(RecordError):
    """Neither this record nor what is behind it can be read."""


@dataclasses.dataclass(frozen=True)
class Record:
    """What is kept of an Example.

    Attributes:
        feature: name of the feature with the picture.
        picture: its bytes.
        labels: name and value of the features that are one whole number. All else is left out: it may show the picture.
    """

    feature: str
    picture: bytes
    labels: tuple[tuple[str, int], ...] = ()


def parse(content: bytes) -> Record:
    """The picture and labels of an Example; `RecordError` if there is no picture."""
    try:
        features = {each.key: each.value for each in _Example.FromString(content).features.feature}
    except Exception as error:  # of protobuf, whose class depends on how it was built
        raise RecordError("no tf.train.Example") from error
    for name in PICTURE_FEATURES:
        pictures = list(features[name].bytes_list.value) if name in features else []
        if len(pictures) == 1:
            numbers = ((key, list(value.int64_list.value)) for key, value in features.items())
            return Record(name, pictures[0], tuple((key, each[0]) for key, each in numbers if len(each) == 1))
    raise RecordError(f"no picture: one value of bytes in the feature {' or '.join(PICTURE_FEATURES)}")


def serialized(record: Record, name: str) -> bytes:
    """The Example of a record, with the name of its source in the feature `name`."""
    example = _Example()
    for key, content in ((record.feature, record.picture), (NAME_FEATURE, name.encode(errors="surrogateescape"))):
        example.features.feature.add(key=key).value.bytes_list.value.append(content)
    for key, number in record.labels:
        if key not in (record.feature, NAME_FEATURE):
            example.features.feature.add(key=key).value.int64_list.value.append(number)
    return example.SerializeToString(deterministic=True)


def read_record(file: BinaryIO) -> bytes | None:
    """The next record of a shard, None at its end; `RecordError` or `ShardError` if it is damaged."""
    try:
        return tfrecords.read_record(file)
    except Exception as error:  # of lengths, checksums, and whatever unpacks a compressed file
        if "Mismatch of data mask" in str(error):
            raise RecordError("its checksum is wrong") from error
        raise ShardError("the shard is cut off or damaged from here on") from error


def write_record(file: BinaryIO, content: bytes) -> None:
    """Appends a record."""
    tfrecords.write_record(file, content)
