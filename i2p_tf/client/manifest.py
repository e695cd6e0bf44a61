"""manifest.json of an export: its name, and how it is read. Standard library only."""

import json
import pathlib
from typing import Any

from i2p_tf.errors import InputError

MANIFEST = "manifest.json"
SCHEMA = 1  # of what this version writes; it reads all up to it


class LaterVersion(InputError):
    """It was written by a later version of this package."""


def read(folder: pathlib.Path) -> dict[str, Any]:
    """The manifest of an export, also of an earlier version.

    Args:
        folder: of the export.

    Returns:
        Its content; `files` is a dictionary, empty if the manifest has none.

    Raises:
        LaterVersion: if it is of one.
        InputError: if it can't be read.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_bytes())
        schema = content.get("schema", 0)
        content.setdefault("files", {}).items()
    except Exception as error:  # deep JSON and long numbers have exceptions of their own
        raise InputError(f"{path} is damaged or cannot be read; export it again") from error
    if type(schema) is not int or not 0 <= schema <= SCHEMA:
        raise LaterVersion(f"{path} has format {str(schema)[:20]}; this version of i2p_tf reads format {SCHEMA}")
    return content
