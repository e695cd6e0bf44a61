"""One picture: from a file of any format and mode to square 8-bit RGB.

Training on a folder and the client on the device both go through here, so a picture looks the same to both.
Nothing of Pillow's global state is changed, but that libtiff keeps its messages to itself.
"""

import contextlib
import ctypes
import io
import os
import threading
import traceback
import warnings
from typing import Any

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from i2p_tf import jpeg_end, picture_memory, picture_mode

MAX_PIXELS = 80_000_000  # where Pillow does not warn of a bomb yet; of most formats fewer fit into the budget of memory
# Readers of WebP and AVIF take the whole file into memory when they open it. None that is in the budget is as large.
_MAX_BYTES_READ_AT_ONCE = 64 << 20

# What people have in folders. Some other readers of Pillow start programs (EPS) or take any bytes for a picture (TGA).
# First those that Pillow has loaded from the start: for any other it loads the readers of all formats.
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "AVIF", "JPEG2000", "TIFF", "WEBP")

RESIZE_RULES = ("crop", "fit", "stretch")

# What systems leave in folders, in lower case; and what begins with a dot.
_SYSTEM_NAMES = frozenset(
    (
        *("thumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),  # Windows
        *("__macosx", "icon\r", "lost+found"),  # macOS, Linux
        *("@eadir", "#recycle", "@recycle"),  # network storage
    )
)

# `warnings.catch_warnings` is not thread-safe, and pictures are opened in several threads.
_OPENING = threading.Lock()
if hasattr(os, "register_at_fork"):  # a thread that is not in the child may hold it
    os.register_at_fork(after_in_child=lambda: globals().update(_OPENING=threading.Lock()))

# EXIF's orientation -> what turns the picture upright.
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

# libtiff writes what it finds wrong to stderr, where nobody knows which file it means; Pillow raises an error anyway.
with contextlib.suppress(OSError, AttributeError):
    ctypes.CDLL(Image.core.__file__).TIFFSetErrorHandler(None)


class PictureError(ValueError):
    """A file that can't be used as a picture. The message is the short reason, without the name of the file."""


class _Damaged(PictureError):
    """Its header can be read, and not its pixels."""


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is not the user's but the system's, or hidden."""
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def decode(source: Any, at_least: int | None = None) -> Image.Image:
    """Decodes a picture, turns it upright as its EXIF orientation says, and drops all metadata.

    Transparent parts are laid on white, the ground that most such pictures are drawn for. 16-bit values and 32-bit
    whole numbers are scaled from [0, 65535], not clipped; floating point from the first of [0, 1], [0, 255] and
    [0, 65535] that it fits into; what does not fit, from its own range. Of an animation the first frame counts. Colour
    profiles are ignored. A JPEG file that lacks nothing but its end marker is read.

    Args:
        source: path, bytes or binary file object.
        at_least: length in pixels that the shorter side has to keep, if the picture is made smaller afterwards; large
            JPEG files are then decoded at 1/2, 1/4 or 1/8 of their size, at no less than twice `at_least`.

    Returns:
        `PIL.Image.Image` of mode RGB, without metadata.

    Raises:
        PictureError: if it is no picture, damaged, larger than `MAX_PIXELS`, needs more than `picture_memory.BUDGET` or
            than there is, or the file can't be read.
    """
    return _decode(source, at_least, lambda image: image)


def decode_square(source: Any, size: int, rule: str = "crop") -> np.ndarray:
    """`resize` of `decode`; the budget of memory holds for both, so this is what many threads may do at once.

    Args:
        source: as for `decode`.
        size: as for `resize`.
        rule: as for `resize`.

    Returns:
        uint8 RGB `(size, size, 3)`.

    Raises:
        PictureError: as `decode`.
    """
    return _decode(source, size, lambda image: np.asarray(resize(image, size, rule)))


def resize(image: Image.Image, size: int, rule: str = "crop") -> Image.Image:
    """Makes a picture square, with an antialiased bicubic filter.

    Args:
        image: `PIL.Image.Image` of mode RGB.
        size: height and width of the result, in pixels.
        rule: "crop" scales the shorter side to `size` and cuts out the centre; "fit" scales the longer side and pads
            with black; "stretch" scales both and changes the proportions.

    Returns:
        `PIL.Image.Image` of mode RGB, `size` x `size`.

    Raises:
        ValueError: if `rule` is none of these.
    """
    if rule == "stretch":
        return _scale(image, (size, size))
    if rule == "crop":
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        return _scale(image, (size, size), box=(left, top, left + side, top + side))
    if rule == "fit":
        factor = size / max(image.size)
        scaled = _scale(image, tuple(max(1, round(side * factor)) for side in image.size))
        square = Image.new("RGB", (size, size))
        square.paste(scaled, ((size - scaled.width) // 2, (size - scaled.height) // 2))
        return square
    raise ValueError(f"`rule` must be one of {', '.join(RESIZE_RULES)}. Received: {rule!r}")


def _scale(image, size, box=None):
    return image.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)


def _decode(source, at_least, use):
    try:
        if isinstance(source, (bytes, bytearray, memoryview)):
            return _decode_stream(io.BytesIO(source), at_least, use)
        if hasattr(source, "read"):
            return _decode_stream(source, at_least, use)
        if os.path.exists(source) and not os.path.isfile(source):
            raise PictureError("not a regular file")  # opening a named pipe would wait for ever
        with open(source, "rb") as file:
            return _decode_stream(file, at_least, use)
    except OSError as error:
        raise PictureError(f"cannot be read: {(error.strerror or str(error)).lower()}") from error
    except MemoryError as error:
        raise PictureError("there is not enough memory for it") from error


def _decode_stream(file, at_least, use):
    """As `_decode_file`; a JPEG file may lack its end marker."""
    try:
        return _decode_file(file, at_least, use)
    except _Damaged:
        whole = _without_end(file, at_least, use)
        if whole is None:
            raise
        return whole


def _without_end(file, at_least, use):
    """As `_decode_file`, of a JPEG file that lacks its end marker; None where it lacks more, or is none."""
    file.seek(0)
    is_jpeg, first = file.read(len(jpeg_end.START)) == jpeg_end.START, None
    rest = file.read(_MAX_BYTES_READ_AT_ONCE) if is_jpeg else b""
    try:
        for completed in jpeg_end.completions(jpeg_end.START + rest):
            result = _decode_file(io.BytesIO(completed), at_least, use)
            first = result if first is None else first
            if not np.array_equal(first, result):
                return None
    except PictureError:
        return None
    return first


def _decode_file(file, at_least, use):
    """What `use` makes of the upright picture, while its memory is reserved."""
    file_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    pixels = picture_memory.webp_pixels(file.read(30))
    if pixels is not None:
        _refuse_too_many(pixels)
        needed = picture_memory.needed_by_webp(pixels, file_bytes)
        _refuse_above_budget(needed)
        with picture_memory.budget.taken(needed):
            return _load([_open(file, file_bytes)], needed, use)
    images = [_open(file, file_bytes)]
    pixels = images[0].width * images[0].height
    _refuse_too_many(pixels)
    with _errors():
        if at_least:
            images[0].draft(None, (2 * at_least, 2 * at_least))
        needed = picture_memory.needed(images[0], pixels, file_bytes)
        needed_turned = max(needed, picture_memory.needed_to_turn(images[0]))
    _refuse_above_budget(needed)
    with picture_memory.budget.taken(min(needed_turned, picture_memory.BUDGET)):
        return _load(images, needed_turned, use)


def _load(images, needed_turned, use):
    """Takes the only image out of a list, so that nobody holds it when its memory counts as free."""
    image = images.pop()
    try:
        with _errors():
            image.load()
            turn = _TURNS.get(_orientation(image))
            image = _pixels(image)
            if turn is not None:
                _refuse_above_budget(needed_turned)
                image = image.transpose(turn)
            image = picture_mode.to_rgb(image)
        return use(image)
    finally:
        del image  # an exception would keep it


@contextlib.contextmanager
def _errors():
    """Makes what Pillow's readers raise on damaged files, which is nearly anything, a `PictureError`."""
    try:
        yield
    except Exception as error:
        _let_go(error)
        if isinstance(error, (PictureError, MemoryError)) or isinstance(error, OSError) and error.errno:
            raise
        raise _Damaged("truncated or damaged") from error


def _let_go(error):
    """Clears the functions that an error has left: their variables hold the picture for as long as the error lives."""
    while error:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _open(file, file_bytes):
    """Reads the header only, without Pillow's warning about large pictures: those are refused anyway."""
    if not file_bytes:
        raise PictureError("0 bytes")
    file.seek(0)
    head = file.read(8)
    if file_bytes > _MAX_BYTES_READ_AT_ONCE and (head[:4] == b"RIFF" or head[4:] == b"ftyp"):
        raise PictureError(f"more than {_MAX_BYTES_READ_AT_ONCE:,} bytes")
    file.seek(0)
    with _errors(), _OPENING, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Image.open(file, formats=FORMATS)
        except Image.DecompressionBombError as error:
            raise PictureError(f"more than {MAX_PIXELS:,} pixels") from error
        except UnidentifiedImageError as error:
            raise PictureError("not a picture of a supported format") from error


def _refuse_too_many(pixels):
    if pixels > MAX_PIXELS:
        raise PictureError(f"more than {MAX_PIXELS:,} pixels")


def _refuse_above_budget(needed):
    if needed > picture_memory.BUDGET:
        raise PictureError(
            f"decoding it takes {needed / 1e6:,.0f} MB of memory, more than {picture_memory.BUDGET / 1e6:,.0f}; "
            "make it smaller, or a JPEG file"
        )


def _orientation(image):
    try:
        return image.getexif().get(ExifTags.Base.Orientation)
    except MemoryError:
        raise
    except Exception:  # broken EXIF data are no reason to lose the picture
        return None


def _pixels(image):
    """The pixels and what they need to be understood: no metadata, and nothing of what the reader still holds."""
    pixels = Image.Image()
    # As a reader of Pillow sets them: `copy` would take the memory twice.
    pixels.im, pixels.palette = image.im, image.palette
    pixels._mode, pixels._size = image.mode, image.size
    if "transparency" in image.info:
        pixels.info["transparency"] = image.info["transparency"]
    return pixels
