"""The gain a decade rises from one fit to the next; of two fits, the slope of the second is above that of the first."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from neuroscaling.claims.evidence import (
    Array,
    ByForm,
    Case,
    Estimate,
    Finding,
    compared_rows,
    estimate,
    gain,
    graded,
    paired,
    scores,
    weighed_rows,
)
from neuroscaling.laws.finished_law import FinishedLaw
from neuroscaling.study.sections.claim_files import Rises

RULE = (
    "The gain a decade of x within the data; with `left_at` also A x^-alpha, the reducible misalignment that is left "
    "there. Supported: each rises at every step of the order, and the highest exceed the first, with 95 % intervals "
    "of the differences (same resamples) above zero. In part: only some of that holds. Depends on the form: whether "
    "the measured gains rise, or the highest exceed the first, changes between the form of the fits and those that "
    "describe the points of one of them about as well as the best."
)


def findings(statement: Rises, case: Case) -> list[Finding]:
    """What each measure of a case says; nothing where a law or its resamples are missing."""
    laws = case.resampled(statement.order)
    if set(laws) != set(statement.order):
        return []
    return [_finding(name, measure, statement, case, laws) for name, measure in _measures(statement, laws).items()]


def by_form(statement: Rises, case: Case) -> ByForm | None:
    """The measured gains by each form that describes the points of one fit about as well as the best."""
    if not set(statement.order) <= set(case.laws):
        return None
    laws = {label: case.laws[label] for label in statement.order}
    forms = dict.fromkeys(row.form for law in laws.values() for row in weighed_rows(law))
    gains = {form: {label: _gain_by(form, law) for label, law in laws.items()} for form in forms}
    gains = {form: values for form, values in gains.items() if np.isfinite(list(values.values())).all()}
    words = "; ".join(f"{form}: {', '.join(f'{v:.3f}' for v in own.values())}" for form, own in gains.items())
    first = statement.order[0]
    kinds = {
        (_rises(list(own.values())), *(own[label] > own[first] for label in _highest(statement)))
        for own in gains.values()
    }
    text = f"{case.opening}Gain a decade within the data ({', '.join(laws)}) by form. {words}."
    return ByForm(text, len(kinds) > 1)


def gain_per_decade(law: FinishedLaw) -> Array:
    """Mean gain a decade of x within the data (1 + k,)."""
    low, high = law.line.ends
    return gain(scores(law, [low, high])) / np.log10(high / low)


def _measures(statement: Rises, laws: dict[str, FinishedLaw]) -> dict[str, Callable[[FinishedLaw], Array]]:
    left = statement.left_at
    if left is None or any(law.form_name != "power_law" for law in laws.values()):
        return {"gain a decade": gain_per_decade}

    def left_there(law: FinishedLaw) -> Array:
        amplitude, alpha = law.rows[:, 1], law.rows[:, 2]
        with np.errstate(all="ignore"):
            return np.asarray(amplitude * left**-alpha)

    return {f"A {left:g}^-alpha": left_there, "gain a decade": gain_per_decade}


def _highest(statement: Rises) -> list[str]:
    return statement.highest or [statement.order[-1]]


def _finding(
    name: str, measure: Callable[[FinishedLaw], Array], statement: Rises, case: Case, laws: dict[str, FinishedLaw]
) -> Finding:
    statistics = {label: measure(laws[label]) for label in statement.order}
    first = statement.order[0]
    values = _known({label: estimate(rows) for label, rows in statistics.items()})
    above = _known({label: estimate(paired(statistics[label], statistics[first])) for label in _highest(statement)})
    if len(values) < len(statistics) or len(above) < len(_highest(statement)):
        return Finding(case.mode, f"{case.opening}{name}: no finite value of some fit.")
    ends = [difference.above() for difference in above.values()]
    text = f"{name}: {', '.join(f'{label} {value}' for label, value in values.items())}. {_differences(first, above)}"
    support = graded(_rises([v.value for v in values.values()]) and all(ends), any(ends))
    return Finding(case.mode, case.opening + text, support)


def _known(estimates: dict[str, Estimate | None]) -> dict[str, Estimate]:
    return {name: value for name, value in estimates.items() if value is not None}


def _differences(first: str, above: dict[str, Estimate]) -> str:
    return f"Above {first}: " + ", ".join(f"{label} by {value}" for label, value in above.items()) + "."


def _rises(values: list[float]) -> bool:
    return all(second > first for first, second in pairwise(values))


def _gain_by(form: str, law: FinishedLaw) -> float:
    for row in compared_rows(law):
        if row.form == form and row.curve is not None:
            low, high = row.curve.ends
            return float((row.curve.fit[-1] - row.curve.fit[0]) / np.log10(high / low))
    return math.nan
