"""The forms of laws are power laws, their shifted, broken and free variants, lines, and saturating curves.

A, alpha and the shift lie on a ridge whose far end is an exponential, where a solver creeps. The inner coordinates run
along and across it instead: the reducible part u and its exponent k = -d ln u / d ln x at the mean of x, and ln c with
c the shift in units of that mean. ln u(x) = ln u - k (1 + c) ln((x + c) / (1 + c)) stays finite as c grows.

Of a linear mapping fitted to x noisy samples, the explained variance grows like x / (x + k); its root is the
correlation.
"""

from dataclasses import replace
from functools import cache

import numpy as np

from neuroscaling.core.dotted_paths import find_path, load_path
from neuroscaling.core.errors import DataError, Problem, StudyError, nearest
from neuroscaling.laws.broken_power_law import BROKEN_POWER_LAW
from neuroscaling.laws.forms_of_size import CHINCHILLA, DATA_CONSTRAINED
from neuroscaling.laws.parametrisation import (
    ALPHA,
    AMPLITUDE,
    LEVEL,
    LOG_X_BOUNDS,
    MISALIGNMENT,
    Array,
    Form,
    Parameter,
    Slopes,
    Weights,
    expit,
    log_sum,
    product,
    scale_power,
    scale_second,
)


def _power_law_inner(theta: Array, log_x: Array) -> tuple[Array, Slopes]:
    """theta = (ln E, ln A, alpha)."""
    power = theta[:, 1, None] - theta[:, 2, None] * log_x
    values = log_sum(theta[:, 0, None], power)
    share = np.exp(power - values)
    return values, (1.0 - share, share, -share * log_x)


def _power_law_curve(x: Array, E: float, A: float, alpha: float) -> Array:
    return 1.0 - E - A * np.asarray(x) ** -alpha


def _power_law_starts(log_x: Array, target: Array) -> Array:
    low = np.min(target)
    return product(low + np.log([0.05, 0.3, 0.6, 0.85, 0.98]), np.log([0.02, 0.1, 0.4]), [0.05, 0.2, 0.5, 1.0])


POWER_LAW = Form(
    name="power_law",
    expression="1 - score = E + A x^-alpha",
    parameters=(MISALIGNMENT, AMPLITUDE, ALPHA),
    space="misalignment",
    loss="huber",
    inner=_power_law_inner,
    curve=_power_law_curve,
    starts=_power_law_starts,
    rescale=scale_power,
    asymptote="E",
)


def _power_law_shift_inner(theta: Array, log_x: Array) -> tuple[Array, Slopes]:
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


def _power_law_shift_curve(x: Array, E: float, A: float, alpha: float, shift: float) -> Array:
    return 1.0 - E - A * (np.asarray(x) + shift) ** -alpha


def _power_law_shift_rescale(natural: Array, ratio: Array) -> Array:
    """From (E, u, k, c) in x / c to (E, A, alpha, shift) in x / x_scale; A overflows far out on the ridge."""
    E, u, k, c = natural.T
    alpha = k * (1.0 + c)
    A = np.exp(np.log(u) + alpha * (np.log1p(c) - np.log(ratio)))
    return np.stack([E, A, alpha, c / ratio], -1)


def _power_law_shift_starts(log_x: Array, target: Array) -> Array:
    low = np.min(target)
    E = low + np.log([0.1, 0.6, 0.85, 0.98])
    return product(E, np.log([0.02, 0.1, 0.4]), [0.05, 0.2, 0.6], [-6.0, -2.0, 1.0, 4.0])


POWER_LAW_SHIFT = Form(
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
    inner=_power_law_shift_inner,
    curve=_power_law_shift_curve,
    starts=_power_law_shift_starts,
    rescale=_power_law_shift_rescale,
    asymptote="E",
)


def _power_law_ceiling_inner(theta: Array, log_x: Array) -> tuple[Array, Slopes]:
    """theta = (C, ln A, alpha)."""
    power = np.exp(np.clip(theta[:, 1, None] - theta[:, 2, None] * log_x, -700, 300))
    return theta[:, 0, None] - power, (np.ones(power.shape[1:]), -power, power * log_x)


