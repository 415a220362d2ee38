"""What data a law can be fitted to; everything else is told apart by count and place before a solver sees it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from neuroscaling.errors import DataError, Problem, listing
from neuroscaling.laws.forms import Form

Array = NDArray[np.float64]
MODES = ("corrected", "parity")


class NotTestable(DataError):
    """The data are sound but too few, or too alike, for this law."""


def checked_points(x: object, y: object, form: Form, clusters: Sequence[object] | None = None) -> tuple[Array, Array]:
    """x and y as float64 (n,). Raises DataError for points that no law of this form can describe, NotTestable for
    fewer points (or clusters) than parameters + 1 and for an x that is constant."""
    x, y = np.asarray(x, dtype=np.float64), np.asarray(y, dtype=np.float64)
    if x.ndim != 1 or x.shape != y.shape:
        raise DataError(Problem("x and y must be two lists of one length", "x, y", f"shapes {x.shape} and {y.shape}"))
    if clusters is not None and len(clusters) != len(x):
        raise DataError(Problem("one cluster label a point is needed", "clusters", len(clusters), f"{len(x)} labels"))
    problems = _point_problems(x, y, form)
    if problems:
        raise DataError(problems)
    _check_testable(x, form, clusters)
    return x, y


def _point_problems(x: Array, y: Array, form: Form) -> list[Problem]:
    missing = ~(np.isfinite(x) & np.isfinite(y))
    problems = [_named("points without a number", "x, y", missing, "finite x and y", "drop them by a filter")]
    fix = "leave out untrained runs, e.g. filters: {kind: trained}"
    problems.append(_named("x must be positive", "x", ~missing & (x <= 0), "x > 0", fix))
    if form.space == "misalignment":
        too_high = ~missing & (y >= 1)
        fix = "choose a form of the score itself, such as power_law_ceiling"
        problems.append(_named("scores of 1 and above have no log misalignment", "y", too_high, "score < 1", fix))
    return [problem for problem in problems if problem]


def _named(what: str, where: str, wrong: NDArray[np.bool_], allowed: str, fix: str) -> Problem | None:
    rows = np.flatnonzero(wrong)
    return (
        Problem(f"{what}: {rows.size} of {wrong.size}", where, f"rows {listing(rows)}", allowed, fix=fix)
        if rows.size
        else None
    )


def _check_testable(x: Array, form: Form, clusters: Sequence[object] | None) -> None:
    p = len(form.parameters)
    if len(x) <= p:
        allowed = f"at least {p + 1}"
        raise NotTestable(Problem(f"too few points for {form.name} with its {p} parameters", "x, y", len(x), allowed))
    if clusters is not None and len(set(clusters)) < 2:
        raise NotTestable(Problem("all points are of one cluster: no interval can be drawn", "clusters", clusters[0]))
    distinct = np.unique(x).size
    if distinct == 1:
        raise NotTestable(Problem("x is the same for all points", "x", float(x[0]), f"{p} different values or more"))
    if distinct < min(p, 3):
        raise NotTestable(Problem("x has too few different values", "x", distinct, f"{min(p, 3)} or more"))
