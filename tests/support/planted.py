"""Laws with known parameters, written out apart from `neuroscaling.laws`, and noisy scores that follow them."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
SCALE = 10.0
PLANTED: dict[str, tuple[Callable[..., Array], dict[str, float]]] = {
    "power_law": (lambda x, E, A, alpha: 1 - E - A * x**-alpha, {"E": 0.5, "A": 0.3, "alpha": 0.4}),
    "power_law_shift": (
        lambda x, E, A, alpha, shift: 1 - E - A * (x + shift) ** -alpha,
        {"E": 0.4, "A": 1.5, "alpha": 0.5, "shift": 20.0},
    ),
    "chinchilla": (
        lambda x, E, A, alpha, B, beta: 1 - E - A * x[:, 0] ** -alpha - B * x[:, 1] ** -beta,
        {"E": 0.45, "A": 0.2, "alpha": 0.5, "B": 0.3, "beta": 0.3},
    ),
    "power_law_ceiling": (lambda x, C, A, alpha: C - A * x**-alpha, {"C": 0.6, "A": 0.4, "alpha": 0.3}),
    "log_linear": (lambda x, a, b: a + b * np.log10(x), {"a": 0.1, "b": 0.08}),
    "sqrt_saturating": (lambda x, L, k: L * np.sqrt(x / (x + k)), {"L": 0.7, "k": 8.0}),
    "logistic": (lambda x, L, x50, s: L / (1 + (x50 / x) ** s), {"L": 0.7, "x50": 20.0, "s": 0.6}),
}
# Huber with a delta far below the noise is a median, whose variance is pi / 2 times that of a mean.
MEDIAN = float(np.sqrt(np.pi / 2))
ROBUST = ("power_law", "power_law_shift", "chinchilla")


def sizes(form: str, n: int) -> Array:
    """x / SCALE in no order: (n,) over four decades, or (n, 2) over three and four; the same at every call."""
    rng = np.random.default_rng(0)
    if form == "chinchilla":
        return 10.0 ** rng.uniform(0, [3, 4], (n, 2))
    return rng.permutation(np.geomspace(1, 1e4, n))


def true_scores(form: str, x: Array) -> Array:
    """The planted law at x, in the caller's unit (SCALE times the law's)."""
    law, params = PLANTED[form]
    return law(x / SCALE, **params)


def planted(form: str, n: int, noise: float, seed: int = 0) -> tuple[Array, Array]:
    """x in the caller's unit, and scores with normal noise (n,), drawn anew for every form, n, noise and seed."""
    x = sizes(form, n) * SCALE
    rng = np.random.default_rng([seed, list(PLANTED).index(form), n, round(1e6 * noise)])
    return x, true_scores(form, x) + rng.normal(0, noise, n)


def standard_errors(form: str, n: int, noise: float) -> Array:
    """What least squares (or the median) would give for the law made linear at the truth: (p,)."""
    law, params = PLANTED[form]
    x = sizes(form, n)
    columns = []
    for name, value in params.items():
        up, down = (law(x, **params | {name: value * factor}) for factor in (1 + 1e-6, 1 - 1e-6))
        columns.append((up - down) / (2e-6 * value))
    jacobian = np.stack(columns, -1)
    factor = MEDIAN if form in ROBUST else 1.0
    return factor * noise * np.sqrt(np.diag(np.linalg.inv(jacobian.T @ jacobian)))
