"""The name of a data set -> uint8 images and labels, split for training, validation and test."""

import dataclasses
import os
import pathlib

import numpy as np

from i2p_tf.data import attribute_table, layout
from i2p_tf.data.dataset import Dataset, Split, hold_out
from i2p_tf.errors import InputError, printable, unknown_name

NAMED_SETS = ("digits", "cifar10", "cifar100")
ATTRIBUTES = {"cifar100": ("coarse_label",)}  # besides the class; other sets of TFDS are asked when they are read
_ALLOWED = (*NAMED_SETS, "tfds:NAME", "folder:PATH")

_TEST_FRACTION = 0.2
_VALIDATION_FRACTIONS = {"cifar100": 0.05}  # 2,500 of 50,000
_OTHER_VALIDATION_FRACTION = 0.1
_DEFAULT_SIZE = 32


def check_name(name):
    """Checks a data set's name, and for `folder:PATH` the folder, as far as that can be done in no time.

    Raises:
        InputError: if the name is unknown or the folder has not at least two class folders with files in them.
    """
    kind, colon, rest = name.partition(":")
    if name in NAMED_SETS:
        return
    if kind not in ("tfds", "folder") or not colon:
        if os.path.isdir(name):
            raise InputError(f"unknown dataset {name!r}; it is a folder. Did you mean folder:{name}?")
        raise unknown_name("dataset", name, _ALLOWED)
    if not rest:
        raise InputError(f"dataset {name!r} has nothing after the colon; allowed: {', '.join(_ALLOWED)}")
    if kind == "folder":
        layout.find(rest)


def shown_name(name):
    """A data set's name for others to read: of a folder without its path, which says more of its owner."""
    kind, colon, rest = name.partition(":")
    return f"folder:{printable(pathlib.Path(rest).name)}" if colon and kind == "folder" else name


def place(name, data_dir=None):
    """A data set's name and `data_dir` as a run records them, so that they hold in every working directory.

    Of a folder, `data_dir` is where it lies now, and becomes part of the name.
    """
    kind, _, rest = name.partition(":")
    if kind == "folder" and rest:
        return f"folder:{_absolute(data_dir or rest)}", None
    return name, _absolute(data_dir) if data_dir else None


def located(config, data_dir):
    """The `Config` of a run with its data where they lie now; they have not moved where `data_dir` is None.

    Raises:
        InputError: as `check_place`.
    """
    name, data_dir = place(config.dataset, data_dir)
    check_place(name)
    return dataclasses.replace(config, dataset=name, data_dir=data_dir or config.data_dir)


def check_place(name):
    """As `check_name`, of what a run learns from; the message says how to tell where a folder is now."""
    kind, colon, path = name.partition(":")
    if colon and path and kind == "folder" and not os.path.lexists(path):
        raise InputError(f"folder {path!r} does not exist; if the pictures have moved, --data_dir says where they are")
    check_name(name)


def fingerprint(name):
    """The `Fingerprint` of a folder of pictures; None for other sets, of which the name says all."""
    kind, _, rest = name.partition(":")
    return layout.find(rest).fingerprint() if kind == "folder" else None


def check_attribute(name, attribute):
    """Checks that a data set has an attribute, as far as that can be done in no time: not for `tfds:NAME`.

    Raises:
        InputError: if it has not; the message names those that it has.
    """
    kind, _, rest = name.partition(":")
    if kind == "tfds":
        return
    allowed = ATTRIBUTES.get(name, ())
    if kind == "folder":
        allowed = attribute_table.names(pathlib.Path(rest).expanduser())
    refuse_unknown_attribute(name, attribute, allowed)


def refuse_unknown_attribute(name, attribute, allowed):
    """Raises an `InputError` unless `attribute` is one of those `allowed`, which a data set has."""
    shown = shown_name(name)
    if not allowed:
        hint = f"; a folder has those of its {attribute_table.FILE}" if name.startswith("folder:") else ""
        raise InputError(f"unknown attribute {attribute!r}: data set {shown!r} has none besides the class{hint}")
    if attribute not in allowed:
        raise unknown_name(f"attribute of data set {shown!r}", attribute, allowed)


def load(name, data_dir=None, image_size=None, attribute=None):
    """Loads a data set into memory.

    A test split that the set does not bring is 20 % of its train split; a validation split is then 10 % of the rest
    (5 % for CIFAR-100, as Ito et al. 2021). Both are drawn class by class, the same in every run.

    Args:
        name: `digits`, `cifar10`, `cifar100`, `tfds:NAME` or `folder:PATH`.
        data_dir: folder of prepared TFDS sets; None for TFDS' own.
        image_size: height and width of the images; None for the set's own, and 32 for `digits` and folders.
        attribute: what else than the class to read of each image, by the name that the set has for it.

    Returns:
        A `Dataset`.

    Raises:
        InputError: if the data set can't be had or can't be used.
    """
    check_name(name)
    if attribute:
        check_attribute(name, attribute)
    kind, _, rest = name.partition(":")
    skipped, values = (), ()
    if kind == "digits":
        class_names, splits = _digits(image_size or _DEFAULT_SIZE)
    elif kind == "folder":
        from i2p_tf.data import folder

        class_names, splits, skipped, values = folder.read(rest, image_size or _DEFAULT_SIZE, attribute)
    else:
        from i2p_tf.data import tfds

        class_names, splits, values = tfds.read(rest or kind, data_dir, image_size, attribute)
    splits = {split: Split(*arrays) for split, arrays in splits.items()}
    if "test" not in splits:
        splits["train"], splits["test"] = hold_out(splits["train"], _TEST_FRACTION)
    if "validation" not in splits:
        fraction = _VALIDATION_FRACTIONS.get(rest or kind, _OTHER_VALIDATION_FRACTION)
        splits["train"], splits["validation"] = hold_out(splits["train"], fraction)
    return Dataset(
        name=shown_name(name), class_names=class_names, skipped=tuple(skipped), attribute_values=values, **splits
    )


def load_for(config, attribute=None):
    """The data set of a `Config`, with only its `training_images`, and its classes in the order that ψ has."""
    dataset = load(config.dataset, config.data_dir, config.image_size, attribute)
    if config.class_names:
        dataset = dataset.with_class_names(config.class_names)
    return dataset.with_training_images(config.training_images) if config.training_images else dataset


def _absolute(path):
    """The same for every working directory; addresses as of buckets stay."""
    return path if "://" in path else os.path.abspath(os.path.expanduser(path))


def _digits(image_size):
    """scikit-learn's handwritten digits: 1,797 8x8 grey images, white on black.

    Enlarged by the same bicubic filter as pictures from folders: the strokes stay smooth, where nearest neighbour
    would show 4x4 tiles that any transformation reproduces.
    """
    from PIL import Image
    from sklearn import datasets

    from i2p_tf import pictures

    digits = datasets.load_digits()
    greys = np.round(digits.images * (255 / 16)).astype(np.uint8)
    images = np.stack([pictures.resize(Image.fromarray(grey).convert("RGB"), image_size) for grey in greys])
    return tuple(str(digit) for digit in range(10)), {"train": (images, digits.target.astype(np.int32))}
