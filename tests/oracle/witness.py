"""The published solver, written from its description: scipy's BFGS with numerical gradients from every point of a grid.

Gokce & Schrimpf 2025 fit ln(E + A x^-alpha) and its two relatives to ln(1 - score), by the sum of Huber losses with
delta 1e-3. Other forms have no published solver; they get the same one and a grid of a few values a parameter, those of
the score itself half the sum of squares. Nothing here is shared with `neuroscaling.laws`, so that each can judge the
other. x is always in the units of the law: divided by its scale.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

Array = NDArray[np.float64]
DELTA = 1e-3
HALVES = (0.0, 0.5, 1.0, 1.5, 2.0)
LN_A = (0.0, 5.0, 10.0, 15.0, 20.0, 25.0)
LN_E = (-1.0, -0.5, 0.0, 0.5, 1.0)
LEVELS = (0.2, 0.4, 0.6, 0.8, 1.0)


@dataclass(frozen=True)
class Law:
    """value: (theta, ln x) -> what is fitted to ln(1 - score) where `log` is true, else to the score.

    grid: the starting points, one tuple of values a parameter of theta; natural: theta -> parameters by name.
    """

    value: Callable[[Array, Array], Array]
    grid: tuple[tuple[float, ...], ...]
    natural: Callable[[Array], dict[str, float]]
    log: bool


@dataclass(frozen=True)
class Found:
    """The best of all starts: its loss (a sum), fitted theta, natural parameters, and how many starts were tried."""

    loss: float
    theta: Array
    params: dict[str, float]
    starts: int


def power_law(theta: Array, log_x: Array) -> Array:
    """theta = (ln E, ln A, alpha)."""
    e, a, alpha = theta
    return np.logaddexp(a - alpha * log_x, e)


def power_law_shift(theta: Array, log_x: Array) -> Array:
    """theta = (ln E, ln A, log10 of the shift, alpha)."""
    e, a, exponent, alpha = theta
    return np.logaddexp(a - alpha * np.log(np.exp(log_x) + 10.0**exponent), e)


def chinchilla(theta: Array, log_x: Array) -> Array:
    """theta = (ln E, ln A, alpha, ln B, beta); log_x (n, 2)."""
    e, a, alpha, b, beta = theta
    return np.logaddexp(np.logaddexp(a - alpha * log_x[:, 0], b - beta * log_x[:, 1]), e)


def broken_power_law(theta: Array, log_x: Array) -> Array:
    """theta = (ln E, ln A, c0, c1, ln d1, ln f1); Caballero and others 2023, equation 1 with one break."""
    e, a, before, gained, at, width = theta
    bend = np.logaddexp(0.0, (log_x - at) / np.exp(width))
    return np.logaddexp(a - before * log_x - gained * np.exp(width) * bend, e)


def data_constrained(theta: Array, log_x: Array) -> Array:
    """theta = (ln E, ln A, alpha, ln B, beta, ln R*); log_x (n, 3); Muennighoff and others 2023, equation 5."""
    e, a, alpha, b, beta, worn = theta
    limit, (n, unique, passes) = np.exp(worn), log_x.T
    data = np.exp(unique) * (1.0 + limit * (1.0 - np.exp(-(np.exp(passes) - 1.0) / limit)))
    return np.logaddexp(np.logaddexp(a - alpha * n, b - beta * np.log(data)), e)


def log_linear(theta: Array, log_x: Array) -> Array:
    """theta = (a, b)."""
    return theta[0] + theta[1] * log_x / np.log(10.0)


def power_law_ceiling(theta: Array, log_x: Array) -> Array:
    """theta = (C, ln A, alpha)."""
    return theta[0] - np.exp(theta[1] - theta[2] * log_x)


def sqrt_saturating(theta: Array, log_x: Array) -> Array:
    """theta = (L, ln k)."""
    return theta[0] / np.sqrt(1.0 + np.exp(theta[1] - log_x))


def logistic(theta: Array, log_x: Array) -> Array:
    """theta = (L, ln x50, s)."""
    return theta[0] / (1.0 + np.exp(theta[2] * (theta[1] - log_x)))


def chinchilla_parameters(theta: Array) -> dict[str, float]:
    """Natural parameters from theta = (ln E, ln A, alpha, ln B, beta, ...)."""
    return {"E": np.exp(theta[0]), "A": np.exp(theta[1]), "alpha": theta[2], "B": np.exp(theta[3]), "beta": theta[4]}


LAWS = {
    "power_law": Law(
        power_law,
        (LN_E, LN_A, HALVES),
        lambda t: {"E": np.exp(t[0]), "A": np.exp(t[1]), "alpha": t[2]},
        True,
    ),
    "power_law_shift": Law(
        power_law_shift,
        (LN_E, LN_A, HALVES, HALVES),
        lambda t: {"E": np.exp(t[0]), "A": np.exp(t[1]), "alpha": t[3], "shift": 10.0 ** t[2]},
        True,
    ),
    "chinchilla": Law(
        chinchilla,
        (LN_E, LN_A, HALVES, LN_A, HALVES),
        chinchilla_parameters,
        True,
    ),
    "broken_power_law": Law(
        broken_power_law,
        (LN_E, (-1.0, 0.0, 1.0), (0.0, 0.3), (0.3, 1.0), (2.0, 4.0, 8.0), (-1.0, 0.0)),
        lambda t: {
            "E": np.exp(t[0]),
            "A": np.exp(t[1]),
            "c0": t[2],
            "c1": t[3],
            "d1": np.exp(t[4]),
            "f1": np.exp(t[5]),
        },
        True,
    ),
    "data_constrained": Law(
        data_constrained,
        (LN_E, (-1.0, 0.0, 5.0), (0.5, 1.0), (-1.0, 0.0, 5.0), (0.5, 1.0), (0.0, 3.0, 6.0)),
        lambda t: chinchilla_parameters(t) | {"R_star": np.exp(t[5])},
        True,
    ),
    "log_linear": Law(
        log_linear,
        ((-0.5, 0.0, 0.25, 0.5, 1.0), (-0.1, 0.0, 0.05, 0.1, 0.2)),
        lambda t: {"a": t[0], "b": t[1]},
        False,
    ),
    "power_law_ceiling": Law(
        power_law_ceiling,
        (LEVELS, (-3.0, -2.0, -1.0, 0.0, 1.0), (0.1, 0.2, 0.5, 1.0, 2.0)),
        lambda t: {"C": t[0], "A": np.exp(t[1]), "alpha": t[2]},
        False,
    ),
    "sqrt_saturating": Law(
        sqrt_saturating,
        (LEVELS, (-2.0, 0.0, 2.0, 4.0, 8.0)),
        lambda t: {"L": t[0], "k": np.exp(t[1])},
        False,
    ),
    "logistic": Law(
        logistic,
        (LEVELS, (-2.0, 0.0, 2.0, 4.0, 8.0), (0.1, 0.3, 1.0, 2.0, 5.0)),
        lambda t: {"L": t[0], "x50": np.exp(t[1]), "s": t[2]},
        False,
    ),
}


def grid(form: str) -> list[tuple[float, ...]]:
    """All starting points of `form`, in the order of its parameters theta."""
    return list(product(*LAWS[form].grid))


def some_starts(form: str, count: int, seed: int = 0) -> list[tuple[float, ...]]:
    """`count` points of the grid, drawn without replacement."""
    points = grid(form)
    return [points[i] for i in np.random.default_rng(seed).choice(len(points), count, replace=False)]


def objective(form: str, x: Array, y: Array, weights: Array | None = None) -> Callable[[Array], float]:
    """The loss as a function of theta, for x (n,), (n, 2) or (n, 3) and y (n,).

    y is what the law describes: 1 - score for the laws of misalignment, the score for the others. weights: integers
    (n,): how often each point occurs; the points are then repeated, as the published code copies rows.
    """
    law = LAWS[form]
    rows = np.arange(len(y)) if weights is None else np.repeat(np.arange(len(y)), np.asarray(weights, dtype=int))
    log_x, value = np.log(np.asarray(x, dtype=float))[rows], law.value
    if not law.log:
        scores = np.asarray(y, dtype=float)[rows]
        return lambda theta: 0.5 * float(np.sum((value(theta, log_x) - scores) ** 2))
    target = np.log(np.asarray(y, dtype=float))[rows]

    def huber_sum(theta: Array) -> float:
        size = np.abs(value(theta, log_x) - target)
        return float(np.where(size <= DELTA, 0.5 * size**2, DELTA * (size - 0.5 * DELTA)).sum())

    return huber_sum


def solve(
    form: str,
    x: Array,
    y: Array,
    weights: Array | None = None,
    starts: list[tuple[float, ...]] | None = None,
) -> Found:
    """The lowest loss that BFGS reaches from `starts` (by default the whole grid); failures are passed over silently,
    as published. For x, y and weights see `objective`."""
    loss = objective(form, x, y, weights)
    points = grid(form) if starts is None else starts
    best, theta = np.inf, np.full(len(LAWS[form].grid), np.nan)
    with np.errstate(all="ignore"):
        for start in points:
            result = minimize(loss, np.array(start), method="BFGS")
            if result.fun < best:
                best, theta = float(result.fun), result.x
        params = {name: float(value) for name, value in LAWS[form].natural(theta).items()}
    return Found(best, theta, params, len(points))
