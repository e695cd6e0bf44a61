"""What JPEG files leave of images, as Keras operations with a gradient: ITU-T T.81 without the lossless half."""

import numpy as np
from keras import ops

from i2p_tf.hints import Tensor

SIDE = 8  # of the blocks that are transformed, in pixels
# The example tables of T.81, annex K, which libjpeg scales by the quality.
LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
TO_YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)


def jpeg(images: Tensor, quality: int) -> Tensor:
    """Images as a JPEG file of that quality, 50 to 100, gives them back, with colours at half the resolution.

    Rounding has the gradient of the identity.

    Args:
        images: RGB in [0, 1], `(batch, height, width, 3)`.
        quality: as libjpeg counts it.

    Returns:
        RGB at the 256 levels in [0, 1], of the same shape.
    """
    height, width = images.shape[1:3]
    below, right = -height % (2 * SIDE), -width % (2 * SIDE)
    x = ops.pad(images, ((0, 0), (0, below), (0, right), (0, 0)), mode="symmetric") * 255.0
    x = ops.matmul(x, TO_YCBCR.T)
    luminance = _quantised(x[..., :1] - 128.0, LUMINANCE, quality) + 128.0
    colours = _quantised(ops.average_pool(x[..., 1:], 2, strides=2), CHROMINANCE, quality)
    colours = ops.image.resize(colours, (height + below, width + right), interpolation="bilinear")
    x = ops.matmul(ops.concatenate([luminance, colours], axis=-1), np.linalg.inv(TO_YCBCR).T)
    return ops.clip(_rounded(x[:, :height, :width]), 0.0, 255.0) / 255.0


def jpeg_90(images: Tensor) -> Tensor:
    """As `jpeg`, of quality 90."""
    return jpeg(images, 90)


def jpeg_75(images: Tensor) -> Tensor:
    """As `jpeg`, of quality 75."""
    return jpeg(images, 75)


def _quantised(channels, table, quality):
    """Each block's cosine coefficients in whole multiples of the table's steps."""
    steps = np.clip(np.floor((np.float32(table) * (200 - 2 * quality) + 50) / 100), 1, 255)
    steps = steps.astype(np.float32)[:, np.newaxis, :, np.newaxis]
    _, height, width, count = channels.shape
    blocks = ops.reshape(channels, (-1, height // SIDE, SIDE, width // SIDE, SIDE, count))
    coefficients = ops.einsum("ui,naibjc,vj->naubvc", _COSINES, blocks, _COSINES)
    blocks = ops.einsum("ui,naubvc,vj->naibjc", _COSINES, _rounded(coefficients / steps) * steps, _COSINES)
    return ops.reshape(blocks, (-1, height, width, count))


def _rounded(x):
    return x + ops.stop_gradient(ops.round(x) - x)


def _cosines():
    """The orthonormal cosine transform, `(frequency, place)`."""
    angles = np.pi / SIDE * np.outer(np.arange(SIDE), np.arange(SIDE) + 0.5)
    scales = np.sqrt(np.where(np.arange(SIDE) == 0, 1.0, 2.0) / SIDE)
    return np.float32(scales[:, np.newaxis] * np.cos(angles))


_COSINES = _cosines()
