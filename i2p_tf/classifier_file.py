"""The file or folder of a classifier from elsewhere, as far as it can be checked in no time."""

import hashlib
import os
import pathlib
import zipfile

from i2p_tf.errors import InputError

ENDINGS = (".keras", ".h5", ".hdf5")
GRAPH = "saved_model.pb"
SAVED_MODEL = (GRAPH, "variables", "assets")  # what of a SavedModel's folder TensorFlow reads
_HDF5 = b"\x89HDF\r\n\x1a\n"


def is_meant(classifier: str) -> bool:
    """Whether a text is the path of a classifier rather than a name."""
    return classifier.endswith(ENDINGS) or os.sep in classifier or os.path.lexists(classifier)


def check(path: str, named: str) -> None:
    """Raises an `InputError` unless there is a file that Keras has saved, or the folder of a SavedModel.

    Args:
        path: of it.
        named: how the message begins: the flag or argument that has it.
    """
    if os.path.isdir(path):
        _check_folder(path, named)
        return
    if not os.path.isfile(path):
        raise InputError(f"{named}: no such file: {path}")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            known = "config.json" in archive.namelist()
    else:
        with open(path, "rb") as file:
            known = file.read(len(_HDF5)) == _HDF5
    if not known or not path.endswith(ENDINGS):
        raise InputError(
            f"{named}={path} is no file of a Keras network; model.save('FILE.keras') writes one (.h5 is read too)"
        )


def sha256(path: str | os.PathLike) -> str:
    """Of the bytes of a file; of a SavedModel, of the names and digests of its files. In hexadecimal digits."""
    path = pathlib.Path(path)
    if path.is_file():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    files = sorted(file for part in SAVED_MODEL for file in (path / part, *(path / part).rglob("*")) if file.is_file())
    lines = (f"{file.relative_to(path).as_posix()} {sha256(file)}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _check_folder(path, named):
    if os.path.isfile(os.path.join(path, GRAPH)):
        return
    inside = sorted(file.parent.name for file in pathlib.Path(path).glob(f"*/{GRAPH}"))
    hint = f"; {os.path.join(path, inside[-1])} is one" if inside else "; model.export('FOLDER') writes one"
    raise InputError(f"{named}={path} is a folder without {GRAPH}, so no SavedModel{hint}")
