"""The forms of the laws. A form is one small object: parameters with bounds, value and gradient, starting points.

A law is fitted in *inner* coordinates, where every parameter may take any size of step (ln E for E), as a function
of ln(x / c) with c the geometric mean of x, which keeps the parameters apart. It is reported in its *natural* form,
in x / x_scale. Shapes: m candidates, p parameters, n points.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from neuroscaling.errors import DataError, Problem, nearest

Array = NDArray[np.float64]
TINY_ASYMPTOTE = 1e-4


@dataclass(frozen=True)
class Parameter:
    """One parameter: its name in the natural form, what it means, its inner bounds, and how it becomes natural.

    bounds: of the inner coordinate. positive: whether the inner coordinate is the logarithm of the natural one.
    """

    name: str
    meaning: str
    bounds: tuple[float, float]
    positive: bool = False

    def natural_bounds(self) -> tuple[float, float]:
        """The bounds in the natural form."""
        low, high = self.bounds
        return (float(np.exp(low)), float(np.exp(high))) if self.positive else (low, high)


@dataclass(frozen=True)
class Form:
    """A law.

    space: "misalignment": the law describes Y = 1 - score, residuals are of ln Y; "score": the law describes the score.
    inner: (theta (m, p), log_x (n,)) -> values (m, n) and gradient (m, n, p), of ln Y or of the score.
    curve: (x / x_scale, *natural parameters) -> score; the natural form as the report prints it.
    rescale: (natural (m, p) in x / c, ratio = x_scale / c) -> natural (m, p) in x / x_scale.
    starts: (log_x, target) -> starting points (s, p) of a multi-start.
    asymptote: name of the parameter that says where the score ends, or None.
    """

    name: str
    expression: str
    parameters: tuple[Parameter, ...]
    space: str
    loss: str
    inner: Callable[[Array, Array], tuple[Array, Array]] = field(repr=False)
    curve: Callable[..., Array] = field(repr=False)
    rescale: Callable[[Array, float], Array] = field(repr=False)
    starts: Callable[[Array, Array], Array] = field(repr=False)
    asymptote: str | None = None

    @property
    def names(self) -> list[str]:
        """Names of the parameters, in order."""
        return [parameter.name for parameter in self.parameters]

    @property
    def bounds(self) -> Array:
        """Inner bounds (p, 2)."""
        return np.array([parameter.bounds for parameter in self.parameters])

    def natural(self, theta: Array, ratio: float) -> Array:
        """Natural parameters (m, p) in x / x_scale from inner ones (m, p) in x / c; ratio = x_scale / c."""
        positive = np.array([parameter.positive for parameter in self.parameters])
        with np.errstate(over="ignore"):
            values = np.where(positive, np.exp(np.where(positive, theta, 0.0)), theta)
            return self.rescale(values, ratio)

    def target(self, y: Array) -> Array:
        """What the inner law is compared with: ln(1 - y) or y."""
        return np.log1p(-y) if self.space == "misalignment" else y

    def score(self, values: Array) -> Array:
        """Scores from the inner law's values."""
        return -np.expm1(values) if self.space == "misalignment" else values


def form_by_name(name: str) -> Form:
    """The form called `name`. Raises DataError with the nearest name when there is none."""
    if name not in FORMS:
        raise DataError(Problem("unknown form", "form", name, ", ".join(FORMS), nearest(name, FORMS)))
    return FORMS[name]


def _product(*axes: list[float] | Array) -> Array:
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))


def _power_inner(theta: Array, log_x: Array) -> tuple[Array, Array]:
    """ln(E + A x^-alpha) by a stable log-sum-exp; theta = (ln E, ln A, alpha)."""
    e, a, alpha = theta[:, 0, None], theta[:, 1, None], theta[:, 2, None]
    power = a - alpha * log_x
    values = np.logaddexp(e, power)
    share = np.exp(power - values)
    return values, np.stack([1.0 - share, share, -share * log_x], -1)


def _power_curve(x: Array, E: float, A: float, alpha: float) -> Array:
    return 1.0 - E - A * np.asarray(x) ** -alpha


def _power_rescale(natural: Array, ratio: float) -> Array:
    E, A, alpha = natural.T
    return np.stack([E, A * ratio**-alpha, alpha], -1)


def _power_starts(log_x: Array, target: Array) -> Array:
    low = np.min(target)
    return _product(low + np.log([0.05, 0.3, 0.6, 0.85, 0.98]), np.log([0.02, 0.1, 0.4]), [0.05, 0.2, 0.5, 1.0])


def _ceiling_inner(theta: Array, log_x: Array) -> tuple[Array, Array]:
    """C - A x^-alpha; theta = (C, ln A, alpha)."""
    power = np.exp(np.clip(theta[:, 1, None] - theta[:, 2, None] * log_x, -700, 300))
    return theta[:, 0, None] - power, np.stack([np.ones_like(power), -power, power * log_x], -1)


def _ceiling_curve(x: Array, C: float, A: float, alpha: float) -> Array:
    return C - A * np.asarray(x) ** -alpha


def _ceiling_starts(log_x: Array, target: Array) -> Array:
    spread = np.ptp(target) + 1e-3
    top = np.max(target)
    return _product(top + spread * np.array([0.0, 0.2, 1.0]), np.log(spread * np.array([0.2, 1.0])), [0.1, 0.4, 1.0])


