"""Whether an export is what bin/export has written, by the SHA-256 in its manifest. Standard library only."""

import hashlib
import os
import pathlib
from collections.abc import Sequence

from i2p_tf.client import manifest
from i2p_tf.client.manifest import MANIFEST
from i2p_tf.errors import InputError


class Damaged(Exception):
    """A file of an export is not the one that was written; the message names it, relative to the export."""


def files(base_path: pathlib.Path, version: int) -> dict[str, pathlib.Path]:
    """Name -> path of what belongs to one version: all files of its export but those of other versions.

    Args:
        base_path: folder of the versions, directly in the export.
        version: a number.
    """
    found: dict[str, pathlib.Path] = {}
    for folder, folders, names in os.walk(base_path.parent, followlinks=True):
        if folder == str(base_path):
            folders[:] = {str(version)} & set(folders)
        paths = [pathlib.Path(folder, name) for name in names]
        found |= {path.relative_to(base_path.parent).as_posix(): path for path in paths}
    found.pop(MANIFEST, None)
    return dict(sorted(found.items()))


def verify(base_path: pathlib.Path, version: int) -> list[str]:
    """Compares what belongs to one version with the manifest.

    Args:
        base_path, version: as of `files`.

    Returns:
        Names of files that can't be checked, because the manifest has no SHA-256 of them: it is of an older release,
        or they are not of bin/export.

    Raises:
        Damaged: if a file differs or is missing, or one of the classifier is not listed where others are.
    """
    recorded, present = _recorded(base_path.parent), files(base_path, version)
    versions = f"{base_path.name}/"
    own = f"{versions}{version}/"
    for name, digest in recorded.items():
        if name.startswith(versions) and not name.startswith(own):
            continue
        if name not in present:
            raise Damaged(f"{name} is missing, which {MANIFEST} lists; export it again")
        if _sha256(present[name]) != digest:
            raise Damaged(f"{name} is not the file that {MANIFEST} lists: its SHA-256 differs; export it again")
    unlisted = [name for name in present if name not in recorded]
    if any(name.startswith(versions) for name in recorded):
        for name in unlisted:
            if name.startswith(own):
                raise Damaged(f"{name} is not listed in {MANIFEST}; export it again")
    return unlisted


def warning(names: Sequence[str]) -> str:
    """One line about files that could not be checked."""
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return f"{MANIFEST} has no SHA-256 of {', '.join(names[:3])}{more}: served without a check; export it again"


def _recorded(export):
    """Name -> SHA-256."""
    try:
        entries = manifest.read(export)["files"]
        return {name: entry["sha256"] for name, entry in entries.items() if "sha256" in entry}
    except (InputError, TypeError) as error:
        raise Damaged(f"{MANIFEST} cannot be read: {error}") from error


def _sha256(path):
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()
