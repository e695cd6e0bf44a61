"""What is attacked, and what an attacker can get hold of."""

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from i2p_tf.data.dataset import Split
from i2p_tf.encryption.table import SCHEMES
from i2p_tf.hints import Protect


class Target:
    """A protection and the pictures that it is tried on.

    Args:
        protect: function of uint8 images to protected ones, uint8 of the same shape.
        train: the `Split` that attackers learn from.
        test: the `Split` of the images that are attacked.
        probabilities: function of uint8 images to those that ψ gives the classes, float32 `(n, classes)`.
        most_pairs: how many pairs all attackers need; None for all training images.
        transform: `protect` as a function of a batch of images in [0, 1] that can be differentiated; None if there is
            none.
        encryption: the keyed method that protects, a key of `encryption.SCHEMES`; None for another protection.
        attribute: the name of what `train` and `test` have besides labels; None for nothing.
        attribute_values: how many values that can have.
        networks: the digests of the networks that results depend on, by name.
    """

    def __init__(
        self,
        protect: Protect,
        train: Split,
        test: Split,
        probabilities: Callable,
        most_pairs: int | None = None,
        transform: Callable | None = None,
        encryption: str | None = None,
        attribute: str | None = None,
        attribute_values: int = 0,
        networks: Any = None,
    ):
        self.protect, self.train, self.test, self.probabilities = protect, train, test, probabilities
        self.most_pairs, self.transform, self.encryption = most_pairs, transform, encryption
        self.attribute, self.attribute_values, self.networks = attribute, attribute_values, networks or {}

    def another(self, protect: Protect, train: Split | None = None, transform: Callable | None = None) -> "Target":
        """The same pictures, or other ones to learn from, under a protection that has neither networks nor a key."""
        return Target(protect, train or self.train, self.test, self.probabilities, self.most_pairs, transform)

    @functools.cached_property
    def known(self) -> tuple[np.ndarray, np.ndarray]:
        """All pairs of protected and plain training images that any attacker has."""
        plain = self.train.images[: self.most_pairs]
        return self.protect(plain), plain

    @functools.cached_property
    def protected(self) -> np.ndarray:
        """The protected test images."""
        return self.protect(self.test.images)

    @property
    def image_size(self) -> int:
        """Height and width of the images."""
        return self.test.images.shape[1]

    @property
    def halves(self) -> bool:
        """Whether the protection moves halves of bytes."""
        return bool(self.encryption and SCHEMES[self.encryption].splits_bytes)

    def pairs(self, count: int | None) -> tuple[np.ndarray, np.ndarray]:
        """The first `count` of `known`, all for None."""
        protected, plain = self.known
        return protected[:count], plain[:count]

    def count(self, pairs: int | None) -> int:
        """How many of so many pairs, all for None, there are."""
        return len(self.train.labels[:pairs])

    def tried(self, images: int | None) -> int:
        """How many of so many test images, all for None, there are."""
        return len(self.test.labels[:images])
