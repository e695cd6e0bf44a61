"""What somebody has in Python already -> a `Split`: arrays, or a `tf.data.Dataset`."""

import collections.abc
from typing import Any

import numpy as np

from i2p_tf.data.dataset import Split
from i2p_tf.errors import InputError


def split(name: str, given: Any) -> Split:
    """A `Split` of what a user gives.

    Args:
        name: of the argument, for messages.
        given: a `Split`; or images, uint8 RGB `(n, size, size, 3)`, and labels, integers from 0, `(n,)`; or a finite
            `tf.data.Dataset` of such pairs, in batches or one by one.

    Raises:
        InputError: if the images or labels are of another form.
    """
    if isinstance(given, Split):
        return given
    images, labels = _read(name, given)
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[1] != images.shape[2] or images.shape[3] != 3:
        raise InputError(
            f"the images of `{name}` must be uint8 (n, size, size, 3). Received: {images.dtype} {images.shape}"
        )
    if labels.shape != (len(images),) or labels.dtype.kind not in "iu" or not len(labels) or labels.min() < 0:
        raise InputError(
            f"the labels of `{name}` must be integers from 0, one for each image. Received: {labels.dtype} "
            f"{labels.shape} for {len(images)} images"
        )
    return Split(images, labels.astype(np.int32))


def _read(name, given):
    """Images and labels as arrays, whatever is in them."""
    if isinstance(given, collections.abc.Sequence) and not isinstance(given, str) and len(given) == 2:
        return np.asarray(given[0]), np.asarray(given[1])
    specification = getattr(given, "element_spec", None)
    if not isinstance(specification, tuple) or len(specification) != 2:
        raise InputError(
            f"`{name}` must be (images, labels) or a tf.data.Dataset of such pairs. Received: {type(given).__name__}"
        )
    if given.cardinality() == -1:  # tf.data.INFINITE_CARDINALITY
        raise InputError(f"`{name}` never ends: leave out its repeat()")
    if specification[0].shape.rank == 3:
        given = given.batch(256)
    batches = list(given.as_numpy_iterator())
    if not batches:
        raise InputError(f"`{name}` is empty")
    images, labels = zip(*batches, strict=True)
    if len({batch.shape[1:] for batch in images}) > 1:
        raise InputError(f"the images of `{name}` differ in size; tf.image.resize brings them to one")
    return np.concatenate(images), np.concatenate(labels)
