"""Files that are whole or not there, whenever the program or the machine stops; and JSON in them."""

import contextlib
import ctypes
import hashlib
import json
import os
import pathlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from i2p_tf.errors import InputError

TEMPORARY = ".unfinished-"
_DIGITS = 16  # of the SHA-256 of a name
_SYNC_FILE_SYSTEM = getattr(ctypes.CDLL(None, use_errno=True), "syncfs", None) if os.name == "posix" else None


@contextlib.contextmanager
def write_atomically(path: pathlib.Path) -> Iterator[pathlib.Path]:
    """Yields a temporary path beside `path`; renames it onto `path`, on the disk too, if the block succeeds.

    Makes the folder where it is missing. The temporary name is short, as that of the file may be as long as the file
    system allows, has its suffix, and is of this call alone, as another program may be writing the same file. The
    block may make a folder of it.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = pathlib.Path(_temporary(path))
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


def write_files(
    contents: Mapping[pathlib.Path, bytes], note: Callable[[pathlib.Path], None] = lambda path: None
) -> dict[pathlib.Path, OSError]:
    """Writes many small files as `write_bytes`, and waits for the disk once.

    Args:
        contents: path -> bytes.
        note: called with each path as soon as its file is there.

    Returns:
        Path -> what went wrong with it, of those that were not written.
    """
    temporaries = {path: _temporary(path) for path in contents}
    failures: dict[pathlib.Path, OSError] = {}
    try:
        for path, content in contents.items():
            with _noted(failures, path):
                _write_new(temporaries[path], content)
        written = contents.keys() - failures.keys()
        with _noted(failures, *written):
            _flush_all([temporaries[path] for path in written])
        for path in contents.keys() - failures.keys():
            with _noted(failures, path):
                os.replace(temporaries[path], path)
                del temporaries[path]
                note(path)
    finally:
        for temporary in temporaries.values():  # that did not become files
            with contextlib.suppress(OSError):
                os.unlink(temporary)
    return failures


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
    prefixes = {_prefix(path.name) for path in paths}
    for folder in {path.parent for path in paths}:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name[: len(TEMPORARY) + _DIGITS + 1] in prefixes:
                    remove(pathlib.Path(entry.path))


@contextlib.contextmanager
def _noted(failures, *paths):
    try:
        yield
    except OSError as error:
        failures |= dict.fromkeys(paths, error)


def _write_new(path, content):
    try:
        file = open(path, "xb")  # noqa: SIM115
    except FileNotFoundError:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        file = open(path, "xb")  # noqa: SIM115
    with file:
        file.write(content)


def _flush_all(paths):
    """Linux flushes a whole file system in a fraction of the time that it takes for each of many files."""
    if _SYNC_FILE_SYSTEM is None or len(paths) == 1:
        for path in paths:
            _flush(path)
        return
    for path in {os.stat(path).st_dev: path for path in paths}.values():
        with open(path, "rb") as file:
            if _SYNC_FILE_SYSTEM(file.fileno()):
                raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)


def _flush(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())  # else a machine that stops may keep the name and lose the content


def _temporary(path):
    """A name beside `path`, as a string: making a `Path` of it takes longer than all the rest."""
    folder, name = os.path.split(path)
    return os.path.join(folder, f"{_prefix(name)}{os.urandom(4).hex()}{path.suffix}")


def _prefix(name):
    return f"{TEMPORARY}{hashlib.sha256(os.fsencode(name)).hexdigest()[:_DIGITS]}-"
