"""Units of work -> parts of plain images, with what could not be read."""

import dataclasses
import itertools
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from i2p_tf import pictures
from i2p_tf.bulk import example, inputs, storage
from i2p_tf.bulk.example import Record, RecordError, ShardError
from i2p_tf.bulk.inputs import Unit
from i2p_tf.bulk.storage import File
from i2p_tf.client.interfaces import PictureSource

_PICTURE_FILE = Record(example.PICTURE_FEATURES[0], b"")  # what a file becomes among records has no labels


@dataclasses.dataclass(frozen=True)
class Item:
    """One picture that is to be decoded, or that could not be read for a `reason`.

    Attributes:
        name: the path of its file below the base of all inputs; of a record with /NUMBER behind it.
        source: where its bytes are.
        record: what is kept beside the picture.
        reason: why there is no source.
    """

    name: str
    source: PictureSource = b""
    record: Record = _PICTURE_FILE
    reason: str | None = None


@dataclasses.dataclass(frozen=True)
class Part:
    """What is computed and written together: all but the images.

    Attributes:
        name: `00003-of-00010`, of a shard of records with the number of the part behind it.
        names, records: of the pictures that were read, in their order.
        failures: names of the others, each with the reason.
    """

    name: str
    names: tuple[str, ...] = ()
    records: tuple[Record, ...] = ()
    failures: tuple[tuple[str, str], ...] = ()


def items(unit: Unit, files: list[File], base: str) -> Iterator[tuple[str, list[Item]]]:
    """The name of each part of a unit, and what is in it."""
    if not inputs.holds_records(files[0].path):
        yield unit.name, [Item(file.path[len(base) :], file.path) for file in files]
        return
    records = _records(files[0].path, files[0].path[len(base) :])
    for number in itertools.count():
        found = list(itertools.islice(records, inputs.PART))
        if not found and number:
            return
        yield f"{unit.name}.{number:05d}", found


def decode(name: str, found: list[Item], size: int, rule: str) -> tuple[Part, np.ndarray]:
    """The part and its images, uint8 RGB `(n, size, size, 3)`.

    Args:
        name: of the part.
        found: what is in it.
        size, rule: as for `pictures.decode_square`.
    """
    read, images, failures = [], [], []
    for item in found:
        try:
            if item.reason:
                raise pictures.PictureError(item.reason)
            images.append(_decode(item.source, size, rule))
            read.append(item)
        except pictures.PictureError as error:
            failures.append((item.name, str(error)))
    names = tuple(item.name for item in read)
    part = Part(name, names, tuple(dataclasses.replace(item.record, picture=b"") for item in read), tuple(failures))
    return part, np.array(images, np.uint8).reshape(-1, size, size, 3)


def _decode(source, size, rule):
    if isinstance(source, bytes) or storage.is_local(source):
        return pictures.decode_square(source, size, rule)
    with storage.open_file(source) as file:
        return pictures.decode_square(file, size, rule)


def _records(path: str, name: str) -> Iterator[Item]:
    """What is in a shard, to its end or to where it is damaged."""
    try:
        file = storage.open_file(path, compressed=True)
    except OSError as error:
        yield Item(name, reason=f"cannot be read: {(error.strerror or str(error)).lower()}")
        return
    with file:
        for number in itertools.count():
            yielded = _next_record(file, f"{name}/{number:08d}")
            if yielded is None:
                return
            yield yielded[0]
            if yielded[1]:
                return


def _next_record(file: BinaryIO, name: str) -> tuple[Item, bool] | None:
    """The next record, and whether nothing can be read behind it; None at the end."""
    try:
        content = example.read_record(file)
        if content is None:
            return None
        record = example.parse(content)
        return Item(name, record.picture, record), False
    except RecordError as error:
        return Item(name, reason=str(error)), isinstance(error, ShardError)
