"""The one exception that a command turns into a line on stderr and exit code 2, and what such lines are made of."""

import difflib
import os
from collections.abc import Sequence


class InputError(ValueError):
    """What the user gave can't be used. The message is one line: what was wrong, what was received, what is allowed."""


def unknown_name(what: str, received: str, allowed: Sequence[str], quoted: bool = False) -> InputError:
    """An `InputError` for a name that is not among `allowed`, with the nearest one that is.

    `quoted` is for names that would be read as words of the sentence.
    """
    nearest = difflib.get_close_matches(received, allowed, n=1)
    hint = f" Did you mean {nearest[0]}?" if nearest else ""
    return InputError(
        f"unknown {what} {received!r}; allowed: {', '.join(map(repr, allowed) if quoted else allowed)}.{hint}"
    )


def one_line(error: BaseException) -> str:
    """What an exception of a library says, as a part of one line: its first 200 characters, or its name."""
    return " ".join(str(error).split())[:200] or type(error).__name__


def printable(path: str | os.PathLike) -> str:
    """A file name for a terminal: in one line, whatever it is made of."""
    text = str(path)
    return text if text.isprintable() else ascii(text)
