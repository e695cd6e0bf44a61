"""The FR-Attack (Chang and Li 2020): no training, no pairs."""

import numpy as np

from i2p_tf.attacks.specification import Specification
from i2p_tf.attacks.target import Target
from i2p_tf.hints import Say, Values


def attack(specification: Specification, target: Target, seed: int, say: Say) -> tuple[np.ndarray, Values]:
    """As a row of `rows.ATTACKS` has it."""
    return reconstruct(target.protected), {}


def reconstruct(protected: np.ndarray) -> np.ndarray:
    """Folds the upper half of the values onto the lower: those above 127 are XOR-ed with 255.

    An inverted value and the plain one become the same, so that shapes show again where pixels were inverted at random.

    Args:
        protected: uint8 images.

    Returns:
        uint8 images of the same shape, in 0..127.
    """
    return np.where(protected > 127, protected ^ 255, protected)
