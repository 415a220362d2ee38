"""Many small optimisations at once: BFGS with a weak-Wolfe line search, all starts and resamples in step.

The Huber loss with delta 1e-3 is nearly an L1 loss, whose kinks make the strong Wolfe conditions fail; the weak ones,
found by bisection, suffice for BFGS (Lewis & Overton 2013, "Nonsmooth optimization via quasi-Newton methods").
Shapes: m problems, p parameters, n points, k distinct weightings of the points.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from neuroscaling.laws.forms import Form

Array = NDArray[np.float64]
Objective = Callable[[Array, NDArray[np.intp]], tuple[Array, Array]]

ARMIJO, CURVATURE = 1e-4, 0.9
MAX_BISECTIONS = 40
STALLED = 1e-13
PATIENCE = 4
BLOCK = 4_000_000  # numbers in one (problems, points) array: bounds the memory of many resamples


@dataclass(frozen=True)
class Data:
    """What a law is fitted to: log_x (n,), target (n,) in the form's space, and the loss."""

    form: Form
    log_x: Array
    target: Array
    loss: Callable[[Array], tuple[Array, Array]]


def losses(data: Data, theta: Array, weights: Array) -> tuple[Array, Array]:
    """Weighted loss (m,) and its gradient (m, p) at theta (m, p), with weights (m, n)."""
    values, jacobian = data.form.inner(theta, data.log_x)
    rho, slope = data.loss(values - data.target)
    return (weights * rho).sum(1), np.einsum("mn,mnp->mp", weights * slope, jacobian)


def solve(data: Data, starts: Array, weights: Array, bounded: bool, max_iterations: int = 400) -> tuple[Array, Array]:
    """Local minima reached from `starts` (m, p), each with its `weights` (m, n): inner parameters (m, p), losses (m,).

    bounded: keep the parameters within the form's bounds, by the map theta = low + (high - low) sigmoid(t).
    """
    rows = max(1, BLOCK // (data.log_x.size * starts.shape[1]))
    parts = [
        _solve_block(data, starts[i : i + rows], weights[i : i + rows], bounded, max_iterations)
        for i in range(0, len(starts), rows)
    ]
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts])


def multi_start(data: Data, bounded: bool, keep: int = 3) -> tuple[Array, Array]:
    """Distinct minima of the unweighted loss, best first: inner parameters (<= keep, p) and losses."""
    starts = data.form.starts(data.log_x, data.target)
    theta, loss = solve(data, starts, np.ones((len(starts), data.log_x.size)), bounded)
    order = np.argsort(np.where(np.isfinite(loss), loss, np.inf), kind="stable")
    chosen: list[int] = []
    for i in order:
        if np.isfinite(loss[i]) and all(_differ(theta[i], theta[j]) for j in chosen):
            chosen.append(int(i))
        if len(chosen) == keep:
            break
    return theta[chosen], loss[chosen]


def refit(data: Data, minima: Array, weights: Array, bounded: bool) -> tuple[Array, Array]:
    """The best minimum for each weighting (k, n), started from every one of `minima` (s, p): (k, p) and (k,)."""
    k, s = len(weights), len(minima)
    theta, loss = solve(data, np.tile(minima, (k, 1)), np.repeat(weights, s, axis=0), bounded)
    loss = np.where(np.isfinite(loss), loss, np.inf).reshape(k, s)
    best = loss.argmin(1)
    return theta.reshape(k, s, -1)[np.arange(k), best], loss[np.arange(k), best]


def _differ(a: Array, b: Array) -> bool:
    return bool(np.max(np.abs(a - b) / (1.0 + np.abs(b))) > 1e-2)


def _solve_block(data: Data, starts: Array, weights: Array, bounded: bool, max_iterations: int) -> tuple[Array, Array]:
    if not bounded:
        return bfgs(lambda t, i: losses(data, t, weights[i]), starts, max_iterations)
    low, high = data.form.bounds.T
    span = high - low

    def objective(t: Array, i: NDArray[np.intp]) -> tuple[Array, Array]:
        part = 0.5 * (1.0 + np.tanh(0.5 * t))
        value, gradient = losses(data, low + span * part, weights[i])
        return value, gradient * span * part * (1.0 - part)

    part = np.clip((starts - low) / span, 1e-3, 1.0 - 1e-3)
    t, loss = bfgs(objective, np.log(part) - np.log1p(-part), max_iterations)
    return low + span * 0.5 * (1.0 + np.tanh(0.5 * t)), loss


