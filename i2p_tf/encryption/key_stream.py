"""Numbers that follow from a key alone: SHAKE-256 (FIPS 202), so that what is encrypted today decrypts in ten years.

NumPy's own generators may give other numbers in another version, and none of them is cryptographic.
"""

import hashlib
import math

import numpy as np

_DOMAIN = b"i2p_tf.encryption.1\0"


def words(key: bytes, label: str, shape: tuple[int, ...]) -> np.ndarray:
    """Pseudorandom 64-bit numbers: SHAKE-256 of domain, label, a zero byte and key, read in little-endian order.

    Args:
        key: bytes of a fixed length.
        label: what the numbers are for. Other labels give independent numbers.
        shape: of the result.

    Returns:
        uint64 array.
    """
    stream = hashlib.shake_256(_DOMAIN + label.encode() + b"\0" + key).digest(8 * math.prod(shape))
    return np.frombuffer(stream, "<u8").reshape(shape)


def permutations(key: bytes, label: str, shape: tuple[int, ...]) -> np.ndarray:
    """Permutations of 0, 1, ... along the last axis: the ascending order of as many words, equal ones as they come."""
    return np.argsort(words(key, label, shape), axis=-1, kind="stable")


def choices(key: bytes, label: str, shape: tuple[int, ...], count: int) -> np.ndarray:
    """Integers from 0 to `count - 1`. For the small counts used here the bias is below 2^-60."""
    return (words(key, label, shape) % np.uint64(count)).astype(np.intp)
