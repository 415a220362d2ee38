"""The quantities that a law is judged by are its asymptote and its exponents."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.laws.bootstrap import interval
from neuroscaling.laws.influence_record import Quantity
from neuroscaling.laws.law_fit import LawFit
from neuroscaling.laws.parametrisation import Parameter

Array = NDArray[np.float64]
ASYMPTOTE = "asymptote"
RATES = ("1", "score per decade")  # units of the parameters that tell how fast a law rises


def quantities(law: LawFit) -> dict[str, Quantity]:
    """The asymptote and the exponents of a law, each with its interval and why the data don't identify it."""
    found = {}
    if law.asymptote is not None:
        flag = law.flags[str(law.form.asymptote)]
        doubt = law.saturation_statement or "; ".join(flag["reasons"])
        found[ASYMPTOTE] = _quantity(law.asymptote, law.asymptotes, doubt)
    for j, parameter in enumerate(law.form.parameters):
        if is_rate(parameter):
            doubt = "; ".join(law.flags[parameter.name]["reasons"])
            found[parameter.name] = _quantity(law.params[parameter.name], law.samples[:, j], doubt)
    return found


def is_rate(parameter: Parameter) -> bool:
    """Whether a parameter tells how fast the law rises: an exponent, a steepness or a gain a decade."""
    return parameter.unit in RATES


def _quantity(value: float, samples: Any, doubt: str) -> Quantity:
    low, high = interval(samples)
    if not doubt and not np.isfinite([value, low, high]).all():
        doubt = "it has no finite value or interval"
    return Quantity(value=value, low=low, high=high, doubt=doubt)


def quantity_values(law: LawFit, theta: Array) -> dict[str, Array]:
    """The asymptote and the exponents (k,) of inner parameters (k, p) of the law."""
    natural = law.form.natural(theta, law.x_scale / law.centre, law.y_unit)
    levels = law.form.saturation(natural, law.invert_y)
    rates = {p.name: natural[:, j] for j, p in enumerate(law.form.parameters) if is_rate(p)}
    return ({} if levels is None else {ASYMPTOTE: levels}) | rates
