"""Which images an integer variant is measured on."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from i2p_tf.data.dataset import Split


REPRESENTATIVE_IMAGES = 200
REPRESENTATIVE_SEED = 0


def representative_set(train: "Split") -> tuple[np.ndarray, dict[str, Any]]:
    """Draws images from the training split.

    Args:
        train: a `data.dataset.Split`.

    Returns:
        uint8 images, and what the manifest says of them.
    """
    count = min(REPRESENTATIVE_IMAGES, len(train.labels))
    indices = np.random.default_rng(REPRESENTATIVE_SEED).choice(len(train.labels), count, replace=False)
    return train.images[np.sort(indices)], {"split": "train", "count": count, "seed": REPRESENTATIVE_SEED}
