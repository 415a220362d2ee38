"""score = a + b log10 x: growth by the same step for each decade of x, without an end."""

import numpy as np

from neuroscaling.laws.forms.base import Array, Form, Parameter, Slopes


def _inner(theta: Array, log_x: Array) -> tuple[Array, Slopes]:
    """theta = (a, b)."""
    decades = log_x / np.log(10.0)
    return theta[:, 0, None] + theta[:, 1, None] * decades, (np.ones_like(decades), decades)


def _curve(x: Array, a: float, b: float) -> Array:
    return a + b * np.log10(x)


def _rescale(natural: Array, ratio: Array) -> Array:
    a, b = natural.T
    return np.stack([a + b * np.log10(ratio), b], -1)


def _starts(log_x: Array, target: Array) -> Array:
    return np.array([[np.mean(target), 0.0], [np.median(target), np.std(target) / (np.std(log_x) + 1e-9)]])


def _exact(weights: Array, log_x: Array, target: Array) -> Array:
    """The weighted regression line, from sums about the means of all points."""
    decades = log_x / np.log(10.0)
    u, v = decades - decades.mean(), target - target.mean()
    total, sum_u, sum_v, sum_uu, sum_uv = (weights @ np.stack([np.ones_like(u), u, v, u * u, u * v], -1)).T
    spread = sum_uu - sum_u**2 / total
    slope = np.where(spread > 0, (sum_uv - sum_u * sum_v / total) / np.where(spread > 0, spread, 1.0), 0.0)
    return np.stack([target.mean() + (sum_v - slope * sum_u) / total - slope * decades.mean(), slope], -1)


FORM = Form(
    name="log_linear",
    expression="score = a + b log10 x",
    parameters=(
        Parameter("a", "score at x = x_scale", "score", (-50.0, 50.0), inner="score at mean x"),
        Parameter("b", "gain in score per decade of x", "score per decade", (-10.0, 10.0)),
    ),
    space="score",
    loss="least_squares",
    inner=_inner,
    curve=_curve,
    starts=_starts,
    rescale=_rescale,
    exact=_exact,
)
