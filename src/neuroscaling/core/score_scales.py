"""A score is on a scale: how a raw value r and a ceiling c made it.

Equal numbers on two scales mean unequal things, so each row of a score file names its scale, and what pools rows
asks for one scale (`laws.filters.scale_of`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


SCORE_FORMAT = "score/4"
"""Format of every score file: each row has `scale`, and `reason` where its score is null."""
NO_CORRELATION = "none"
LOSS = "loss"
"""Scale of what is better when it is less: laws describe it itself, and not 1 less it."""
SCALES = {
    "r": "the correlation, without a ceiling",
    "r2": "the squared correlation, without a ceiling (of single targets signed, and averaged)",
    "r/c": "correlation / ceiling",
    "r2/c": "squared correlation / ceiling",
    "(r/c)2": "(correlation / ceiling) squared",
    "r/sqrt(c)": "correlation / square root of the ceiling",
    NO_CORRELATION: "no correlation: an accuracy, or another number of which more is better",
    LOSS: "a loss, or another number of which less is better",
}
SCALE_SEPARATOR = " and "
"""Between the names of scales that a mean of scores was taken over."""


def has_ceiling(scale: str) -> bool:
    """Whether a ceiling divides the scores on this scale."""
    return "c" in scale.replace("sqrt", "")


def is_correlation(scale: str) -> bool:
    """Whether the scores on this scale are correlations or their squares without a ceiling: none is beyond 1."""
    return scale in ("r", "r2")


def reason_category(reason: str) -> str:
    """The reason for a missing score without its numbers, so that equal reasons can be counted."""
    return reason.partition(":")[0]


def scale_examples(rows: pd.DataFrame, names: list[str], limit: int = 2) -> str:
    """Each scale of `rows` (a table with `scale`) with how many there are and some of their `names`."""
    found: dict[str, list[str]] = {}
    for scale, name in zip(rows["scale"], names, strict=True):
        found.setdefault(str(scale), []).append(name)
    return "; ".join(_scale_example(scale, own, limit) for scale, own in sorted(found.items()))


def _scale_example(scale: str, names: list[str], limit: int) -> str:
    some = list(dict.fromkeys(names))[:limit]
    return f"{scale or 'no scale'} in {len(names)} ({', '.join(some)}{', ...' if len(set(names)) > limit else ''})"
