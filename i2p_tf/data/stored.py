"""Pictures that stay in their files until they are wanted: what stands for an array that is too large to keep."""

import concurrent.futures
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from i2p_tf import pictures
from i2p_tf.errors import InputError, printable
from i2p_tf.moving_line import MovingLine

MOST_BYTES = 2 * 2**30  # of the pictures of a data set that are kept in memory
_SAMPLED, _SAMPLED_BYTES = 10_000, 2**29
_AVERAGED = 2_000
_BATCH = 500


class StoredImages:
    """What of an array of images, uint8 `(n, size, size, 3)`, a training needs: its form, and images by their indices.

    Args:
        files: paths, where the pictures lie, encoded as PNG, JPEG or what else `pictures` reads.
        places: integers `(n, 3)`: the number of the file, and where in it the picture begins and how many bytes it has.
        image_size: height and width to bring each to, by the rule "crop".
    """

    dtype = np.dtype(np.uint8)
    ndim = 4

    def __init__(self, files: Sequence[pathlib.Path] | np.ndarray, places: np.ndarray, image_size: int) -> None:
        self.files, self.places, self.image_size = files, places, image_size
        # TensorFlow, which may ask for images, makes an error of its own of an `InputError`.
        self.damage: list[str] = []

    def __len__(self) -> int:
        return len(self.places)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (len(self), self.image_size, self.image_size, 3)

    @property
    def nbytes(self) -> int:
        """Bytes in memory, not those of the pictures."""
        return self.places.nbytes

    def __getitem__(self, chosen: Any) -> np.ndarray:
        """The images that an index, a slice, a mask or indices choose, decoded by several threads.

        Raises:
            InputError: if a picture is damaged; its line is the first of `damage` then.
        """
        places = self.places[chosen]
        if places.ndim == 1:
            return self._decode(places)
        images = np.empty((len(places), *self.shape[1:]), np.uint8)
        with concurrent.futures.ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
            for index, image in enumerate(pool.map(self._decode, places)):
                images[index] = image
        return images

    def take(self, chosen: Any) -> "StoredImages":
        """As indexing, and nothing is decoded."""
        return StoredImages(self.files, self.places[chosen], self.image_size)

    def mean(self, axis: int = 0) -> np.ndarray:
        """The mean image, of some that are spread evenly; `axis` is 0."""
        spread = self.take(np.unique(np.linspace(0, len(self) - 1, min(len(self), _AVERAGED)).astype(int)))
        sums = [spread[start : start + _BATCH].sum(axis=axis, dtype=np.float64) for start in _starts(spread)]
        return np.sum(sums, axis=axis) / len(spread)

    def load(self, line: MovingLine, what: str) -> np.ndarray:
        """All images in memory; `line` says how far it is."""
        images, waiting = np.empty(self.shape, np.uint8), line.wait(what, len(self))
        for start in _starts(self):
            images[start : start + _BATCH] = self[start : start + _BATCH]
            waiting.done(min(start + _BATCH, len(self)))
        return images

    def size(self, index: int) -> tuple[int, int]:
        """Width and height of a picture as it is stored."""
        return self._named(self.places[index], lambda content: pictures.decode(content).size)

    def _read(self, place):
        number, start, length = map(int, place)
        with open(self.files[number], "rb") as file:
            return os.pread(file.fileno(), length, start)

    def _decode(self, place):
        return self._named(place, lambda content: pictures.decode_square(content, self.image_size))

    def _named(self, place, decode):
        """What a function makes of a stored picture; of a damaged one it is said which."""
        try:
            return decode(self._read(place))
        except (pictures.PictureError, OSError) as error:
            problem = f"can't be read ({error.strerror})" if isinstance(error, OSError) else f"is damaged ({error})"
            line = f"{printable(os.fsdecode(self.files[place[0]]))}: the picture at byte {place[1]} {problem}"
            self.damage.append(line)
            raise InputError(line) from error


def sampled(image_size: int) -> int:
    """How many of a data set that is not kept are: test and validation pictures, and all that other commands see."""
    return min(_SAMPLED, _SAMPLED_BYTES // (3 * image_size**2))


def _starts(images):
    return range(0, len(images), _BATCH)
