"""Checks of single values: each raises an `InputError` that names the value, what was received and what is allowed."""

import sys
from collections.abc import Collection, Iterable
from typing import Any

from i2p_tf.errors import InputError, unknown_name

LARGEST_INTEGER = 2**31 - 1


def text(name: str, value: Any) -> None:
    """Any text."""
    if not isinstance(value, str):
        raise InputError(f"{name} must be a text. Received: {value!r}")


def choice(name: str, value: Any, allowed: Iterable[str], quoted: bool = False) -> None:
    """A text that is one of those that are allowed."""
    text(name, value)
    if value not in allowed:
        raise unknown_name(name, value, tuple(allowed), quoted)


def member(name: str, value: Any, allowed: Collection[int]) -> None:
    """One of some integers."""
    if isinstance(value, bool) or value not in allowed:
        raise InputError(f"{name} must be one of {', '.join(map(str, allowed))}. Received: {_shown(value)}")


def truth(name: str, value: Any) -> None:
    """True or false."""
    if not isinstance(value, bool):
        raise InputError(f"{name} must be true or false. Received: {_shown(value)}")


def integer(name: str, value: Any, minimum: float, maximum: float = LARGEST_INTEGER) -> None:
    """An integer from `minimum` to `maximum`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise InputError(f"{name} must be an integer of at least {minimum}. Received: {_shown(value)}")
    if value > maximum:
        raise InputError(f"{name} must be an integer of at most {maximum}. Received: {_shown(value)}")


def number(name: str, value: Any, minimum: float = 0, maximum: float | None = None, zero: bool = True) -> None:
    """A finite number from `minimum` to `maximum`; without `zero` it is not 0."""
    finite = isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max
    if finite and value >= minimum and (maximum is None or value <= maximum) and (zero or value != 0):
        return
    lower = f"of at least {minimum:g}" if zero else f"above {minimum:g}"
    limits = lower if maximum is None else f"{lower} and at most {maximum:g}"
    raise InputError(f"{name} must be a finite number {limits}. Received: {_shown(value)}")


def _shown(value):
    return repr(value)[:40]
