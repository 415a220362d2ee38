"""1 - score = E + A (x + shift)^-alpha: the shifted law of Gokce & Schrimpf 2025 (`power_law_shift`).

A, alpha and the shift lie on a ridge whose far end is an exponential, where a solver creeps. The inner coordinates run
along and across it instead: the reducible part u and its exponent k = -d ln u / d ln x at the mean of x, and ln c with
c the shift in units of that mean. ln u(x) = ln u - k (1 + c) ln((x + c) / (1 + c)) stays finite as c grows.
"""

from dataclasses import replace

import numpy as np

from neuroscaling.laws.forms.base import (
    AMPLITUDE,
    MISALIGNMENT,
    Array,
    Form,
    Parameter,
    Slopes,
    log_sum,
    product,
)


def _inner(theta: Array, log_x: Array) -> tuple[Array, Slopes]:
    """theta = (ln E, ln u, k, ln c)."""
    k, c = theta[:, 2, None], np.exp(theta[:, 3, None])
    # (x + c) / (1 + c) = 1 + z, in a form that keeps its digits for small and for large c.
    z = np.expm1(log_x) / (1.0 + c)
    stretch = (1.0 + c) * np.log1p(z)
    power = theta[:, 1, None] - k * stretch
    values = log_sum(theta[:, 0, None], power)
    share = np.exp(power - values)
    along = stretch / (1.0 + c) - z / (1.0 + z)
    return values, (1.0 - share, share, -share * stretch, -share * k * c * along)


def _curve(x: Array, E: float, A: float, alpha: float, shift: float) -> Array:
    return 1.0 - E - A * (np.asarray(x) + shift) ** -alpha


def _rescale(natural: Array, ratio: Array) -> Array:
    """From (E, u, k, c) in x / c to (E, A, alpha, shift) in x / x_scale; A overflows far out on the ridge."""
    E, u, k, c = natural.T
    alpha = k * (1.0 + c)
    A = np.exp(np.log(u) + alpha * (np.log1p(c) - np.log(ratio)))
    return np.stack([E, A, alpha, c / ratio], -1)


def _starts(log_x: Array, target: Array) -> Array:
    low = np.min(target)
    E = low + np.log([0.1, 0.6, 0.85, 0.98])
    return product(E, np.log([0.02, 0.1, 0.4]), [0.05, 0.2, 0.6], [-6.0, -2.0, 1.0, 4.0])


FORM = Form(
    name="power_law_shift",
    expression="1 - score = E + A (x + shift)^-alpha",
    parameters=(
        MISALIGNMENT,
        replace(AMPLITUDE, follows="shift"),
        Parameter(
            "alpha", "exponent for x far above the shift", "1", (0.0, 5.0), inner="exponent at mean x", follows="shift"
        ),
        Parameter(
            "shift", "x below which nothing is gained", "x_scale", (-20.0, 8.0), True, "shift in units of mean x"
        ),
    ),
    space="misalignment",
    loss="huber",
    inner=_inner,
    curve=_curve,
    starts=_starts,
    rescale=_rescale,
    asymptote="E",
)
