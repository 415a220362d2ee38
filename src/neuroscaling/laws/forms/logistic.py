"""score = L / (1 + (x50 / x)^s): a logistic curve in ln x."""

import numpy as np

from neuroscaling.laws.forms.base import (
    LEVEL,
    LOG_X_BOUNDS,
    Array,
    Form,
    Parameter,
    Slopes,
    expit,
    product,
    scale_second,
)


def _inner(theta: Array, log_x: Array) -> tuple[Array, Slopes]:
    """theta = (L, ln x50, ln s)."""
    slope = np.exp(theta[:, 2, None])
    distance = log_x - theta[:, 1, None]
    part = expit(slope * distance)
    values = theta[:, 0, None] * part
    inside = values * (1.0 - part) * slope
    return values, (part, -inside, inside * distance)


def _curve(x: Array, L: float, x50: float, s: float) -> Array:
    return L / (1.0 + (x50 / np.asarray(x)) ** s)


def _starts(log_x: Array, target: Array) -> Array:
    levels = np.max(target) * np.array([1.0, 1.5])
    return product(levels, np.quantile(log_x, [0, 0.5, 1]), np.log([0.3, 1.0, 3.0]))


FORM = Form(
    name="logistic",
    expression="score = L / (1 + (x50 / x)^s)",
    parameters=(
        LEVEL,
        Parameter("x50", "x at which half of L is reached", "x_scale", LOG_X_BOUNDS, True),
        Parameter("s", "steepness in ln x", "1", (float(np.log(0.01)), float(np.log(50.0))), True),
    ),
    space="score",
    loss="least_squares",
    inner=_inner,
    curve=_curve,
    starts=_starts,
    rescale=scale_second,
    asymptote="L",
)