def bfgs(objective: Objective, starts: Array, max_iterations: int = 400) -> tuple[Array, Array]:
    """Minimise m functions of p variables from `starts` (m, p); returns the minima (m, p) and their values (m,).

    objective(x (q, p), index (q,)): values and gradients of the functions numbered `index`, so that problems that have
    converged cost nothing.
    """
    x = starts.astype(np.float64).copy()
    m, p = x.shape
    with np.errstate(all="ignore"):
        f, g = objective(x, np.arange(m))
    inverse = np.tile(np.eye(p), (m, 1, 1))
    fresh = np.ones(m, dtype=bool)
    stalled = np.zeros(m, dtype=int)
    active = np.flatnonzero(np.isfinite(f) & np.isfinite(g).all(1))
    for _ in range(max_iterations):
        active = active[np.abs(g[active]).max(1, initial=0.0) > 1e-14]
        if not active.size:
            break
        direction = _descent(inverse, g, active, fresh)
        step, value, gradient, found = _line_search(objective, x, f, g, direction, active, fresh)
        moved, new_g = step[:, None] * direction, gradient
        gain = f[active] - value
        stalled[active] = np.where(gain <= STALLED * np.abs(f[active]), stalled[active] + 1, 0)
        _update(inverse, active, moved, new_g - g[active], fresh, found)
        x[active] += moved
        f[active], g[active] = value, new_g
        # A search that fails with a fresh (identity) matrix can't be helped; otherwise start over from the gradient.
        hopeless = ~found & fresh[active]
        fresh[active] = ~found
        active = active[~hopeless & (stalled[active] < PATIENCE)]
    return x, f


def _descent(inverse: Array, g: Array, active: NDArray[np.intp], fresh: NDArray[np.bool_]) -> Array:
    """Quasi-Newton directions (q, p); the plain gradient where the matrix gives no descent."""
    inverse[active[fresh[active]]] = np.eye(g.shape[1])
    direction = -np.einsum("qij,qj->qi", inverse[active], g[active])
    wrong = ~((direction * g[active]).sum(1) < 0)
    inverse[active[wrong]] = np.eye(g.shape[1])
    fresh[active[wrong]] = True
    direction[wrong] = -g[active[wrong]]
    return direction


def _line_search(
    objective: Objective,
    x: Array,
    f: Array,
    g: Array,
    direction: Array,
    active: NDArray[np.intp],
    fresh: NDArray[np.bool_],
) -> tuple[Array, Array, Array, NDArray[np.bool_]]:
    """Steps (q,) that meet the weak Wolfe conditions, value and gradient there, and whether a step was found."""
    q = active.size
    slope = (direction * g[active]).sum(1)
    length = np.sqrt((direction**2).sum(1))
    t = np.where(fresh[active], np.minimum(1.0, 0.3 / (length + 1e-300)), 1.0)
    t = np.where(fresh[active] & (length < 1e-2), 0.1 / (length + 1e-300), t)
    low, high = np.zeros(q), np.full(q, np.inf)
    step, value, gradient = np.zeros(q), f[active].copy(), g[active].copy()
    found = np.zeros(q, dtype=bool)
    pending = np.arange(q)
    for _ in range(MAX_BISECTIONS):
        with np.errstate(all="ignore"):
            trial, trial_g = objective(x[active[pending]] + t[pending, None] * direction[pending], active[pending])
        enough = trial <= f[active[pending]] + ARMIJO * t[pending] * slope[pending]
        enough &= np.isfinite(trial_g).all(1)
        flat = (trial_g * direction[pending]).sum(1) >= CURVATURE * slope[pending]
        kept = pending[enough]
        step[kept], value[kept], gradient[kept], low[kept] = t[kept], trial[enough], trial_g[enough], t[kept]
        high[pending[~enough]] = t[pending[~enough]]
        found[pending[enough & flat]] = True
        pending = pending[~(enough & flat)]
        if not pending.size:
            break
        t[pending] = np.where(np.isinf(high[pending]), 2.0 * t[pending], 0.5 * (low[pending] + high[pending]))
    return step, value, gradient, found | (step > 0)


def _update(
    inverse: Array, active: NDArray[np.intp], s: Array, y: Array, fresh: NDArray[np.bool_], found: NDArray[np.bool_]
) -> None:
    """The BFGS update of the inverse Hessians of the problems whose step was found and has positive curvature."""
    sy, yy = (s * y).sum(1), (y * y).sum(1)
    good = found & (sy > 1e-300) & np.isfinite(sy) & (yy > 1e-300)
    rows, s, y, sy, yy = active[good], s[good], y[good], sy[good], yy[good]
    scaled = fresh[rows]
    inverse[rows[scaled]] = (sy[scaled] / yy[scaled])[:, None, None] * np.eye(s.shape[1])
    H = inverse[rows]
    Hy = np.einsum("qij,qj->qi", H, y)
    yHy = (y * Hy).sum(1)
    outer = s[:, :, None] * Hy[:, None, :]
    correction = ((sy + yHy) / sy**2)[:, None, None] * (s[:, :, None] * s[:, None, :])
    inverse[rows] = H + correction - (outer + outer.transpose(0, 2, 1)) / sy[:, None, None]
