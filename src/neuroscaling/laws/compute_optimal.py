"""The law of model and data size gives the sizes that use a compute best.

Nt = N / 1e5, Dt = D / 1e4, Ct = C / 1e9 (`SCALES`). Gokce & Schrimpf 2025 measure the cost instead of taking 6 N D: the
regression log10 Ct = n log10(Nt Dt) + log10 m. With P = (Ct / m)^(1/n) = Nt Dt, the smallest misalignment is at

    Nt = G P^(beta / (alpha + beta)),  Dt = P^(alpha / (alpha + beta)) / G,
    G = (alpha A / (beta B))^(1 / (alpha + beta)),

where alpha A Nt^-alpha = beta B Dt^-beta. Mode "parity" has 1 / G in place of G, as published, where exponents with a
minus sign were put into the formula of G: N is then wrong by the factor 1 / G^2 and D by G^2; their product, and so C,
is right. Parity also holds m and n fixed in the resamples; "corrected" fits them to each.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.laws.bootstrap import interval
from neuroscaling.laws.parametrisation import Weights
from neuroscaling.laws.point_checks import MODES, NotTestable, as_float_array

Array = NDArray[np.float64]
SCALES = (1e5, 1e4, 1e9)
LEVELS = (2.5, 50.0, 97.5)
GRID = (1e14, 3e20, 100)
SIZE_COLUMNS = ("n_params", "n_samples_seen")


def cost_law(
    n_params: Any, n_samples_seen: Any, compute: Any, weights: Any = None, scales: tuple[float, float, float] = SCALES
) -> tuple[Array, Array]:
    """Exponent n (k,) and factor m (k,) of Ct = m (Nt Dt)^n, by least squares of log10 Ct, for all resamples at once.

    n_params, n_samples_seen, compute: (n,), the runs; weights: (k, n), how often each run is in each resample, or None
    for the runs as they are (k = 1). A resample in which N D is the same for all runs has NaN. Raises DataError where a
    number is missing or not positive, where lengths differ, and where N D is the same for all runs.
    """
    columns = {"n_params": n_params, "n_samples_seen": n_samples_seen, "total_flops": compute}
    n, d, c = (_positive(name, values) for name, values in columns.items())
    if not len(n) == len(d) == len(c):
        raise DataError(
            Problem(
                what="one N, D and C a run is needed", where="runs", value=f"{len(n)}, {len(d)} and {len(c)} numbers"
            )
        )
    w = np.ones((1, len(n))) if weights is None else np.atleast_2d(np.asarray(weights, dtype=np.float64))
    if w.shape[1] != len(n):
        raise DataError(
            Problem(what="one weight a run is needed", where="weights", value=w.shape[1], allowed=f"{len(n)} columns")
        )
    x = np.log10(n / scales[0]) + np.log10(d / scales[1])
    if not np.ptp(x) > 1e-9:
        fix = "add runs of other sizes, or lengths of training"
        raise DataError(
            Problem(what="N D is the same for all runs: no cost can be told", where="runs", value=len(n), fix=fix)
        )
    return _regression(x, np.log10(c / scales[2]), w)


def run_at_compute(
    params: Array, cost: Array, compute: Any, mode: str = "corrected", scales: tuple[float, float, float] = SCALES
) -> tuple[Array, Array]:
    """N and D (k, q) of the smallest misalignment at each compute (q,) in FLOPs.

    params: E, A, alpha, B, beta (k, 5); cost: exponent and factor (k, 2). Rows without an optimum (`has_optimum`) are
    NaN or infinite. Raises DataError for an unknown mode and for a compute that is not positive.
    """
    budget = _positive("compute", np.atleast_1d(compute)) / scales[2]
    with np.errstate(all="ignore"):
        log_p = (np.log(budget) - np.log(cost[:, 1, None])) / cost[:, 0, None]
        log_n, log_d = _sizes(params, log_p, mode)
        return scales[0] * np.exp(log_n), scales[1] * np.exp(log_d)


def run_at_score(
    params: Array, cost: Array, score: float, mode: str = "corrected", scales: tuple[float, float, float] = SCALES
) -> tuple[Array, Array, Array]:
    """N, D and C (k,) of the cheapest run with this score; infinite where the score is at or beyond 1 - E.

    Along the optimum both reducible terms fall as P^(-alpha beta / (alpha + beta)), so the score gives P directly.
    """
    E, _, alpha, _, beta = params.T
    with np.errstate(all="ignore"):
        at_one = _reducible(params, *(np.exp(v) for v in _sizes(params, np.zeros((len(params), 1)), mode)))[:, 0]
        log_p = (np.log(at_one) - np.log(1.0 - score - E)) * (alpha + beta) / (alpha * beta)
        log_n, log_d = _sizes(params, log_p[:, None], mode)
        log_c = cost[:, 0] * log_p + np.log(cost[:, 1])
        found = [scales[0] * np.exp(log_n[:, 0]), scales[1] * np.exp(log_d[:, 0]), scales[2] * np.exp(log_c)]
        n, d, c = (np.where(1.0 - score > E, values, np.inf) for values in found)
    return n, d, c


def has_optimum(params: Array, cost: Array) -> NDArray[np.bool_]:
    """Which rows (k,) have an optimum: finite, and with positive A, alpha, B, beta and exponent and factor of cost."""
    numbers = np.concatenate([params, cost], axis=1)
    return np.isfinite(numbers).all(1) & (numbers[:, 1:] > 0).all(1)


def allocation(
    samples: Array,
    params: Array,
    n_params: Any,
    n_samples_seen: Any,
    compute: Any,
    weights: Weights | None = None,
    mode: str = "corrected",
    grid: Any = None,
    scales: tuple[float, float, float] = SCALES,
    invert_y: bool = True,
) -> dict[str, Any]:
    """Cost, exponents of N and D in C, and the optimum over a grid of compute, each with 95 % intervals.

    samples: E, A, alpha, B, beta of the resamples (k, 5); params: of the fit (5,); n_params, n_samples_seen, compute:
    the fitted runs (n,); weights: (k, n), the runs in each resample; grid: FLOPs (q,), by default those of
    `budgets_of`. invert_y: whether the law describes 1 - y, so that the curve's `score` is y, or y itself, which it
    then holds. In mode "parity", or without weights, the cost is held fixed and has no interval (None). Resamples
    without an optimum are left out of the intervals and counted as `dropped`. Raises NotTestable where the fit itself
    has no optimum, and DataError as `cost_law` does. Source: Gokce & Schrimpf 2025; the differences: head of this file.
    """
    samples, params = np.atleast_2d(samples), np.atleast_2d(params)
    cost = np.stack(cost_law(n_params, n_samples_seen, compute, scales=scales), -1)
    refit = mode == "corrected" and weights is not None
    costs = np.repeat(cost, len(samples), axis=0)
    if refit:
        costs = np.stack(cost_law(n_params, n_samples_seen, compute, weights, scales), -1)
    if not has_optimum(params, cost).all():
        raise NotTestable(no_optimum(params[0], cost[0]))
    used = has_optimum(samples, costs)
    budgets = budgets_of(compute, mode) if grid is None else np.atleast_1d(np.asarray(grid, dtype=np.float64))
    return {
        "mode": mode,
        "cost": about_cost(cost[0], costs[used] if refit else None),
        "exponents": _exponents(params, cost, samples[used], costs[used]),
        "curve": _curve((params, cost), (samples[used], costs[used]), budgets, mode, scales, invert_y),
        "dropped": int((~used).sum()),
    }


def _positive(name: str, values: Any) -> Array:
    plain = as_float_array(values)
    wrong = np.flatnonzero(~(np.isfinite(plain) & (plain > 0)))
    if wrong.size:
        found = f"rows {listing(wrong.tolist())}: {listing(plain[wrong].tolist(), 3)}"
        raise DataError(
            Problem(
                what=f"{name} must be a number above 0: {wrong.size} are not",
                where=name,
                value=found,
                allowed="finite, > 0",
            )
        )
    return plain


def _regression(x: Array, y: Array, weights: Array) -> tuple[Array, Array]:
    """Slope (k,) and 10^intercept (k,) of y (n,) on x (n,) with weights (k, n); centred first, for precision."""
    x_centre, y_centre = x.mean(), y.mean()
    x, y = x - x_centre, y - y_centre
    total = weights.sum(1)
    with np.errstate(all="ignore"):
        x_mean, y_mean = weights @ x / total, weights @ y / total
        spread = weights @ x**2 / total - x_mean**2
        slope = (weights @ (x * y) / total - x_mean * y_mean) / np.where(spread > 1e-12, spread, np.nan)
        return slope, 10.0 ** (y_centre + y_mean - slope * (x_centre + x_mean))


def _sizes(params: Array, log_p: Array, mode: str) -> tuple[Array, Array]:
    """ln Nt and ln Dt (k, q) at ln P (k, q), in logs so that no power overflows."""
    if mode not in MODES:
        raise DataError(
            Problem(
                what="unknown mode", where="mode", value=mode, allowed=", ".join(MODES), nearest=nearest(mode, MODES)
            )
        )
    _, A, alpha, B, beta = (column[:, None] for column in params.T)
    log_g = (np.log(alpha) + np.log(A) - np.log(beta) - np.log(B)) / (alpha + beta)
    log_g = log_g if mode == "corrected" else -log_g
    return log_g + beta / (alpha + beta) * log_p, alpha / (alpha + beta) * log_p - log_g


def _reducible(params: Array, n: Array, d: Array) -> Array:
    """The misalignment above E (k, q) at Nt, Dt (k, q)."""
    _, A, alpha, B, beta = (column[:, None] for column in params.T)
    return A * n**-alpha + B * d**-beta


def no_optimum(params: Array, cost: Array) -> Problem:
    """What is wrong with a law, E, A, alpha, B, beta (and more), and a cost (2,) that have no optimum."""
    found = ", ".join(f"{n} {v:.3g}" for n, v in zip(("A", "alpha", "B", "beta"), params[1:5], strict=True))
    found += f", cost exponent {cost[0]:.3g}"
    return Problem(what="the law has no compute-optimal run", where="allocation", value=found, allowed="all above 0")


def about_cost(cost: Array, costs: Array | None) -> dict[str, Any]:
    """Exponent and factor of the cost (2,), with their 95 % intervals from the resamples (k, 2), or None without."""
    names = ("exponent", "factor")
    about: dict[str, Any] = {name: float(cost[j]) for j, name in enumerate(names)}
    return about | {f"{name}_ci95": None if costs is None else interval(costs[:, j]) for j, name in enumerate(names)}


def _exponents(params: Array, cost: Array, samples: Array, costs: Array) -> dict[str, Any]:
    """Exponents of N and D in C: beta / (alpha + beta) / n and alpha / (alpha + beta) / n."""
    out = {}
    for name, column in zip(SIZE_COLUMNS, (4, 2), strict=True):
        value, values = (p[:, column] / (p[:, 2] + p[:, 4]) / c[:, 0] for p, c in ((params, cost), (samples, costs)))
        out[name] = {"value": float(value[0]), "ci95": interval(values)}
    return out


def _curve(
    fitted: tuple[Array, Array],
    resampled: tuple[Array, Array],
    compute: Array,
    mode: str,
    scales: tuple[float, float, float],
    invert_y: bool,
) -> dict[str, Any]:
    """The optimum at each compute (q,): N, D and score, of the fit and as percentiles of the resamples."""
    rows = []
    for params, cost in (fitted, resampled):
        n, d = run_at_compute(params, cost, compute, mode, scales)
        left = params[:, :1] + _reducible(params, n / scales[0], d / scales[1])
        rows.append((n, d, 1.0 - left if invert_y else left))
    columns = {name: band_of(fit[0], values) for name, fit, values in zip((*SIZE_COLUMNS, "score"), *rows, strict=True)}
    return {"compute": compute.tolist(), **columns}


def budgets_of(compute: Any, mode: str = "corrected") -> Array:
    """100 numbers of FLOPs: the published range, in mode "corrected" widened to that of the runs, `compute` (n,)."""
    lowest, highest, number = GRID
    if mode == "parity":
        return np.geomspace(*GRID)
    known = as_float_array(compute)
    return np.geomspace(min(lowest, known.min()), max(highest, known.max()), number)


def band_of(fit: Array, values: Array) -> dict[str, list[float]]:
    """A fit (q,) with the percentiles LEVELS of its resamples (k, q)."""
    low, middle, high = np.percentile(values, LEVELS, axis=0) if len(values) else np.full((3, fit.size), np.nan)
    return {"fit": fit.tolist(), "p2.5": low.tolist(), "p50": middle.tolist(), "p97.5": high.tolist()}
