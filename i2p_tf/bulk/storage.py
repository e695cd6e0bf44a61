"""Files wherever Beam has a file system for them: on this machine, and with its extras gs://, s3:// and others."""

import dataclasses
import importlib.util
import os
import re
import uuid
from typing import BinaryIO

from apache_beam.io.filesystem import CompressionTypes
from apache_beam.io.filesystems import FileSystems

from i2p_tf.errors import InputError, printable

EXTRAS = {"gs": ("gcp", "google.cloud.storage"), "s3": ("aws", "boto3")}  # scheme -> Beam's extra, a module of it


@dataclasses.dataclass(frozen=True)
class File:
    """A file: its path, its size in bytes, and when it was written, in seconds since 1970."""

    path: str
    size: int
    updated: float


def absolute(path: str) -> str:
    """A path that means the same in another process; that of a folder ends in /. `InputError` without a file system."""
    scheme = FileSystems.get_scheme(path)
    if scheme in EXTRAS and not _is_installed(EXTRAS[scheme][1]):
        raise InputError(
            f"{printable(path)}: {scheme}:// needs an extra: pip install 'apache-beam[{EXTRAS[scheme][0]}]'"
        )
    if scheme:
        try:
            FileSystems.get_filesystem(path)
        except ValueError as error:
            raise InputError(f"{printable(path)}: Beam has no file system for {scheme}:// here") from error
        return path
    return os.path.abspath(path) + ("/" if path.endswith("/") or os.path.isdir(path) else "")


def is_local(path: str) -> bool:
    """Whether Python's own functions can read it."""
    return FileSystems.get_scheme(path) is None


def match(pattern: str) -> list[File]:
    """The files that match a pattern of Beam (`*` stays in a folder, `**` does not), by their paths.

    Raises:
        InputError: if they can't be listed.
    """
    try:
        (found,) = FileSystems.match([pattern])
    except Exception as error:  # each file system has its own: no such bucket, no credentials, no network
        raise InputError(f"{printable(pattern)} cannot be listed: {_reason(error)}") from error
    files = [File(each.path, each.size_in_bytes, each.last_updated_in_seconds or 0.0) for each in found.metadata_list]
    return sorted(files, key=lambda file: file.path)


def size(path: str) -> int | None:
    """Of a file, in bytes; None if there is none."""
    try:
        return FileSystems.get_filesystem(path).metadata(path).size_in_bytes
    except Exception:  # as `match`; what can't be seen is made again
        return None


def open_file(path: str, compressed: bool = False) -> BinaryIO:
    """Opens a file; with `compressed` one whose name ends in .gz and the like is unpacked."""
    kind = CompressionTypes.AUTO if compressed else CompressionTypes.UNCOMPRESSED
    return FileSystems.open(path, compression_type=kind)


def read(path: str, start: int = 0, size: int = -1) -> bytes | None:
    """The bytes of a file or a part of it; None if there is none."""
    if not FileSystems.exists(path):
        return None
    with open_file(path) as file:
        file.seek(start)
        return file.read(size)


def write(path: str, content: bytes, unfinished: str) -> None:
    """Writes a file under another name, in the folder `unfinished`, and renames it: it is whole or not there."""
    temporary = f"{unfinished}{uuid.uuid4().hex}"
    with FileSystems.create(temporary, compression_type=CompressionTypes.UNCOMPRESSED) as file:
        file.write(content)
    if is_local(path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.replace(temporary, path)
    else:
        FileSystems.rename([temporary], [path])


def delete(pattern: str) -> None:
    """Deletes the files that match a pattern, if there are any."""
    if paths := [file.path for file in match(pattern)]:
        FileSystems.delete(paths)


def _is_installed(module):
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # the package above it
        return False


def _reason(error):
    return re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__
