"""What the parts of the client expect of each other, as types."""

import os
from collections.abc import Sequence
from typing import BinaryIO, Protocol

import numpy as np

from i2p_tf.client.deadline import Deadline
from i2p_tf.client.model_metadata import ModelMetadata

PictureSource = str | os.PathLike[str] | bytes | BinaryIO  # a picture of any format, mode and size


class Protection(Protocol):
    """What takes the place of a plain image: a `Transform` or a `KeyedTransform`."""

    image_size: int
    resize_rule: str
    threads: int

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """uint8 RGB `(n, image_size, image_size, 3)` to protected images, uint8 of the same shape."""

    def in_this_thread(self, images: np.ndarray) -> np.ndarray:
        """The same, in the calling thread alone."""


class Connection(Protocol):
    """A model on a server, by one of the protocols; every method ends by the deadline.

    Attributes:
        address: of the server, for messages.
    """

    address: str

    def metadata(self, label: str | None, deadline: Deadline) -> ModelMetadata: ...

    def class_names(self, model: ModelMetadata, labels: Sequence[int], deadline: Deadline) -> tuple[list[str], str]: ...

    def probabilities(self, model: ModelMetadata, images: np.ndarray, deadline: Deadline) -> np.ndarray: ...

    def close(self) -> None: ...
