"""The broken power law has one exponent before a break and another after it.

Caballero and others 2023 ("Broken Neural Scaling Laws", equation 1) with one break, in their names but for E and A:

    1 - score = E + A x^-c0 (1 + (x / d1)^(1 / f1))^(-c1 f1).

The exponent is c0 for x far below d1 and c0 + c1 far above it; f1 is the width of the change in ln x. The inner
coordinates hold c0 + c1 in place of c1, which keeps the reducible part falling for large x, so that E is its end.
"""

import numpy as np

from neuroscaling.laws.parametrisation import (
    AMPLITUDE,
    LOG_X_BOUNDS,
    MISALIGNMENT,
    Array,
    Form,
    Parameter,
    Slopes,
    expit,
    log_sum,
    product,
)


def _softplus(z: Array) -> Array:
    """ln(1 + exp(z)), without overflow."""
    return np.maximum(z, 0.0) + np.log1p(np.exp(-np.abs(z)))


def _inner(theta: Array, log_x: Array) -> tuple[Array, Slopes]:
    """theta = (ln E, ln A, c0, c0 + c1, ln d1, ln f1)."""
    before, after, log_d, width = theta[:, 2, None], theta[:, 3, None], theta[:, 4, None], np.exp(theta[:, 5, None])
    z = (log_x - log_d) / width
    bend, passed = _softplus(z), expit(z)
    change = after - before
    power = theta[:, 1, None] - before * log_x - change * width * bend
    values = log_sum(theta[:, 0, None], power)
    share = np.exp(power - values)
    of_exponents = share * (width * bend - log_x), -share * width * bend
    of_break = share * change * passed, -share * change * width * (bend - z * passed)
    return values, (1.0 - share, share, *of_exponents, *of_break)


def _curve(x: Array, E: float, A: float, c0: float, c1: float, d1: float, f1: float) -> Array:
    x = np.asarray(x, dtype=np.float64)
    bend = f1 * _softplus(np.log(x / d1) / f1)
    return 1.0 - E - A * x**-c0 * np.exp(-c1 * bend)


def _rescale(natural: Array, ratio: Array) -> Array:
    E, A, before, after, d1, f1 = natural.T
    return np.stack([E, A * ratio**-before, before, after - before, d1 / ratio, f1], -1)


def _starts(log_x: Array, target: Array) -> Array:
    low, breaks = np.min(target), np.quantile(log_x, [0.2, 0.5, 0.8])
    exponents = [0.0, 0.3], [0.2, 0.6]
    return product(low + np.log([0.3, 0.8, 0.97]), np.log([0.05, 0.3]), *exponents, breaks, np.log([0.1, 1.0]))


BROKEN_POWER_LAW = Form(
    name="broken_power_law",
    expression="1 - score = E + A x^-c0 (1 + (x / d1)^(1/f1))^(-c1 f1)",
    parameters=(
        MISALIGNMENT,
        AMPLITUDE,
        Parameter("c0", "exponent of the reducible part far below the break", "1", (-2.0, 5.0)),
        Parameter(
            "c1",
            "what the exponent gains at the break",
            "1",
            (0.0, 5.0),
            inner="exponent after the break",
            follows="c0",
        ),
        Parameter("d1", "x of the break", "x_scale", LOG_X_BOUNDS, True),
        Parameter("f1", "width of the break in ln x", "1", (float(np.log(0.02)), float(np.log(20.0))), True),
    ),
    space="misalignment",
    loss="huber",
    inner=_inner,
    curve=_curve,
    starts=_starts,
    rescale=_rescale,
    asymptote="E",
)
