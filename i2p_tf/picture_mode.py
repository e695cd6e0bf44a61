"""One picture of any of Pillow's modes -> mode RGB, a few rows at a time."""

import numpy as np
from PIL import Image

_BAND_PIXELS = 1 << 18  # that are made RGB at once


def to_rgb(image: Image.Image) -> Image.Image:
    """The picture in mode RGB, in no more memory than `picture_memory.needed` says.

    Transparent parts are laid on white. Values of more than 8 bits are scaled as `pictures.decode` says.
    """
    if image.mode == "RGB" and not image.has_transparency_data:
        return image
    limits = _limits(image) if _is_deep(image.mode) else None
    rgb = Image.new("RGB", image.size)
    for box in _bands(image.size):
        rgb.paste(_band_to_rgb(image.crop(box), limits), box)
    return rgb


def _bands(size):
    """Boxes of whole rows: what is made between one mode and the other is as small as they are."""
    width, height = size
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        yield 0, top, width, min(top + rows, height)


def _band_to_rgb(band, limits):
    if limits:
        low, high = limits
        values = _finite(np.asarray(band))
        band = Image.fromarray(np.round((values - float(low)) * (255 / (high - low))).astype(np.uint8))
    if band.has_transparency_data:
        band = band.convert("RGBA")
        band = Image.alpha_composite(Image.new("RGBA", band.size, "white"), band)
    return band.convert("RGB")


def _is_deep(mode):
    return mode in ("I", "F") or mode.startswith("I;")


def _limits(image):
    """The values of a picture with more than 8 bits that become 0 and 255."""
    if image.mode not in ("I", "F"):
        return 0, 65535
    limits = (1, 255, 65535) if image.mode == "F" else (65535,)
    ends = [
        (values.min(), values.max()) for values in (_finite(np.asarray(image.crop(box))) for box in _bands(image.size))
    ]
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    if low >= 0 and high <= 65535:
        return 0, next(limit for limit in limits if high <= limit)
    return low, high if high > low else low + max(1.0, abs(low))  # one value is black


def _finite(values):
    return np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
