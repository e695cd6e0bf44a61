"""The log of the stand-in, on stderr. What goes wrong all the time is said once a second."""

import asyncio
import logging
from typing import Any

PAUSE_SECONDS = 1.0


class OncePerSecond(logging.Filter):
    """Drops what has just been said."""

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, float] = {}  # message -> when

    def filter(self, record: logging.LogRecord) -> bool:
        recent = record.created - PAUSE_SECONDS
        self._said = {message: when for message, when in self._said.items() if when > recent}
        return record.created == self._said.setdefault(record.getMessage(), record.created)


def configure() -> None:
    """Sets Python's logging up for this process."""
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", level=logging.INFO)
    logging.getLogger("absl").setLevel(logging.WARNING)
    for handler in logging.getLogger().handlers:
        handler.addFilter(OncePerSecond())


def of_event_loop(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An exception handler for asyncio: one line for what the system refuses, a traceback for our own faults."""
    error = context.get("exception")
    if isinstance(error, OSError):
        logging.getLogger(__name__).warning("%s: %s", context["message"], error.strerror or error)
    else:
        logging.getLogger(__name__).error("%s", context["message"], exc_info=error)