def _power_law_ceiling_curve(x: Array, C: float, A: float, alpha: float) -> Array:
    return C - A * np.asarray(x) ** -alpha


def _power_law_ceiling_starts(log_x: Array, target: Array) -> Array:
    spread, top = np.ptp(target) + 1e-3, np.max(target)
    return product(top + spread * np.array([0.0, 0.2, 1.0]), np.log(spread * np.array([0.2, 1.0])), [0.1, 0.4, 1.0])


POWER_LAW_CEILING = Form(
    name="power_law_ceiling",
    expression="score = C - A x^-alpha",
    parameters=(
        replace(LEVEL, name="C"),
        AMPLITUDE,
        ALPHA,
    ),
    space="score",
    loss="least_squares",
    inner=_power_law_ceiling_inner,
    curve=_power_law_ceiling_curve,
    starts=_power_law_ceiling_starts,
    rescale=scale_power,
    asymptote="C",
)


def _log_linear_inner(theta: Array, log_x: Array) -> tuple[Array, Slopes]:
    """theta = (a, b)."""
    decades = log_x / np.log(10.0)
    return theta[:, 0, None] + theta[:, 1, None] * decades, (np.ones_like(decades), decades)


def _log_linear_curve(x: Array, a: float, b: float) -> Array:
    return a + b * np.log10(x)


def _log_linear_rescale(natural: Array, ratio: Array) -> Array:
    a, b = natural.T
    return np.stack([a + b * np.log10(ratio), b], -1)


def _log_linear_starts(log_x: Array, target: Array) -> Array:
    return np.array([[np.mean(target), 0.0], [np.median(target), np.std(target) / (np.std(log_x) + 1e-9)]])


def _log_linear_exact(weights: Weights, log_x: Array, target: Array) -> Array:
    return _line(weights, log_x / np.log(10.0), target)


def _line(weights: Weights, x: Array, target: Array) -> Array:
    """Level and slope of the weighted regression line on x (n,): (k, 2); from sums about the means of all points."""
    u, v = x - x.mean(), target - target.mean()
    total, sum_u, sum_v, sum_uu, sum_uv = (weights @ np.stack([np.ones_like(u), u, v, u * u, u * v], -1)).T
    spread = sum_uu - sum_u**2 / total
    slope = np.where(spread > 0, (sum_uv - sum_u * sum_v / total) / np.where(spread > 0, spread, 1.0), 0.0)
    return np.stack([target.mean() + (sum_v - slope * sum_u) / total - slope * x.mean(), slope], -1)


LOG_LINEAR = Form(
    name="log_linear",
    expression="score = a + b log10 x",
    parameters=(
        Parameter("a", "score at x = x_scale", "score", (-50.0, 50.0), inner="score at mean x"),
        Parameter("b", "gain in score per decade of x", "score per decade", (-10.0, 10.0)),
    ),
    space="score",
    loss="least_squares",
    inner=_log_linear_inner,
    curve=_log_linear_curve,
    starts=_log_linear_starts,
    rescale=_log_linear_rescale,
    exact=_log_linear_exact,
)


def _linear_inner(theta: Array, log_x: Array) -> tuple[Array, Slopes]:
    """theta = (a, b)."""
    x = np.exp(log_x)
    return theta[:, 0, None] + theta[:, 1, None] * x, (np.ones_like(x), x)


def _linear_curve(x: Array, a: float, b: float) -> Array:
    return a + b * np.asarray(x)


def _linear_rescale(natural: Array, ratio: Array) -> Array:
    a, b = natural.T
    return np.stack([a, b * ratio], -1)


def _linear_starts(log_x: Array, target: Array) -> Array:
    return _line(np.ones((1, len(target))), np.exp(log_x), target)


def _linear_exact(weights: Weights, log_x: Array, target: Array) -> Array:
    return _line(weights, np.exp(log_x), target)


LINEAR = Form(
    name="linear",
    expression="score = a + b x",
    parameters=(
        Parameter("a", "score at x = 0", "score", (-50.0, 50.0)),
        Parameter(
            "b", "gain in score for each x_scale of x", "score per x_scale", (-50.0, 50.0), inner="gain to mean x"
        ),
    ),
    space="score",
    loss="least_squares",
    inner=_linear_inner,
    curve=_linear_curve,
    starts=_linear_starts,
    rescale=_linear_rescale,
    exact=_linear_exact,
)


