"""A folder of TFRecord files of encoded pictures and labels; what is too large for memory stays there."""

import hashlib
import pathlib
import re
from typing import cast

import numpy as np

from i2p_tf.data import dataset, record_index, stored
from i2p_tf.data.dataset import Found, Split
from i2p_tf.data.layout import SPLITS
from i2p_tf.errors import InputError, printable
from i2p_tf.fingerprint import Fingerprint
from i2p_tf.moving_line import MovingLine

CLASSES = "classes.txt"
_WORDS = re.compile(rf"(?:^|[-_.])({'|'.join(SPLITS)})(?=[-_.]|$)", re.IGNORECASE)


def check(place: str) -> None:
    """Raises an `InputError` unless the folder has training files."""
    _files(place)


def fingerprint(place: str) -> Fingerprint:
    """Of the names and sizes of the files."""
    files = sorted(file for split in _files(place).values() for file in split)
    lines = [f"{file.name}\0{file.stat().st_size}\0" for file in files]
    return Fingerprint(_class_names(place), {}, hashlib.sha256("".join(lines).encode()).hexdigest())


def read(place: str, data_dir: str | None, image_size: int | None, attribute: str | None, line: MovingLine) -> Found:
    """Reads a folder.

    Args:
        place: the folder. A file whose name has one of the words `layout.SPLITS`, in any case, is of that split, and
            any other one of train. `classes.txt` names the classes, one a line; if there is none they are numbers.
        data_dir, attribute: without meaning here.
        image_size: height and width to bring each picture to, by the rule "crop"; None for that of the first one.
        line: a `moving_line.MovingLine` that says how far it is.

    Returns:
        A `data.dataset.Found`. The images are `stored.StoredImages` where they are more than memory is taken for.

    Raises:
        InputError: if a file is damaged, a label has no name, or a class has too few pictures.
    """
    splits = {split: _index(split, files, line) for split, files in _files(place).items()}
    most = max((int(labels.max()) for _, labels in splits.values() if len(labels)), default=-1)
    names = _class_names(place) or tuple(map(str, range(most + 1)))
    _check_labels(place, splits, names, most)
    image_size = image_size or _own_size(_files(place)["train"], splits["train"][0])
    found = {
        split: Split(cast(np.ndarray, stored.StoredImages(files, splits[split][0], image_size)), splits[split][1])
        for split, files in _files(place).items()
    }
    return Found(names, dataset.kept(found, line))


def _files(place):
    folder, found = pathlib.Path(place).expanduser(), dict[str, list[pathlib.Path]]()
    if not folder.is_dir():
        raise InputError(f"folder {str(folder)!r} does not exist")
    for file in sorted(folder.glob("*.tfrecord*")):
        word = _WORDS.search(file.name)
        found.setdefault(SPLITS[word[1].lower()] if word else "train", []).append(file)
    if "train" not in found:
        raise InputError(f"folder {str(folder)!r} has no file *.tfrecord* of training pictures")
    return found


def _class_names(place):
    path = pathlib.Path(place).expanduser() / CLASSES
    if not path.is_file():
        return ()
    try:
        names = tuple(filter(None, path.read_text(encoding="utf-8-sig").splitlines()))
    except UnicodeDecodeError as error:
        raise InputError(f"{path} must be UTF-8 text, one class a line: {error.reason}") from error
    if len(set(names)) < len(names):
        raise InputError(f"{path} names a class twice: {next(name for name in names if names.count(name) > 1)!r}")
    return names


def _index(split, files, line):
    """Places and labels, the classes mixed, the same in every run: the first n pictures are a sample of all."""
    places, labels = record_index.read_all(files, line, split)
    order = np.random.default_rng(0).permutation(len(labels))
    return places[order], labels[order]


def _check_labels(place, splits, names, most):
    lowest = min((int(labels.min()) for _, labels in splits.values() if len(labels)), default=0)
    if lowest < 0 or most >= len(names):
        raise InputError(
            f"the labels under {printable(place)} run from {lowest} to {most}, and {CLASSES} names {len(names)} classes"
        )
    needed = 1 + sum(split not in splits for split in ("validation", "test"))
    counts = np.bincount(splits["train"][1], minlength=len(names))
    if len(names) < 2 or counts.min() < needed:
        raise InputError(
            f"{printable(place)} must have at least 2 classes with at least {needed} training pictures each. Received: "
            f"{len(names)} classes, the smallest with {counts.min() if len(counts) else 0}"
        )


def _own_size(files, places):
    images = stored.StoredImages(files, places, 1)
    width, height = images.size(0)
    if width != height:
        raise InputError(f"the pictures are not square ({width}x{height}); give an --image_size to bring them to")
    return width
