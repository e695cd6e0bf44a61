"""What a folder of protected pictures knows of itself: by which transform they were made, and which are finished.

A file of JSON lines. The first says how the pictures are made. Then a line with a name alone says that the command will
write that output; the name is the command's from then on. A line with sizes and SHA-256 of a picture and its output
says that it did. The last line of a name counts. Nothing is believed of a file but what is in it: times can be kept
from another file, and a name says nothing.
"""

import hashlib
import json
import os
import pathlib
import threading
from collections.abc import Iterable
from typing import Any

from i2p_tf.files import write_bytes

FILE = ".i2p_tf.jsonl"
_CHUNK_BYTES = 1 << 20


class Journal:
    """The journal of one folder. The folder must be locked while lines are added; `finish` may be called from threads.

    Attributes:
        path: of its file.
        settings: how the pictures are made, as JSON; None if there is no journal, or none that can be read.
    """

    def __init__(self, folder: pathlib.Path) -> None:
        self.path = pathlib.Path(folder) / FILE
        self._above = self.path.as_posix().removesuffix(FILE)
        self._lock = threading.Lock()
        self.settings: dict | None = None
        self._entries: dict[str, Any] = {}
        self._torn = False
        if self.path.is_file():
            self._read()

    def __contains__(self, target: pathlib.Path) -> bool:
        """Whether the name of a target is the command's."""
        return self._name(target) in self._entries

    def start(self, settings: dict) -> None:
        """Begins anew: what was finished with other settings is no longer."""
        write_bytes(self.path, _line({"made_by": settings}))
        self.settings, self._entries, self._torn = settings, {}, False

    def expect(self, targets: Iterable[pathlib.Path]) -> None:
        """Notes, before any is written, that these targets are the command's, so that a half one is known as such."""
        new = [name for name in map(self._name, targets) if name not in self._entries]
        self._entries |= dict.fromkeys(new)
        lines = b"".join(_line({"output": name}) for name in new)
        self._add(b"\n" + lines if self._torn else lines, sync=True)

    def is_finished(self, source_digest: list | None, target: pathlib.Path) -> bool:
        """Whether a target is what was made of a picture, both to the last byte.

        Args:
            source_digest: what `digest` says of the picture.
            target: path of the output.
        """
        entry = self._entries.get(self._name(target))
        return bool(entry and source_digest and entry == (source_digest, digest(target)))

    def finish(self, source_digest: list | None, target: pathlib.Path, content: bytes) -> None:
        """Notes that a target was written.

        Args:
            source_digest: what `digest` said of the picture before it was decoded: if it changes meanwhile, that shows.
            target: path of the output.
            content: its bytes.
        """
        name, made = self._name(target), digest_of(content)
        self._entries[name] = (source_digest, made)
        self._add(_line({"output": name, "source": source_digest, "made": made}))

    def _name(self, target):
        return target.as_posix().removeprefix(self._above)

    def _add(self, lines, sync=False):
        with self._lock, open(self.path, "ab") as file:
            file.write(lines)
            if sync:
                file.flush()
                os.fsync(file.fileno())

    def _read(self):
        first, *lines = self.path.read_bytes().split(b"\n")
        self.settings = _settings(first)
        self._torn = not lines or lines[-1] != b""  # a killed command was writing the last line
        for line in lines:
            self._entries |= _entry(line)


def digest(path: pathlib.Path) -> list | None:
    """Size and SHA-256 of a file, as JSON; None if it is none or can't be read."""
    try:
        if not os.path.isfile(path):  # a named pipe would wait for ever
            return None
        result, size = hashlib.sha256(), 0
        with open(path, "rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                result.update(chunk)
                size += len(chunk)
    except OSError:
        return None
    return [size, result.hexdigest()]


def digest_of(content: bytes) -> list:
    """Size and SHA-256 of bytes, as `digest` of a file with them."""
    return [len(content), hashlib.sha256(content).hexdigest()]


def read_small(path: pathlib.Path) -> bytes | None:
    """The bytes of a file that has not many; None if it has more, is none or can't be read."""
    try:
        if not os.path.isfile(path):
            return None
        with open(path, "rb") as file:
            content = file.read(_CHUNK_BYTES)
    except OSError:
        return None
    return content if len(content) < _CHUNK_BYTES else None


def _line(value):
    return json.dumps(value).encode() + b"\n"


def _settings(line):
    try:
        return dict(json.loads(line)["made_by"])
    except Exception:  # whatever is there, it is no journal
        return None


def _entry(line):
    """Name -> digests or None; empty for a line that is torn or no line of a journal."""
    try:
        value = json.loads(line)
        name = str(value["output"])
        return {name: (value["source"], value["made"]) if "made" in value else None}
    except Exception:  # the picture is made again
        return {}
