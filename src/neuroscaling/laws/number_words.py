"""A number is written as far as it tells something: three digits, and words for what no data can tell.

A parameter that the data don't identify may run away to 1e159. Such a number says nothing of its size, so that it is
not written as one.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

BEYOND = "beyond what a number tells"
NOT_IDENTIFIED = "not identified"
MISSING = "–"
LARGEST_RATE = 1e3
"""Exponents, steepnesses, gains and scores: none that data can tell is as large."""
LARGEST_FACTOR = 1e12
"""Factors and places on the x axis, in units of x: a law's data span fewer decades."""
LARGEST_SIZE = 1e30
"""Sizes of networks and data, and FLOPs, as a forecast states them: more than all computers will do."""


def number(value: float | None) -> str:
    """Three significant digits; powers of ten for what is very large or very small."""
    if value is None or not math.isfinite(value):
        return MISSING
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.2e}".replace("e+0", "e").replace("e-0", "e-").replace("e+", "e")
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def numbers(values: Iterable[float]) -> str:
    """Several numbers, with commas between them."""
    return ", ".join(map(number, values))


def largest(unit: str) -> float:
    """The size from which on a parameter of this unit is no longer written as a number."""
    return LARGEST_RATE if unit == "1" or unit.startswith("score") else LARGEST_FACTOR


def tells(value: float | None, most: float = LARGEST_RATE) -> bool:
    """Whether a number tells something: it is finite, below `most`, and not that far below 1 either unless it is 0."""
    if value is None or not math.isfinite(value):
        return False
    return abs(value) < most and (value == 0 or abs(value) > 1e-3 / most)


def bounded(value: float, most: float = LARGEST_RATE) -> str:
    """A number, or words where it is larger or smaller than one that tells something."""
    if math.isnan(value):
        return MISSING
    if abs(value) >= most:
        return f"{'above' if value > 0 else 'below'} {number(math.copysign(most, value))}"
    return number(value) if tells(value, most) else "about 0"


def with_interval(value: float | None, interval: tuple[float, float] | None, most: float = LARGEST_RATE) -> str:
    """A number with its interval; words for either where they lie beyond `most`, and a dash for a number that is not
    there.
    """
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value) or abs(value) >= most:
        return BEYOND
    if interval is None or any(map(math.isnan, interval)):
        return bounded(value, most)
    return f"{bounded(value, most)} ({bounded(interval[0], most)} to {bounded(interval[1], most)})"
