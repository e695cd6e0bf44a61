"""A line on a terminal that moves while something is waited for."""

import io
import sys
import time
from typing import TextIO

REFRESH_SECONDS = 0.5
STAYING_SECONDS = 10.0  # between lines where none can move


class MovingLine:
    """Writes to `stream`, stderr if not given; the line that moves only where that is a terminal."""

    def __init__(self, stream: TextIO | None = None):
        self.stream = stream or sys.stderr
        self.moving = self.stream.isatty()
        self._shown = 0.0

    def say(self, text: str) -> None:
        """One line that stays."""
        self.clear()
        print(text, file=self.stream, flush=True)

    @property
    def due(self) -> bool:
        """Whether the last `show` is long enough ago for another."""
        return self.moving and time.monotonic() - self._shown >= REFRESH_SECONDS

    def show(self, text: str) -> None:
        """Puts the text into the place of the former one."""
        self._shown = time.monotonic()
        self.clear()
        self.stream.write(text)
        self.stream.flush()

    def clear(self) -> None:
        """Takes the line away."""
        if self.moving:
            self.stream.write("\r\x1b[K")

    def wait(self, what: str, total: int) -> "Wait":
        """A `Wait` for `total` steps of something without a name for its loss or its pictures."""
        return Wait(self, what, total)


def silent() -> MovingLine:
    """A `MovingLine` that nobody sees."""
    return MovingLine(io.StringIO())


class Wait:
    """Says how far something is: on a terminal in the line that moves, elsewhere in one that stays, now and then."""

    def __init__(self, line: MovingLine, what: str, total: int):
        self.line, self.what, self.total = line, what, total
        self.said = time.monotonic()
        self.first: tuple[int, float] | None = (
            None  # the steps that were done when the first were, and when that was: these take longer
        )
        self.finished = 0

    def step(self) -> None:
        """One more is done."""
        self.finished += 1
        self.done(self.finished)

    def done(self, count: int) -> None:
        """`count` of the steps are done; at the end the line goes."""
        now = time.monotonic()
        if count >= self.total:
            return self.line.clear()
        text = f"{self.what} {count}/{self.total}"
        if self.first:
            text += f"  {duration((now - self.first[1]) / (count - self.first[0]) * (self.total - count))} left"
        self.first = self.first or (count, now)
        if self.line.due:
            self.line.show(text)
        elif not self.line.moving and now - self.said >= STAYING_SECONDS:
            self.said = now
            self.line.say(text)


def duration(seconds: float) -> str:
    """Seconds as `1:02:03` or `2:03`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
