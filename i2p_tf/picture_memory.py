"""What decoding a picture costs in memory, known before it is spent, and a budget that all threads share.

A file of a few bytes can hold a picture of 80 megapixels, so neither its size nor its pixels bound what its reader
takes. Here is what each reader of Pillow takes at most; benchmarks/hostile_pictures.py measures it. The budget does not
depend on the machine: which pictures can be used, and what they look like, is the same everywhere.
"""

import contextlib
import ctypes
import os
import threading
from collections.abc import Iterator

from PIL import Image

BUDGET = 256 << 20  # bytes; a computer with 1 GB has as much to spare

_WORTH_TRIMMING = 8 << 20

_SMALL_MODES = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16L": 2, "I;16B": 2, "I;16N": 2}
_PIXEL = 4  # bytes of a pixel of all other modes in Pillow, RGB too
# What readers need besides the picture itself, in bytes a pixel. The first three may have the whole file, too.
_WEBP = 12  # two canvases and a copy
_AVIF = 16  # planes of 16 bits, with alpha; the same in 8 bits; and a copy
_JPEG2000_CHANNEL = 7  # 32 bits, the values again in 16, and what was coded
_PYTHON = 8  # readers that are written in Python: the bytes of the file as a list that grows
_COEFFICIENT = 2
_ORIENTATION, _ROWS, _TILE_WIDTH, _TILE_HEIGHT, _BITS, _SAMPLES = 274, 278, 322, 323, 258, 277  # tags of TIFF


class Budget:
    """Bytes that threads take and give back; who wants more than is left waits."""

    def __init__(self, total: int):
        self._total = total
        self.reset()

    def reset(self) -> None:
        """All is there again: in a child after `fork`, where the threads that had taken some are not."""
        self._left = self._total
        self._changed = threading.Condition()

    @contextlib.contextmanager
    def taken(self, count: int) -> Iterator[None]:
        """Holds `count` bytes, at most the total."""
        with self._changed:
            self._changed.wait_for(lambda: self._left >= count)
            self._left -= count
        try:
            yield
        finally:
            if count > _WORTH_TRIMMING:
                _trim()
            with self._changed:
                self._left += count
                self._changed.notify_all()


def _trim():
    """Gives what was freed back to the system: glibc keeps it for the thread, and others would take as much again."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


budget = Budget(BUDGET)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=budget.reset)


def needed(image: Image.Image, pixels: int, file_bytes: int) -> int:
    """Bytes at the peak of loading a picture and making it RGB, without turning it.

    Args:
        image: what `PIL.Image.open` has returned, after `draft`.
        pixels: of the file, before `draft`.
        file_bytes: its size.
    """
    own = _pixel_bytes(image.mode)
    if image.format == "TIFF" and image.tag_v2.get(_ORIENTATION, 1) != 1:  # type: ignore[attr-defined]
        own *= 2  # its reader turns it
    loading = image.width * image.height * own + _reader(image, pixels, file_bytes)
    converting = image.width * image.height * (own + (_PIXEL if image.mode != "RGB" else 0))
    return max(loading, converting)


def webp_pixels(head: bytes) -> int | None:
    """Pixels that the first 30 bytes of a WebP file claim; None of other files. Its reader takes memory at once."""
    if head[:4] + head[8:12] != b"RIFFWEBP":
        return None
    match head[12:16]:
        case b"VP8 ":
            return (_number(head[26:28]) & 0x3FFF) * (_number(head[28:30]) & 0x3FFF)
        case b"VP8L":
            bits = _number(head[21:25])
            return ((bits & 0x3FFF) + 1) * ((bits >> 14 & 0x3FFF) + 1)
        case b"VP8X":
            return (_number(head[24:27]) + 1) * (_number(head[27:30]) + 1)
    return 0  # its reader will refuse it


def needed_by_webp(pixels: int, file_bytes: int) -> int:
    """As `needed`, of a file that was not opened, and enough to turn it."""
    return pixels * (_PIXEL + _WEBP) + file_bytes


def needed_to_turn(image: Image.Image) -> int:
    """Bytes at the peak of turning a loaded picture upright."""
    return 2 * image.width * image.height * _pixel_bytes(image.mode)


def _pixel_bytes(mode):
    return _SMALL_MODES.get(mode, _PIXEL)


def _reader(image, pixels, file_bytes):
    match image.format:
        case "AVIF":
            return pixels * _AVIF + file_bytes
        case "JPEG2000":
            return pixels * _JPEG2000_CHANNEL * len(image.getbands()) + file_bytes
        case "JPEG" | "MPO":
            return 0 if _has_one_scan(image) else int(pixels * _COEFFICIENT * _channels(image))
        case "TIFF":
            return _strip(image)
        case "BMP" | "PPM" if image.tile[0].codec_name != "raw":
            return pixels * _PYTHON
    return 0


def _number(content):
    return int.from_bytes(content, "little")


def _has_one_scan(image):
    """Whether a JPEG file holds all channels in one pass; else its decoder keeps all coefficients until the end."""
    header = 8 + 2 * image.layers  # of the scan, up to the end of which the file was read
    image.fp.seek(-header, os.SEEK_CUR)
    return (
        image.fp.read(header)[:5] == bytes((0xFF, 0xDA, 0, header - 2, image.layers))
        and "progressive" not in image.info
    )


def _channels(image):
    """Coefficients a pixel: subsampled channels have less."""
    largest = max(h for _, h, _, _ in image.layer) * max(v for _, _, v, _ in image.layer)
    return sum(h * v for _, h, v, _ in image.layer) / largest


def _strip(image):
    """Bytes of the largest part of a TIFF file that is decoded at once, as its own header has it."""
    tags = image.tag_v2
    width, height = tags.get(_TILE_WIDTH), tags.get(_TILE_HEIGHT)
    if not width or not height:
        width, height = image.width, min(tags.get(_ROWS, image.height), image.height)
    return width * height * max(_PIXEL, tags.get(_SAMPLES, 1) * max(tags.get(_BITS, (1,))) // 8)
