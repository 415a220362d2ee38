"""Which of Brain-Score's ceilings may divide: it divides by any number, also one below 0 (docs/brainscore.md)."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from neuroscaling.brainscore.ids import Benchmark
from neuroscaling.brainscore.score_file import Part, number
from neuroscaling.core.scales import category
from neuroscaling.regression.denominators import correlation_error, divides, split_half_error, unusable

NOT_FINITE = "the raw value is not finite"
SUBJECTS = "the agreement of each subject with the mean of the others"
PEOPLE = "the agreement of two halves of the people"


def judged(benchmark: Benchmark, parts: Sequence[Part], ceiling: Any, n_images: Sequence[int]) -> list[Part]:
    """`parts` with the `reason` why a part has no score; None where it has one.

    ceiling: Brain-Score's for the whole benchmark; n_images: that the ceiling of each part rests on, or one number for
    all parts. The significance of a ceiling is judged by its own kind: `split_half_error` over the neuroids of a part,
    for dissimilarity matrices the agreement of subjects with the others (Brain-Score's lower bound: the upper one,
    which divides, is above 0 for noise too), for behaviour the correlation of halves of the people in each split.
    """
    counts = list(n_images) if len(n_images) == len(parts) else [n_images[0]] * len(parts)
    return [replace(part, reason=_reason(benchmark, part, ceiling, n)) for part, n in zip(parts, counts, strict=True)]


def reason_of(parts: Sequence[Part]) -> str | None:
    """Why the mean over parts is no score: the reason of the first part that has none, and how many more there are."""
    without = [part for part in parts if part.reason]
    if not without:
        return None
    first = without[0]
    if first.subject is None:
        return first.reason
    same = [part.subject for part in without if category(str(part.reason)) == category(str(first.reason))]
    more = f" and {len(same) - 1} more" if len(same) > 1 else ""
    return f"{first.reason} ({first.subject}{more} of {len(parts)})"


def _reason(benchmark: Benchmark, part: Part, ceiling: Any, n_images: int) -> str | None:
    if part.raw is None or not np.isfinite(part.raw):
        return f"{NOT_FINITE}: {part.raw}"
    if benchmark.ceiling == "none":
        return None
    value = np.nan if part.ceiling is None else part.ceiling
    match benchmark.kind:
        case "rsa":
            pairs = n_images * (n_images - 1) // 2
            lower = number(ceiling.attrs.get("lower_bound_loo"))
            return unusable(value) or (lower is not None and _agreement(lower, pairs)) or None
        case "behavior":
            return unusable(value) or _halves(part.ceilings, n_images)
    return unusable(value, None if part.ceilings is None else split_half_error(_of_neuroids(part), n_images))


def _agreement(lower: float, pairs: int) -> str | None:
    return unusable(lower, correlation_error(lower, pairs), what=SUBJECTS)


def _halves(ceilings: Any, n_images: int) -> str | None:
    """Each split divides by the root of its own self-consistency; their mean must be above chance."""
    values = np.atleast_1d(np.asarray(ceilings.values, dtype=np.float64))
    if not divides(values).all():
        return unusable(float(values[~divides(values)][0]), what=PEOPLE)
    mean = float(values.mean())
    return unusable(mean, correlation_error(mean, n_images), what=PEOPLE)


def _of_neuroids(part: Part) -> np.ndarray:
    """Reliability of each neuroid of a part (t,), the mean over the ceiling's own splits."""
    values = part.ceilings
    values = values.mean("split") if "split" in values.dims else values
    return np.atleast_1d(np.asarray(values.values, dtype=np.float64))
