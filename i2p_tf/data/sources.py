"""Where data sets come from: the table of sources, and what a data set's name says before anything is read.

A name is that of a row, `digits`, or that of a row with a place, `folder:PATH`. A source is one file that reads and one
row here; another package adds a row by `SOURCES.register`.
"""

import dataclasses
import os
import pathlib
from typing import Any

from i2p_tf import moving_line, tables
from i2p_tf.data.dataset import Dataset
from i2p_tf.errors import InputError, printable, unknown_name
from i2p_tf.fingerprint import Fingerprint
from i2p_tf.moving_line import MovingLine


@dataclasses.dataclass(frozen=True)
class Source:
    """One source of data sets. What says "module:function" may be the function itself.

    Attributes:
        name: of the data set, or what stands before the colon.
        help: one line for people.
        read: "module:function" of `(place, data_dir, image_size, attribute, line)` that gives a `data.dataset.Found`.
            Of a source without places, `place` is its name; `line` is a `moving_line.MovingLine`.
        place: what stands after the colon, for messages: "PATH"; None where there is no colon.
        is_path: whether a place is a path on this computer. It is then recorded as an absolute one, is shown without
            its folders, which say more of its owner, and `data_dir` says where it lies now.
        check: "module:function" of a place that raises an `InputError` if it can't be used, in no time; None for none.
        fingerprint: "module:function" of a place that gives its `Fingerprint`; None where the name says all.
        attributes: "module:function" of a place that gives the names of what it knows of each image besides the class;
            or these names; None where only reading tells.
        attributes_help: where a user would put such attributes.
    """

    name: str
    help: str
    read: str
    place: str | None = None
    is_path: bool = False
    check: str | None = None
    fingerprint: str | None = None
    attributes: str | tuple[str, ...] | None = ()
    attributes_help: str = ""

    @property
    def form(self) -> str:
        """How its data sets are named."""
        return f"{self.name}:{self.place}" if self.place else self.name


_TFDS = "i2p_tf.data.tfds:read"

SOURCES = tables.Table(
    "dataset",
    (
        Source("digits", "scikit-learn's handwritten digits; needs no network", "i2p_tf.data.digits:read"),
        Source("cifar10", "60,000 pictures of 10 kinds of objects, 32x32", _TFDS),
        Source("cifar100", "60,000 pictures of 100 kinds of objects, 32x32", _TFDS, attributes=("coarse_label",)),
        Source("tfds", "an image classification set of TensorFlow Datasets", _TFDS, place="NAME", attributes=None),
        Source(
            "folder",
            "a folder of class folders, perhaps with train/ and test/ around them",
            "i2p_tf.data.folder:read",
            place="PATH",
            is_path=True,
            check="i2p_tf.data.layout:find",
            fingerprint="i2p_tf.data.layout:fingerprint",
            attributes="i2p_tf.data.attribute_table:names",
            attributes_help="a folder has those of its attributes.csv",
        ),
        Source(
            "tfrecord",
            "a folder of TFRecord files with encoded pictures and labels; what memory does not hold stays there",
            "i2p_tf.data.tfrecord:read",
            place="PATH",
            is_path=True,
            check="i2p_tf.data.tfrecord:check",
            fingerprint="i2p_tf.data.tfrecord:fingerprint",
        ),
    ),
)


def allowed() -> tuple[str, ...]:
    """How a data set can be named, for messages: "digits", "folder:PATH"."""
    return tuple(source.form for source in SOURCES.values())


def find(name: str) -> tuple[Source, str]:
    """The `Source` of a data set's name, and the place in it.

    Raises:
        InputError: if there is none, or the place is missing.
    """
    kind, colon, place = name.partition(":")
    source = SOURCES.get(kind)
    if source is None or bool(colon) != bool(source.place):
        if os.path.isdir(name):
            raise InputError(f"unknown dataset {name!r}; it is a folder. Did you mean folder:{name}?")
        raise unknown_name("dataset", name, allowed())
    if colon and not place:
        raise InputError(f"dataset {name!r} has nothing after the colon; allowed: {', '.join(allowed())}")
    return source, place or kind


def check_name(name: str) -> None:
    """Checks a data set's name, and the place in it, as far as that can be done in no time.

    Raises:
        InputError: if the name is unknown, or a folder has not at least two class folders with files in them.
    """
    source, place = find(name)
    if source.check:
        tables.load(source.check)(place)


