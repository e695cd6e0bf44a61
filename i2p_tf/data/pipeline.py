"""uint8 images -> batches for training and evaluation, as `tf.data`.

The array of a `Split` is the cache: it is decoded once and stays uint8. What is too large for that is decoded by its
indices, in the same order. Each epoch shuffles indices into it, then
augments, then converts to float32, while the step before is still computing.
"""

import contextlib
from collections.abc import Callable, Iterator

import numpy as np
import tensorflow as tf

from i2p_tf.config import AUGMENTATIONS
from i2p_tf.data.dataset import Split
from i2p_tf.data.stored import StoredImages
from i2p_tf.errors import InputError, unknown_name
from i2p_tf.hints import Tensor


def training_pipeline(
    split: Split,
    batch_size: int,
    seed: int,
    augmentation: str,
    epoch: int,
    protect: Callable[[Tensor], Tensor] | None = None,
    part: tuple[int, ...] | None = None,
) -> tf.data.Dataset:
    """One epoch of training batches, in an order and with an augmentation that follow from `(seed, epoch)` alone.

    So a run resumed at some epoch sees exactly what an uninterrupted one sees. Every image comes at most once; up to
    `batch_size - 1` images, others in each epoch, are left out to keep all batches full.

    Args:
        split: `dataset.Split`.
        batch_size: images in each batch.
        seed: non-negative integer.
        augmentation: "none"; "crop", a random shift by up to an eighth of the image size (4 pixels of 32) with black
            moving in; "flip_crop", half of the images mirrored left to right before that.
        epoch: non-negative integer.
        protect: function of uint8 images that is applied to each batch after augmentation; None for none.
        part: which images of each batch are wanted, where several machines share it; None for all. They are as they
            are in the whole batch.

    Returns:
        `tf.data.Dataset` of `(images, labels)`: float32 `(batch_size, size, size, 3)` in [0, 1], int32 `(batch_size,)`;
        of `part` as many as it names.

    Raises:
        InputError: if there are fewer images than `batch_size`, or `augmentation` is unknown.
    """
    if augmentation not in AUGMENTATIONS:
        raise unknown_name("augmentation", augmentation, AUGMENTATIONS)
    count = len(split.labels)
    if batch_size > count:
        raise InputError(f"batch size {batch_size} is larger than the training set, which has {count} images")
    steps = count // batch_size
    chosen = np.array(part) if part else np.arange(batch_size)
    margin = split.images.shape[1] // 8

    def batches():
        generator = np.random.default_rng((seed, epoch))
        for batch in generator.permutation(count)[: steps * batch_size].reshape(steps, batch_size):
            indices = batch[chosen]
            images = split.images[indices]
            if augmentation == "flip_crop":
                mirrored = generator.random(batch_size) < 0.5
                images = _flip(images, mirrored[chosen])
            if augmentation != "none":
                corners = generator.integers(0, 2 * margin, (batch_size, 2), endpoint=True)
                images = _crop(images, corners[chosen], margin)
            if protect:
                images = protect(images)
            yield images, split.labels[indices]

    return _pipeline(batches, split, len(chosen), steps)


@contextlib.contextmanager
def naming_damage(split: Split) -> Iterator[None]:
    """Raises an `InputError` for a damaged picture where TensorFlow, which has asked for it, raises one of its own."""
    try:
        yield
    except tf.errors.OpError as error:
        if isinstance(split.images, StoredImages) and split.images.damage:
            raise InputError(split.images.damage[0]) from error
        raise


def evaluation_pipeline(split: Split, batch_size: int) -> tf.data.Dataset:
    """All images in order; the last batch may be smaller.

    Args:
        split: `dataset.Split`.
        batch_size: images in each batch but the last.

    Returns:
        `tf.data.Dataset` of `(images, labels)`: float32 `(batch, size, size, 3)` in [0, 1] and int32 `(batch,)`.
    """
    starts = range(0, len(split.labels), batch_size)

    def batches():
        for start in starts:
            yield split.images[start : start + batch_size], split.labels[start : start + batch_size]

    return _pipeline(batches, split, None, len(starts))


def _pipeline(batches, split, batch_size, steps):
    signature = (
        tf.TensorSpec((batch_size, *split.images.shape[1:]), tf.uint8),
        tf.TensorSpec((batch_size,), tf.int32),
    )
    dataset = tf.data.Dataset.from_generator(batches, output_signature=signature)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(steps))
    dataset = dataset.map(lambda images, labels: (tf.cast(images, tf.float32) / 255.0, labels)).prefetch(2)
    # There is nothing to tune, and the thread that does it sleeps up to a minute before an iterator can end.
    options = tf.data.Options()
    options.autotune.enabled = False
    return dataset.with_options(options)


def _flip(images, mirrored):
    images[mirrored] = images[mirrored, :, ::-1]  # `images` is a copy already
    return images


def _crop(images, corners, margin):
    size = images.shape[1]
    padded = np.pad(images, ((0, 0), (margin, margin), (margin, margin), (0, 0)))
    windows = zip(padded, corners.tolist(), strict=True)
    return np.stack([image[top : top + size, left : left + size] for image, (top, left) in windows])
