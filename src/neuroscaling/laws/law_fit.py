"""A fitted law holds parameters, intervals, the curve with its band, and lmfit's view of it.

lmfit's covariance assumes normal residuals of equal size. Under the Huber loss with delta 1e-3, in effect an L1 loss,
it is not valid: errors and intervals come from the bootstraps.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.laws import comparison, identifiability
from neuroscaling.laws.bootstrap import LEVELS, interval
from neuroscaling.laws.point_checks import as_float_array
from neuroscaling.laws.solver import Data

if TYPE_CHECKING:
    from lmfit import Parameters
    from lmfit.model import Model, ModelResult
    from matplotlib.axes import Axes

    from neuroscaling.laws.parametrisation import Form


Array = NDArray[np.float64]
CURVE_POINTS, BEYOND_POINTS, BEYOND = 100, 50, 30.0


@dataclass(frozen=True)
class LawFit:
    """A fitted law.

    data: points and loss as the solver saw them. x (n,) or (n, 2), y (n,): the points as given; x_scale: unit of x in
    the natural form, a number or (2,); loss_value: sum over points, as minimised; minima (s, p): distinct minima in
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
    def bounds_reached(self) -> list[list[tuple[str, str]]]:
        """For each parameter the sides on which it reaches its bound, each with how that shows."""
        return identifiability.bounds_reached(self)

    @cached_property
    def flags(self) -> dict[str, dict[str, Any]]:
        """Whether each parameter is identified, and why not."""
        return identifiability.identification_flags(self)

    @cached_property
    def saturation(self) -> float | None:
        """y for infinite x; None for a form without asymptote, and where the data show no saturation."""
        level = self.asymptote
        return None if level is None or self.saturation_statement else level

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

    @cached_property
    def saturation_statement(self) -> str | None:
        """Why there is no number for the saturation, or None."""
        if self.form.asymptote is None:
            return "this form has no asymptote"
        return identifiability.saturation_statement(self)

    @cached_property
    def notes(self) -> list[str]:
        """What a reader must know before using the law."""
        return identifiability.law_notes(self)

    def predict(self, x: Any) -> Array:
        """y (q,) that the law gives at x (q,) or (q, 2), all > 0."""
        return self._values(self.theta[None], np.atleast_1d(as_float_array(x)))[0]

    def band(self, x: Any, levels: tuple[float, ...] = LEVELS) -> Array:
        """Percentiles (len(levels), q) of the bootstraps' curves at x (q,) or (q, 2)."""
        curves = self._values(self.resampled, np.atleast_1d(as_float_array(x)))
        return np.percentile(curves, levels, axis=0)

    def curve(self) -> dict[str, list[float]] | None:
        """The law and its bands at 100 points over the range of the data, evenly spaced in log x.

        None for a law of two variables, whose curve needs a path through both.
        """
        if self.form.variables > 1:
            return None
        return self._curve(np.geomspace(self.x.min(), self.x.max(), CURVE_POINTS))

    def beyond(self) -> dict[str, list[float]] | None:
        """The same from the largest x to 30 times it: an extrapolation."""
        if self.form.variables > 1:
            return None
        return self._curve(np.geomspace(self.x.max(), BEYOND * self.x.max(), BEYOND_POINTS))

    def plot(self, ax: Axes, color: str = "#0072B2", label: str | None = None) -> None:
        """Draw curve and 95 % band over the points on `ax`, x in log scale."""
        curve = self.curve()
        assert curve is not None, "a law of two variables has no single curve"
        ax.fill_between(curve["x"], curve["p2.5"], curve["p97.5"], color=color, alpha=0.2, linewidth=0)
        ax.plot(curve["x"], curve["fit"], color=color, label=label or self.form.expression)
        ax.plot(self.x, self.y, "o", color=color, markersize=4, alpha=0.7)
        ax.set_xscale("log")

    def parameters(self) -> Parameters:
        """The natural parameters as lmfit's, with bounds; their errors are standard deviations of the bootstraps."""

        return lmfit_parameters(self)

    def least_squares(self) -> ModelResult:
        """lmfit's Model of this law, fitted by least squares to the scores from these parameters, within the bounds."""

        return lmfit_least_squares(self)

    def fit_report(self) -> str:
        """lmfit's report of these parameters, with what its errors mean for this loss and the bootstrap intervals."""

        return lmfit_report(self)

    def aicc(self) -> float | None:
        """Akaike's criterion with the small-sample term, under this fit's own loss, over the units of the bootstrap."""
        return comparison.aicc(self.data.loss, self.loss_value, len(self.y), len(self.form.parameters), self.units)

    def to_dict(self) -> dict[str, Any]:
        """Everything about the fit that JSON can hold; numbers that are not finite are null."""
        measured = self.saturation is not None and len(self.asymptotes)
        return finite(
            {
                "form": self.form.name,
                "expression": self.form.expression,
                "parameters": {p.name: p.meaning for p in self.form.parameters},
                "x_scale": self.x_scale.tolist(),
                "n": len(self.y),
                "loss": self.loss_value,
                "loss_name": self.data.loss.name,
                "params": self.params,
                "ci95": self.ci,
                "saturation": self.saturation,
                "saturation_ci95": interval(self.asymptotes) if measured else None,
                "saturation_statement": self.saturation_statement,
                "identified": self.flags,
                "profile": identifiability.asymptote_profile(self),
                "notes": self.notes,
                "curve": self.curve(),
                "beyond": self.beyond(),
                "aicc": self.aicc(),
                "mode": self.mode,
                "invert_y": self.invert_y,
                "y_unit": self.y_unit,
                "bootstraps": {
                    "n": len(self.resampled) if np.isfinite(self.resampled_loss).all() else 0,
                    "infinite": int((~np.isfinite(self.samples)).any(1).sum()),
                    "seed": self.seed,
                    "of": self.resampling,
                    "units": self.units,
                    "starts": "warm" if self.warm_enough else "many",
                    "undetermined": self.undetermined,
                },
            }
        )

    def _curve(self, x: Array) -> dict[str, list[float]]:
        columns = {"x": x, "fit": self.predict(x)}
        columns |= {f"p{level:g}": values for level, values in zip(LEVELS, self.band(x), strict=True)}
        return {name: values.tolist() for name, values in columns.items()}

    def _natural(self, theta: Array) -> Array:
        return self.form.natural(theta, self.x_scale / self.centre, self.y_unit)

    def _values(self, theta: Array, x: Array) -> Array:
        with np.errstate(over="ignore"):
            scores = self.form.score(self.form.inner(theta, np.log(x / self.centre).T)[0])
        return self.reported(scores)

    def reported(self, scores: Array) -> Array:
        """y from the scores of the inner law."""
        return self.y_unit * (scores if self.upright else 1.0 - scores)


