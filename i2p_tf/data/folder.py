"""Pictures in class folders on disk -> uint8 arrays."""

import concurrent.futures
import os
import pathlib

import numpy as np

from i2p_tf import pictures
from i2p_tf.data import attribute_table
from i2p_tf.errors import InputError

_SPLITS = ("train", "validation", "test")
_ORDER_SEED = 0
_IGNORED = ("Thumbs.db", "desktop.ini", "__MACOSX", attribute_table.FILE)


def check(path):
    """Raises an `InputError` unless `path` has at least two class folders, in each split the same. Opens no picture."""
    root = pathlib.Path(path).expanduser()
    if not root.exists():
        raise InputError(f"folder {str(root)!r} does not exist")
    if not root.is_dir():
        raise InputError(f"{str(root)!r} is not a folder")
    try:
        classes = {split: _class_names(folder) for split, folder in _split_folders(root).items()}
    except OSError as error:
        raise InputError(f"folder {error.filename!r} cannot be read: {error.strerror}") from error
    if "train" not in classes:
        raise InputError(f"folder {str(root)!r} has {', '.join(classes)} but no train folder")
    allowed = "a data set has one folder of pictures for each of at least two classes"
    if not classes["train"]:
        raise InputError(f"folder {str(root)!r} has no class folder with files in it; {allowed}")
    if len(classes["train"]) == 1:
        raise InputError(f"folder {str(root)!r} has one class only, {classes['train'][0]!r}; {allowed}")
    for split, names in classes.items():
        difference = sorted(set(names) ^ set(classes["train"]))
        if difference:
            raise InputError(
                f"train and {split} in {str(root)!r} must have the same classes; only in one of them: "
                + ", ".join(difference)
            )


def read(path, image_size, attribute=None):
    """Reads all pictures of a folder that has passed `check`.

    Pictures lie at any depth below their class folder. Hidden files are ignored. Symbolic links are followed, but no
    folder is read twice and no link leads from one class into another.

    Args:
        path: folder with class folders, or with train/, test/ and validation/ that have class folders.
        image_size: height and width to bring each picture to, by `pictures.resize` with rule "crop".
        attribute: a column of the folder's attributes.csv; None for none.

    Returns:
        Tuple of the class names (sorted), a dict from split name to `(images, labels, values)` (uint8
        `(n, image_size, image_size, 3)`, int32 `(n,)`, and the attribute as int32 `(n,)` or None), a list of
        "relative/path: reason" for every file that was not used, and the names of the attribute's values (sorted). A
        folder without splits gives "train" only.

    Raises:
        InputError: if a class has too few usable pictures to be in the train, validation and test set, or a picture
            lacks the attribute.
    """
    root = pathlib.Path(path).expanduser()
    column = attribute_table.column(root, attribute) if attribute else {}
    names = tuple(sorted(set(column.values())))
    folders = _split_folders(root)
    class_names = _class_names(folders["train"])
    splits, skipped = {}, []
    for split, folder in folders.items():
        skipped += [f"{file.relative_to(root)}: not inside a class folder" for file in _visible_files(folder)]
        files, labels = _list_pictures(folder, class_names)
        images, reasons = _decode_all(files, image_size)
        used = np.array([reason is None for reason in reasons])
        skipped += [
            f"{file.relative_to(root)}: {reason}" for file, reason in zip(files, reasons, strict=True) if reason
        ]
        # The classes mixed, the same in every run, as in published sets: the first n images are a sample of all.
        order = np.random.default_rng(_ORDER_SEED).permutation(len(images))
        values = _values(root, np.array(files)[used], column, names)[order] if attribute else None
        splits[split] = (images[order], labels[used][order], values)
        held_out = sum(other not in folders for other in ("validation", "test"))
        _check_counts(split, splits[split][1], class_names, 1 + held_out if split == "train" else 1, skipped)
    return class_names, splits, skipped, names


def _values(root, files, column, names):
    """The attribute of each file, as its place among the `names` of the values."""
    paths = [file.relative_to(root).as_posix() for file in files]
    missing = [path for path in paths if path not in column]
    if missing:
        raise InputError(f"{root / attribute_table.FILE} has no line for {missing[0]!r}; {len(missing)} files lack one")
    return np.array([names.index(column[path]) for path in paths], np.int32)


def _split_folders(root):
    """Split name -> folder. Only where all folders are named as splits: "train" may also be a class, of vehicles."""
    names = [entry.name for entry in _visible_folders(root)]
    if names and set(names) <= set(_SPLITS) and _visible_folders(root / names[0]):
        return {split: root / split for split in _SPLITS if split in names}
    return {"train": root}


def _class_names(folder):
    return tuple(entry.name for entry in _visible_folders(folder) if next(_walk(entry, set()), None))


def _visible_folders(folder):
    return sorted(entry for entry in folder.iterdir() if entry.is_dir() and not _is_hidden(entry.name))


def _visible_files(folder):
    return sorted(entry for entry in folder.iterdir() if not entry.is_dir() and not _is_hidden(entry.name))


def _is_hidden(name):
    return name.startswith(".") or name in _IGNORED


def _list_pictures(folder, class_names):
    classes = [folder / name for name in class_names]
    files, labels = [], []
    for label, class_folder in enumerate(classes):
        others = {os.path.realpath(other) for other in (folder, *classes) if other != class_folder}
        found = list(_walk(class_folder, others))
        files += found
        labels += [label] * len(found)
    return files, np.array(labels, np.int32)


def _walk(folder, closed):
    """Yields the visible files below `folder` in sorted order; `closed` are real paths of folders not to enter."""
    closed = set(closed)
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in closed:
            folders.clear()
            continue
        closed.add(real)
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        yield from (pathlib.Path(parent, name) for name in sorted(files) if not _is_hidden(name))


def _decode_all(files, image_size):
    """One decoded picture per thread is in memory beside the result. Reasons are None for pictures that are used."""

    def decode(file):
        try:
            picture = pictures.decode(file, at_least=image_size)
        except pictures.PictureError as error:
            return None, str(error)
        return np.asarray(pictures.resize(picture, image_size)), None

    images = np.empty((len(files), image_size, image_size, 3), np.uint8)
    count, reasons = 0, []
    with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for image, reason in pool.map(decode, files):
            reasons.append(reason)
            if reason is None:
                images[count] = image
                count += 1
    return images[:count], reasons


def _check_counts(split, labels, class_names, needed, skipped):
    for name, count in zip(class_names, np.bincount(labels, minlength=len(class_names)), strict=True):
        if count < needed:
            hint = f" ({len(skipped)} files were skipped, the first: {skipped[0]})" if skipped else ""
            raise InputError(f"class {name!r} has {count} usable pictures for {split}; at least {needed} needed{hint}")
