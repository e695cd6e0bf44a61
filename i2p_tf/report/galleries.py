"""Pictures of a run to the ones that a report shows."""

import io
import re
from collections.abc import Sequence
from typing import Any

from PIL import Image

from i2p_tf.report.blocks import Gallery, Picture, Sheet

RESTORED_ROWS = ("plain", "sent", "reconstructed")
CLASS_ROWS = ("plain", "sent", "class alone")
PROTECTED_ROWS = ("plain", "sent")
WORD_ROWS = ()
PARTS = (("worst", "Worst", 0.0), ("typical", "Typical", 0.5), ("best", "Best", 1.0))
OVERVIEW, CLASS_ALONE, SAMPLES, WORD, TRADEOFF = "overview", "class_alone", "samples", "word", "tradeoff"
SHOWN = 3  # columns of a picture
SHOWN_IN_OVERVIEW = 5


def overview(caption: str, title: str, reconstructed: Any, class_alone: Any, prefix: str) -> Gallery | None:
    """What an attack reconstructs beside what is drawn from the class alone; some images, from the worst to the best.

    Args:
        caption: of the gallery.
        title: of the attack.
        reconstructed, class_alone: samples, RGB `PIL.Image.Image` with three rows of square images each; or None.
        prefix: of the file names.

    Returns:
        A `Gallery`, or None if `reconstructed` is not there or does not have that form.
    """
    sources = (
        (OVERVIEW, title, reconstructed, RESTORED_ROWS),
        (CLASS_ALONE, "Without any attack: drawn from the class alone", class_alone, CLASS_ROWS),
    )
    pictures = []
    for name, words, samples, rows in sources:
        size = samples and _size(samples, rows)
        if size:
            columns = _evenly(samples.width // size, SHOWN_IN_OVERVIEW)
            pictures.append(_picture(f"{prefix}{name}.png", words, samples, rows, columns))
    return Gallery(caption, tuple(pictures)) if pictures and pictures[0].rows == RESTORED_ROWS else None


def reconstructed(caption: str, samples: Any, prefix: str) -> Gallery | None:
    """From an attack's samples, sorted from the worst reconstructed image to the best, both and the typical one.

    Args:
        caption: of the gallery.
        samples: RGB `PIL.Image.Image` with three rows of square images.
        prefix: of the file names.

    Returns:
        A `Gallery`, or None if `samples` does not have that form.
    """
    size = _size(samples, RESTORED_ROWS)
    if not size:
        return None
    columns = samples.width // size
    shown = min(columns, SHOWN)
    pictures = []
    for name, title, position in PARTS:
        first = round(position * (columns - shown))
        part = range(first, first + shown)
        pictures.append(_picture(f"{prefix}{name}.png", title, samples, RESTORED_ROWS, part))
    return Gallery(caption, tuple(pictures))


def protected(caption: str, samples: Any, prefix: str) -> Gallery | None:
    """From the samples of a run, as `reconstructed`, with two rows: the first test images."""
    size = _size(samples, PROTECTED_ROWS)
    if not size:
        return None
    columns = range(min(samples.width // size, 2 * SHOWN))
    picture = _picture(f"{prefix}{SAMPLES}.png", "First test images", samples, PROTECTED_ROWS, columns)
    return Gallery(caption, (picture,))


def sheet(caption: str, row: Any, class_names: Sequence[str], prefix: str) -> Sheet | None:
    """The pictures of a codebook.

    Args:
        caption: of the sheet.
        row: RGB `PIL.Image.Image`, the pictures side by side.
        class_names: in the order of the pictures; of those that it lacks, the number is shown.
        prefix: of the file names.

    Returns:
        A `Sheet`, or None if `row` does not have that form.
    """
    size = _size(row, WORD_ROWS)
    if not size:
        return None
    pictures = []
    for index in range(row.width // size):
        title = class_names[index] if index < len(class_names) else f"class {index}"
        pictures.append(_picture(f"{prefix}{WORD}_{index}.png", title, row, WORD_ROWS, [index]))
    return Sheet(caption, tuple(pictures))


def whole(caption: str, title: str, image: Image.Image, name: str) -> Gallery:
    """A picture as it is, an RGB `PIL.Image.Image`, under a file name."""
    return Gallery(caption, (Picture(name, _png(image), title, (), *image.size),))


def is_picture(name: str) -> bool:
    """Whether a file of this name may be one of a report: a prefix, which is none or a run's number, and a part."""
    parts = "|".join([OVERVIEW, CLASS_ALONE, SAMPLES, TRADEOFF, rf"{WORD}_\d+", *(part for part, _, _ in PARTS)])
    return bool(re.fullmatch(rf"(\d+_)?({parts})\.png", name))


def _size(samples, rows):
    """Height and width of the square images in `samples`; None if they do not fill it."""
    size, remainder = divmod(samples.height, len(rows) or 1)
    return None if remainder or samples.width % size else size


def _evenly(count, shown):
    """At most `shown` of the numbers below `count`, at even distances, the first and the last one among them."""
    shown = min(count, shown)
    return [round(index * (count - 1) / max(1, shown - 1)) for index in range(shown)]


def _picture(name, title, samples, rows, columns):
    size = _size(samples, rows)
    image = Image.new("RGB", (len(columns) * size, samples.height))
    for place, column in enumerate(columns):
        image.paste(samples.crop((column * size, 0, (column + 1) * size, samples.height)), (place * size, 0))
    return Picture(name, _png(image), title, rows, *image.size)


def _png(image):
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return file.getvalue()
