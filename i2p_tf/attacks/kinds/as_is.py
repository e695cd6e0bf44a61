"""The protected image as a guess of the plain one: what an eye sees that looks at what is sent."""

import numpy as np

from i2p_tf.attacks.specification import Specification
from i2p_tf.attacks.target import Target
from i2p_tf.hints import Say, Values


def attack(specification: Specification, target: Target, seed: int, say: Say) -> tuple[np.ndarray, Values]:
    """As a row of `rows.ATTACKS` has it."""
    return target.protected, {}
