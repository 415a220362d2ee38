"""A form of law has parameters with units and bounds, a value with its gradient, and starting points.

A law is fitted in *inner* coordinates, where every parameter may take any size of step (ln E for E), as a function
of ln(x / c) with c the geometric mean of x, which keeps the parameters apart. It is reported in its *natural* form,
in x / x_scale. Shapes: m candidates, p parameters, n points, d variables.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Slopes = Sequence[Array]
Weights = NDArray[np.float64] | NDArray[np.uint16]  # (k, n): of points, or how often each is drawn
Exact = Callable[[Weights, Array, Array], Array]
# Below this misalignment no score can be told from a perfect one, and no level from 0, in units of the data.
TINY_ASYMPTOTE = 1e-4


@dataclass(frozen=True)
class Parameter:
    """One parameter: its name in the natural form, what it means, its unit, its inner bounds.

    unit: "score", "1" (a pure number), or what it is measured in. bounds: of the inner coordinate, in mode `corrected`.
    positive: whether the inner coordinate is the logarithm of the natural one. inner: meaning of the inner coordinate
    where it is more than the natural value or its logarithm. follows: a parameter on which its natural value hangs, so
    that it is not identified where that one is not. tells: the variable, by its place, without whose change nothing
    tells of this parameter. absorbs: the counted variable, by its place, whose effect this parameter takes over where
    that variable is one number other than 1 at all points. data_bounds: in place of `bounds` where y is measured in
    units of the data; None: the same numbers in those units.
    """

    name: str
    meaning: str
    unit: str
    bounds: tuple[float, float]
    positive: bool = False
    inner: str | None = None
    follows: str | None = None
    tells: int | None = None
    absorbs: int | None = None
    data_bounds: tuple[float, float] | None = None

    @property
    def of_y(self) -> bool:
        """Whether the natural value is measured in the unit of y."""
        return self.unit.startswith("score")

    def natural_bounds(self, y_unit: float = 1.0) -> tuple[float, float]:
        """The bounds in the natural form, for parameters whose unit is not one of x; y_unit: as in `Form.natural`."""
        low, high = (np.exp(self.bounds) if self.positive else np.array(self.bounds)) * (y_unit if self.of_y else 1.0)
        return float(low), float(high)


def _same(natural: Array, ratio: Array) -> Array:
    return natural


@dataclass(frozen=True)
class Form:
    """A law.

    space: "misalignment": the law describes ln(1 - score); "score": the law describes the score. loss: its default.
    inner: (theta (m, p), log_x (n,) or (d, n)) -> values (m, n) and p slopes, each broadcastable to (m, n).
    curve: (x / x_scale, *natural parameters) -> score; the natural form as the report prints it.
    starts: (log_x, target) -> starting points (s, p) of a multi-start.
    rescale: (natural (m, p) in x / c, ratio = x_scale / c) -> natural (m, p) in x / x_scale.
    asymptote: name of the parameter that says where the score ends, or None. variables: d.
    counted: places of the variables that are numbers from 1 on, such as passes: their unit is 1, their ln is not
    centred, and they may be the same at all points.
    exact: (weights (k, n), log_x, target) -> theta (k, p): minimum of the weighted squares, where it is known.
    """

    name: str
    expression: str
    parameters: tuple[Parameter, ...]
    space: str
    loss: str
    inner: Callable[[Array, Array], tuple[Array, Slopes]] = field(repr=False)
    curve: Callable[..., Array] = field(repr=False)
    starts: Callable[[Array, Array], Array] = field(repr=False)
    rescale: Callable[[Array, Array], Array] = field(default=_same, repr=False)
    asymptote: str | None = None
    variables: int = 1
    counted: tuple[int, ...] = ()
    exact: Exact | None = field(default=None, repr=False)

    @property
    def names(self) -> list[str]:
        """Names of the parameters, in order."""
        return [parameter.name for parameter in self.parameters]

    @property
    def distinct(self) -> tuple[int, ...]:
        """How many different values of each variable the law needs.

        Of a sum of terms, as many as a term and the constant have parameters; of a variable that is counted, one.
        """
        sizes = self.variables - len(self.counted)
        own = len(self.parameters) - sum(parameter.tells is not None for parameter in self.parameters)
        needed = own if self.variables == 1 else 1 + (own - 1) // sizes
        return tuple(1 if i in self.counted else needed for i in range(self.variables))

    @property
    def bounds(self) -> Array:
        """Inner bounds (p, 2)."""
        return np.array([parameter.bounds for parameter in self.parameters])

    def in_units_of_data(self) -> "Form":
        """This form for a y without a scale of its own, such as a loss: bounds are those in units of the data."""
        own = [replace(p, bounds=p.data_bounds or p.bounds) for p in self.parameters]
        return replace(self, parameters=tuple(own))

    def natural(self, theta: Array, ratio: Array | float, y_unit: float = 1.0) -> Array:
        """Natural parameters (m, p) in x / x_scale from inner ones (m, p) in x / c.

        ratio: x_scale / c, a number, or (d,) for several variables. y_unit: what one unit of the inner law is in y.
        Values too large for a float are inf.
        """
        positive = np.array([parameter.positive for parameter in self.parameters])
        units = np.where([parameter.of_y for parameter in self.parameters], y_unit, 1.0)
        with np.errstate(over="ignore", invalid="ignore"):
            values = np.where(positive, np.exp(np.where(positive, theta, 0.0)), theta)
            return self.rescale(values, np.asarray(ratio, dtype=np.float64)) * units

    def target(self, y: Array) -> Array:
        """What the inner law is compared with: ln(1 - y) or y."""
        return np.log1p(-y) if self.space == "misalignment" else y

    def score(self, values: Array) -> Array:
        """Scores from the inner law's values."""
        return -np.expm1(values) if self.space == "misalignment" else values

    def saturation(self, natural: Array, invert_y: bool = True) -> Array | None:
        """y for infinite x (m,) from natural parameters (m, p); None for a form without asymptote.

        invert_y: whether a law of misalignment describes 1 - y, or y itself.
        """
        if self.asymptote is None:
            return None
        values = natural[:, self.names.index(self.asymptote)]
        return 1.0 - values if self.space == "misalignment" and invert_y else values


