"""What arrives after each channel that has a file, made by a thread while others compute."""

import concurrent.futures
import contextlib
import itertools
import threading
from collections.abc import Iterator

import numpy as np

from i2p_tf.channels.table import measured

AHEAD = 2  # channels whose images are made, or wait, beside those that were taken last


@contextlib.contextmanager
def arrivals(images: np.ndarray) -> Iterator[Iterator[tuple[str, np.ndarray]]]:
    """Begins to send uint8 images `(n, height, width, 3)`.

    Yields:
        An iterator of the name of each channel and what arrives of all images, in the order of the table. Whoever
        leaves early, by an error or a signal, waits for no more than the image that is being sent.
    """
    left = threading.Event()
    ways = iter(measured().items())
    with concurrent.futures.ThreadPoolExecutor(1) as pool:

        def send(way):
            name, travel = way
            return name, pool.submit(_arrived, travel, images, left)

        try:
            yield _taken([send(way) for way in itertools.islice(ways, AHEAD)], map(send, ways))
        finally:
            left.set()
            pool.shutdown(wait=False, cancel_futures=True)


def _taken(coming, others):
    """As one is taken, another is sent."""
    while coming:
        name, arriving = coming.pop(0)
        arrived = arriving.result()
        coming += itertools.islice(others, 1)
        yield name, arrived


def _arrived(travel, images, left):
    arrived = np.empty_like(images)
    for index, image in enumerate(images):
        if left.is_set():
            break
        arrived[index] = travel(image)
    return arrived
