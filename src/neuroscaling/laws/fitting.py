"""`fit` checks points, solves for the law and its bootstraps, and gives back the fitted law."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.core.errors import DataError, Problem, nearest
from neuroscaling.laws import solver
from neuroscaling.laws.bootstrap import resample_weights, undetermined_of
from neuroscaling.laws.forms import form_by_name
from neuroscaling.laws.law_fit import LawFit
from neuroscaling.laws.loss import Loss, loss_by_name
from neuroscaling.laws.parametrisation import Form
from neuroscaling.laws.point_checks import MODES, NotTestable, as_float_array, checked_points

Array = NDArray[np.float64]


def fit(
    x: Any,
    y: Any,
    *,
    form: str = "power_law",
    x_scale: float | Sequence[float] | None = None,
    loss: str | None = None,
    y_error: Any = None,
    invert_y: bool = True,
    bootstraps: int = 200,
    clusters: Sequence[object] | None = None,
    hierarchy: Sequence[Sequence[object]] | None = None,
    seed: int = 42,
    mode: str = "corrected",
) -> LawFit:
    """Fit the law `form` to scores y (n,) at x (n,), or (n, d) for a law of d variables.

    x_scale: unit of x in the natural form, by default the power of ten at or below the smallest x. loss: by default the
    form's own; "weighted" needs y_error (n,), the standard error of each score. invert_y: power laws describe 1 - y; if
    false, y itself, as all other forms do. clusters: one label a point; points with equal labels are resampled
    together. hierarchy: labels of the points for each level of a hierarchical bootstrap, outermost first. mode:
    `corrected` keeps parameters within the form's bounds; `parity` does not, as published.

    A y that is no misalignment (any y but that of a law, or of a loss, of ln(1 - y)) may have any unit: it is fitted in
    a unit of its own (`LawFit.y_unit`), in which the bounds hold, so that c y gives c times the law of y.

    Raises DataError for impossible points and NotTestable for too few; see `inputs.checked_points`.
    """
    if mode not in MODES:
        raise DataError(
            Problem(
                what="unknown mode", where="mode", value=mode, allowed=", ".join(MODES), nearest=nearest(mode, MODES)
            )
        )
    law = form_by_name(form)
    chosen = loss_by_name(loss or law.loss)
    x, y = checked_points(x, y, law, chosen, clusters, invert_y, bootstraps > 0)
    y_unit = 1.0
    if not (invert_y and "misalignment" in (law.space, chosen.space)):
        y_unit, law = _unit(y), law.in_units_of_data()
    scale = _scale(x, x_scale, law)
    centre = np.exp(np.mean(np.log(x), axis=0))
    if law.counted:
        centre[list(law.counted)] = 1.0
    data = _data(law, x / centre, y / y_unit, chosen, invert_y, _weights(chosen, y_error, y, y_unit))
    bounded = mode == "corrected"
    minima, values = solver.multi_start(data, bounded)
    if not len(minima):
        raise NotTestable(Problem(what="no starting point led to a finite loss", where=form, fix="choose another form"))
    weights = resample_weights(len(y), bootstraps, seed, clusters, hierarchy)
    refit = _bootstraps(data, minima, bounded, weights)
    what = "hierarchy" if hierarchy else "points" if clusters is None else "clusters"
    units = independent_units(len(y), hierarchy or ([] if clusters is None else [clusters]))
    return LawFit(
        data, x, y, scale, centre, float(values[0]) * y_unit**chosen.power, mode, minima, refit.theta,
        refit.loss * y_unit**chosen.power, seed, what, units, invert_y, refit.warm_enough, y_unit,
        undetermined_of(law, x, weights),
    )  # fmt: skip


def _scale(x: Array, given: float | Sequence[float] | None, law: Form) -> Array:
    """The unit of each variable: () or (d,)."""
    scale = 10.0 ** np.floor(np.log10(x.min(axis=0))) if given is None else np.asarray(given, dtype=np.float64)
    if law.counted and given is None:
        scale[list(law.counted)] = 1.0
    if not np.all(scale > 0):
        raise DataError(
            Problem(what="the unit of x must be positive", where="x_scale", value=given, allowed="numbers > 0")
        )
    if scale.shape not in ((), x.shape[1:]):
        raise DataError(
            Problem(
                what="x has another number of variables than its unit",
                where="x_scale",
                value=given,
                allowed=f"{x.shape[1:]}",
            )
        )
    scale = np.broadcast_to(scale, x.shape[1:]).astype(np.float64)
    if law.counted and not np.all(scale[list(law.counted)] == 1.0):
        what, allowed = f"{law.name} counts this variable from 1: it has no other unit", "1"
        raise DataError(Problem(what=what, where="x_scale", value=scale[list(law.counted)].tolist(), allowed=allowed))
    return scale


def independent_units(n: int, levels: Sequence[Sequence[object]]) -> int:
    """How many of n points are independent: the units of the outermost level of labels that has more than one."""
    return next((units for labels in levels if (units := len(set(labels))) > 1), n)


def _unit(y: Array) -> float:
    """The unit in which a y without a scale of its own is fitted: the upper quartile of its size.

    Most values then lie within 1, as misalignments and scores do. It is one of the values, so that repeated points
    change nothing; outliers don't move it, nor do runs that still score 0, up to three quarters of all.
    """
    size = np.abs(y)
    return float(np.quantile(size, 0.75, method="inverted_cdf") or size.max() or 1.0)


def _data(form: Form, x: Array, y: Array, loss: Loss, invert_y: bool, weights: Array | None) -> solver.Data:
    """x in units of its mean and y in its unit, as the solver takes them: a law of misalignment sees 1 less it."""
    scores = 1.0 - y if form.space == "misalignment" and not invert_y else y
    direct = form.space == "score" and not invert_y
    return solver.Data(form, np.ascontiguousarray(np.log(x).T), scores, loss, weights, direct)


def _weights(loss: Loss, y_error: Any, y: Array, y_unit: float) -> Array | None:
    return 1.0 / (_checked_errors(y_error, y) / y_unit) ** 2 if loss.name == "weighted" else None


def _checked_errors(errors: Any, y: Array) -> Array:
    if errors is None:
        raise DataError(
            Problem(what="the loss `weighted` needs the standard error of each score", where="y_error", value=None)
        )
    errors = as_float_array(errors)
    wrong = errors.shape != y.shape or not np.all(np.isfinite(errors) & (errors > 0))
    if wrong:
        bad = f"{int(np.sum(~(errors > 0)))} of {errors.size}" if errors.shape == y.shape else f"shape {errors.shape}"
        fix = "use loss: least_squares, or leave those rows out"
        raise DataError(
            Problem(
                what="standard errors must be positive, one a score", where="y_error", value=bad, allowed="> 0", fix=fix
            )
        )
    return errors


def _bootstraps(data: solver.Data, minima: Array, bounded: bool, weights: NDArray[np.uint16]) -> solver.Refit:
    if not len(weights):
        return solver.Refit(minima[:1].copy(), np.array([np.nan]), True)
    return solver.refit(data, minima, weights, bounded)
