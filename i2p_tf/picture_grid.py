"""Pictures side by side in one PNG file."""

import pathlib

import numpy as np
from PIL import Image

SAMPLES = 10  # pictures in a row of samples.png
SAMPLE_PIXELS = 96  # height and width of a picture at least, where that is a multiple of its own


def save(path: pathlib.Path, *rows: np.ndarray) -> None:
    """Writes a PNG whose rows are uint8 images `(n, height, width, 3)`, enlarged without smoothing."""
    factor = max(1, SAMPLE_PIXELS // rows[0].shape[1])
    grid = np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)
    grid = grid.repeat(factor, axis=0).repeat(factor, axis=1)
    Image.fromarray(grid).save(path, format="PNG")
