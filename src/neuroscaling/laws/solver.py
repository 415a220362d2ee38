"""The solver fits a law to points, for one weighting or many, by multi-start and warm starts.

Resamples are integer weights on the points. Each is started from the best of the minima found on all points, screened
by one matrix product. Whether such warm starts are enough is tested on some resamples, from many starts and from the
minima of other resamples; where any of them ends lower, every resample gets the many starts.
Shapes: m problems, p parameters, n points, k weightings.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from neuroscaling.laws.bfgs import bfgs
from neuroscaling.laws.loss import Loss
from neuroscaling.laws.parametrisation import Exact, Form, Slopes, Weights

Array = NDArray[np.float64]
Index = NDArray[np.intp]

ITERATIONS = 400
BLOCK = 1 << 16  # numbers in one (problems, points) array: half a megabyte; of twice that, each array is fresh memory
POOL = 24  # minima of all points that are kept as starts
WARM = 2  # starts of a resample, from the pool
BROAD, OTHERS = 16, 6  # starts of a resample in doubt: of the form, and minima of other resamples
HEAT, FINALISTS = 20, 4  # iterations that all those starts get, and how many of them go on
TESTED = 40  # resamples on which warm starts are tested
NEAR = 1e-2  # relative distance below which two solutions are one
LOWER = 1e-7  # relative gain that counts
MOST_OTHERS = 500  # solutions of other resamples that are looked at
ROOM = 1 << 24  # numbers that their losses may take


@dataclass(frozen=True)
class Data:
    """What a law is fitted to: log_x (n,) or (d, n), scores y (n,), the loss, and optional weights (n,) of the points.

    point_weights: 1 / error^2 for the loss `weighted`. direct: whether a logarithmic loss of a form of the score takes
    ln y, as for a y that is no score, and not ln(1 - y).
    """

    form: Form
    log_x: Array
    y: Array
    loss: Loss
    point_weights: Array | None = None
    direct: bool = False

    @cached_property
    def target(self) -> Array:
        """y (n,) in the space of the residuals."""
        return np.log(self.y) if self.direct and self.loss.space == "misalignment" else self.loss.target(self.y)

    @property
    def n(self) -> int:
        """Number of points."""
        return len(self.y)


@dataclass(frozen=True)
class Refit:
    """Minima of many weightings: theta (k, p), loss (k,), and whether warm starts were found to be enough."""

    theta: Array
    loss: Array
    warm_enough: bool


def evaluate_form(data: Data, theta: Array) -> Array:
    """The law (m, n) at theta (m, p), in the form's own space."""
    return data.form.inner(theta, data.log_x)[0]


def evaluate(data: Data, theta: Array) -> tuple[Array, Slopes]:
    """The law (m, n) and its p slopes, in the space of the loss, at theta (m, p)."""
    values, slopes = data.form.inner(theta, data.log_x)
    if data.form.space == data.loss.space:
        return values, slopes
    if data.form.space == "score":
        left, sign = (values, 1.0) if data.direct else (1.0 - values, -1.0)
        return np.log(np.where(left > 0, left, np.nan)), tuple(sign * slope / left for slope in slopes)
    left = np.exp(values)
    return 1.0 - left, tuple(-slope * left for slope in slopes)


def point_losses(data: Data, theta: Array) -> tuple[Array, Array, Slopes]:
    """Loss and its derivative at each point (m, n), and the slopes of the law, at theta (m, p)."""
    values, slopes = evaluate(data, theta)
    rho, derivative = data.loss.values(values - data.target)
    if data.point_weights is not None:
        rho, derivative = rho * data.point_weights, derivative * data.point_weights
    return rho, derivative, slopes


def losses(data: Data, theta: Array, weights: Weights) -> tuple[Array, Array]:
    """Weighted loss (m,) and its gradient (m, p) at theta (m, p), with weights (m, n) or (1, n)."""
    rho, derivative, slopes = point_losses(data, theta)
    weighted = weights * derivative
    gradient = np.stack([_row_sums(weighted, slope) for slope in slopes], -1)
    return _row_sums(rho, weights), gradient


