"""manifest.json of an export: its name, and how it is read. Standard library only."""

import json
import pathlib
from typing import Any, TypedDict

from i2p_tf.errors import InputError

MANIFEST = "manifest.json"
SCHEMA = 1  # of what this version writes; it reads all up to it


class Manifest(TypedDict):
    """The whole file, as `bin/export` writes it.

    Attributes:
        schema: of this form.
        name: of the export, which is also the model's on a server.
        run_id: names the pair of networks by their weights; clients compare it with the server's.
        sha256: of the run's networks, by name.
        dataset: what the networks were trained on.
        image_size: height and width in pixels.
        resize_rule: how pictures are made square: `crop`, `fit` or `stretch`.
        class_names: in the order of the probabilities.
        codewords: how many different pictures a codebook sends; null for other transforms.
        bits: that a client sends of a picture unless it is told otherwise; null for what is no code.
        networks: names of `classifier` and `transform`.
        keras: accuracies, in [0, 1], of the Keras networks on the n test images that files are compared on.
        environment: versions, processor, commit.
        variants: the TensorFlow Lite files by variant: name, size in bytes, milliseconds an image, PSNR in dB to the
            Keras network, and `parity`, what the comparison with Keras gave.
        saved_models: parity of both SavedModels, and the version of the classifier's.
        files: size in bytes and SHA-256 of every file, by its path.
    """

    schema: int
    name: str
    run_id: str
    sha256: dict[str, str]
    dataset: str
    image_size: int
    resize_rule: str
    class_names: list[str]
    codewords: int | None
    bits: int | None
    networks: dict[str, str]
    keras: dict[str, float]
    environment: dict
    variants: dict[str, dict]
    saved_models: dict[str, dict]
    files: dict[str, dict]


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
