"""The curves of some fits lie above those of others at equal x."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product

import numpy as np

from neuroscaling.claims.evidence import (
    ByForm,
    Case,
    Estimate,
    Finding,
    compared_rows,
    graded,
    on_curve,
    shared_range,
    weighed_rows,
)
from neuroscaling.laws.curves import Curve
from neuroscaling.laws.finished_law import FinishedLaw
from neuroscaling.study.sections.claim_files import Above

RULE = (
    "Difference of the scores of two fits at equal x, at the stated shares of the range of log x that both have data "
    "for. The intervals are of independent networks. Of one pair, supported: above zero at all places, with its 95 % "
    "interval, in every case; in part: at some places, or in some cases. Of several pairs, supported: all pairs are "
    "above zero at all places; in part: some pairs. Depends on the form: of one pair, the grade of the values changes "
    "between the forms of the fits and those that describe the points about as well as the best; of several, most "
    "pairs hold, by their values, with one form for all fits and not with another. That is asked of the corrected "
    "fits."
)
PLACES = {0.5: "the middle of the shared range", 1.0: "the end of the shared range"}
Pair = tuple[str, str]


def findings(statement: Above, case: Case) -> list[Finding]:
    """What the differences of a case say; nothing where no pair of curves can be compared."""
    pairs = _pairs(statement, case.laws)
    if not pairs:
        return []
    if len(statement.first) == len(statement.second) == 1:
        return [_of_one_pair(statement, case, *pairs[0])]
    found = {pair: _differences(statement, case, pair) for pair in pairs}
    compared = {pair: differences for pair, differences in found.items() if differences}
    return [_of_pairs(statement, case, compared)] if compared else []


def by_form(statement: Above, case: Case) -> ByForm | None:
    """What other forms make of the differences; None where nothing can be compared."""
    pairs = _pairs(statement, case.laws)
    if len(statement.first) == len(statement.second) == 1:
        return _pair_by_form(statement, case, *pairs[0]) if pairs else None
    return _pairs_by_form(statement, case, pairs)


def _pairs(statement: Above, laws: Mapping[str, FinishedLaw]) -> list[Pair]:
    return [(a, b) for a, b in product(statement.first, statement.second) if a in laws and b in laws]


def _places(statement: Above, first: FinishedLaw, second: FinishedLaw) -> list[float]:
    """Values of x at the stated shares of the shared range of log x; none where the ranges do not meet."""
    low, high = shared_range(first, second)
    return [low * (high / low) ** share for share in statement.at] if low < high else []


def _differences(statement: Above, case: Case, pair: Pair) -> list[Estimate]:
    first, second = (case.laws[label] for label in pair)
    return [on_curve(first, x).minus(on_curve(second, x)) for x in _places(statement, first, second)]


def _of_one_pair(statement: Above, case: Case, over: str, under: str) -> Finding:
    places = _places(statement, case.laws[over], case.laws[under])
    differences = _differences(statement, case, (over, under))
    above = [difference.above() for difference in differences]
    if not places:
        return Finding(case.mode, f"{case.opening}The two have no range of x in common.", graded(False, False))
    words = ", ".join(f"{d} at x = {x:.1e}" for d, x in zip(differences, places, strict=True))
    saving = _saving(case, over, under, places[len(places) // 2])
    return Finding(case.mode, f"{case.opening}{over} minus {under}: {words}. {saving}", graded(all(above), any(above)))


def _saving(case: Case, over: str, under: str, x: float) -> str:
    """At how much smaller an x the first reaches what the second has at x, along the two curves."""
    target, curve = on_curve(case.laws[under], x).value, case.laws[over].line
    reached = np.flatnonzero(curve.fit >= target)
    if not reached.size:
        return f"What {under} has at x = {x:.1e} is not reached by {over}."
    ratio = x / float(curve.x[reached[0]])
    bound = "at least " if reached[0] == 0 else "about "
    return f"What {under} has at x = {x:.1e} {over} has at an x {bound}{_times(ratio)} times smaller."


def _times(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"


def _of_pairs(statement: Above, case: Case, compared: dict[Pair, list[Estimate]]) -> Finding:
    holds = [all(difference.above() for difference in differences) for differences in compared.values()]
    whole = all(holds) and len(holds) == len(statement.first) * len(statement.second)
    words = ", ".join(f"{a} minus {b} {differences[0]}" for (a, b), differences in compared.items())
    absent = [label for label in statement.labels() if label not in case.laws]
    place = PLACES.get(statement.at[0], f"{statement.at[0]:g} of the shared range")
    text = f"{case.opening}At {place}: {words}. {sum(holds)} of {len(holds)} pairs hold at all places."
    text += f" Not testable: {', '.join(absent)}." if absent else ""
    return Finding(case.mode, text, graded(whole, any(holds)))


def _pair_by_form(statement: Above, case: Case, over: str, under: str) -> ByForm | None:
    """The differences at the same places for every pair of plausible forms."""
    first, second = case.laws[over], case.laws[under]
    places = _places(statement, first, second)
    if not places:
        return None
    found = {
        f"{one} and {other}": [high.at(x) - low.at(x) for x in places]
        for (one, high), (other, low) in product(_curves(first).items(), _curves(second).items())
    }
    words = "; ".join(f"{pair}: {', '.join(f'{v:.3f}' for v in values)}" for pair, values in found.items())
    grades = {graded(min(values) > 0, max(values) > 0) for values in found.values()}
    return ByForm(f"{case.opening}{over} minus {under} at the same places, by form. {words}.", len(grades) > 1)


def _curves(law: FinishedLaw) -> dict[str, Curve]:
    """The curves of the forms that are weighed, by form."""
    return {row.form: row.curve for row in weighed_rows(law) if row.curve is not None}


def _pairs_by_form(statement: Above, case: Case, pairs: list[Pair]) -> ByForm | None:
    """How many pairs hold, by their values alone, when all fits are described by one form."""
    forms = dict.fromkeys(row.form for label in statement.labels() if label in case.laws
                          for row in weighed_rows(case.laws[label]))  # fmt: skip
    judged = {form: [_holds(statement, form, case.laws[a], case.laws[b]) for a, b in pairs] for form in forms}
    known = {form: [value for value in values if value is not None] for form, values in judged.items()}
    held = {form: values for form, values in known.items() if values and len(values) == len(pairs)}
    if not held:
        return None
    words = ", ".join(f"{sum(values)} of {len(values)} pairs by {form}" for form, values in held.items())
    most = {2 * sum(values) > len(values) for values in held.values()}
    return ByForm(f"{case.opening}By the values without their intervals: {words}.", len(most) > 1)


def _holds(statement: Above, form: str, first: FinishedLaw, second: FinishedLaw) -> bool | None:
    """Whether the first lies above the second at all places, both described by `form`; None where it can't be told."""
    over, under = (next((r.curve for r in compared_rows(law) if r.form == form), None) for law in (first, second))
    places = _places(statement, first, second)
    if over is None or under is None or not places:
        return None
    return all(over.at(x) > under.at(x) for x in places)
