"""A law tells what a target score needs and what a compute budget gives.

The intervals are those of the law, from its resamples: they hold the uncertainty of the parameters (and of the cost of
a run), not the scatter of single runs about the law. A resample whose law never reaches the target counts as infinite.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.forecast import caveats
from neuroscaling.laws import compute_optimal
from neuroscaling.laws.bootstrap import interval
from neuroscaling.laws.finished_law import COST_COLUMNS, FinishedLaw, require_law
from neuroscaling.laws.fit_record import FitRecord
from neuroscaling.laws.law_fit import finite
from neuroscaling.laws.limited_images import best_run, cheapest_run
from neuroscaling.laws.number_words import LARGEST_SIZE, bounded, tells
from neuroscaling.laws.point_checks import as_float_array

Array = NDArray[np.float64]
COMPUTE = "total_flops"
LARGEST_EXPONENT = 280.0  # log10 of x / x_scale; x itself must stay below the largest float
HALVINGS = 80


@dataclass(frozen=True)
class Estimate:
    """A number by the fit and its 95 % interval; infinite where the target is never reached, NaN where unknown."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if np.isinf(self.low):
            return "never"
        high = "no upper end" if np.isinf(self.high) else _text(self.high)
        return f"{_text(self.value)} ({_text(self.low)} to {high})"


