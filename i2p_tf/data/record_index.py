"""Where in a TFRecord file the pictures lie, and their labels: read without the pictures, and without TensorFlow.

A record is its length (8 bytes), a checksum (4), an `Example` of protocol buffers, and another checksum (4). An
`Example` is a map of names to features. Of these the index knows `image`, one text of bytes, and `label`, one integer.
"""

import array
import functools
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from i2p_tf.errors import InputError, printable
from i2p_tf.moving_line import MovingLine

_HEAD, _TAIL = 12, 4
_WINDOW = 256  # bytes that are read at once: all of a record but the picture
_VARINT, _BYTES = 0, 2  # wire types
_SKIPPED = {1: 8, 5: 4}  # bytes of others


def read(path: pathlib.Path, done: Callable[[int], None]) -> tuple[np.ndarray, np.ndarray]:
    """Reads the index of one file.

    Args:
        path: an uncompressed TFRecord file.
        done: called with the number of bytes that are done.

    Returns:
        Tuple of `(n, 2)`, where each picture begins and how many bytes it has, and the labels `(n,)`; int64.

    Raises:
        InputError: if the file is cut off, or a record is not as it has to be.
    """
    found, count = array.array("q"), 0
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        window, position = _Window(file.fileno(), size), 0
        while position < size:
            start, length = position + _HEAD, int.from_bytes(window.bytes(position, 8), "little")
            if start + length + _TAIL > size:
                raise InputError(f"{printable(path)} is cut off after record {count}, or no uncompressed TFRecord")
            try:
                found.extend(_picture(window, start, start + length))
            except (ValueError, KeyError, IndexError):
                raise InputError(
                    f"{printable(path)}, record {count + 1}: must be an Example with the features image (bytes) and "
                    "label (int64)"
                ) from None
            position, count = start + length + _TAIL, count + 1
            if count % 1000 == 0:
                done(position)
    done(size)
    table = np.array(found, np.int64).reshape(-1, 3)
    return table[:, :2], table[:, 2]


def read_all(files: Sequence[pathlib.Path], line: MovingLine, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Reads the index of several files.

    Returns:
        Tuple of the `places` of `stored.StoredImages`, in the order of the files, and the labels, int32 `(n,)`.
    """
    sizes = [file.stat().st_size for file in files]
    waiting = line.wait(f"finding the pictures for {split}, MB", sum(sizes) // 10**6)
    places, labels = [], []
    for number, file in enumerate(files):
        start = sum(sizes[:number])
        of_file, found = read(file, functools.partial(_done, waiting, start))
        places.append(np.insert(of_file, 0, number, axis=1))
        labels.append(found.astype(np.int32))
    return np.concatenate(places), np.concatenate(labels)


def _done(waiting, start, count):
    waiting.done((start + count) // 10**6)


class _Window:
    """Bytes of a file by their position, read in pieces."""

    def __init__(self, descriptor, size):
        self.descriptor, self.size, self.start, self.content = descriptor, size, 0, b""

    def bytes(self, position, count):
        offset = position - self.start
        if offset < 0 or offset + count > len(self.content):
            self.start, offset = position, 0
            self.content = os.pread(self.descriptor, max(count, _WINDOW), position)
        return self.content[offset : offset + count]

    def varint(self, position):
        """An integer and the position behind it."""
        value = shift = 0
        while True:
            (byte,) = self.bytes(position, 1)
            value |= (byte & 0x7F) << shift
            position, shift = position + 1, shift + 7
            if byte < 0x80:
                return value, position


def _picture(window, start, end):
    """Begin, bytes and label of the picture of an `Example`."""
    features = {}
    for _, example, example_end in _fields(window, start, end):
        for _, entry, entry_end in _fields(window, example, example_end):
            (_, key, key_end), (_, feature, feature_end) = _fields(window, entry, entry_end)
            features[window.bytes(key, key_end - key)] = feature, feature_end
    ((_, image, image_end),) = _one(window, *features[b"image"], kind=1)
    ((_, label, _),) = _one(window, *features[b"label"], kind=3)
    value = window.varint(label)[0]
    return image, image_end - image, value - (1 << 64) if value >> 63 else value


def _one(window, start, end, kind):
    """The values of a feature, a list of the kind 1 (bytes) or 3 (integers)."""
    ((found, values, values_end),) = _fields(window, start, end)
    if found != kind:
        raise ValueError
    return list(_fields(window, values, values_end))


def _fields(window, position, end) -> Iterator[tuple[int, int, int]]:
    """Number, begin and end of the fields of a message."""
    while position < end:
        tag, position = window.varint(position)
        kind, start = tag & 7, position
        if kind == _BYTES:
            length, start = window.varint(position)
            position = start + length
        else:
            position = window.varint(position)[1] if kind == _VARINT else position + _SKIPPED[kind]
        if position > end:
            raise ValueError
        yield tag >> 3, start, position
