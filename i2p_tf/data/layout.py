"""A folder of pictures -> its splits, classes and files, from names alone: no picture is opened."""

import dataclasses
import hashlib
import os
import pathlib
import unicodedata

import numpy as np

from i2p_tf import pictures
from i2p_tf.data import attribute_table
from i2p_tf.errors import InputError
from i2p_tf.fingerprint import Fingerprint, listed

# In any case.
_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
SPLITS = {name: split for split, names in _NAMES.items() for name in names}
_ALSO_CLASSES = ("train", "valid")  # of vehicles; beside "invalid"
# Surrogates stand for bytes that are not UTF-8. The others end a line or do worse to a terminal.
_REFUSED = {"Cs": "bytes that are not UTF-8", "Cc": "a control character", "Zl": "a line break", "Zp": "a line break"}
_ALLOWED = (
    "a data set has one folder of pictures for each of at least two classes, or folders train, test and validation "
    "(or val) and nothing else, with the same class folders in each"
)


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where the pictures of a data set lie.

    Attributes:
        root: the folder.
        class_names: sorted, in Unicode's composed form (NFC), whatever the folders have.
        splits: split name -> folder; "train" is `root` where there are no split folders.
        classes: split name -> one folder for each of `class_names`.
    """

    root: pathlib.Path
    class_names: tuple[str, ...]
    splits: dict[str, pathlib.Path]
    classes: dict[str, tuple[pathlib.Path, ...]]

    def files(self, split: str) -> tuple[list[pathlib.Path], np.ndarray]:
        """The files of a split in an order that copying does not change, and their labels, int32 `(n,)`."""
        files, labels = [], []
        folders = self.classes[split]
        for label, folder in enumerate(folders):
            others = {os.path.realpath(other) for other in (self.splits[split], *folders) if other != folder}
            found = list(_walk(folder, others))
            files += found
            labels += [label] * len(found)
        return files, np.array(labels, np.int32)

    def strays(self, split: str) -> list[pathlib.Path]:
        """The visible files of a split that are not inside a class folder."""
        return sorted(
            entry for entry in self.splits[split].iterdir() if not entry.is_dir() and not _is_hidden(entry.name)
        )

    def fingerprint(self) -> Fingerprint:
        """The `Fingerprint` of all files."""
        counts, lines = {}, []
        for split in self.splits:
            files, labels = self.files(split)
            counts[split] = tuple(np.bincount(labels, minlength=len(self.class_names)).tolist())
            for file, label in zip(files, labels, strict=True):
                name = composed(file.relative_to(self.classes[split][label]).as_posix())
                lines.append(f"{split}/{self.class_names[label]}/{name}\0{_size(file)}\0")
        content = "".join(sorted(lines)).encode("utf-8", "surrogateescape")
        return Fingerprint(self.class_names, counts, hashlib.sha256(content).hexdigest())


def find(path: str | pathlib.Path) -> Layout:
    """The `Layout` of a folder.

    Raises:
        InputError: unless it has at least two class folders, in each split the same, and it is clear which folders are
            splits and which are classes.
    """
    root = pathlib.Path(path).expanduser()
    try:
        if not root.exists():
            raise InputError(f"folder {str(root)!r} does not exist")
        if not root.is_dir():
            raise InputError(f"{str(root)!r} is not a folder")
        splits = _find_splits(root)
        classes = {split: _find_classes(folder) for split, folder in splits.items()}
        _check_classes(root, splits, classes)
    except OSError as error:
        raise _unreadable(error) from error
    names = tuple(sorted(classes["train"]))
    return Layout(
        root, names, splits, {split: tuple(found[name] for name in names) for split, found in classes.items()}
    )


def fingerprint(path: str | pathlib.Path) -> Fingerprint:
    """The `Fingerprint` of a folder; `InputError` as `find`."""
    return find(path).fingerprint()


def composed(name: str) -> str:
    """A name in Unicode's form NFC: macOS writes another form than most, and people see no difference."""
    return unicodedata.normalize("NFC", name)


