"""Files that are whole or not there, whenever the program or the machine stops; and JSON in them."""

import contextlib
import hashlib
import json
import os
import pathlib
import shutil
import uuid
from collections.abc import Iterable, Iterator
from typing import Any

from i2p_tf.errors import InputError

TEMPORARY = ".unfinished-"
_DIGITS = 16  # of the SHA-256 of a name


@contextlib.contextmanager
def write_atomically(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a temporary path beside `path`; renames it onto `path`, on the disk too, if the block succeeds.

    Makes the folder where it is missing. The temporary name is short, as that of the file may be as long as the file
    system allows, has its suffix, and is of this call alone, as another program may be writing the same file. The
    block may make a folder of it.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{_prefix(path)}{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        yield temporary
        if temporary.is_file():
            _flush(temporary)
        os.replace(temporary, path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk is noticed by calls that know no name
        raise
    finally:
        with contextlib.suppress(OSError):  # what went wrong before it says more
            remove(temporary)


def write_bytes(path: pathlib.Path, content: bytes) -> None:
    """Writes bytes as `write_atomically`."""
    with write_atomically(path) as temporary:
        temporary.write_bytes(content)


def write_json(path: pathlib.Path, value: Any) -> None:
    """Writes `value` as indented JSON with a final newline."""
    with write_atomically(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n")


def read_json(path: pathlib.Path) -> Any:
    """The dictionary in a JSON file; `InputError` where there is none."""
    return parse_json(path.read_bytes(), path)


def parse_json(text: str | bytes, path: pathlib.Path) -> Any:
    """The dictionary in JSON text, given as bytes; `InputError`, which names `path`, where there is none."""
    try:
        value = json.loads(text)
    except Exception as error:  # a number may be too long, and what is nested too deep
        raise InputError(f"{path} is damaged: {error}") from error
    if not isinstance(value, dict):
        raise InputError(f"{path} is damaged: it holds no JSON object")
    return value


def remove(path: pathlib.Path) -> None:
    """Deletes a file, or a folder with all that is in it; what is not there is none."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def remove_left_overs(paths: Iterable[pathlib.Path]) -> None:
    """Deletes what killed calls of `write_atomically` for these files have left. Nobody else may be writing them."""
    prefixes = {_prefix(path) for path in paths}
    for folder in {path.parent for path in paths}:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name[: len(TEMPORARY) + _DIGITS + 1] in prefixes:
                    remove(pathlib.Path(entry.path))


def _flush(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())  # else a machine that stops may keep the name and lose the content


def _prefix(path):
    return f"{TEMPORARY}{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:_DIGITS]}-"