def is_path(name: str) -> bool:
    """Whether a data set lies in a folder that its name names."""
    kind, colon, place = name.partition(":")
    return bool(colon and place) and kind in SOURCES and SOURCES[kind].is_path


def shown_name(name: str) -> str:
    """A data set's name for others to read: of a folder without its path, which says more of its owner."""
    if not is_path(name):
        return name
    kind, _, path = name.partition(":")
    return f"{kind}:{printable(pathlib.Path(path).name)}"


def place(name: str, data_dir: str | None = None) -> tuple[str, str | None]:
    """A data set's name and `data_dir` as a run records them, so that they hold in every working directory.

    Of a folder, `data_dir` is where it lies now, and becomes part of the name.
    """
    if is_path(name):
        kind, _, path = name.partition(":")
        return f"{kind}:{_absolute(data_dir or path)}", None
    return name, _absolute(data_dir) if data_dir else None


def located(config: Any, data_dir: str | None) -> Any:
    """The `Config` of a run with its data where they lie now; they have not moved where `data_dir` is None.

    Raises:
        InputError: as `check_place`.
    """
    name, data_dir = place(config.dataset, data_dir)
    check_place(name)
    return dataclasses.replace(config, dataset=name, data_dir=data_dir or config.data_dir)


def check_place(name: str) -> None:
    """As `check_name`, of what a run learns from; the message says how to tell where a folder is now."""
    path = name.partition(":")[2]
    if is_path(name) and not os.path.lexists(path):
        raise InputError(f"folder {path!r} does not exist; if the pictures have moved, --data_dir says where they are")
    check_name(name)


def fingerprint(name: str) -> Fingerprint | None:
    """The `Fingerprint` of a folder of pictures; None for other sets, of which the name says all."""
    source, place = find(name)
    return tables.load(source.fingerprint)(place) if source.fingerprint else None


def check_attribute(name: str, attribute: str) -> None:
    """Checks that a data set has an attribute, where that can be known without reading it.

    Raises:
        InputError: if it has not; the message names those that it has.
    """
    source, place = find(name)
    known = tables.load(source.attributes)
    names = known(place) if callable(known) else known
    if names is None:
        return
    if not names:
        hint = f"; {source.attributes_help}" if source.attributes_help else ""
        shown = shown_name(name)
        raise InputError(f"unknown attribute {attribute!r}: data set {shown!r} has none besides the class{hint}")
    if attribute not in names:
        raise unknown_name(f"attribute of data set {shown_name(name)!r}", attribute, names)


def load(
    name: str,
    data_dir: str | None = None,
    image_size: int | None = None,
    attribute: str | None = None,
    line: MovingLine | None = None,
    stored: bool = False,
) -> Dataset:
    """Loads a data set into memory; of one that is too large a sample, of at most `stored.SAMPLED` images a split.

    Args:
        name: as `allowed`.
        data_dir: folder of prepared TFDS sets; None for TFDS' own.
        image_size: height and width of the images; None for the set's own, and 32 for `digits` and folders.
        attribute: what else than the class to read of each image, by the name that the set has for it.
        line: a `moving_line.MovingLine` that says how far it is; None for none.
        stored: whether all training images of one that is too large are wanted, as `stored.StoredImages`.

    Returns:
        A `data.dataset.Dataset`.

    Raises:
        InputError: if the data set can't be had or can't be used.
    """
    check_name(name)
    if attribute:
        check_attribute(name, attribute)
    source, place = find(name)
    found = tables.load(source.read)(place, data_dir, image_size, attribute, line or moving_line.silent())
    dataset = Dataset.split(shown_name(name), found)
    return dataset if stored else dataset.in_memory()


def load_for(
    config: Any, attribute: str | None = None, line: MovingLine | None = None, stored: bool = False
) -> Dataset:
    """The data set of a `Config`, with only its `training_images`, and its classes in the order that ψ has."""
    dataset = load(config.dataset, config.data_dir, config.image_size, attribute, line, stored)
    if config.class_names:
        dataset = dataset.with_class_names(config.class_names)
    return dataset.with_training_images(config.training_images) if config.training_images else dataset


def _absolute(path):
    """The same for every working directory; addresses as of buckets stay."""
    return path if "://" in path else os.path.abspath(os.path.expanduser(path))