def finite(value: Any) -> Any:
    """`value` with every number that is not finite replaced by None, as JSON needs."""
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not np.isfinite(value) else value


NO_COVARIANCE = (
    "The Huber loss with delta 1e-3 is in effect an L1 loss of log misalignments: a covariance from its curvature, as\n"
    "lmfit would give it, is not valid. Errors are standard deviations of the bootstraps, intervals their percentiles."
)
LARGEST_OF_LMFIT = 1e150  # lmfit squares a bounded value; on the ridge of the shifted law A goes beyond
BOOTSTRAP_ERRORS = "Errors are standard deviations of the bootstraps, intervals their percentiles."


def lmfit_parameters(law: LawFit) -> Parameters:
    """The natural parameters of `law` as lmfit's, bounded as the form bounds them.

    stderr: standard deviation over the bootstraps; correl: their correlations.
    """
    found = _lmfit_model(law).make_params(**law.params)
    for parameter in law.form.parameters:
        if parameter.unit in ("1", "score") and parameter.inner is None:
            low, high = parameter.natural_bounds(law.y_unit)
            found[parameter.name].set(min=low, max=high)
        elif parameter.positive and law.params[parameter.name] < LARGEST_OF_LMFIT:
            found[parameter.name].set(min=0.0)
    if len(law.samples) > 1:
        _set_errors(found, law)
    return found


def _set_errors(found: Parameters, law: LawFit) -> None:
    with np.errstate(all="ignore"):
        errors = law.samples.std(axis=0, ddof=1)
        correlation = np.atleast_2d(np.corrcoef(law.samples.T))
    for i, name in enumerate(law.form.names):
        found[name].stderr = float(errors[i]) if np.isfinite(errors[i]) else None
        found[name].correl = {
            other: float(correlation[i, j])
            for j, other in enumerate(law.form.names)
            if j != i and np.isfinite(correlation[i, j])
        }


def lmfit_least_squares(law: LawFit) -> ModelResult:
    """lmfit's Model of this law, fitted by least squares to the scores from the law's parameters, within the bounds.

    A check of a robust fit, and a start for whatever else lmfit offers; its errors assume normal residuals.
    """
    scores = law.y if law.upright else 1.0 - law.y
    return _lmfit_model(law).fit(scores, lmfit_parameters(law), x=law.x / law.x_scale)


def lmfit_report(law: LawFit) -> str:
    """lmfit's report of the parameters, headed by form and loss, followed by intervals and flags."""
    import lmfit

    lines = [
        f"[[Law]] {law.form.expression}, x in units of {law.x_scale.tolist()}, mode {law.mode}",
        f"    {law.data.loss.name}: {law.loss_value:.10g} (sum over {len(law.y)} points)",
        NO_COVARIANCE if law.data.loss.name == "huber" else BOOTSTRAP_ERRORS,
        lmfit.fit_report(lmfit_parameters(law)),
        f"[[Intervals]] 95 %, {len(law.resampled)} bootstraps of {law.resampling}",
    ]
    for name, (low, high) in law.ci.items():
        reasons = "; ".join(law.flags[name]["reasons"])
        lines.append(f"    {name}: {low:.6g} to {high:.6g}" + (f"  (not identified: {reasons})" if reasons else ""))
    return "\n".join([*lines, *(f"[[Note]] {note}" for note in law.notes)])


def _lmfit_model(law: LawFit) -> Model:
    from lmfit import Model

    return Model(law.form.curve, independent_vars=["x"], nan_policy="raise")
