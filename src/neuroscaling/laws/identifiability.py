"""The data identify a parameter where no bound, flat loss or ridge decides its value.

Everything is judged with x in units of its mean, and with y in its unit (`FittedCurve.y_unit`), so that the units of x
and of a y that is no misalignment change no flag: bounds and profiles in the inner coordinates, intervals and
correlations in the natural ones.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.core.errors import percent
from neuroscaling.laws import solver
from neuroscaling.laws.bootstrap import interval
from neuroscaling.laws.fitted_curve import FittedCurve
from neuroscaling.laws.parametrisation import TINY_ASYMPTOTE, Parameter

Array = NDArray[np.float64]
NEAR_BOUND = 0.01  # of the distance between the inner bounds
WIDE_SCALE, WIDE_EXPONENT = 100.0, 10.0  # ratio of the ends of an interval
RIDGE = 0.98  # rank correlation of two parameters over the bootstraps
WIDE_RIDGE = 4.0
LARGE = 1e6  # stands for what overflowed
FEWEST = 20  # bootstraps from which a correlation is taken
Bounds = list[list[tuple[str, str]]]  # for each parameter, the sides on which it reaches its bound, and how that shows
WITHIN = 3.84  # rise of the deviance within a 95 % profile interval: the quantile of chi-square with one freedom
SMALL_GAIN = 1e-3  # in the unit of y
PROFILE_POINTS = 25
STARTS = 3  # minima from which a profile is started
MANY = 0.05  # of the resamples: as many as a 95 % interval leaves out
NO_SATURATION = "no saturation within the data"
NOT_DETERMINED = "not determined: too few different x"
NO_GROWTH = "growth is not established"


def identification_flags(law: FittedCurve, bounds: Bounds) -> dict[str, dict[str, Any]]:
    """For each parameter whether it is identified, and if not, why.

    Not identified: every parameter where a continuum of laws fits more than 5 % of the resamples. Else one whose
    interval touches a bound or spans decades; whose loss stays within what noise explains up to a bound (profile over
    the other parameters); that lies on a ridge, that is has a rank correlation of 0.98 with another parameter along
    which it grows more than fourfold; an asymptote out of sight of the data. trades_off_with: parameters of such a
    correlation, whether or not the interval is wide. bounds: what `bounds_reached` found. A parameter that one variable
    alone tells of is not identified where that variable is the same at all points.
    """
    found: dict[str, dict[str, Any]] = {}
    samples = _centred(law)
    few = [_continuum(law)] if law.undetermined > MANY else []
    for j, parameter in enumerate(law.form.parameters):
        partners = _partners(law.form.names, samples, j)
        reasons = [
            *few,
            *_idle_reasons(law, parameter),
            *(reason for _, reason in bounds[j]),
            *_width_reasons(parameter, samples[:, j]),
            *_ridge_reasons(parameter, samples[:, j], partners),
        ]
        if parameter.name == law.form.asymptote and _out_of_sight(law):
            reasons.append("it lies further above the data than the data have risen")
        found[parameter.name] = {"identified": not reasons, "reasons": reasons, "trades_off_with": list(partners)}
    for parameter in law.form.parameters:
        if parameter.follows and not found[parameter.follows]["identified"]:
            found[parameter.name]["identified"] = False
            found[parameter.name]["reasons"].append(f"it hangs on {parameter.follows}, which is not identified")
    return found


def bounds_reached(law: FittedCurve) -> Bounds:
    """For each parameter the sides ("lower", "upper") on which it reaches its bound, each with how that shows."""
    return [
        [*_bound_reasons(parameter, law.resampled[:, j], law.y_unit), *_profile_reasons(law, j)]
        for j, parameter in enumerate(law.form.parameters)
    ]


def saturation_statement(law: FittedCurve, bounds: Bounds) -> str | None:
    """Why there is no number for the saturation, or None: too few x, or the asymptote is at a bound or out of sight."""
    if law.undetermined > MANY:
        return NOT_DETERMINED
    if _gains(law) < SMALL_GAIN:
        return NO_GROWTH
    perfect = "lower" if law.form.space == "misalignment" else "upper"
    reached = bounds[law.form.names.index(str(law.form.asymptote))]
    if _out_of_sight(law) or any(side == perfect for side, _ in reached):
        return NO_SATURATION
    return None


def law_notes(law: FittedCurve, statement: str | None) -> list[str]:
    """What a reader must know before using the law, in short sentences. statement: of `saturation_statement`."""
    found = []
    if _gains(law) < SMALL_GAIN:
        found.append(NO_GROWTH)
    elif statement:
        found.append(statement)
    sizes = [i for i in range(law.form.variables) if i not in law.form.counted]
    axes = np.atleast_2d(law.x.T)[sizes]
    if np.ptp(np.log10(axes), axis=1).min() < 1:
        found.append("x spans less than a decade")
    distinct = min(np.unique(axis).size for axis in axes)
    if distinct < 5:
        found.append(f"x takes only {distinct} values")
    found += [reason for parameter in law.form.parameters for reason in _idle_reasons(law, parameter)]
    if law.undetermined > 0:
        found.append(_continuum(law))
    if len(law.y) < 10:
        found.append(f"only {len(law.y)} points: intervals and exponents say little")
    return found


def _idle_reasons(law: FittedCurve, parameter: Parameter) -> list[str]:
    """What of a parameter can't be told where the variable that tells of it is the same at all points."""
    place = parameter.absorbs if parameter.tells is None else parameter.tells
    if place is None or np.ptp(law.x[:, place]) > 0:
        return []
    value = law.x[0, place]
    if parameter.tells is not None:
        return [f"nothing tells {parameter.name}: variable {place + 1} is {value:g} at all points"]
    return [f"it takes over the effect of variable {place + 1}, which is {value:g} at all points"] if value != 1 else []


