"""Linkage: do two pictures of one thing stay recognisable as such when both are protected? Nothing is reconstructed."""

from typing import Any

import numpy as np

from i2p_tf.attacks.leakage import reidentification_ranks, share_found
from i2p_tf.attacks.specifications import Linkage
from i2p_tf.attacks.target import Target
from i2p_tf.hints import Protect, Say, Values


def attack(specification: Linkage, target: Target, seed: int, say: Say) -> Values:
    """As a row of `rows.ATTACKS` has it."""
    return linkage(specification, target.test.images, target.protect)


def linkage(specification: Linkage, plain: np.ndarray, protect: Protect) -> Values:
    """Searches each protected image in a gallery of protected images of the same pictures, slightly altered.

    Resemblance is the correlation of the pixels, as in `leakage.reidentification_ranks`.

    Args:
        specification: a `Linkage`.
        plain: uint8 `(n, height, width, 3)`.
        protect: function of such images to such images.

    Returns:
        A dictionary: `protected` and, for comparison, `plain` (the same search without protection), each with `top1`
        and `top5`; `chance`, the same of a guess; `n`.
    """
    another = altered(plain, specification.shift, specification.brighter)
    return {
        "protected": _found(reidentification_ranks(protect(plain), protect(another))),
        "plain": _found(reidentification_ranks(plain, another)),
        "chance": {"top1": 1 / len(plain), "top5": min(1.0, 5 / len(plain))},
        "n": len(plain),
    }


def altered(images: np.ndarray, shift: Any, brighter: int) -> np.ndarray:
    """Another view of each picture: moved by `shift` pixels and `brighter` by so many levels. uint8 to uint8."""
    moved = np.concatenate([images[:, :, :shift], images[:, :, :-shift]], axis=2)
    return np.minimum(moved.astype(np.int16) + brighter, 255).astype(np.uint8)


def _found(ranks):
    return {"top1": share_found(ranks, 1), "top5": share_found(ranks, 5)}