def _logistic_inner(theta: Array, log_x: Array) -> tuple[Array, Slopes]:
    """theta = (L, ln x50, ln s)."""
    slope = np.exp(theta[:, 2, None])
    distance = log_x - theta[:, 1, None]
    part = expit(slope * distance)
    values = theta[:, 0, None] * part
    inside = values * (1.0 - part) * slope
    return values, (part, -inside, inside * distance)


def _logistic_curve(x: Array, L: float, x50: float, s: float) -> Array:
    return L / (1.0 + (x50 / np.asarray(x)) ** s)


def _logistic_starts(log_x: Array, target: Array) -> Array:
    levels = np.max(target) * np.array([1.0, 1.5])
    return product(levels, np.quantile(log_x, [0, 0.5, 1]), np.log([0.3, 1.0, 3.0]))


LOGISTIC = Form(
    name="logistic",
    expression="score = L / (1 + (x50 / x)^s)",
    parameters=(
        LEVEL,
        Parameter("x50", "x at which half of L is reached", "x_scale", LOG_X_BOUNDS, True),
        Parameter("s", "steepness in ln x", "1", (float(np.log(0.01)), float(np.log(50.0))), True),
    ),
    space="score",
    loss="least_squares",
    inner=_logistic_inner,
    curve=_logistic_curve,
    starts=_logistic_starts,
    rescale=scale_second,
    asymptote="L",
)


def _sqrt_saturating_inner(theta: Array, log_x: Array) -> tuple[Array, Slopes]:
    """theta = (L, ln k)."""
    part = expit(log_x - theta[:, 1, None])
    root = np.sqrt(part)
    values = theta[:, 0, None] * root
    return values, (root, -0.5 * values * (1.0 - part))


def _sqrt_saturating_curve(x: Array, L: float, k: float) -> Array:
    return L * np.sqrt(np.asarray(x) / (np.asarray(x) + k))


def _sqrt_saturating_starts(log_x: Array, target: Array) -> Array:
    return product(np.max(target) * np.array([0.9, 1.2, 2.0]), np.quantile(log_x, [0, 0.5, 1]))


SQRT_SATURATING = Form(
    name="sqrt_saturating",
    expression="score = L sqrt(x / (x + k))",
    parameters=(
        LEVEL,
        Parameter("k", "x at which half of the squared score is reached", "x_scale", LOG_X_BOUNDS, True),
    ),
    space="score",
    loss="least_squares",
    inner=_sqrt_saturating_inner,
    curve=_sqrt_saturating_curve,
    starts=_sqrt_saturating_starts,
    rescale=scale_second,
    asymptote="L",
)

FORMS: dict[str, Form] = {
    form.name: form
    for form in (
        BROKEN_POWER_LAW,
        CHINCHILLA,
        DATA_CONSTRAINED,
        LINEAR,
        LOG_LINEAR,
        LOGISTIC,
        POWER_LAW,
        POWER_LAW_CEILING,
        POWER_LAW_SHIFT,
        SQRT_SATURATING,
    )
}


OWN_FORM = "package.module:NAME, where NAME is a neuroscaling.laws.parametrisation.Form"


@cache
def own_form(path: str) -> Form:
    """The form that a dotted path leads to; the path is its name. Raises StudyError for what is no form."""
    found = find_path(path, "form", OWN_FORM)
    loaded = load_path(found)
    if not isinstance(loaded, Form):
        what = f"`{found.attribute}` is no form of law but `{type(loaded).__name__}`"
        raise StudyError(Problem(what=what, where=str(found.file), value=path, allowed=OWN_FORM))
    return replace(loaded, name=path)


def form_by_name(name: str) -> Form:
    """The form called `name`, or the one that a dotted path leads to.

    Raises DataError with the nearest name when there is none, StudyError as `own_form`.
    """
    if ":" in name:
        return own_form(name)
    if name not in FORMS:
        raise DataError(
            Problem(
                what="unknown form", where="form", value=name, allowed=", ".join(FORMS), nearest=nearest(name, FORMS)
            )
        )
    return FORMS[name]