def _continuum(law: FittedCurve) -> str:
    """In which share of the resamples the data leave the law to the solver."""
    if not np.isfinite(law.resampled_loss).any():
        return "too few different x: a continuum of laws fits them equally well"
    share = percent(law.undetermined)
    return f"in {share} of the resamples too few different x are left: a continuum of laws fits them equally well"


def asymptote_profile(law: FittedCurve) -> dict[str, Any] | None:
    """Smallest loss for each of 26 saturation levels, all other parameters refitted; None without an asymptote.

    within_noise: whether the loss is within a 95 % profile interval (deviance up by at most 3.84).
    """
    if law.form.asymptote is None:
        return None
    j = law.form.names.index(law.form.asymptote)
    parameter = law.form.parameters[j]
    top = float(law.form.score(solver.evaluate_form(law.data, law.theta[None]))[0].max())
    if law.form.space == "misalignment":
        levels = np.linspace(TINY_ASYMPTOTE, max(1.0 - top, 2 * TINY_ASYMPTOTE), PROFILE_POINTS)
    else:
        levels = np.linspace(top, top + 2 * max(np.ptp(law.data.y), SMALL_GAIN), PROFILE_POINTS)
    fitted = max(law.params[parameter.name] / law.y_unit, TINY_ASYMPTOTE if parameter.positive else -np.inf)
    levels = np.unique(np.append(levels, fitted))
    saturation = 1.0 - levels if law.form.space == "misalignment" else levels
    loss = _profile(law, j, np.log(levels) if parameter.positive else levels)
    return {
        "saturation": law.reported(saturation).tolist(),
        "loss": (loss * law.loss_unit).tolist(),
        "within_noise": (_rise(law, loss) <= WITHIN).tolist(),
    }


def _profile(law: FittedCurve, parameter: int, values: Array) -> Array:
    return solver.profile(law.data, law.minima[:STARTS], parameter, values, bounded=True)


def _rise(law: FittedCurve, loss: Array) -> Array:
    """How much the deviance of the resampled units rises from the minimum to `loss`, as the solver sees it."""
    n, least = law.units, law.loss_value / law.loss_unit
    return law.data.loss.deviance(loss, n) - law.data.loss.deviance(least, n)


