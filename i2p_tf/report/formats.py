"""How numbers and names are written in a report."""

import math
from collections.abc import Callable, Iterable


def code(text: object) -> str:
    """`text` marked as a name."""
    return f"`{str(text).replace('`', chr(39))}`"


def ssim(value: float) -> str:
    """Three decimals."""
    return f"{value:.3f}"


def decibels(value: float) -> str:
    """One decimal."""
    return f"{value:.1f}"


def share(value: float) -> str:
    """A fraction with four decimals."""
    return f"{value:.4f}"


def percent(value: float) -> str:
    """A fraction in a sentence: `99.7%`; never rounded up to all."""
    rounded = f"{100 * value:.3g}%"
    return "over 99.9%" if rounded == "100%" and value < 1 else rounded


def count(value: float) -> str:
    """A whole number with commas."""
    return f"{value:,.0f}"


def spread(values: Iterable[float], written: Callable[[float], str]) -> str:
    """The highest of the repetitions and, where it is written differently, the lowest."""
    highest, lowest = written(max(values)), written(min(values))
    return highest if lowest == highest else f"{highest} (from {lowest})"


def millions(value: float) -> str:
    """Millions with three significant digits: 0.0331, 48.9, 1,020."""
    value /= 1e6
    decimals = max(0, 2 - math.floor(math.log10(value))) if value > 0 else 0
    return f"{value:,.{decimals}f}"
