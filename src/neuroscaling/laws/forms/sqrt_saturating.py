"""score = L sqrt(x / (x + k)): how a correlation grows with the samples that fit the mapping.

Of a linear mapping fitted to x noisy samples, the explained variance grows like x / (x + k); its root is the
correlation.
"""

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
    """theta = (L, ln k)."""
    part = expit(log_x - theta[:, 1, None])
    root = np.sqrt(part)
    values = theta[:, 0, None] * root
    return values, (root, -0.5 * values * (1.0 - part))


def _curve(x: Array, L: float, k: float) -> Array:
    return L * np.sqrt(np.asarray(x) / (np.asarray(x) + k))


def _starts(log_x: Array, target: Array) -> Array:
    return product(np.max(target) * np.array([0.9, 1.2, 2.0]), np.quantile(log_x, [0, 0.5, 1]))


FORM = Form(
    name="sqrt_saturating",
    expression="score = L sqrt(x / (x + k))",
    parameters=(
        LEVEL,
        Parameter("k", "x at which half of the squared score is reached", "x_scale", LOG_X_BOUNDS, True),
    ),
    space="score",
    loss="least_squares",
    inner=_inner,
    curve=_curve,
    starts=_starts,
    rescale=scale_second,
    asymptote="L",
)
