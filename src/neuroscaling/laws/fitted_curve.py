"""A fitted curve holds the points, the parameters with their resamples, and the values that the law predicts."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.laws import comparison
from neuroscaling.laws.bootstrap import LEVELS, interval
from neuroscaling.laws.parametrisation import Form
from neuroscaling.laws.point_checks import as_float_array
from neuroscaling.laws.solver import Data

Array = NDArray[np.float64]
MISALIGNED = "1 - score"
"""What power laws call y where more of it is better."""
CURVE_POINTS, BEYOND_POINTS, BEYOND = 100, 50, 30.0


@dataclass(frozen=True)
class FittedCurve:
    """A fitted law, its resamples and its values.

    data: points and loss as the solver saw them. x (n,) or (n, d), y (n,): the points as given; x_scale: unit of x in
    the natural form, a number or (d,); loss_value: sum over points, as minimised; minima (s, p): distinct minima in
    inner parameters, best first; resampled (k, p), resampled_loss (k,): the bootstraps; centre: geometric mean of x.
    resampling: what was drawn ("points", "clusters", "hierarchy"); units: how many of them; warm_enough: whether warm
    starts were found to be enough for the bootstraps. y_unit: what 1 is in y where the solver saw it; losses are in y's
    own unit. undetermined: share of the resamples that a continuum of laws fits equally well.
    """

    data: Data = field(repr=False)
    x: Array = field(repr=False)
    y: Array = field(repr=False)
    x_scale: Array
    centre: Array = field(repr=False)
    loss_value: float
    mode: str
    minima: Array = field(repr=False)
    resampled: Array = field(repr=False)
    resampled_loss: Array = field(repr=False)
    seed: int = 42
    resampling: str = "points"
    units: int = 0
    invert_y: bool = True
    warm_enough: bool = True
    y_unit: float = 1.0
    undetermined: float = 0.0

    @property
    def form(self) -> Form:
        """The form of the law."""
        return self.data.form

    @property
    def expression(self) -> str:
        """The form as people write it; a power law of y itself has y where others have 1 - score."""
        return self.form.expression if self.upright else self.form.expression.replace(MISALIGNED, "y", 1)

    @property
    def upright(self) -> bool:
        """Whether more of y is better for the law: not for a power law of y itself, such as a loss."""
        return self.invert_y or self.form.space == "score"

    @property
    def loss_unit(self) -> float:
        """What 1 of the solver's loss is in the unit of y."""
        return self.y_unit**self.data.loss.power

    @property
    def theta(self) -> Array:
        """Inner parameters (p,)."""
        return self.minima[0]

    @cached_property
    def params(self) -> dict[str, float]:
        """Parameters in the natural form, in units of x / x_scale."""
        return dict(zip(self.form.names, self._natural(self.theta[None])[0].tolist(), strict=True))

    @cached_property
    def samples(self) -> Array:
        """Natural parameters of the bootstraps (k, p); some may be infinite."""
        return self._natural(self.resampled)

    @cached_property
    def ci(self) -> dict[str, list[float]]:
        """95 % interval of each parameter, from the bootstraps in which it is finite."""
        return {name: interval(self.samples[:, j]) for j, name in enumerate(self.form.names)}

    @cached_property
    def asymptote(self) -> float | None:
        """y for infinite x as the parameters have it, whether or not the data identify it."""
        levels = self.form.saturation(self._natural(self.theta[None]), self.invert_y)
        return None if levels is None else float(levels[0])

    @cached_property
    def asymptotes(self) -> Array:
        """The asymptote of each bootstrap (k,); empty for a form without one."""
        levels = self.form.saturation(self.samples, self.invert_y)
        return np.empty(0) if levels is None else levels

    def predict(self, x: Any) -> Array:
        """y (q,) that the law gives at x (q,) or (q, d), all > 0."""
        return self.values(self.theta[None], np.atleast_1d(as_float_array(x)))[0]

    def curves(self, x: Any) -> Array:
        """y (k, q) of the bootstraps at x (q,) or (q, d)."""
        return self.values(self.resampled, np.atleast_1d(as_float_array(x)))

    def band(self, x: Any, levels: tuple[float, ...] = LEVELS) -> Array:
        """Percentiles (len(levels), q) of the bootstraps' curves at x (q,) or (q, d)."""
        return np.percentile(self.curves(x), levels, axis=0)

    def curve(self) -> dict[str, list[float]] | None:
        """The law and its bands at 100 points over the range of the data, evenly spaced in log x.

        None for a law of several variables, whose curve needs a path through them.
        """
        if self.form.variables > 1:
            return None
        return self._curve(np.geomspace(self.x.min(), self.x.max(), CURVE_POINTS))

    def beyond(self) -> dict[str, list[float]] | None:
        """The same from the largest x to 30 times it: an extrapolation."""
        if self.form.variables > 1:
            return None
        return self._curve(np.geomspace(self.x.max(), BEYOND * self.x.max(), BEYOND_POINTS))

    def aicc(self) -> float | None:
        """Akaike's criterion with the small-sample term, under this fit's own loss, over the units of the bootstrap."""
        return comparison.aicc(self.data.loss, self.loss_value, len(self.y), len(self.form.parameters), self.units)

    def _curve(self, x: Array) -> dict[str, list[float]]:
        columns = {"x": x, "fit": self.predict(x)}
        columns |= {f"p{level:g}": values for level, values in zip(LEVELS, self.band(x), strict=True)}
        return {name: values.tolist() for name, values in columns.items()}

    def _natural(self, theta: Array) -> Array:
        return self.form.natural(theta, self.x_scale / self.centre, self.y_unit)

    def values(self, theta: Array, x: Array) -> Array:
        """y (m, q) of inner parameters theta (m, p) at x (q,) or (q, d)."""
        with np.errstate(over="ignore"):
            scores = self.form.score(self.form.inner(theta, np.log(x / self.centre).T)[0])
        return self.reported(scores)

    def reported(self, scores: Array) -> Array:
        """y from the scores of the inner law."""
        return self.y_unit * (scores if self.upright else 1.0 - scores)
