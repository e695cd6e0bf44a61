"""Pictures in class folders on disk -> uint8 arrays."""

import concurrent.futures
import dataclasses
import os

import numpy as np

from i2p_tf import pictures
from i2p_tf.data import attribute_table, layout
from i2p_tf.data.dataset import DEFAULT_SIZE, Found, Split
from i2p_tf.data.stored import MOST_BYTES, StoredImages
from i2p_tf.errors import InputError, printable
from i2p_tf.moving_line import MovingLine

_ORDER_SEED = 0


def read(place: str, data_dir: str | None, image_size: int | None, attribute: str | None, line: MovingLine) -> Found:
    """Reads all pictures of a folder.

    Pictures lie at any depth below their class folder. Hidden files are ignored. Symbolic links are followed, but no
    folder is read twice and no link leads from one class into another.

    Args:
        place: folder with class folders, or with train/, test/ and validation/ that have class folders.
        data_dir: without meaning here.
        image_size: height and width to bring each picture to, as the client does by its rule "crop"; None for 32.
        attribute: a column of the folder's attributes.csv; None for none.
        line: a `moving_line.MovingLine` that says how far it is.

    Returns:
        A `data.dataset.Found`, whose names are sorted. A folder without splits gives "train" only.

    Raises:
        InputError: if the folder is not as `layout.find` wants it, a class has too few usable pictures to be in the
            train, validation and test set, or a picture lacks the attribute.
    """
    found, image_size = layout.find(place), image_size or DEFAULT_SIZE
    column = attribute_table.column(found.root, attribute) if attribute else {}
    names = tuple(sorted(set(column.values())))
    splits, skipped = {}, []
    listed = {split: found.files(split) for split in found.splits}
    keeps = 3 * image_size**2 * sum(len(files) for files, _ in listed.values()) <= MOST_BYTES
    for split, (files, labels) in listed.items():
        skipped += [_line(found.root, file, "not inside a class folder") for file in found.strays(split)]
        waiting = line.wait(f"reading pictures for {split}", len(files))
        images, reasons = _decode_all(files, image_size, keeps, waiting)
        used = np.array([reason is None for reason in reasons])
        skipped += [_line(found.root, *pair) for pair in zip(files, reasons, strict=True) if pair[1]]
        # The classes mixed, the same in every run, as in published sets: the first n images are a sample of all.
        order = np.random.default_rng(_ORDER_SEED).permutation(len(images))
        values = _values(found.root, np.array(files)[used], column, names)[order] if attribute else None
        splits[split] = Split(images, labels[used], None).take(order)
        splits[split] = dataclasses.replace(splits[split], attribute=values)
        held_out = sum(other not in found.splits for other in ("validation", "test"))
        _check_counts(split, splits[split].labels, found.class_names, 1 + held_out if split == "train" else 1, skipped)
    return Found(found.class_names, splits, tuple(skipped), names)


def _line(root, file, reason):
    return f"{printable(file.relative_to(root))}: {reason}"


def _values(root, files, column, names):
    """The attribute of each file, as its place among the `names` of the values."""
    paths = [attribute_table.key(file.relative_to(root).as_posix()) for file in files]
    missing = [path for path in paths if path not in column]
    if missing:
        table = printable(root / attribute_table.FILE)
        raise InputError(f"{table} has no line for {missing[0]!r}; {len(missing)} files lack one")
    return np.array([names.index(column[path]) for path in paths], np.int32)


def _decode_all(files, image_size, keeps, waiting):
    """One decoded picture per thread is in memory beside the result. Reasons are None for pictures that are used.

    What is not kept is decoded nevertheless, to know which can be used.
    """

    def decode(file):
        try:
            return pictures.decode_square(file, image_size), None
        except pictures.PictureError as error:
            return None, str(error)

    images = np.empty((len(files) if keeps else 1, image_size, image_size, 3), np.uint8)
    count, reasons = 0, []
    with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for image, reason in pool.map(decode, files):
            reasons.append(reason)
            waiting.step()
            if reason is None:
                images[count if keeps else 0] = image
                count += 1
    if keeps:
        return images[:count], reasons
    used = [os.fsencode(file) for file, reason in zip(files, reasons, strict=True) if reason is None]
    places = [(number, 0, os.path.getsize(file)) for number, file in enumerate(used)]
    return StoredImages(np.array(used), np.array(places, np.int64), image_size), reasons


def _check_counts(split, labels, class_names, needed, skipped):
    for name, count in zip(class_names, np.bincount(labels, minlength=len(class_names)), strict=True):
        if count < needed:
            hint = f" ({len(skipped)} files were skipped, the first: {skipped[0]})" if skipped else ""
            raise InputError(f"class {name!r} has {count} usable pictures for {split}; at least {needed} needed{hint}")
