"""The flags that say which classifier is taken from elsewhere, checked as far as that can be done in no time."""

import os
import pathlib
import zipfile
from typing import Any

from i2p_tf.errors import InputError
from i2p_tf.models.classifiers.table import APPLICATION, CLASSIFIERS

ENDINGS = (".keras", ".h5", ".hdf5")
_HDF5 = b"\x89HDF\r\n\x1a\n"


def fields(flags: Any) -> dict[str, Any]:
    """The fields of a `Config` that the flags of `bin/train` give: paths that hold in every working directory.

    Raises:
        InputError: if a file is missing or is none that Keras has saved.
    """
    found: dict[str, Any] = {}
    flag, path = _file(flags.classifier, flags.classifier_path)
    if path:
        _check_file(path, flag)
        found |= {"classifier": "own", "classifier_path": os.path.abspath(path)}
    if flags.custom_objects:
        found["custom_objects"] = _module(flags.custom_objects)
    if flags.class_names:
        found["class_names"] = _names(flags.class_names)
    return found


def _file(classifier, path):
    """The file that is meant, behind the flag that names it; None where `classifier` is a name and there is no path."""
    of_path = "--classifier_path", path
    if not classifier or classifier in CLASSIFIERS or classifier.startswith(APPLICATION):
        return of_path
    is_path = classifier.endswith(ENDINGS) or os.sep in classifier or os.path.lexists(classifier)
    if is_path and path and os.path.abspath(path) != os.path.abspath(classifier):
        raise InputError(f"--classifier={classifier} and --classifier_path={path} are two files; give one")
    return ("--classifier", classifier) if is_path else of_path


def _check_file(path, flag):
    if os.path.isdir(path):
        raise InputError(
            f"{flag}={path} is a folder; of a SavedModel Keras keeps no layers: save the network itself as FILE.keras"
        )
    if not os.path.isfile(path):
        raise InputError(f"{flag}: no such file: {path}")
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            known = "config.json" in archive.namelist()
    else:
        with open(path, "rb") as file:
            known = file.read(len(_HDF5)) == _HDF5
    if not known or not path.endswith(ENDINGS):
        raise InputError(
            f"{flag}={path} is no file of a Keras network; model.save('FILE.keras') writes one (.h5 is read too)"
        )


def _module(name):
    """A file as a path, also one that is named as a module of the working directory; another module by its name."""
    file = name if name.endswith(".py") else f"{name}.py"
    if os.path.isfile(file):
        return os.path.abspath(file)
    if file == name:
        raise InputError(f"--custom_objects: no such file: {name}")
    return name


def _names(text):
    """Names between commas, or in the lines of a file."""
    if not os.path.isfile(text):
        return tuple(text.split(","))
    try:
        return tuple(pathlib.Path(text).read_text(encoding="utf-8").splitlines())
    except UnicodeDecodeError:
        raise InputError(f"--class_names={text} is no text in UTF-8") from None
