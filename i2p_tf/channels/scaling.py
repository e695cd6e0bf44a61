"""What scaling to twice the size and back leaves of images, as `files.resize_2x` with a gradient."""

import numpy as np
from keras import ops

from i2p_tf.channels.rounding import round_to_8_bits
from i2p_tf.hints import Tensor


def resized_2x(images: Tensor) -> Tensor:
    """Images bilinearly scaled to twice the size and back; rounding has the gradient of the identity.

    By matrices, for `ops.image.resize` with antialiasing can't be compiled by XLA.

    Args:
        images: RGB in [0, 1], `(batch, height, width, 3)`.

    Returns:
        RGB at the 256 levels in [0, 1], of the same shape.
    """
    (up_rows, down_rows), (up_columns, down_columns) = map(_doubling_and_halving, images.shape[1:3])
    larger = round_to_8_bits(ops.einsum("ai,nijc,bj->nabc", up_rows, images, up_columns))
    return round_to_8_bits(ops.einsum("ai,nijc,bj->nabc", down_rows, larger, down_columns))


def _doubling_and_halving(size):
    """Bilinear weights of the old pixels in the new ones: `(2 * size, size)` and `(size, 2 * size)`."""
    return _weights(2 * size, size, reach=1.0), _weights(size, 2 * size, reach=2.0)


def _weights(new, old, reach):
    """Triangles of a half-width of `reach` old pixels; what lies outside the image does not count."""
    centres = (np.arange(new) + 0.5) * old / new - 0.5
    weights = np.maximum(0.0, 1.0 - np.abs(centres[:, np.newaxis] - np.arange(old)) / reach)
    return np.float32(weights / weights.sum(axis=1, keepdims=True))
