"""What may happen to a protected image on its way to ψ, with real files.

Functions of one uint8 image `(height, width, 3)` to another of the same shape.
"""

import io

import numpy as np
from PIL import Image


def png(image: np.ndarray) -> np.ndarray:
    """Exactly as it was."""
    return _through_file(image, format="PNG")


def jpeg_90(image: np.ndarray) -> np.ndarray:
    """A JPEG file of quality 90, with colours at half the resolution, as most software writes it."""
    return _through_file(image, format="JPEG", quality=90)


def jpeg_75(image: np.ndarray) -> np.ndarray:
    """A JPEG file of quality 75."""
    return _through_file(image, format="JPEG", quality=75)


def resize_2x(image: np.ndarray) -> np.ndarray:
    """Bilinearly to twice the size and back, as a program does that wants another size."""
    height, width = image.shape[:2]
    larger = Image.fromarray(image).resize((2 * width, 2 * height), Image.Resampling.BILINEAR)
    return np.asarray(larger.resize((width, height), Image.Resampling.BILINEAR))


def _through_file(image, **options):
    file = io.BytesIO()
    Image.fromarray(image).save(file, **options)
    return np.asarray(Image.open(file))
