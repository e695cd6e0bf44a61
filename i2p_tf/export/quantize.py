"""Which images an integer variant is measured on."""

import numpy as np

REPRESENTATIVE_IMAGES = 200
REPRESENTATIVE_SEED = 0


def representative_set(train):
    """Draws images from the training split.

    Args:
        train: a `data.dataset.Split`.

    Returns:
        uint8 images, and what the manifest says of them.
    """
    count = min(REPRESENTATIVE_IMAGES, len(train.labels))
    indices = np.random.default_rng(REPRESENTATIVE_SEED).choice(len(train.labels), count, replace=False)
    return train.images[np.sort(indices)], {"split": "train", "count": count, "seed": REPRESENTATIVE_SEED}
