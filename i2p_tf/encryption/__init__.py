"""The conventional keyed methods of perceptual encryption, which the paper compares h_θ with: NumPy only.

They are baselines. None of them is a cipher in the sense of cryptography: with one key for many pictures, whoever has
pairs of plain and encrypted ones can learn to undo it.
"""

from i2p_tf.encryption.scrambling import Scrambling
from i2p_tf.encryption.table import BLOCK, KEY_BYTES, SCHEMES


def scheme(name: str, key: bytes, image_size: int) -> Scrambling:
    """A keyed method, ready to use.

    Args:
        name: a row of `table.SCHEMES`.
        key: `KEY_BYTES` bytes from a cryptographic generator. Equal keys give equal results, on every machine and with
            every version of NumPy.
        image_size: height and width of the images; a multiple of `BLOCK`.

    Returns:
        A `scrambling.Scrambling`.

    Raises:
        ValueError: if one of them does not fit.
    """
    if len(key) != KEY_BYTES:
        raise ValueError(f"`key` must have {KEY_BYTES} bytes. Received: {len(key)}")
    if image_size < BLOCK or image_size % BLOCK:
        raise ValueError(f"`image_size` must be a multiple of {BLOCK}. Received: {image_size}")
    return SCHEMES.find(name).scrambling(key, image_size)
