"""How many pictures a thread decodes, computes, encodes and writes at a time."""

import collections
import time
from collections.abc import Iterator, Sequence
from typing import Any

SECONDS = 0.1  # of a batch, about
MOST_PICTURES, MOST_BYTES = 64, 4 << 20  # of a batch


class Batches:
    """Hands out jobs to threads, so many at once as take about `SECONDS`.

    Many pictures are decoded, then computed, then encoded, then written: one after the other, each would find the
    processor's caches full of what the other steps need.

    Args:
        jobs: of any kind, each of one picture.
        image_size: height and width of what a picture is decoded to.
    """

    def __init__(self, jobs: Sequence[Any], image_size: int) -> None:
        self._jobs = collections.deque(jobs)  # whose `popleft` is atomic
        self._most = max(1, min(MOST_PICTURES, MOST_BYTES // (3 * image_size**2)))
        self._size = 1

    def take(self) -> Iterator[Any]:
        """Yields the jobs of a batch, none if there are none left; ends early where each takes long before the next."""
        started = time.monotonic()
        for _ in range(self._size):
            try:
                yield self._jobs.popleft()
            except IndexError:
                return
            if time.monotonic() - started > SECONDS:
                return

    def took(self, count: int, seconds: float) -> None:
        """Says how long `count` jobs took, so that the next batches are of the right size."""
        self._size = max(1, min(self._most, 2 * self._size, int(count * SECONDS / seconds)))
