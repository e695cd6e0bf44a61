"""Pictures of a run to the ones that a report shows: the worst, the typical and the best restored."""

import io
import re

from i2p_tf.report.blocks import Gallery, Picture

RESTORED_ROWS = ("plain", "protected", "restored")
PROTECTED_ROWS = ("plain", "protected")
PARTS = (("worst", "Worst restored", 0.0), ("typical", "Typical", 0.5), ("best", "Best restored", 1.0))
SAMPLES = "samples"
SHOWN = 3  # columns of a picture


def restored(caption, samples, prefix):
    """From an attack's samples, sorted from the worst restored image to the best.

    Args:
        caption: of the gallery.
        samples: RGB `PIL.Image.Image` with three rows of square images.
        prefix: of the file names.

    Returns:
        A `Gallery`, or None if `samples` does not have that form.
    """
    return _gallery(caption, samples, RESTORED_ROWS, [(f"{prefix}{name}.png", title, at) for name, title, at in PARTS])


def protected(caption, samples, prefix):
    """From the samples of a run, as `restored`, with two rows: the first test images."""
    return _gallery(caption, samples, PROTECTED_ROWS, [(f"{prefix}{SAMPLES}.png", "First test images", 0.0)])


def is_picture(name):
    """Whether a file of this name may be one of a report: a prefix, which is none or a run's number, and a part."""
    return bool(re.fullmatch(rf"(\d+_)?({'|'.join([SAMPLES, *(part for part, _, _ in PARTS)])})\.png", name))


def _gallery(caption, samples, rows, parts):
    size, remainder = divmod(samples.height, len(rows))
    if remainder or samples.width % size:
        return None
    columns = samples.width // size
    shown = min(columns, SHOWN if len(parts) > 1 else 2 * SHOWN)
    pictures = []
    for name, title, position in parts:
        left = round(position * (columns - shown)) * size
        part = samples.crop((left, 0, left + shown * size, samples.height))
        pictures.append(Picture(name, _png(part), title, rows, *part.size))
    return Gallery(caption, tuple(pictures))


def _png(image):
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return file.getvalue()
