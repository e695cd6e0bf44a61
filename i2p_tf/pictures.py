"""One picture: from a file of any format and mode to square 8-bit RGB.

Training on a folder and the client on the device both go through here, so a picture looks the same to both.
Nothing of Pillow's global state is changed.
"""

import io
import os
import threading
import warnings

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from i2p_tf import jpeg_end

# Below the size at which Pillow warns of a decompression bomb, and 240 MB as RGB.
MAX_PIXELS = 80_000_000

# What people have in folders. Some other readers of Pillow start programs (EPS) or take any bytes for a picture (TGA).
FORMATS = ("AVIF", "BMP", "GIF", "JPEG", "JPEG2000", "PNG", "PPM", "TIFF", "WEBP")

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


class PictureError(ValueError):
    """A file that can't be used as a picture. The message is the short reason, without the name of the file."""


def is_hidden(name):
    """Whether a file or folder of this name is not the user's but the system's, or hidden."""
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES


def decode(source, at_least=None):
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
        PictureError: if it is no picture, damaged, larger than `MAX_PIXELS`, or the file can't be read.
    """
    try:
        if isinstance(source, (bytes, bytearray, memoryview)):
            return _decode_file(io.BytesIO(source), at_least)
        if hasattr(source, "read"):
            return _decode_file(source, at_least)
        if os.path.exists(source) and not os.path.isfile(source):
            raise PictureError("not a regular file")  # opening a named pipe would wait for ever
        with open(source, "rb") as file:
            return _decode_file(file, at_least)
    except OSError as error:
        raise PictureError(f"cannot be read: {(error.strerror or str(error)).lower()}") from error


def resize(image, size, rule="crop"):
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


def _decode_file(file, at_least):
    image = _open(file)
    if image.width * image.height > MAX_PIXELS:
        raise PictureError(f"more than {MAX_PIXELS:,} pixels")
    try:
        pixels = _pixels(image, at_least)
    except Exception as error:  # Pillow's readers raise nearly anything on damaged files
        if isinstance(error, OSError) and error.errno:
            raise
        pixels = _pixels_without_end(file, at_least) if image.format == "JPEG" else None
        if pixels is None:
            raise PictureError("truncated or damaged") from error
    return Image.fromarray(pixels)  # an image made from pixels has no metadata


def _pixels(image, at_least):
    """RGB uint8 `(height, width, 3)` of a picture whose header is read."""
    if at_least:
        image.draft(None, (2 * at_least, 2 * at_least))
    image.load()
    return np.array(_to_rgb(_upright(image)))


def _pixels_without_end(file, at_least):
    """As `_pixels`, of a JPEG file that lacks its end marker; None where it lacks more."""
    file.seek(0)
    try:
        decoded = [_pixels(_open(io.BytesIO(content)), at_least) for content in jpeg_end.completions(file.read())]
    except Exception:
        return None
    return decoded[0] if decoded and all(np.array_equal(decoded[0], other) for other in decoded[1:]) else None


def _open(file):
    """Reads the header only, without Pillow's warning about large pictures: those are refused anyway."""
    if not file.read(1):
        raise PictureError("0 bytes")
    file.seek(0)
    try:
        with _OPENING, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return Image.open(file, formats=FORMATS)
    except Image.DecompressionBombError as error:
        raise PictureError(f"more than {MAX_PIXELS:,} pixels") from error
    except UnidentifiedImageError as error:
        raise PictureError("not a picture of a supported format") from error
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise
        raise PictureError("truncated or damaged") from error


def _upright(image):
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # broken EXIF data are no reason to lose the picture
        return image


def _to_rgb(image):
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        image = Image.fromarray(_to_8_bits(np.asarray(image)))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _to_8_bits(values):
    low, high = 0, 65535
    if values.dtype.itemsize > 2:
        limits = (1, 255, 65535) if values.dtype.kind == "f" else (65535,)
        values = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
        if values.min() >= 0 and values.max() <= 65535:
            high = next(limit for limit in limits if values.max() <= limit)
        else:
            low, high = values.min(), values.max()
            high = high if high > low else low + max(1.0, abs(low))  # one value is black
    return np.round((values - float(low)) * (255 / (high - low))).astype(np.uint8)