def _find_splits(root):
    """Split name -> folder."""
    folders = _visible_folders(root)
    named = [folder for folder in folders if _split_of(folder)]
    others = [folder.name for folder in folders if not _split_of(folder) and _has_files(folder)]
    if not named or _is_class(named, others):
        return {"train": root}
    if others:
        raise InputError(
            f"folder {str(root)!r} has the folder {named[0].name!r}, as if for a split, beside {listed(others)}; "
            f"{_ALLOWED}"
        )
    splits = {split: [folder for folder in named if _split_of(folder) == split] for split in _NAMES}
    for split, found in splits.items():
        if len(found) > 1:
            names = " and ".join(repr(folder.name) for folder in found)
            raise InputError(f"folder {str(root)!r} has both {names}, and only one can be {split}; {_ALLOWED}")
    if not splits["train"]:
        raise InputError(f"folder {str(root)!r} has {', '.join(folder.name for folder in named)} but no train folder")
    for folder in named:
        if not any(map(_has_files, _visible_folders(folder))):
            raise InputError(
                f"folder {folder.name!r} in {str(root)!r} has no class folder with files in it; {_ALLOWED}"
            )
    return {split: found[0] for split, found in splits.items() if found}


def _is_class(named, others):
    """Whether the only folder with the name of a split is a class beside others."""
    return (
        len(named) == 1
        and bool(others)
        and named[0].name.lower() in _ALSO_CLASSES
        and not any(map(_has_files, _visible_folders(named[0])))
    )


def _find_classes(folder):
    """Class name -> folder."""
    classes: dict[str, pathlib.Path] = {}
    for entry in filter(_has_files, _visible_folders(folder)):
        kinds = [_REFUSED[kind] for kind in map(unicodedata.category, entry.name) if kind in _REFUSED]
        if kinds:
            raise InputError(f"class folder {entry.name!r} in {str(folder)!r} has {kinds[0]} in its name; rename it")
        name = composed(entry.name)
        if name in classes:
            raise InputError(
                f"class folders {ascii(classes[name].name)} and {ascii(entry.name)} in {str(folder)!r} have the same "
                "name in two Unicode forms; put their pictures into one"
            )
        classes[name] = entry
    return classes


def _check_classes(root, splits, classes):
    if not classes["train"]:
        raise InputError(f"folder {str(root)!r} has no class folder with files in it; {_ALLOWED}")
    if len(classes["train"]) == 1:
        raise InputError(f"folder {str(root)!r} has one class only, {next(iter(classes['train']))!r}; {_ALLOWED}")
    for split, names in classes.items():
        difference = sorted(set(names) ^ set(classes["train"]))
        if difference:
            train, other = splits["train"].name, splits[split].name
            raise InputError(
                f"{train} and {other} in {str(root)!r} must have the same classes; only in one of them: "
                f"{listed(difference)}"
            )
    for name, folder in classes["train"].items():
        inside = [entry.name for entry in _visible_folders(folder) if _split_of(entry)]
        if len({SPLITS[entry.lower()] for entry in inside}) > 1:
            raise InputError(
                f"class folder {name!r} in {str(splits['train'])!r} has {listed(inside)} in it; folders for splits "
                "have to be around the class folders"
            )


def _split_of(folder):
    return SPLITS.get(folder.name.lower())


def _has_files(folder):
    return next(_walk(folder, set()), None) is not None


def _visible_folders(folder):
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not _is_hidden(entry.name))


def _is_hidden(name):
    return pictures.is_hidden(name) or name == attribute_table.FILE


def _walk(folder, closed):
    """Yields the visible files below `folder` in sorted order; `closed` are real paths of folders not to enter.

    Symbolic links are followed, but no folder is read twice.
    """
    closed = set(closed)
    for parent, folders, files in os.walk(folder, followlinks=True, onerror=_refuse):
        real = os.path.realpath(parent)
        if real in closed:
            folders.clear()
            continue
        closed.add(real)
        folders[:] = _visible(folders)
        yield from (pathlib.Path(parent, name) for name in _visible(files))


def _visible(names):
    return sorted((name for name in names if not _is_hidden(name)), key=lambda name: (composed(name), name))


def _refuse(error):
    """What can't be read is not left out in silence."""
    raise _unreadable(error) from error


def _unreadable(error):
    return InputError(f"folder {str(error.filename)!r} cannot be read: {error.strerror}")


def _size(file):
    try:
        return file.stat().st_size
    except OSError:  # a link to nothing
        return -1
