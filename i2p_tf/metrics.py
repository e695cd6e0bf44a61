"""Visual distances between batches of images: pure functions, one value an image.

Images are float NHWC in [0, 1]; both arguments have one shape.
"""

import math

from keras import ops

from i2p_tf.hints import Tensor

SSIM_WINDOW = 11
SSIM_SIGMA = 1.5
_K1, _K2 = 0.01, 0.03


def ssim(images: Tensor, references: Tensor) -> Tensor:
    """Structural similarity (Wang et al. 2004): Gaussian window of 11x11, sigma 1.5, K1 0.01, K2 0.03.

    Each colour channel by itself, only where the whole window lies inside the image; the mean over places and
    channels. Images are at least 11x11.

    Returns:
        `(batch,)` in [-1, 1]; 1 for equal images. An inverted image has a negative value.

    Raises:
        ValueError: if the shapes differ or the images are smaller than the window.
    """
    images, references = _pair(images, references)
    if min(images.shape[1:3]) < SSIM_WINDOW:
        raise ValueError(f"`images` must be at least {SSIM_WINDOW}x{SSIM_WINDOW}. Received: {images.shape}")
    mean_x, mean_y = _blur(images), _blur(references)
    variance_x = _blur(images * images) - mean_x * mean_x
    variance_y = _blur(references * references) - mean_y * mean_y
    covariance = _blur(images * references) - mean_x * mean_y
    luminance = (2 * mean_x * mean_y + _K1**2) / (mean_x * mean_x + mean_y * mean_y + _K1**2)
    structure = (2 * covariance + _K2**2) / (variance_x + variance_y + _K2**2)
    return ops.mean(luminance * structure, axis=(1, 2, 3))


def psnr(images: Tensor, references: Tensor) -> Tensor:
    """Peak signal-to-noise ratio in decibels.

    Returns:
        `(batch,)`; at most 100 dB, which equal images get.

    Raises:
        ValueError: if the shapes differ.
    """
    images, references = _pair(images, references)
    error = ops.mean(ops.square(images - references), axis=(1, 2, 3))
    return -10.0 * ops.log(ops.maximum(error, 1e-10)) / math.log(10.0)


def _pair(images, references):
    images, references = ops.convert_to_tensor(images, "float32"), ops.convert_to_tensor(references, "float32")
    if images.shape != references.shape:
        raise ValueError(f"`images` and `references` must have one shape. Received: {images.shape}, {references.shape}")
    return images, references


def _blur(x):
    """Gaussian mean of every window that lies inside the image, as two one-dimensional passes."""
    offsets = [i - (SSIM_WINDOW - 1) / 2 for i in range(SSIM_WINDOW)]
    weights = [math.exp(-(offset**2) / (2 * SSIM_SIGMA**2)) for offset in offsets]
    line = ops.convert_to_tensor([weight / sum(weights) for weight in weights], x.dtype)
    kernel = ops.tile(ops.reshape(line, (SSIM_WINDOW, 1, 1, 1)), (1, 1, x.shape[-1], 1))
    x = ops.depthwise_conv(x, kernel, padding="valid")
    return ops.depthwise_conv(x, ops.transpose(kernel, (1, 0, 2, 3)), padding="valid")
