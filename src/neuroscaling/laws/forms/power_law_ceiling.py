"""score = C - A x^-alpha: a power law of the score with a free ceiling."""

from dataclasses import replace

import numpy as np

from neuroscaling.laws.forms.base import ALPHA, AMPLITUDE, LEVEL, Array, Form, Slopes, product, scale_power


def _inner(theta: Array, log_x: Array) -> tuple[Array, Slopes]:
    """theta = (C, ln A, alpha)."""
    power = np.exp(np.clip(theta[:, 1, None] - theta[:, 2, None] * log_x, -700, 300))
    return theta[:, 0, None] - power, (np.ones(power.shape[1:]), -power, power * log_x)


def _curve(x: Array, C: float, A: float, alpha: float) -> Array:
    return C - A * np.asarray(x) ** -alpha


def _starts(log_x: Array, target: Array) -> Array:
    spread, top = np.ptp(target) + 1e-3, np.max(target)
    return product(top + spread * np.array([0.0, 0.2, 1.0]), np.log(spread * np.array([0.2, 1.0])), [0.1, 0.4, 1.0])


FORM = Form(
    name="power_law_ceiling",
    expression="score = C - A x^-alpha",
    parameters=(
        replace(LEVEL, name="C"),
        AMPLITUDE,
        ALPHA,
    ),
    space="score",
    loss="least_squares",
    inner=_inner,
    curve=_curve,
    starts=_starts,
    rescale=scale_power,
    asymptote="C",
)
