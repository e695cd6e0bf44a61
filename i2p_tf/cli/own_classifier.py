"""The flags that say which classifier is taken from elsewhere, checked as far as that can be done in no time."""

import os
import pathlib
from typing import Any

from i2p_tf import classifier_file
from i2p_tf.errors import InputError
from i2p_tf.models.classifiers.table import APPLICATION, CLASSIFIERS


def fields(flags: Any) -> dict[str, Any]:
    """The fields of a `Config` that the flags of `bin/train` give: paths that hold in every working directory.

    Raises:
        InputError: if a file is missing, or is neither one that Keras has saved nor the folder of a SavedModel.
    """
    found: dict[str, Any] = {}
    flag, path = _file(flags.classifier, flags.classifier_path)
    if path:
        classifier_file.check(path, flag)
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
    is_path = classifier_file.is_meant(classifier)
    if is_path and path and os.path.abspath(path) != os.path.abspath(classifier):
        raise InputError(f"--classifier={classifier} and --classifier_path={path} are two files; give one")
    return ("--classifier", classifier) if is_path else of_path


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