def product(*axes: Sequence[float] | Array) -> Array:
    """Every combination of the values of the axes: (s, number of axes)."""
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes))


def expit(z: Array) -> Array:
    """1 / (1 + exp(-z)), without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * z))


def log_sum(first: Array, second: Array) -> Array:
    """ln(exp(first) + exp(second)), several times faster than numpy.logaddexp for large arrays."""
    high = np.maximum(first, second)
    return high + np.log1p(np.exp(np.minimum(first, second) - high))


def scale_second(natural: Array, ratio: Array) -> Array:
    """Rescaling for forms whose second parameter is a value of x."""
    return np.stack([column / ratio if i == 1 else column for i, column in enumerate(natural.T)], -1)


def scale_power(natural: Array, ratio: Array) -> Array:
    """Rescaling for forms with the parameters (asymptote, A, alpha)."""
    level, amplitude, alpha = natural.T
    return np.stack([level, amplitude * ratio**-alpha, alpha], -1)


MISALIGNMENT = Parameter(
    "E", "misalignment that remains for large x", "score", (float(np.log(TINY_ASYMPTOTE)), float(np.log(2.0))), True
)
AMPLITUDE = Parameter("A", "reducible part at x = x_scale", "score", (-20.0, 10.0), True, "reducible part at mean x")
ALPHA = Parameter("alpha", "exponent: how fast the reducible part falls with x", "1", (0.0, 5.0))
# Of y in units of the data no perfect value is known: a level may lie ten times above most of them.
LEVEL = Parameter("L", "score that is reached for large x", "score", (-0.5, 2.0), data_bounds=(-2.0, 10.0))
LOG_X_BOUNDS = (-25.0, 25.0)
