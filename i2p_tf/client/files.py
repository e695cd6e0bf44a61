"""Files that are whole or not there, whenever the program or the machine stops."""

import contextlib
import hashlib
import os
import pathlib
import uuid
from collections.abc import Iterable

_TEMPORARY = ".unfinished-"


def write_atomically(path: pathlib.Path, content: bytes) -> None:
    """Writes bytes under a temporary name in the same folder, on the disk too, and renames.

    Makes the folder where it is missing. The temporary name is short, as that of the file may be as long as the file
    system allows, and of this call alone, as another program may be writing the same file.

    Args:
        path: a `pathlib.Path`.
        content: bytes.
    """
    temporary = path.with_name(f"{_prefix(path)}{uuid.uuid4().hex[:8]}")
    try:
        try:
            _write(temporary, content)
        except FileNotFoundError:
            path.parent.mkdir(parents=True, exist_ok=True)
            _write(temporary, content)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def remove_left_overs(paths: Iterable[pathlib.Path]) -> None:
    """Deletes what killed calls of `write_atomically` for these files have left. Nobody else may be writing them."""
    prefixes = {_prefix(path) for path in paths}
    for folder in {path.parent for path in paths}:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
            for entry in entries:
                if entry.name[: len(_TEMPORARY) + 17] in prefixes:
                    os.unlink(entry)


def _write(path, content):
    with open(path, "xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # else a machine that stops may keep the name and lose the content


def _prefix(path):
    return f"{_TEMPORARY}{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}-"