def solve(
    data: Data,
    starts: Array,
    weights: Weights,
    owner: Index,
    bounded: bool,
    fixed: int | None = None,
    iterations: int = ITERATIONS,
) -> tuple[Array, Array]:
    """Local minima from `starts` (m, p), the i-th with weights[owner[i]]: inner parameters (m, p), losses (m,).

    bounded: keep the parameters within the form's bounds. fixed: a parameter that keeps its starting value.
    """
    rows = max(1, BLOCK // data.n)
    blocks = [slice(i, i + rows) for i in range(0, len(starts), rows)]
    parts = [_solve_block(data, starts[block], weights, owner[block], bounded, fixed, iterations) for block in blocks]
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def multi_start(data: Data, bounded: bool, keep: int = POOL) -> tuple[Array, Array]:
    """Distinct minima of the unweighted loss, best first: inner parameters (<= keep, p) and losses."""
    ones = np.ones((1, data.n))
    exact = _exact_solution(data)
    if exact is not None:
        theta = exact(ones, data.log_x, data.y)
        return theta, losses(data, theta, ones)[0]
    starts = data.form.starts(data.log_x, data.form.target(data.y))
    theta, loss = solve(data, starts, ones, np.zeros(len(starts), dtype=np.intp), bounded)
    theta, loss = _polished(data, theta, loss, ones, bounded)
    order = np.argsort(loss, kind="stable")
    chosen: list[int] = []
    for i in order[np.isfinite(loss[order])]:
        if all(_differ(theta[i], theta[j]) for j in chosen):
            chosen.append(int(i))
        if len(chosen) == keep:
            break
    return theta[chosen], loss[chosen]


def refit(data: Data, pool: Array, weights: Weights, bounded: bool) -> Refit:
    """The best minimum for each of the `weights` (k, n); pool (s, p): minima of all points, best first."""
    exact = _exact_solution(data)
    if exact is not None:
        theta = exact(weights, data.log_x, data.y)
        return Refit(theta, own_losses(data, theta, weights), True)
    every = np.arange(len(weights))
    theta, loss = _best(data, _screened(data, pool, weights, every, WARM), weights, every, bounded)
    tested = every[:: max(1, len(every) // TESTED)]
    trial, trial_loss = _in_doubt(data, pool, theta, weights, tested, bounded)
    enough = bool(np.all(trial_loss >= loss[tested] * (1.0 - LOWER)))
    _keep_lower(theta, loss, tested, trial, trial_loss)
    if not enough:
        _keep_lower(theta, loss, every, *_in_doubt(data, pool, theta, weights, every, bounded))
        # The minima of other resamples are better starts now than they were before.
        others = _screened(data, _thinned(data, theta), weights, every, OTHERS)
        _keep_lower(theta, loss, every, *_best(data, others, weights, every, bounded))
    return Refit(theta, loss, enough)


def warm_refit(data: Data, pool: Array, weights: Weights, bounded: bool, starts: int = 1) -> Refit:
    """A minimum for each of the `weights` (k, n), from the `starts` best members of the pool (s, p): the fast way.

    Which of them would end lower from more starts is not tested: `Refit.warm_enough` is True.
    """
    exact = _exact_solution(data)
    if exact is not None:
        theta = exact(weights, data.log_x, data.y)
        return Refit(theta, own_losses(data, theta, weights), True)
    every = np.arange(len(weights))
    return Refit(*_best(data, _screened(data, pool, weights, every, starts), weights, every, bounded), True)


def profile(data: Data, best: Array, parameter: int, values: Array, bounded: bool) -> Array:
    """Smallest loss (v,) with one inner parameter held at each of `values` (v,), from the minima `best` (s, p)."""
    starts = np.repeat(best, len(values), axis=0)
    starts[:, parameter] = np.tile(values, len(best))
    ones, owner = np.ones((1, data.n)), np.zeros(len(starts), dtype=np.intp)
    loss = solve(data, starts, ones, owner, bounded, fixed=parameter)[1]
    return np.where(np.isfinite(loss), loss, np.inf).reshape(len(best), len(values)).min(0)


def own_losses(data: Data, theta: Array, weights: Weights) -> Array:
    """Loss (k,) of each solution theta (k, p) under its own weighting (k, n)."""
    rows = max(1, BLOCK // data.n)
    blocks = [slice(i, i + rows) for i in range(0, len(theta), rows)]
    return np.concatenate([losses(data, theta[b], weights[b])[0] for b in blocks])


def _exact_solution(data: Data) -> Exact | None:
    """The form's minimum in closed form, where its loss is the one that is minimised."""
    closed = data.loss.name == "least_squares" and data.form.space == data.loss.space
    return data.form.exact if closed else None


def _row_sums(a: Array, b: Weights) -> Array:
    """Sum over points of a * b, broadcast: (m,)."""
    if b.ndim == 1:
        return a @ b
    return (a @ b[0]) if len(b) == 1 else np.einsum("mn,mn->m", a, b)


def _screened(data: Data, pool: Array, weights: Weights, rows: Index, count: int) -> Array:
    """For each of the weightings `rows` the `count` members of the pool with the lowest loss: (r, count, p)."""
    with np.errstate(all="ignore"):
        step = max(1, 8 * BLOCK // data.n)
        rho = np.concatenate([point_losses(data, pool[i : i + step])[0] for i in range(0, len(pool), step)])
    rho = np.where(np.isfinite(rho), rho, 1e300)
    loss = np.concatenate([weights[rows[i : i + step]].astype(float) @ rho.T for i in range(0, len(rows), step)])
    order = np.argsort(loss, axis=1, kind="stable")[:, :count]
    return pool[order]


def _best(data: Data, starts: Array, weights: Weights, rows: Index, bounded: bool) -> tuple[Array, Array]:
    """The best minimum of each weighting in `rows` from its own starts (r, s, p): (r, p) and (r,)."""
    r, s, p = starts.shape
    theta, loss = solve(data, starts.reshape(r * s, p), weights, np.repeat(rows, s), bounded)
    loss = np.where(np.isfinite(loss), loss, np.inf).reshape(r, s)
    chosen = loss.argmin(1)
    return theta.reshape(r, s, p)[np.arange(r), chosen], loss[np.arange(r), chosen]


def _in_doubt(
    data: Data, pool: Array, theta: Array, weights: Weights, rows: Index, bounded: bool
) -> tuple[Array, Array]:
    """The best minima of the weightings `rows` from many starts: the pool's, and minima of other weightings."""
    broad = data.form.starts(data.log_x, data.form.target(data.y))
    broad = np.concatenate([pool, broad[:: -(-len(broad) // BROAD)]])
    starts = [_screened(data, _thinned(data, theta), weights, rows, OTHERS), np.tile(broad, (len(rows), 1, 1))]
    return _best(data, _finalists(data, np.concatenate(starts, axis=1), weights, rows, bounded), weights, rows, bounded)


def _thinned(data: Data, theta: Array) -> Array:
    """Some of the solutions: as many as there is room for their losses at every point."""
    most = max(OTHERS, min(MOST_OTHERS, ROOM // data.n))
    return theta[:: -(-len(theta) // most)]


def _finalists(data: Data, starts: Array, weights: Weights, rows: Index, bounded: bool) -> Array:
    """Where the most promising of the starts (r, s, p) of each weighting are after a few iterations: (r, f, p)."""
    r, s, p = starts.shape
    theta, loss = solve(data, starts.reshape(r * s, p), weights, np.repeat(rows, s), bounded, iterations=HEAT)
    theta, loss = theta.reshape(r, s, p), np.where(np.isfinite(loss), loss, np.inf).reshape(r, s)
    chosen = np.empty((r, FINALISTS, p))
    for i in range(FINALISTS):
        best = theta[np.arange(r), loss.argmin(1)][:, None]
        chosen[:, i] = best[:, 0]
        near = (np.abs(theta - best) / (1.0 + np.abs(best))).max(2) < NEAR
        loss = np.where(near, np.inf, loss)
    return chosen


def _keep_lower(theta: Array, loss: Array, rows: Index, trial: Array, trial_loss: Array) -> None:
    lower = trial_loss < loss[rows]
    theta[rows[lower]], loss[rows[lower]] = trial[lower], trial_loss[lower]


def _polished(data: Data, theta: Array, loss: Array, weights: Array, bounded: bool) -> tuple[Array, Array]:
    """The same minima after a second solve from where the first ended: at a kink a search can end early."""
    loss = np.where(np.isfinite(loss), loss, np.inf)
    again, lower = solve(data, theta, weights, np.zeros(len(theta), dtype=np.intp), bounded)
    gained = lower < loss
    return np.where(gained[:, None], again, theta), np.where(gained, lower, loss)


def _differ(a: Array, b: Array) -> bool:
    return bool(np.max(np.abs(a - b) / (1.0 + np.abs(b))) > NEAR)


def _solve_block(
    data: Data,
    starts: Array,
    weights: Weights,
    owner: Index,
    bounded: bool,
    fixed: int | None,
    iterations: int,
) -> tuple[Array, Array]:
    def objective(theta: Array, index: Index) -> tuple[Array, Array]:
        value, gradient = losses(data, theta, weights if len(weights) == 1 else weights[owner[index]])
        if fixed is not None:
            gradient[:, fixed] = 0.0
        return value, gradient

    if not bounded:
        return bfgs(objective, starts, iterations)
    low, high = data.form.bounds.T
    span = high - low

    def inside(t: Array, index: Index) -> tuple[Array, Array]:
        part = 0.5 * (1.0 + np.tanh(0.5 * t))
        value, gradient = objective(low + span * part, index)
        return value, gradient * span * part * (1.0 - part)

    part = np.clip((starts - low) / span, 1e-9, 1.0 - 1e-9)
    t, loss = bfgs(inside, np.log(part) - np.log1p(-part), iterations)
    return low + span * 0.5 * (1.0 + np.tanh(0.5 * t)), loss