@dataclass(frozen=True)
class Plan:
    """An answer. given: the question; run: the sizes it leads to, by column of the score table; score: of that run.

    simulated: whether the law is one of simulated data. scale: of the score (`scales.SCALES`), None where the fit names
    none. asymptote: score for infinite x, None where there is none or the data show none. never_reached: share of the
    resamples in which the target is never reached, None where there is no target. statements: what to know before use.
    """

    fit: str
    mode: str
    simulated: bool
    given: dict[str, float]
    run: dict[str, Estimate]
    y: str
    scale: str | None
    score: Estimate | None
    asymptote: Estimate | None
    never_reached: float | None
    resamples: int
    dropped: int
    statements: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON can hold it; infinite numbers are null."""
        return finite(asdict(self))

    def describe(self) -> str:
        """The plan as text of a few lines."""
        given = ", ".join(f"{name} {_text(value)}" for name, value in self.given.items())
        unit = f", {self.scale}" if self.y == "score" and self.scale else ""
        rows = [*self.run.items(), (f"{self.y} of this run{unit}", self.score), ("asymptote", self.asymptote)]
        known = [(name, str(estimate)) for name, estimate in rows if estimate is not None]
        width = max((len(name) for name, _ in known), default=0)
        kind = f"{self.mode}, SIMULATED data" if self.simulated else self.mode
        lines = [f"{self.fit} ({kind}), for {given}; 95 % intervals of {self.resamples} resamples"]
        lines += [f"  {name.ljust(width)}  {text}" for name, text in known]
        return "\n".join(lines + [f"- {statement}" for statement in self.statements])


def plan_for_score(fit: FitRecord, target: float, images: float | None = None) -> Plan:
    """The run that reaches the y `target`: x, or for a law of model and data size the cheapest run and its FLOPs.

    fit: a finished fit with its resamples; images: of a law of N, U and R the most unique images that there are, by
    default those of the fitted runs. Raises DataError for an impossible target (a score of 1 and above
    for a power law of 1 - y) and for a fit without a law; a target beyond the asymptote is an answer (infinite), said
    in the plan's statements.
    """
    law = require_law(fit)
    if not (np.isfinite(target) and target < law.highest):
        allowed = "a finite number" if np.isinf(law.highest) else f"a number below {law.highest:g}"
        raise DataError(Problem(what="no law reaches this score", where="target score", value=target, allowed=allowed))
    images = _images(law, images)
    needed, samples, dropped = _needed(law, target, images)
    run = {name: Estimate(float(value[0]), *_interval(values)) for name, (value, values) in needed.items()}
    never = float(np.mean(np.isinf(next(iter(needed.values()))[1])))
    words = [
        *caveats.about_images(images),
        *caveats.about_target(law, target, next(iter(run.values())).value, never),
    ]
    return _plan(law, {f"target {law.quantity}": target}, run, samples, dropped, never, words)


def plan_for_compute(fit: FitRecord, compute: float, images: float | None = None) -> Plan:
    """The run that a budget of `compute` FLOPs gives and its score: the best N and D, or N, U and R with at most
    `images` unique images (by default those of the fitted runs), or the law at this compute.

    Raises DataError where the law knows nothing of compute and for a compute that is not positive.
    """
    law = require_law(fit)
    images = _images(law, images)
    if len(law.variables) == 1:
        if law.variables[0] != COMPUTE:
            fix = f"ask for the score at a {law.variables[0]} (--x)"
            raise DataError(
                Problem(
                    what="this law does not speak of compute",
                    where=law.name,
                    value=law.variables[0],
                    allowed=COMPUTE,
                    fix=fix,
                )
            )
        return plan_for_x(fit, compute)
    used, cost, costs = _with_cost(law)
    if images is not None:
        fitted: tuple[Array, ...] = best_run(law.fitted, cost, compute, images, _scales(law))
        resampled: tuple[Array, ...] = best_run(law.samples[used], costs, compute, images, _scales(law))
    else:
        fitted = compute_optimal.run_at_compute(law.fitted, cost, compute, law.mode, _scales(law))
        resampled = compute_optimal.run_at_compute(law.samples[used], costs, compute, law.mode, _scales(law))
    pairs = zip(law.variables, fitted, resampled, strict=True)
    run = {name: Estimate(float(value[0, 0]), *_interval(values[:, 0])) for name, value, values in pairs}
    return _plan(
        law, {COMPUTE: compute}, run, law.samples[used], int((~used).sum()), None, caveats.about_images(images)
    )


def plan_for_x(fit: FitRecord, x: Any, images: float | None = None) -> Plan:
    """The score at x, one positive number for each variable of the law. Raises DataError for others, and for `images`,
    which x itself states.
    """
    law = require_law(fit)
    if images is not None:
        problem = Problem(what="`x` states the images already", where="images", value=images, fix="leave it out")
        raise DataError(problem)
    values = np.atleast_1d(as_float_array(x))
    if values.shape != (len(law.variables),) or not (np.isfinite(values) & (values > 0)).all():
        allowed = f"one number above 0 for each of {', '.join(law.variables)}"
        raise DataError(
            Problem(what="the law can't be taken here", where=law.name, value=values.tolist(), allowed=allowed)
        )
    given = dict(zip(law.variables, values.tolist(), strict=True))
    return _plan(law, given, {}, law.samples, 0, None, [])


def needed_x(law: FinishedLaw, params: Array, target: float) -> Array:
    """The smallest x (k,) at which the law of one variable reaches the target, for params (k, p), by bisection in ln x.

    Infinite where it never does, 0 where it does for every x. A law that falls reaches a target from above.
    """
    ends = law.predict(law.fitted, np.array([[law.points.x.min()], [law.points.x.max()]]))
    sign = 1.0 if ends[1] >= ends[0] else -1.0

    def short(exponent: Array) -> Array:
        return sign * (law.predict(params, (10.0**exponent * law.scales[0])[:, None]) - target)

    low, high = (np.full(len(params), end) for end in (-LARGEST_EXPONENT, LARGEST_EXPONENT))
    always, never = short(low) >= 0, ~(short(high) > 0)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        reached = short(middle) >= 0
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    return np.where(never, np.inf, np.where(always, 0.0, 10.0**high * law.scales[0]))


def _images(law: FinishedLaw, given: float | None) -> float | None:
    """The most unique images that a law of N, U and R may take; None for a law that does not tell them from others."""
    if law.form.variables == 3:
        return float(law.points.columns[:, 1].max()) if given is None else given
    if given is not None:
        what, allowed = "this law does not tell unique images from repeated ones", "a fit of the form data_constrained"
        raise DataError(Problem(what=what, where=law.name, value=law.form_name, allowed=allowed))
    return None


def _needed(law: FinishedLaw, target: float, images: float | None) -> tuple[dict[str, tuple[Array, Array]], Array, int]:
    """What the target needs by the fit (1,) and by each resample (k,); the resamples (k, p); how many are left out."""
    if len(law.variables) == 1:
        needed = needed_x(law, law.fitted, target), needed_x(law, law.samples, target)
        return {law.variables[0]: needed}, law.samples, 0
    used, cost, costs = _with_cost(law)
    score = 1.0 - target if law.falls else target
    if images is not None:
        fitted: tuple[Array, ...] = cheapest_run(law.fitted, cost, score, images, _scales(law))
        resampled: tuple[Array, ...] = cheapest_run(law.samples[used], costs, score, images, _scales(law))
    else:
        fitted = compute_optimal.run_at_score(law.fitted, cost, score, law.mode, _scales(law))
        resampled = compute_optimal.run_at_score(law.samples[used], costs, score, law.mode, _scales(law))
    names = (*law.variables, COMPUTE)
    return dict(zip(names, zip(fitted, resampled, strict=True), strict=True)), law.samples[used], int((~used).sum())


def _with_cost(law: FinishedLaw) -> tuple[NDArray[np.bool_], Array, Array]:
    """Which resamples have an optimum, the cost of the fit (1, 2) and of those resamples."""
    if law.cost is None:
        raise DataError(
            Problem(what="the fit has no allocation", where=law.name, fix="give its entry `compute: total_flops`")
        )
    if law.costs is None:
        where, fix = f"bootstraps of {law.name}", "make the fit again with this version"
        raise DataError(Problem(what=f"no columns {' and '.join(COST_COLUMNS)}", where=where, fix=fix))
    used = compute_optimal.has_optimum(law.samples, law.costs)
    if not (used.any() and compute_optimal.has_optimum(law.fitted, law.cost).all()):
        found = dict(zip(law.form.names, law.fitted[0].round(4).tolist(), strict=True))
        raise DataError(
            Problem(
                what="the law has no compute-optimal run",
                where=law.name,
                value=found,
                allowed="A, alpha, B, beta above 0",
            )
        )
    return used, law.cost, law.costs[used]


def _scales(law: FinishedLaw) -> tuple[float, float, float]:
    return float(law.scales[0]), float(law.scales[1]), compute_optimal.SCALES[2]


def _plan(
    law: FinishedLaw, given: dict[str, float], run: dict[str, Estimate], samples: Array, dropped: int,
    never: float | None, words: list[str],
) -> Plan:  # fmt: skip
    point = np.array([run[name].value if name in run else given[name] for name in law.variables])
    dropped += law.dropped_resamples
    words = [
        *caveats.about_data(law),
        *words,
        *caveats.about_range(law, point),
        *caveats.about_law(law, len(samples), dropped),
    ]
    return Plan(
        fit=law.name, mode=law.mode, simulated=law.simulated, given=given, run=run, y=law.quantity, scale=law.scale,
        score=_score(law, samples, point), asymptote=_asymptote(law), never_reached=never, resamples=len(samples),
        dropped=dropped, statements=tuple(words),
    )  # fmt: skip


def _score(law: FinishedLaw, samples: Array, point: Array) -> Estimate | None:
    """Score of the planned run, held fixed, by the fit and by the resamples; None where there is no such run."""
    if not (np.isfinite(point) & (point > 0)).all():
        return None
    return Estimate(float(law.predict(law.fitted, point[None])[0]), *_interval(law.predict(samples, point[None])))


def _asymptote(law: FinishedLaw) -> Estimate | None:
    if not law.has_saturation or law.saturation is None:
        return None
    return Estimate(law.saturation, *(law.saturation_ci95 or (float("nan"), float("nan"))))


def _interval(values: Array) -> list[float]:
    """95 % interval of `values` (k,); with infinite ones among them, their order statistics, as inf has no mean."""
    if len(values) < 2:
        return [float("nan")] * 2
    if np.isfinite(values).all():
        return interval(values)
    low, high = np.percentile(values, 2.5, method="lower"), np.percentile(values, 97.5, method="higher")
    return [float(low), float(high)]


def _text(value: float) -> str:
    if np.isnan(value):
        return "not known"
    if np.isinf(value):
        return "never"
    return f"{value:.4g}" if tells(value, LARGEST_SIZE) else bounded(value, LARGEST_SIZE)
