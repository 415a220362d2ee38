"""The checks tell by count and place which points no law can be fitted to."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.laws.loss import Loss
from neuroscaling.laws.parametrisation import Form

Array = NDArray[np.float64]
MODES = ("corrected", "parity")


class NotTestable(DataError):
    """The data are sound but too few, or too alike, for this law."""


def as_float_array(values: object) -> Array:
    """`values` as float64; what a masked array masks is missing, and so NaN, never the number below the mask."""
    plain = np.ma.filled(values.astype(np.float64), np.nan) if isinstance(values, np.ma.MaskedArray) else values
    return np.asarray(plain, dtype=np.float64)


def checked_points(
    x: object,
    y: object,
    form: Form,
    loss: Loss,
    clusters: Sequence[object] | None = None,
    invert_y: bool = True,
    resampled: bool = True,
) -> tuple[Array, Array]:
    """x (n,), or (n, d) for a law of d variables, and y (n,) as float64.

    Raises DataError for points that this form or this loss can't describe, NotTestable for fewer points than
    parameters + 1, for an x that is constant, and for a single cluster where clusters are resampled.
    """
    x, y = as_float_array(x), as_float_array(y)
    shape = (len(y),) if form.variables == 1 else (len(y), form.variables)
    if y.ndim != 1 or x.shape != shape:
        allowed = f"y of shape (n,), x of shape {'(n,)' if form.variables == 1 else f'(n, {form.variables})'}"
        problem = Problem(
            what="x and y must be of one length", where="x, y", value=f"shapes {x.shape} and {y.shape}", allowed=allowed
        )
        raise DataError(problem)
    if clusters is not None and len(clusters) != len(x):
        raise DataError(
            Problem(
                what="one cluster label a point is needed",
                where="clusters",
                value=len(clusters),
                allowed=f"{len(x)} labels",
            )
        )
    columns = x[:, None] if x.ndim == 1 else x
    problems = _point_problems(columns, y, _logarithmic(form, loss), invert_y)
    if problems:
        raise DataError(problems)
    for place, axis in enumerate(columns.T):
        if place not in form.counted:
            _check_testable(axis, form, clusters if resampled else None)
    return x, y


def _logarithmic(form: Form, loss: Loss) -> bool:
    return "misalignment" in (form.space, loss.space)


def _point_problems(x: Array, y: Array, logarithmic: bool, invert_y: bool) -> list[Problem]:
    missing = ~(np.isfinite(x).all(1) & np.isfinite(y))
    problems = [_named("points without a number", "x, y", missing, "finite x and y", "drop them by a filter")]
    fix = "leave out untrained runs, e.g. filters: {kind: trained}"
    problems.append(_named("x must be positive", "x", ~missing & (x <= 0).any(1), "x > 0", fix))
    if logarithmic and invert_y:
        fix = "choose a form and a loss of the score itself, such as power_law_ceiling with least_squares"
        wrong = ~missing & (y >= 1)
        problems.append(_named("scores of 1 and above have no log misalignment", "y", wrong, "score < 1", fix))
    if logarithmic and not invert_y:
        wrong = ~missing & (y <= 0)
        problems.append(_named("y must be positive for a law of y itself", "y", wrong, "y > 0", "set invert_y: true"))
    return [problem for problem in problems if problem]


def _named(what: str, where: str, wrong: NDArray[np.bool_], allowed: str, fix: str) -> Problem | None:
    rows = np.flatnonzero(wrong)
    return (
        Problem(
            what=f"{what}: {rows.size} of {wrong.size}",
            where=where,
            value=f"rows {listing(rows.tolist())}",
            allowed=allowed,
            fix=fix,
        )
        if rows.size
        else None
    )


def _check_testable(x: Array, form: Form, clusters: Sequence[object] | None) -> None:
    p = len(form.parameters)
    if len(x) <= p:
        allowed = f"at least {p + 1}"
        raise NotTestable(
            Problem(
                what=f"too few points for {form.name} with its {p} parameters",
                where="x, y",
                value=len(x),
                allowed=allowed,
            )
        )
    if clusters is not None and len(set(clusters)) < 2:
        raise NotTestable(
            Problem(what="all points are of one cluster: no interval can be drawn", where="clusters", value=clusters[0])
        )
    distinct = np.unique(x).size
    if distinct == 1:
        raise NotTestable(
            Problem(
                what="x is the same for all points",
                where="x",
                value=float(x[0]),
                allowed=f"{p} different values or more",
            )
        )
    if distinct < min(p, 3):
        raise NotTestable(
            Problem(what="x has too few different values", where="x", value=distinct, allowed=f"{min(p, 3)} or more")
        )
