"""The law of model size, unique images and passes gives the best run where images are limited: more data, or longer?

The law is `data_constrained` (`laws.forms_of_size`), the cost that of `laws.compute_optimal`: C = m (N D)^n with
D = U R, measured on the fitted runs. Of as many images seen, unique ones are worth more than repeated ones, so the best
run takes all the U it wants once while there are enough, and repeats them all after that: U = min(D, limit), R = D / U.
What is left to choose is D. At the best one, N and D pay alike: alpha A N^-alpha = beta B D'^-beta e, with

    e = d ln D' / d ln D = R exp(-(R - 1) / R*) / (1 + R* (1 - exp(-(R - 1) / R*))),

which is 1 up to the limit and falls beyond it. Both sides meet once; bisection in ln D finds where.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.laws.compute_optimal import (
    SCALES,
    about_cost,
    band_of,
    budgets_of,
    cost_law,
    has_optimum,
    no_optimum,
)
from neuroscaling.laws.forms_of_size import log_gain
from neuroscaling.laws.parametrisation import Weights
from neuroscaling.laws.point_checks import NotTestable

Array = NDArray[np.float64]
HALVINGS = 64
FARTHEST = 60.0  # ln R of the most passes that are looked at
LOG_P = (-60.0, 600.0)  # ln(Nt Dt) between which a score is looked for


def best_run(
    params: Array, cost: Array, compute: Any, images: float, scales: tuple[float, float, float] = SCALES
) -> tuple[Array, Array, Array]:
    """N, U and R (k, q) of the smallest misalignment at each compute (q,) in FLOPs with at most `images` unique images.

    params: E, A, alpha, B, beta, R* (k, 6); cost: exponent and factor (k, 2). Rows without an optimum (`has_optimum`)
    are NaN or infinite. Raises DataError for a compute or a number of images that is not above 0.
    """
    budget = _above_zero("compute", np.atleast_1d(np.asarray(compute, dtype=np.float64))) / scales[2]
    with np.errstate(all="ignore"):
        log_p = (np.log(budget) - np.log(cost[:, 1, None])) / cost[:, 0, None]
    return _run(params, log_p, _limit(images, scales), scales)


def cheapest_run(
    params: Array, cost: Array, score: float, images: float, scales: tuple[float, float, float] = SCALES
) -> tuple[Array, Array, Array, Array]:
    """N, U, R and C (k,) of the cheapest run with this score; infinite where no run with these images reaches it."""
    limit, asked = _limit(images, scales), 1.0 - score
    low, high = np.full(len(params), LOG_P[0]), np.full(len(params), LOG_P[1])
    never = ~(_misalignment(params, high[:, None], limit)[:, 0] < asked)
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        reached = _misalignment(params, middle[:, None], limit)[:, 0] <= asked
        low, high = np.where(reached, low, middle), np.where(reached, middle, high)
    n, u, r = (values[:, 0] for values in _run(params, high[:, None], limit, scales))
    with np.errstate(all="ignore"):
        c = scales[2] * np.exp(cost[:, 0] * high + np.log(cost[:, 1]))
    n, u, r, c = (np.where(never, np.inf, values) for values in (n, u, r, c))
    return n, u, r, c


def allocation_of_images(
    samples: Array,
    params: Array,
    x: Array,
    compute: Any,
    weights: Weights | None = None,
    images: float | None = None,
    grid: Any = None,
    scales: tuple[float, float, float] = SCALES,
    invert_y: bool = True,
) -> dict[str, Any]:
    """Cost, and the best N, U and R over a grid of compute with at most `images` unique images, with 95 % intervals.

    samples: E, A, alpha, B, beta, R* of the resamples (k, 6); params: of the fit (6,); x: N, U and R of the fitted runs
    (n, 3), compute: their FLOPs (n,); weights: (k, n), the runs in each resample, to each of which the cost is then
    fitted; images: by default the most of the fitted runs; grid: FLOPs (q,), by default `budgets_of`.
    Resamples without an optimum are left out of the intervals and counted as `dropped`. Raises NotTestable where the
    fit itself has no optimum, and DataError as `compute_optimal.cost_law` does.
    """
    n, u, r = np.asarray(x, dtype=np.float64).T
    samples, params = np.atleast_2d(samples), np.atleast_2d(params)
    images = float(u.max()) if images is None else images
    cost = np.stack(cost_law(n, u * r, compute, scales=scales), -1)
    costs = np.repeat(cost, len(samples), axis=0)
    if weights is not None:
        costs = np.stack(cost_law(n, u * r, compute, weights, scales), -1)
    if not has_optimum(params, cost).all():
        raise NotTestable(no_optimum(params[0], cost[0]))
    used = has_optimum(samples, costs)
    budgets = budgets_of(compute) if grid is None else np.atleast_1d(np.asarray(grid, dtype=np.float64))
    rows = [
        _with_score(own, best_run(own, costs_of, budgets, images, scales), scales, invert_y)
        for own, costs_of in ((params, cost), (samples[used], costs[used]))
    ]
    names = ("n_params", "n_samples", "passes", "n_samples_seen", "score")
    curve = {name: band_of(fit[0], values) for name, fit, values in zip(names, *rows, strict=True)}
    return {
        "mode": "corrected",
        "images": images,
        "cost": about_cost(cost[0], costs[used] if weights is not None else None),
        "exponents": {},
        "curve": {"compute": budgets.tolist(), **curve},
        "dropped": int((~used).sum()),
    }


def _with_score(
    params: Array, run: tuple[Array, Array, Array], scales: tuple[float, float, float], invert_y: bool
) -> tuple[Array, ...]:
    n, u, r = run
    E, A, alpha, B, beta, _ = (column[:, None] for column in params.T)
    with np.errstate(all="ignore"):
        log_d = np.log(u / scales[1]) + log_gain(r, np.log(params[:, 5, None]))[0]
        left = E + A * (n / scales[0]) ** -alpha + B * np.exp(-beta * log_d)
    return n, u, r, u * r, 1.0 - left if invert_y else left


def _run(params: Array, log_p: Array, limit: float, scales: tuple[float, float, float]) -> tuple[Array, Array, Array]:
    log_d = _log_seen(params, log_p, limit)
    with np.errstate(all="ignore"):
        log_u = np.minimum(log_d, limit)
        return scales[0] * np.exp(log_p - log_d), scales[1] * np.exp(log_u), np.exp(log_d - log_u)


def _log_seen(params: Array, log_p: Array, limit: float) -> Array:
    """ln Dt (k, q) of the best run at ln P (k, q), where at most exp(limit) images are there, in units of D."""
    _, A, alpha, B, beta, worn = (column[:, None] for column in params.T)
    with np.errstate(all="ignore"):
        level = np.log(alpha) + np.log(A) - np.log(beta) - np.log(B)
        free = (alpha * log_p - level) / (alpha + beta)
        low, high = np.zeros_like(free), np.full_like(free, FARTHEST)
        for _ in range(HALVINGS):
            log_r = 0.5 * (low + high)
            passes = np.exp(log_r)
            gain = log_gain(passes, np.log(worn))[0]
            elasticity = log_r - (passes - 1.0) / worn - gain
            # Positive where N, made smaller for the sake of D, is worth more than D.
            excess = level - alpha * (log_p - limit - log_r) + beta * (limit + gain) - elasticity
            low, high = np.where(excess < 0, log_r, low), np.where(excess < 0, high, log_r)
        return np.where(free <= limit, free, limit + 0.5 * (low + high))


def _misalignment(params: Array, log_p: Array, limit: float) -> Array:
    ones = (1.0, 1.0, 1.0)
    return _with_score(params, _run(params, log_p, limit, ones), ones, invert_y=False)[-1]


def _limit(images: float, scales: tuple[float, float, float]) -> float:
    return float(np.log(_above_zero("images", np.array([images], dtype=np.float64))[0] / scales[1]))


def _above_zero(name: str, values: Array) -> Array:
    if not (np.isfinite(values) & (values > 0)).all():
        allowed = "finite, > 0"
        raise DataError(Problem(what="a number above 0 is needed", where=name, value=values.tolist(), allowed=allowed))
    return values
