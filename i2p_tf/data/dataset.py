"""A data set: uint8 images and labels, split for training, validation and test.

How a set is split never depends on the seed of a training: runs with different seeds can then be compared, and a
network trained by one of them has not seen the validation or test images of another.
"""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from i2p_tf.data.stored import MOST_BYTES, SAMPLED, StoredImages
from i2p_tf.errors import InputError, printable
from i2p_tf.fingerprint import listed
from i2p_tf.moving_line import MovingLine, silent

DEFAULT_SIZE = 32  # of images whose source has none of its own
VALIDATION_FRACTION = 0.1
_TEST_FRACTION = 0.2
_SPLIT_SEED = 2021
_MANY_CLASSES = 20
_FIRST_CLASSES = 8


@dataclasses.dataclass(frozen=True)
class Split:
    """Images, uint8 RGB `(n, size, size, 3)`, and their labels, int32 `(n,)`; an attribute likewise, if one is read."""

    images: np.ndarray
    labels: np.ndarray
    attribute: np.ndarray | None = None

    @property
    def is_stored(self) -> bool:
        """Whether the images are not in memory: `stored.StoredImages`, which stands for the array."""
        return isinstance(self.images, StoredImages)

    def take(self, chosen: np.ndarray | slice) -> "Split":
        """The `Split` of the images that an index, a slice or a mask chooses."""
        attribute = None if self.attribute is None else self.attribute[chosen]
        images: Any = self.images.take(chosen) if isinstance(self.images, StoredImages) else self.images[chosen]
        return Split(images, self.labels[chosen], attribute)

    def in_memory(self) -> "Split":
        """The same where its images are in memory; else some of them, the same ones in every run."""
        if not self.is_stored:
            return self
        chosen = np.random.default_rng(_SPLIT_SEED).permutation(len(self.labels))[:SAMPLED]
        sample = self.take(np.sort(chosen))
        return dataclasses.replace(sample, images=cast(StoredImages, sample.images).load(silent(), ""))


@dataclasses.dataclass(frozen=True)
class Found:
    """What a source gives.

    Attributes:
        class_names: of the labels.
        splits: `Split`s by name: "train" and, where the source has them, "validation" and "test".
        skipped: one "path: reason" for every file that was no usable picture.
        attribute_values: the names of the values of the attribute that was asked for.
        validation_fraction: of the training images, for a source without a validation split.
    """

    class_names: tuple[str, ...]
    splits: dict[str, Split]
    skipped: tuple[str, ...] = ()
    attribute_values: tuple[str, ...] = ()
    validation_fraction: float = VALIDATION_FRACTION


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A data set in memory.

    `name` is that of `shown_name`; `skipped` has one "path: reason" for every file that was no usable picture;
    `attribute_values` are the names of the values of the attribute that was asked for.
    """

    name: str
    class_names: tuple[str, ...]
    train: Split
    validation: Split
    test: Split
    skipped: tuple[str, ...] = ()
    attribute_values: tuple[str, ...] = ()

    @classmethod
    def split(cls, name: str, found: Found) -> "Dataset":
        """The `Dataset` of what a source has found, with all three splits.

        A missing test split is 20 % of the training images, a missing validation split a fraction of the rest. Both
        are drawn class by class, the same in every run.
        """
        splits = dict(found.splits)
        for split, fraction in (("test", _TEST_FRACTION), ("validation", found.validation_fraction)):
            if split not in splits:
                splits["train"], splits[split] = _hold_out(splits["train"], fraction)
            splits[split] = splits[split].in_memory()
        return cls(
            name=name,
            class_names=found.class_names,
            skipped=found.skipped,
            attribute_values=found.attribute_values,
            **splits,
        )

    def in_memory(self) -> "Dataset":
        """The set with no more training images than are kept in memory, a sample where there are more."""
        return dataclasses.replace(self, train=self.train.in_memory())

    def with_training_images(self, count: int) -> "Dataset":
        """The set with only `count` training images (all, where there are no more): the same ones in every run."""
        chosen = np.random.default_rng(_SPLIT_SEED).permutation(len(self.train.labels))[:count]
        return dataclasses.replace(self, train=self.train.take(chosen))

    def with_class_names(self, names: Sequence[str]) -> "Dataset":
        """The set with its classes, and so its labels, in the order of `names`; `InputError` if these are others."""
        if set(names) != set(self.class_names):
            missing, unknown = sorted(set(self.class_names) - set(names)), sorted(set(names) - set(self.class_names))
            parts = [(kind, listed(found)) for kind, found in (("missing", missing), ("unknown", unknown)) if found]
            what = "; ".join(f"{kind}: {found}" for kind, found in parts)
            raise InputError(f"--class_names has to name the classes of {self.name} in another order; {what}")
        places = np.array([names.index(name) for name in self.class_names], np.int32)
        splits = {
            name: dataclasses.replace(getattr(self, name), labels=places[getattr(self, name).labels])
            for name in ("train", "validation", "test")
        }
        return dataclasses.replace(self, class_names=tuple(names), **splits)

    def describe_classes(self) -> str:
        """The names of the classes, each with its number of pictures in all splits, as one line; some of many."""
        labels = np.concatenate([split.labels for split in (self.train, self.validation, self.test)])
        counts = np.bincount(labels, minlength=self.num_classes).tolist()
        shown = [f"{printable(name)} ({count})" for name, count in zip(self.class_names, counts, strict=True)]
        if len(shown) > _MANY_CLASSES:
            others = counts[_FIRST_CLASSES:]
            rest = f"and {len(others)} more ({min(others)} to {max(others)} each)"
            shown = [*shown[:_FIRST_CLASSES], rest]
        return f"{self.num_classes} classes: {', '.join(shown)}"

    @property
    def image_size(self) -> int:
        """Height and width of every image."""
        return self.train.images.shape[1]

    @property
    def num_classes(self) -> int:
        """Number of classes; labels run from 0 to one less."""
        return len(self.class_names)


def kept(splits: dict[str, Split], line: MovingLine) -> dict[str, Split]:
    """`Split`s of stored images in memory, if together they are no more than `MOST_BYTES`; else as they are."""
    if sum(math.prod(split.images.shape) for split in splits.values()) > MOST_BYTES:
        return splits
    return {
        name: dataclasses.replace(split, images=cast(StoredImages, split.images).load(line, f"reading {name}, image"))
        for name, split in splits.items()
    }


def _hold_out(split, fraction):
    """Takes `fraction` of each class out of a split, at least one image, and leaves at least one.

    Of images that are not in memory it takes no more than are to be in memory.
    """
    if split.is_stored:
        fraction = min(fraction, SAMPLED / len(split.labels))
    generator = np.random.default_rng(_SPLIT_SEED)
    held_out = np.zeros(len(split.labels), bool)
    for label in np.unique(split.labels):
        indices = generator.permutation(np.flatnonzero(split.labels == label))
        count = min(max(1, round(fraction * len(indices))), len(indices) - 1)
        held_out[indices[:count]] = True
    return split.take(~held_out), split.take(held_out)
