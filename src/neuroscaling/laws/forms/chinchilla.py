"""1 - score = E + A N^-alpha + B D^-beta: the law of model and data size (Hoffmann and others 2022, approach 3).

The published study fits it as `chinchilla` with N = n_params / 1e5 and D = n_samples_seen / 1e4.
"""

import numpy as np

from neuroscaling.laws.forms.base import (
    ALPHA,
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
    """theta = (ln E, ln A, alpha, ln B, beta); log_x (2, n): ln N, ln D."""
    log_n, log_d = log_x
    of_n = theta[:, 1, None] - theta[:, 2, None] * log_n
    of_d = theta[:, 3, None] - theta[:, 4, None] * log_d
    values = log_sum(log_sum(theta[:, 0, None], of_n), of_d)
    share_n, share_d = np.exp(of_n - values), np.exp(of_d - values)
    return values, (1.0 - share_n - share_d, share_n, -share_n * log_n, share_d, -share_d * log_d)


def _curve(x: Array, E: float, A: float, alpha: float, B: float, beta: float) -> Array:
    """x (n, 2): N and D in units of their scales."""
    n, d = np.asarray(x, dtype=np.float64).T
    return 1.0 - E - A * n**-alpha - B * d**-beta


def _rescale(natural: Array, ratio: Array) -> Array:
    E, A, alpha, B, beta = natural.T
    return np.stack([E, A * ratio[0] ** -alpha, alpha, B * ratio[1] ** -beta, beta], -1)


def _starts(log_x: Array, target: Array) -> Array:
    low = np.min(target)
    parts, exponents = np.log([0.03, 0.15]), [0.1, 0.3, 0.8]
    return product(low + np.log([0.3, 0.7, 0.95]), parts, exponents, parts, exponents)


FORM = Form(
    name="chinchilla",
    expression="1 - score = E + A N^-alpha + B D^-beta",
    parameters=(
        MISALIGNMENT,
        AMPLITUDE,
        ALPHA,
        Parameter("B", "part that data reduce, at D = its x_scale", "score", (-20.0, 10.0), True, "part at mean D"),
        Parameter("beta", "exponent of the part that data reduce", "1", (0.0, 5.0)),
    ),
    space="misalignment",
    loss="huber",
    inner=_inner,
    curve=_curve,
    starts=_starts,
    rescale=_rescale,
    asymptote="E",
    variables=2,
)
