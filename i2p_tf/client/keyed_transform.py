"""A conventional keyed method in the place of h_θ: a baseline to compare with."""

import hashlib
import os

import numpy as np

from i2p_tf import encryption

RESIZE_RULE = "crop"


class KeyedTransform:
    """Encrypts pictures as `transform.Transform` protects them, with the same attributes.

    Args:
        name: a key of `encryption.SCHEMES`.
        key: `encryption.KEY_BYTES` bytes.
        image_size: height and width of the images.
        threads: pictures at the same time; None for one for each processor core.
    """

    def __init__(self, name: str, key: bytes, image_size: int, threads: int | None = None) -> None:
        self.image_size = image_size
        self.resize_rule = RESIZE_RULE
        self.threads = threads or os.cpu_count() or 1
        # Enough of a hash to tell two keys apart; it helps nobody to find a key of 256 random bits.
        fingerprint = hashlib.sha256(b"i2p_tf.key_fingerprint\0" + key).hexdigest()[:16]
        self.key = key
        self.identity = {"encryption": name, "key": fingerprint, "image_size": image_size}
        self._scheme = encryption.scheme(name, key, image_size)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 RGB `(n, image_size, image_size, 3)` to encrypted images, uint8 of the same shape."""
        return self._scheme.encrypt(images)

    in_this_thread = __call__
