"""A fitted law holds parameters, intervals, the curve with its band, and lmfit's view of it.

lmfit's covariance assumes normal residuals of equal size. Under the Huber loss with delta 1e-3, in effect an L1 loss,
it is not valid: errors and intervals come from the bootstraps.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.laws import identifiability
from neuroscaling.laws.bootstrap import interval
from neuroscaling.laws.fitted_curve import FittedCurve

if TYPE_CHECKING:
    from lmfit import Parameters
    from lmfit.model import Model, ModelResult
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class LawFit(FittedCurve):
    """A fitted law: its curve, what of it the data identify, and lmfit's view of it."""

    @cached_property
    def bounds_reached(self) -> identifiability.Bounds:
        """For each parameter the sides on which it reaches its bound, each with how that shows."""
        return identifiability.bounds_reached(self)

    @cached_property
    def flags(self) -> dict[str, dict[str, Any]]:
        """Whether each parameter is identified, and why not."""
        return identifiability.identification_flags(self, self.bounds_reached)

    @cached_property
    def saturation(self) -> float | None:
        """y for infinite x; None for a form without asymptote, and where the data show no saturation."""
        level = self.asymptote
        return None if level is None or self.saturation_statement else level

    @cached_property
    def saturation_statement(self) -> str | None:
        """Why there is no number for the saturation, or None."""
        if self.form.asymptote is None:
            return "this form has no asymptote"
        return identifiability.saturation_statement(self, self.bounds_reached)

    @cached_property
    def notes(self) -> list[str]:
        """What a reader must know before using the law."""
        return identifiability.law_notes(self, self.saturation_statement)

    def plot(self, ax: Axes, color: str = "#0072B2", label: str | None = None) -> None:
        """Draw curve and 95 % band over the points on `ax`, x in log scale."""
        curve = self.curve()
        assert curve is not None, "a law of several variables has no single curve"
        ax.fill_between(curve["x"], curve["p2.5"], curve["p97.5"], color=color, alpha=0.2, linewidth=0)
        ax.plot(curve["x"], curve["fit"], color=color, label=label or self.expression)
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

    def to_dict(self) -> dict[str, Any]:
        """Everything about the fit that JSON can hold; numbers that are not finite are null."""
        measured = self.saturation is not None and len(self.asymptotes)
        return finite(
            {
                "form": self.form.name,
                "expression": self.expression,
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
        f"[[Law]] {law.expression}, x in units of {law.x_scale.tolist()}, mode {law.mode}",
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
