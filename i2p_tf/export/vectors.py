"""Test vectors: what the variants make of some drawn images, so that a port to another device can be checked.

The images follow from their seeds by a rule of a few lines in any language; docs/android.md and docs/ios.md have it.
"""

import hashlib
from typing import Any

import numpy as np

from i2p_tf.client.transform import Transform

SCHEMA = 1
FILE = "test_vectors.json"
SEEDS = tuple(range(12))
CELLS = 3  # a side: coarse colours, of which a codebook makes different words
VALUES = 16  # of each output, to tell a rounding from a mistake


def image(seed: int, size: int) -> np.ndarray:
    """Draws an image: `CELLS` x `CELLS` cells of one colour each.

    Each value is the highest byte of the next number of x -> (1664525 x + 1013904223) mod 2^32, which starts from the
    seed; by rows, columns and channels.

    Args:
        seed: a whole number in [0, 2^32).
        size: height and width.

    Returns:
        uint8 RGB `(size, size, 3)`.
    """
    state, values = seed, []
    for _ in range(CELLS * CELLS * 3):
        state = (1664525 * state + 1013904223) % 2**32
        values.append(state >> 24)
    cells = np.array(values, np.uint8).reshape(CELLS, CELLS, 3)
    cell = np.arange(size) * CELLS // size
    return cells[cell][:, cell]


def vectors(transforms: dict[str, Transform], run_id: str, size: int) -> dict[str, Any]:
    """What the variants make of the images of all seeds.

    Args:
        transforms: variant -> callable, uint8 `(n, size, size, 3)` to protected images of the same shape.
        run_id: of the networks.
        size: height and width.

    Returns:
        The contents of `FILE`.
    """
    images = np.stack([image(seed, size) for seed in SEEDS])
    places = [index * (images[0].size - 1) // (VALUES - 1) for index in range(VALUES)]
    return {
        "schema": SCHEMA,
        "run_id": run_id,
        "image_size": size,
        "seeds": list(SEEDS),
        "places": places,
        "inputs": [_digest(pixels) for pixels in images],
        "outputs": {
            variant: [
                {"sha256": _digest(pixels), "values": pixels.ravel()[places].tolist()} for pixels in transform(images)
            ]
            for variant, transform in transforms.items()
        },
    }


def _digest(pixels):
    return hashlib.sha256(pixels.tobytes()).hexdigest()
