"""One deadline over everything that a call does, however slowly it goes on."""

import queue
import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Deadline:
    """A moment that lies `seconds` ahead when it is made."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def left(self) -> float:
        """Seconds until then, at least 0."""
        return max(0.0, self._end - time.monotonic())


def run_within(deadline: Deadline, work: Callable[[], T], end: Callable[[], None]) -> T:
    """Runs something that waits for others, and waits for it no longer than until the deadline.

    Time-outs of sockets hold for each read, and looking up a name has none. So the work has a thread of its own.

    Args:
        deadline: a `Deadline`.
        work: function without arguments.
        end: function without arguments that stops `work`; called if it is not waited for any longer.

    Returns:
        What `work` returns.

    Raises:
        TimeoutError: if the time is over.
        Exception: what `work` raises.
    """
    outcomes: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def run():
        try:
            outcomes.put((work(), None))
        except BaseException as error:  # it is raised where somebody waits for it
            outcomes.put((None, error))

    threading.Thread(target=run, daemon=True, name="i2p_tf exchange").start()
    try:
        result, error = outcomes.get(timeout=deadline.left())
    except queue.Empty:
        end()
        raise TimeoutError from None
    except BaseException:
        end()
        raise
    if error is not None:
        raise error
    return result