def _linear_inner(theta: Array, log_x: Array) -> tuple[Array, Array]:
    """a + b log10 x."""
    decades = log_x / np.log(10.0)
    values = theta[:, 0, None] + theta[:, 1, None] * decades
    return values, np.stack([np.ones_like(values), np.broadcast_to(decades, values.shape)], -1)


def _linear_curve(x: Array, a: float, b: float) -> Array:
    return a + b * np.log10(x)


def _linear_rescale(natural: Array, ratio: float) -> Array:
    a, b = natural.T
    return np.stack([a + b * np.log10(ratio), b], -1)


def _linear_starts(log_x: Array, target: Array) -> Array:
    return np.array([[np.mean(target), 0.0], [np.median(target), np.std(target) / (np.std(log_x) + 1e-9)]])


def _root_inner(theta: Array, log_x: Array) -> tuple[Array, Array]:
    """L sqrt(x / (x + k)); theta = (L, ln k)."""
    part = _expit(log_x - theta[:, 1, None])
    root = np.sqrt(part)
    values = theta[:, 0, None] * root
    return values, np.stack([root, -0.5 * values * (1.0 - part)], -1)


def _root_curve(x: Array, L: float, k: float) -> Array:
    return L * np.sqrt(np.asarray(x) / (np.asarray(x) + k))


def _root_starts(log_x: Array, target: Array) -> Array:
    top = np.max(target)
    return _product(top * np.array([0.9, 1.2, 2.0]), np.quantile(log_x, [0, 0.5, 1]))


def _logistic_inner(theta: Array, log_x: Array) -> tuple[Array, Array]:
    """L / (1 + (x50 / x)^s); theta = (L, ln x50, ln s)."""
    slope = np.exp(theta[:, 2, None])
    distance = log_x - theta[:, 1, None]
    part = _expit(slope * distance)
    values = theta[:, 0, None] * part
    inside = values * (1.0 - part)
    return values, np.stack([part, -inside * slope, inside * slope * distance], -1)


def _logistic_curve(x: Array, L: float, x50: float, s: float) -> Array:
    return L / (1.0 + (x50 / np.asarray(x)) ** s)


def _logistic_starts(log_x: Array, target: Array) -> Array:
    top = np.max(target)
    return _product(top * np.array([1.0, 1.5]), np.quantile(log_x, [0, 0.5, 1]), np.log([0.3, 1.0, 3.0]))


def _expit(z: Array) -> Array:
    return 0.5 * (1.0 + np.tanh(0.5 * z))


def _scale_second(natural: Array, ratio: float) -> Array:
    """For forms whose second parameter is a value of x."""
    return np.stack([column / ratio if i == 1 else column for i, column in enumerate(natural.T)], -1)


ALPHA = Parameter("alpha", "exponent: how fast the reducible part falls with x", (0.0, 5.0))
AMPLITUDE = Parameter("A", "reducible part at x = x_scale", (-20.0, 10.0), positive=True)
LEVEL = Parameter("L", "score that is reached for large x", (-0.5, 2.0))
LOG_X_BOUNDS = (-25.0, 25.0)

FORMS = {
    form.name: form
    for form in (
        Form(
            "power_law",
            "1 - score = E + A x^-alpha",
            (
                Parameter("E", "misalignment that remains for large x", (np.log(TINY_ASYMPTOTE), np.log(2.0)), True),
                AMPLITUDE,
                ALPHA,
            ),
            "misalignment",
            "huber",
            _power_inner,
            _power_curve,
            _power_rescale,
            _power_starts,
            "E",
        ),
        Form(
            "power_law_ceiling",
            "score = C - A x^-alpha",
            (Parameter("C", "score that is reached for large x", (-0.5, 2.0)), AMPLITUDE, ALPHA),
            "score",
            "least_squares",
            _ceiling_inner,
            _ceiling_curve,
            _power_rescale,
            _ceiling_starts,
            "C",
        ),
        Form(
            "log_linear",
            "score = a + b log10 x",
            (
                Parameter("a", "score at x = x_scale", (-50.0, 50.0)),
                Parameter("b", "gain in score per decade of x", (-10.0, 10.0)),
            ),
            "score",
            "least_squares",
            _linear_inner,
            _linear_curve,
            _linear_rescale,
            _linear_starts,
        ),
        Form(
            "sqrt_saturating",
            "score = L sqrt(x / (x + k))",
            (LEVEL, Parameter("k", "x at which half of the squared score is reached", LOG_X_BOUNDS, True)),
            "score",
            "least_squares",
            _root_inner,
            _root_curve,
            _scale_second,
            _root_starts,
            "L",
        ),
        Form(
            "logistic",
            "score = L / (1 + (x50 / x)^s)",
            (
                LEVEL,
                Parameter("x50", "x at which half of L is reached", LOG_X_BOUNDS, True),
                Parameter("s", "steepness in ln x", (np.log(0.01), np.log(50.0)), True),
            ),
            "score",
            "least_squares",
            _logistic_inner,
            _logistic_curve,
            _scale_second,
            _logistic_starts,
            "L",
        ),
    )
}
