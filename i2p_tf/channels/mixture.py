"""All channels at once, each for its share of a batch: ψ reads protected images after any of them."""

import itertools

from keras import ops

from i2p_tf import whole_batch
from i2p_tf.channels.jpeg import jpeg
from i2p_tf.channels.scaling import resized_2x
from i2p_tf.hints import Tensor

QUALITIES = (90, 75)  # of the JPEG files
WAYS = 2 + len(QUALITIES)


def lossy(images: Tensor) -> Tensor:
    """Of each batch a quarter as it is, two as JPEG files of quality 90 and 75, one scaled to twice the size and back.

    Args:
        images: RGB at the 256 levels in [0, 1], `(batch, height, width, 3)`; of small batches the last parts are empty,
            and below 3 images there is no gradient.

    Returns:
        What arrives, of the same shape.
    """
    quarter = (ops.shape(images)[0] * whole_batch.place()[0] + WAYS - 1) // WAYS
    starts = [whole_batch.before(way * quarter) for way in range(WAYS + 1)]
    unchanged, *files, scaled = (images[start:end] for start, end in itertools.pairwise(starts))
    read = [jpeg(part, quality) for part, quality in zip(files, QUALITIES, strict=True)]
    return ops.concatenate([unchanged, *read, resized_2x(scaled)])
