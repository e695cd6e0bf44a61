"""What may happen to a protected image on its way, as `i2p_tf.transport` with a gradient."""

from keras import ops

from i2p_tf.training.jpeg import QUALITIES, jpeg
from i2p_tf.training.objective import round_to_8_bits

WAYS = 2 + len(QUALITIES)


def lossy_transport(images):
    """Of each batch a quarter as it is, two as JPEG files of quality 90 and 75, one scaled to twice the size and back.

    Args:
        images: RGB at the 256 levels in [0, 1], `(batch, height, width, 3)`.

    Returns:
        What arrives, of the same shape.
    """
    quarter = (ops.shape(images)[0] + WAYS - 1) // WAYS
    parts = [images[way * quarter : (way + 1) * quarter] for way in range(WAYS)]
    files = [jpeg(part, quality) for part, quality in zip(parts[1:], QUALITIES, strict=False)]
    return ops.concatenate([parts[0], *files, resized_2x(parts[-1])])


def resized_2x(images):
    """Images bilinearly scaled to twice the size and back; rounding has the gradient of the identity.

    Args:
        images: RGB in [0, 1], `(batch, height, width, 3)`.

    Returns:
        RGB at the 256 levels in [0, 1], of the same shape.
    """
    height, width = images.shape[1:3]
    for size in ((2 * height, 2 * width), (height, width)):
        images = round_to_8_bits(ops.image.resize(images, size, interpolation="bilinear", antialias=True))
    return images
