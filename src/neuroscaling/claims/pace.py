"""Scores saturate, or keep growing: judged by the pace of growth beyond the data."""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from neuroscaling.claims.evidence import (
    Array,
    ByForm,
    Case,
    Estimate,
    Finding,
    compared_rows,
    criteria,
    estimate,
    gain,
    graded,
    paired,
    plausible_rows,
    scores,
    scores_by,
    weighed_rows,
)
from neuroscaling.laws.finished_law import FinishedLaw
from neuroscaling.study.sections.claim_files import Pace

HALF = 0.5
RULE = (
    "Pace: the gain that the law predicts for the decade of x beyond the data, divided by the mean gain a decade "
    "within the data. Scores saturate when their pace is below one half and keep growing when it is above one half, "
    "each with its whole 95 % interval. Supported: all of that holds in every case. In part: it holds in some, or "
    "only the pace of what keeps growing is above that of what saturates. Depends on the form: with a form that "
    "describes the points about as well as the best, a pace lies on the other side of one half than with the form of "
    "the fit; that is asked of the corrected fits."
)
AXES = {"total_flops": "compute", "n_samples_seen": "number of images seen", "n_params": "number of parameters"}


def findings(statement: Pace, case: Case) -> list[Finding]:
    """What the paces of a case say; nothing where a law or its resamples are missing."""
    laws = case.resampled(statement.labels())
    found = {label: estimate(pace(law)) for label, law in laws.items()}
    paces = {label: value for label, value in found.items() if value is not None}
    if set(paces) != set(statement.labels()):
        return []
    whole = all(paces[label].below(HALF) for label in statement.saturates)
    whole = whole and all(paces[label].above(HALF) for label in statement.grows)
    words = [_described(label, laws[label], paces[label]) for label in statement.labels()]
    return [Finding(case.mode, f"{case.opening}{' '.join(words)}", graded(whole, _apart(statement, laws)))]


def pace(law: FinishedLaw) -> Array:
    """Predicted gain of the decade beyond the data over the mean gain a decade within them: (1 + k,)."""
    return _pace(scores(law, _decade(law)), law.line.ends)


def by_form(statement: Pace, case: Case) -> ByForm | None:
    """What other forms make of the paces; None where a law is missing."""
    labels = statement.labels()
    if not set(labels) <= set(case.laws):
        return None
    laws = [case.laws[label] for label in labels]
    paces = [_paces(law) for law in laws]
    weighed = [[p[row.form] for row in weighed_rows(law) if row.form in p] for law, p in zip(laws, paces, strict=True)]
    sides = {tuple(value < HALF for value in values) for values in product(*weighed)}
    words = [_form_words(*parts) for parts in zip(labels, laws, paces, strict=True)]
    return ByForm(case.opening + " ".join(words), len(sides) > 1)


def _apart(statement: Pace, laws: dict[str, FinishedLaw]) -> bool:
    """Whether the pace of all that grows lies above that of all that saturates; false where only one kind is stated."""
    pairs = [(laws[over], laws[under]) for over, under in product(statement.grows, statement.saturates)]
    differences = [estimate(paired(pace(over), pace(under))) for over, under in pairs]
    return bool(pairs) and all(difference is not None and difference.above() for difference in differences)


def _decade(law: FinishedLaw) -> list[float]:
    """The smallest and the largest x of the data, and the end of the decade beyond them."""
    low, high = law.line.ends
    return [low, high, 10 * high]


def _pace(scores: Array, ends: tuple[float, float]) -> Array:
    """Pace of scores (m, 3) at the three places of `_decade`: (m,)."""
    (first, last, beyond), (low, high) = scores.T, ends
    with np.errstate(all="ignore"):
        return (beyond - last) * np.log10(high / low) / (last - first)


def _described(label: str, law: FinishedLaw, pace: Estimate) -> str:
    top = law.line.ends[1]
    reached = float(scores(law, [top])[0, 0])
    next_decade = estimate(gain(scores(law, [top, 10 * top])))
    axis = AXES.get(law.variables[0], law.variables[0])
    return f"{label}: {reached:.3f} at the largest {axis}, {_asymptote(law)}; next decade +{next_decade}, pace {pace}."


def _asymptote(law: FinishedLaw) -> str:
    if law.saturation is None:
        return law.saturation_statement or "no asymptote within sight"
    low, high = law.saturation_ci95 or (math.nan, math.nan)
    known = math.isfinite(low) and math.isfinite(high)
    return f"asymptote {law.saturation:.3f}" + (f" ({low:.3f} to {high:.3f})" if known else "")


def _form_words(label: str, law: FinishedLaw, paces: dict[str, float]) -> str:
    """Pace and criteria of every form; "(out)" behind those that describe the points worse."""
    rows = [row for row in compared_rows(law) if row.form in paces]
    plausible = {row.form for row in plausible_rows(law)}
    names = [row.form + ("" if row.form in plausible else " (out)") for row in rows]
    words = [f"pace {paces[row.form]:.2f}, {criteria(row, compared_rows(law)[0])}" for row in rows]
    return f"{label}: " + "; ".join(f"{name}: {said}" for name, said in zip(names, words, strict=True)) + "."


def _paces(law: FinishedLaw) -> dict[str, float]:
    """Pace of the points by every form of the comparison that has one."""
    places = _decade(law)
    found = {row.form: _pace(scores_by(row, law, places)[None], law.line.ends)[0] for row in compared_rows(law)}
    return {form: float(value) for form, value in found.items() if np.isfinite(value)}
