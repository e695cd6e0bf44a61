"""The .tflite file of a transform: which one of a bundle, whether it is whole, what it says of itself."""

import hashlib
import io
import json
import os
import pathlib
import zipfile

from i2p_tf import drawing, pictures
from i2p_tf.client import manifest
from i2p_tf.client.manifest import MANIFEST
from i2p_tf.client.model_metadata import MAX_CLASSES, MAX_IMAGE_SIZE
from i2p_tf.errors import InputError, unknown_name
from i2p_tf.hints import Values

# TensorFlow Lite's convention for what belongs to a model: a zip archive behind the model in the same file.
METADATA = "i2p_tf.json"
SCHEMA = 1  # of these metadata
MAX_BYTES = 256 << 20  # a hundred times what the networks of this project have
_MAX_METADATA_BYTES = 4 << 20  # the names of all classes are the most of it


def of_variant(folder: pathlib.Path, variant: str) -> pathlib.Path:
    """The path of a variant's file in a bundle."""
    available = sorted(file.stem.removeprefix("transform_") for file in folder.glob("transform_*.tflite"))
    if not available or not (folder / MANIFEST).is_file():
        raise InputError(f"{folder} is no folder that bin/export has written: it has no {MANIFEST} or no .tflite file")
    if variant not in available:
        raise unknown_name("variant", variant, available)
    return folder / f"transform_{variant}.tflite"


def read(path: str | os.PathLike) -> bytes:
    """The content of a file; `InputError` if it can't be read, or is larger than any."""
    try:
        with open(path, "rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise InputError(f"{path} is no .tflite file of bin/export: it has more than {MAX_BYTES:,} bytes")
    return content


def check_against_manifest(path: pathlib.Path) -> None:
    """Raises an `InputError` if a file of a bundle is not the one that its manifest lists."""
    files = manifest.read(path.parent)["files"]
    try:
        expected = files[path.name]["sha256"]
    except (KeyError, TypeError) as error:
        message = f"{path.parent / MANIFEST} is damaged or does not list {path.name}; export it again"
        raise InputError(message) from error
    if _sha256(read(path)) != expected:
        raise InputError(f"{path} was changed after its export: its SHA-256 is not that of {MANIFEST}; export it again")


def read_metadata(path: str, content: bytes) -> Values:
    """The JSON behind the model, after checking that both are whole: a damaged model can crash the interpreter."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entry = archive.getinfo(METADATA)
            if entry.file_size > _MAX_METADATA_BYTES:
                raise ValueError(entry.file_size)
            metadata = json.loads(archive.read(entry))
        schema = metadata["schema"]
        whole = schema == SCHEMA and _sha256(content[: entry.header_offset]) == metadata["model_sha256"]
        valid = schema != SCHEMA or _is_valid(metadata)
    except Exception as error:  # of the archive, its compression, the JSON and its numbers: there are too many to list
        raise InputError(f"{path} is damaged, or no .tflite file that bin/export has written") from error
    if schema != SCHEMA:
        raise InputError(f"{path} has format {str(schema)[:20]}; this version of i2p_tf reads format {SCHEMA}")
    if not whole:
        raise InputError(f"{path} is damaged: the model in it is not the one that was exported")
    if not valid:
        raise InputError(
            f"{path} is damaged: {METADATA} in it needs an image_size of 1 to {MAX_IMAGE_SIZE}, a resize_rule of "
            f"{', '.join(pictures.RESIZE_RULES)}, at most {MAX_CLASSES} class_names, a variant, a run_id, and "
            f"codewords above 0, or null, and bits of {', '.join(map(str, drawing.BITS))}, or null"
        )
    return metadata


def _is_valid(metadata):
    size, names, words = metadata["image_size"], metadata["class_names"], metadata.get("codewords")
    return (
        type(size) is int
        and 1 <= size <= MAX_IMAGE_SIZE
        and metadata["resize_rule"] in pictures.RESIZE_RULES
        and isinstance(names, list)
        and len(names) <= MAX_CLASSES
        and (words is None or type(words) is int and words > 0)
        and metadata.get("bits") in (None, *drawing.BITS)
        and all(isinstance(text, str) for text in (*names, metadata["variant"], metadata["run_id"]))
    )


def _sha256(content):
    return hashlib.sha256(content).hexdigest()
