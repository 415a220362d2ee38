"""Which parameters the data identify. A number at a bound, or with an interval of decades, is not a finding."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.laws.bootstrap import interval
from neuroscaling.laws.forms import Form, Parameter

Array = NDArray[np.float64]
NEAR_BOUND = 0.01  # of the distance between the inner bounds
WIDE_SCALE, WIDE_EXPONENT = 100.0, 10.0  # ratio of the ends of an interval
SMALL_GAIN = 1e-3
NO_SATURATION = "no saturation within the data"
NO_GROWTH = "growth is not established"


def parameter_flags(form: Form, inner: Array, natural: Array) -> dict[str, dict[str, Any]]:
    """For each parameter whether it is identified, and if not, why.

    inner, natural: parameters of the resamples (k, p), in inner coordinates and in the natural form.
    """
    flags = {}
    for j, parameter in enumerate(form.parameters):
        reasons = _bound_reasons(parameter, inner[:, j]) + _width_reasons(parameter, natural[:, j])
        flags[parameter.name] = {"identified": not reasons, "reasons": reasons}
    return flags


def asymptote_reason(saturation: Array, first: float, last: float) -> str | None:
    """Why the asymptote is not identified, or None.

    saturation: scores for infinite x of the resamples (k,); first, last: the law at the smallest and largest x. The
    asymptote is out of sight if its interval reaches further above the data than the data themselves have risen.
    """
    top = interval(saturation)[1]
    if not np.isfinite(top) or top - last > max(last - first, SMALL_GAIN):
        return NO_SATURATION
    return None


def summary(form: Form, flags: dict[str, dict[str, Any]], gains: Array, x: Array) -> list[str]:
    """What a reader must know before using the law, in short sentences.

    gains: rise of the score over the data, of the resamples (k,).
    """
    notes = []
    if interval(gains)[0] < SMALL_GAIN:
        notes.append(NO_GROWTH)
    elif form.asymptote and not flags[form.asymptote]["identified"]:
        notes.append(NO_SATURATION)
    if form.asymptote is None:
        notes.append("this form has no asymptote")
    if np.ptp(np.log10(x)) < 1:
        notes.append("x spans less than a decade")
    if np.unique(x).size < 5:
        notes.append(f"x takes only {np.unique(x).size} values")
    return notes


def _bound_reasons(parameter: Parameter, samples: Array) -> list[str]:
    low, high = parameter.bounds
    margin = NEAR_BOUND * (high - low)
    ends = interval(samples)
    bounds = parameter.natural_bounds()
    reasons = []
    for side, bound, touched in (
        ("lower", bounds[0], ends[0] <= low + margin),
        ("upper", bounds[1], ends[1] >= high - margin),
    ):
        if touched:
            reasons.append(f"its interval reaches the {side} bound {bound:.3g}")
    return reasons


def _width_reasons(parameter: Parameter, samples: Array) -> list[str]:
    limit = WIDE_EXPONENT if parameter.name == "alpha" else WIDE_SCALE
    if not parameter.positive and parameter.name != "alpha":
        return []
    low, high = interval(samples)
    if not np.isfinite(high) or high > limit * max(low, 1e-300):
        return [f"its interval spans more than a factor of {limit:.0f}"]
    return []