def _gains(law: FittedCurve) -> float:
    """Lower end of the interval of the rise over the data, in the unit of y."""
    ends = np.array([law.x.min(axis=0), law.x.max(axis=0)])
    values = law.form.score(law.form.inner(law.resampled, np.log(ends / law.centre).T)[0])
    return interval(values[:, 1] - values[:, 0])[0]


def _out_of_sight(law: FittedCurve) -> bool:
    """Whether the asymptote's interval reaches further above the data than the data themselves have risen."""
    sign = 1.0 if law.upright else -1.0
    top = interval(sign * law.asymptotes)[1]
    first, last = sign * law.predict(np.array([law.x.min(axis=0), law.x.max(axis=0)]))
    return not np.isfinite(top) or bool(top - last > max(last - first, SMALL_GAIN * law.y_unit))


def _bound_text(parameter: Parameter, side: str, y_unit: float) -> str:
    if parameter.inner is not None:
        return f"{side} bound of its {parameter.inner}"
    if parameter.unit not in ("1", "score"):
        return f"{side} bound"
    return f"{side} bound {parameter.natural_bounds(y_unit)[side == 'upper']:.3g}"


def _bound_reasons(parameter: Parameter, samples: Array, y_unit: float) -> list[tuple[str, str]]:
    low, high = parameter.bounds
    margin = NEAR_BOUND * (high - low)
    first, last = interval(samples)
    sides = [side for side, touched in (("lower", first <= low + margin), ("upper", last >= high - margin)) if touched]
    return [(side, f"its interval reaches the {_bound_text(parameter, side, y_unit)}") for side in sides]


def _profile_reasons(law: FittedCurve, j: int) -> Iterator[tuple[str, str]]:
    parameter = law.form.parameters[j]
    if law.form.exact is not None:
        return
    rise = _rise(law, _profile(law, j, np.array(parameter.bounds)))
    for side, value in zip(("lower", "upper"), rise, strict=True):
        if value <= WITHIN:
            yield side, f"the loss is flat up to the {_bound_text(parameter, side, law.y_unit)}"


def _width_reasons(parameter: Parameter, samples: Array) -> list[str]:
    first, last = interval(samples)
    if parameter.positive and last - first > np.log(WIDE_SCALE):
        return [f"its interval spans more than a factor of {WIDE_SCALE:.0f}"]
    if parameter.unit == "1" and not parameter.positive and last > WIDE_EXPONENT * max(first, 1e-300):
        return [f"its interval spans more than a factor of {WIDE_EXPONENT:.0f}"]
    return []


def _centred(law: FittedCurve) -> Array:
    """Natural parameters of the bootstraps (k, p) with x in units of its mean; the logarithm of positive ones."""
    samples = law.form.natural(law.resampled, np.ones_like(law.centre))
    positive = [parameter.positive for parameter in law.form.parameters]
    with np.errstate(divide="ignore", invalid="ignore"):
        samples[:, positive] = np.log(samples[:, positive])
    return np.clip(np.nan_to_num(samples, nan=LARGE), -LARGE, LARGE)


def _partners(names: list[str], samples: Array, j: int) -> dict[str, float]:
    """Parameters that trade off with parameter j over the bootstraps, with their rank correlations."""
    ranks = samples.argsort(axis=0, kind="stable").argsort(axis=0, kind="stable").astype(float)
    moving = np.flatnonzero(np.ptp(samples, axis=0) > 0)
    if len(ranks) < FEWEST or j not in moving:
        return {}
    correlations = {names[i]: float(np.corrcoef(ranks[:, i], ranks[:, j])[0, 1]) for i in moving if i != j}
    return {name: value for name, value in correlations.items() if abs(value) >= RIDGE}


def _ridge_reasons(parameter: Parameter, samples: Array, partners: dict[str, float]) -> list[str]:
    first, last = interval(samples)
    wide = last - first > (np.log(WIDE_RIDGE) if parameter.positive else (WIDE_RIDGE - 1) * abs(first))
    if not wide or parameter.unit.startswith("score per"):
        return []
    return [f"it trades off with {name} (rank correlation {value:.3f})" for name, value in partners.items()]
