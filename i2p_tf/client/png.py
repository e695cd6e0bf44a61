"""Protected pictures as PNG files: 8-bit RGB, in less time than by a library of all formats."""

import zlib

import numpy as np

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_RGB, _UP = 2, 2  # the colour type; the filter by which a row is its difference from the one above
_FASTEST = 1  # compression: a protected picture hardly gets smaller with a better one


def encode(image: np.ndarray) -> bytes:
    """The PNG file of an image, uint8 RGB `(height, width, 3)`, without metadata."""
    height, width, _ = image.shape
    pixels = image.reshape(height, -1)
    rows = np.full((height, 1 + 3 * width), _UP, np.uint8)
    rows[0, 1:] = pixels[0]  # the row above the first one is black
    np.subtract(pixels[1:], pixels[:-1], out=rows[1:, 1:])
    header = width.to_bytes(4) + height.to_bytes(4) + bytes((8, _RGB, 0, 0, 0))
    return b"".join(
        (_SIGNATURE, _chunk(b"IHDR", header), _chunk(b"IDAT", zlib.compress(rows.data, _FASTEST)), _chunk(b"IEND", b""))
    )


def _chunk(kind, content):
    body = kind + content
    return len(content).to_bytes(4) + body + zlib.crc32(body).to_bytes(4)
