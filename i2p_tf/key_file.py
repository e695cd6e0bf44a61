"""Files that hold the key of a method of `encryption`: 32 bytes that nobody but their owner can read."""

import os
import pathlib
import secrets
import stat

from i2p_tf.encryption import KEY_BYTES
from i2p_tf.errors import InputError


def new() -> bytes:
    """A key from the system's cryptographic generator, bytes."""
    return secrets.token_bytes(KEY_BYTES)


def create(path: pathlib.Path) -> bytes:
    """Makes a key and keeps it as `write` does; returns it."""
    key = new()
    write(path, key)
    return key


def write(path: pathlib.Path, key: bytes) -> None:
    """Keeps a key in a new file of mode 600.

    Raises:
        InputError: if there is a file already, which is never overwritten, or the file can't be written.
    """
    path = pathlib.Path(path)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise InputError(
            f"{path} exists and is never overwritten, as what it encrypted would be lost; "
            "without --new_key the key in it is used"
        ) from error
    except OSError as error:
        raise InputError(f"key file {path} cannot be written: {error.strerror}") from error
    try:
        with open(descriptor, "wb") as file:
            file.write(key)
            file.flush()
            os.fsync(file.fileno())  # before anything that it encrypts is on the disk
    except BaseException:
        path.unlink()
        raise


def read(path: pathlib.Path) -> bytes:
    """Reads a key.

    Returns:
        `KEY_BYTES` bytes.

    Raises:
        InputError: if the file is missing, can be read or written by others, or has another length.
    """
    path = pathlib.Path(path)
    if not path.is_file():
        raise InputError(f"key file {path} does not exist or is no file; --new_key makes one")
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        raise InputError(
            f"key file {path} has mode {mode:o}, so others may know the key; allowed: 600 (chmod 600 {path})"
        )
    try:
        key = path.read_bytes()
    except OSError as error:
        raise InputError(f"key file {path} cannot be read: {error.strerror}") from error
    if len(key) != KEY_BYTES:
        raise InputError(f"key file {path} has {len(key)} bytes; a key has {KEY_BYTES}")
    return key
