"""The asymptote's interval has an expected width after new runs.

The resamples stand for what is not known of the law. In each scenario one resample is the truth: it gives the score of
the new run, with the noise of runs about the law. All resamples are then weighted by how likely they make this score,
and the 95 % interval of the weighted asymptotes is taken (`widths`); its mean width over the scenarios is the expected
width. Scenarios are an even grid, not random draws, and the same for all runs, so chance does not order the runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.laws.finished_law import FinishedLaw
from neuroscaling.laws.loss import loss_by_name

Array = NDArray[np.float64]
SCENARIOS = 256
MOST = 4000  # resamples that are used; of more, an even choice by their asymptote
TAIL = 0.025
NORMAL = NormalDist().inv_cdf(1 - TAIL) * TAIL / NormalDist().pdf(NormalDist().inv_cdf(1 - TAIL))
CELL = ("arch", "dataset", "samples_per_class")
PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71)


@dataclass(frozen=True)
class Outlook:
    """k resamples seen from c possible runs in r scenarios.

    level (k,): asymptotes, rising; predicted (c, k): y of the runs on the scale of the loss; spread (c,): standard
    deviation of a run's noise; truth (r,): the resample that each scenario takes as true; usable: resamples of the fit
    with finite predictions.
    """

    level: Array
    predicted: Array
    spread: Array
    truth: NDArray[np.intp]
    usable: int

    @property
    def nothing(self) -> Array:
        """Log likelihoods (r, k) before any new run."""
        return np.zeros((len(self.truth), len(self.level)))

    @property
    def width(self) -> float:
        """Width of the interval today."""
        return float(widths(self.level, np.ones((1, len(self.level))))[0])


@dataclass(frozen=True)
class Noise:
    """Standard deviation of one run about the law (total), and of its part by which seeds of a cell differ (seeds)."""

    total: float
    seeds: float

    def of_mean(self, seeds: Array) -> Array:
        """Standard deviation of the mean over `seeds` runs: what a whole cell differs by does not average out."""
        return np.sqrt(self.total**2 - self.seeds**2 * (1.0 - 1.0 / seeds))


@dataclass(frozen=True)
class After:
    """log_likelihood (r, k) after a run; mean over scenarios of the width and of the effective number of resamples."""

    log_likelihood: Array
    width: float
    effective: float


def outlook(law: FinishedLaw, x: Array, spread: Array) -> Outlook:
    """What the resamples of `law` say of runs at x (c, v) with noise of standard deviation spread (c,).

    Resamples without a finite prediction for every run are left out. Raises DataError for a form without asymptote.
    """
    if law.form.asymptote is None:
        what, fix = "this law has no asymptote to narrow", "take a fit of a saturating form, such as power_law"
        raise DataError(Problem(what=what, where=law.name, value=law.form.name, fix=fix))
    level = law.samples[:, law.form.names.index(law.form.asymptote)]
    predicted = on_loss_scale(law, law.predict(law.samples[None], x[:, None]))
    usable = np.flatnonzero(np.isfinite(predicted).all(0))
    if not usable.size:
        raise DataError(
            Problem(what="no resample has a finite prediction for these runs", where=law.name, value=x.tolist())
        )
    order = usable[np.argsort(level[usable], kind="stable")]
    if len(order) > MOST:
        order = order[np.linspace(0, len(order) - 1, MOST).round().astype(np.intp)]
    truth = ((np.arange(SCENARIOS) + 0.5) / SCENARIOS * len(order)).astype(np.intp)
    return Outlook(level[order], predicted[:, order], spread, truth, usable.size)


def after_run(view: Outlook, before: Array, run: int, step: int) -> After:
    """What is known after `run`; before (r, k): log likelihoods so far; step: number of new runs before this one."""
    predicted, spread = view.predicted[run], view.spread[run]
    scores = predicted[view.truth] + spread * _normal(len(view.truth), step)
    log_likelihood = before - 0.5 * ((scores[:, None] - predicted) / spread) ** 2
    weights = np.exp(log_likelihood - log_likelihood.max(1, keepdims=True))
    effective = weights.sum(1) ** 2 / (weights**2).sum(1)
    return After(log_likelihood, float(widths(view.level, weights).mean()), float(effective.mean()))


def widths(level: Array, weights: Array) -> Array:
    """Width (r,) of the 95 % interval of rising `level` (k,) with weights (r, k), by the means of its outer tails.

    It is the mean of the upper 2.5 % less that of the lower 2.5 %, scaled so that normal values give the usual width.
    Unlike the distance of two percentiles it is concave in the weights, so on average no new run can make it larger.
    """
    share = np.cumsum(weights, axis=1)
    share /= share[:, -1:].copy()
    inside = np.minimum(np.minimum(share, 1.0 - share), TAIL)
    return NORMAL / TAIL * (inside @ np.diff(level, append=level[-1]))


def residual_noise(law: FinishedLaw) -> Noise:
    """Robust noise of one run, from the residuals of the fitted points on the scale of the loss.

    A cell is points of equal x, arch, dataset and samples per class. Where no cell has two points, the seeds' part is
    not known, and all of the noise counts as theirs. The p smallest residuals are left out, since a fit of p parameters
    can pass through as many points.
    """
    residuals = on_loss_scale(law, law.points.y) - on_loss_scale(law, law.predict(law.fitted, law.points.columns))
    total = max(
        _robust(residuals, law.fitted.shape[1]), 1e-9 * (1.0 if has_log_loss(law) else np.abs(law.points.y).max())
    )
    columns: list[Sequence[object]] = [axis.tolist() for axis in law.points.columns.T]
    columns += [facts for name in CELL if (facts := getattr(law.points, name))]
    cells: dict[tuple[object, ...], list[float]] = {}
    for key, residual in zip(zip(*columns, strict=True), residuals.tolist(), strict=True):
        cells.setdefault(key, []).append(residual)
    several = [np.array(cell) for cell in cells.values() if len(cell) > 1]
    apart = [(cell - cell.mean()) * np.sqrt(cell.size / (cell.size - 1)) for cell in several]
    seeds = min(_robust(np.concatenate(apart)), total) if apart else total
    return Noise(total, seeds)


def median_penalty(law: FinishedLaw) -> float:
    """How much less sure the loss makes a level than a mean would: Huber with its small delta is in effect a median."""
    return (np.pi / 2) ** 0.5 if law.loss == "huber" else 1.0


def has_log_loss(law: FinishedLaw) -> bool:
    """Whether the loss takes residuals of log misalignments, or of y itself."""
    return loss_by_name(law.loss).space == "misalignment"


def on_loss_scale(law: FinishedLaw, values: Array) -> Array:
    """y on the scale on which the loss takes residuals."""
    with np.errstate(all="ignore"):
        if has_log_loss(law):
            return np.log1p(-values) if law.inverted else np.log(values)
        return values


def _robust(residuals: Array, smallest: int = 0) -> float:
    """Standard deviation of normal residuals (n,) with this median size; the `smallest` ones are not counted."""
    size = np.sort(np.abs(residuals))
    return float(np.median(size[min(smallest, size.size - 1) :])) / NormalDist().inv_cdf(0.75)


def _normal(count: int, step: int) -> Array:
    """Normal numbers (count,), evenly spread in each step and, by square roots of primes, over the steps together."""
    places = (np.arange(count) + 0.5) * PRIMES[step % len(PRIMES)] ** 0.5 % 1.0
    return np.array([NormalDist().inv_cdf(place) for place in np.clip(places, 1e-9, 1 - 1e-9).tolist()])
