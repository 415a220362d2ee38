"""lmfit's view of a law: its parameters and model, and a report that says what the errors mean.

lmfit's covariance assumes normal residuals of equal size. Under the Huber loss with delta 1e-3, in effect an L1 loss,
it is not valid: errors and intervals come from the bootstraps.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from lmfit import Parameters
    from lmfit.model import Model, ModelResult

    from neuroscaling.laws.law import LawFit

NOT_NORMAL = (
    "The Huber loss with delta 1e-3 is in effect an L1 loss of log misalignments: a covariance from its curvature, as\n"
    "lmfit would give it, is not valid. Errors are standard deviations of the bootstraps, intervals their percentiles."
)
LARGEST = 1e150  # lmfit squares a bounded value; on the ridge of the shifted law A goes beyond
NORMAL = "Errors are standard deviations of the bootstraps, intervals their percentiles."


def parameters(law: LawFit) -> Parameters:
    """The natural parameters of `law` as lmfit's, bounded as the form bounds them.

    stderr: standard deviation over the bootstraps; correl: their correlations.
    """
    found = _model(law).make_params(**law.params)
    for parameter in law.form.parameters:
        if parameter.unit in ("1", "score") and parameter.inner is None:
            low, high = parameter.natural_bounds(law.y_unit)
            found[parameter.name].set(min=low, max=high)
        elif parameter.positive and law.params[parameter.name] < LARGEST:
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


def least_squares(law: LawFit) -> ModelResult:
    """lmfit's Model of this law, fitted by least squares to the scores from the law's parameters, within the bounds.

    A check of a robust fit, and a start for whatever else lmfit offers; its errors assume normal residuals.
    """
    scores = law.y if law.upright else 1.0 - law.y
    return _model(law).fit(scores, parameters(law), x=law.x / law.x_scale)


def fit_report(law: LawFit) -> str:
    """lmfit's report of the parameters, headed by form and loss, followed by intervals and flags."""
    import lmfit

    lines = [
        f"[[Law]] {law.form.expression}, x in units of {law.x_scale.tolist()}, mode {law.mode}",
        f"    {law.data.loss.name}: {law.loss_value:.10g} (sum over {len(law.y)} points)",
        NOT_NORMAL if law.data.loss.name == "huber" else NORMAL,
        lmfit.fit_report(parameters(law)),
        f"[[Intervals]] 95 %, {len(law.resampled)} bootstraps of {law.resampling}",
    ]
    for name, (low, high) in law.ci.items():
        reasons = "; ".join(law.flags[name]["reasons"])
        lines.append(f"    {name}: {low:.6g} to {high:.6g}" + (f"  (not identified: {reasons})" if reasons else ""))
    return "\n".join([*lines, *(f"[[Note]] {note}" for note in law.notes)])


def _model(law: LawFit) -> Model:
    from lmfit import Model

    return Model(law.form.curve, independent_vars=["x"], nan_policy="raise")
