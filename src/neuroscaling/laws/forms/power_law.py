"""1 - score = E + A x^-alpha: the law of Gokce & Schrimpf 2025 (their `power_law`)."""

import numpy as np

from neuroscaling.laws.forms.base import (
    ALPHA,
    AMPLITUDE,
    MISALIGNMENT,
    Array,
    Form,
    Slopes,
    log_sum,
    product,
    scale_power,
)


def _inner(theta: Array, log_x: Array) -> tuple[Array, Slopes]:
    """theta = (ln E, ln A, alpha)."""
    power = theta[:, 1, None] - theta[:, 2, None] * log_x
    values = log_sum(theta[:, 0, None], power)
    share = np.exp(power - values)
    return values, (1.0 - share, share, -share * log_x)


def _curve(x: Array, E: float, A: float, alpha: float) -> Array:
    return 1.0 - E - A * np.asarray(x) ** -alpha


def _starts(log_x: Array, target: Array) -> Array:
    low = np.min(target)
    return product(low + np.log([0.05, 0.3, 0.6, 0.85, 0.98]), np.log([0.02, 0.1, 0.4]), [0.05, 0.2, 0.5, 1.0])


FORM = Form(
    name="power_law",
    expression="1 - score = E + A x^-alpha",
    parameters=(MISALIGNMENT, AMPLITUDE, ALPHA),
    space="misalignment",
    loss="huber",
    inner=_inner,
    curve=_curve,
    starts=_starts,
    rescale=scale_power,
    asymptote="E",
)
