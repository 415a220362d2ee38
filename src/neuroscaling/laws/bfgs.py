"""BFGS with a weak-Wolfe line search solves many small minimisations at once, all in step.

A Huber loss with delta 1e-3 is nearly an L1 loss, whose kinks make the strong Wolfe conditions fail; the weak ones,
found by bisection, suffice for BFGS (Lewis & Overton 2013, "Nonsmooth optimization via quasi-Newton methods").
Shapes: m problems, q of them still active, p parameters.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Objective = Callable[[Array, NDArray[np.intp]], tuple[Array, Array]]

ARMIJO, CURVATURE = 1e-4, 0.9
MAX_BISECTIONS = 40
STALLED = 1e-13
PATIENCE = 4
INVISIBLE = 1e-16  # part of the value below which a gain is lost in its last digit


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
        slope = (direction * g[active]).sum(1)
        hopeless = ~found & (fresh[active] | (-slope <= INVISIBLE * np.abs(f[active])))
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
        t[pending] = np.where(np.isinf(high[pending]), 2.0 * t[pending], 0.5 * (low[pending] + high[pending]))
        # A step whose gain would be lost in the last digit of the value needs no trial.
        pending = pending[t[pending] * -slope[pending] > INVISIBLE * np.abs(f[active[pending]])]
        if not pending.size:
            break
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
