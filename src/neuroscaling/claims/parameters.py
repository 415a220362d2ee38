"""Statements about parameters: a share of two exponents, asymptotes, and which form of law is better."""

from __future__ import annotations

import math

import numpy as np

from neuroscaling.claims.evidence import (
    CLEAR,
    NO,
    PARTLY,
    YES,
    Array,
    ByForm,
    Case,
    Estimate,
    Finding,
    compared_rows,
    criteria,
    estimate,
    graded,
    held_out,
    paired,
)
from neuroscaling.laws.finished_law import FinishedLaw
from neuroscaling.laws.fit_record import Exponent
from neuroscaling.study.sections.claim_files import Asymptote, BetterForm, ShareOf

SHARE_RULE = (
    "Share: the parameter over the sum of both; of the exponents of a law of two variables, the part of a growth of "
    "log compute that goes to the variable of the other term. Supported: in every fit its whole 95 % interval lies "
    "above the stated share. Not supported: nowhere does it. In part: all else, or the data do not identify both "
    "parameters. One form is fitted, so nothing is asked of others."
)
ASYMPTOTE_RULE = (
    "Supported: the asymptote of the first, less that of the second (same resamples), is above zero with its whole 95 "
    "% interval, and the data identify both. In part: the same without both being identified."
)
FORM_RULE = (
    "Supported: in every fit the AICc of the form is lower by more than 2, and its error on the held-out points no "
    "larger. In part: only one of the two holds, or in some fits."
)


def share_findings(statement: ShareOf, case: Case) -> list[Finding]:
    """What the share of each fit of a case says."""
    found = []
    for label, law in case.resampled(list(case.laws)).items():
        share = share_of(statement, law)
        if share is not None:
            found.append(_share_finding(statement, case, label, law, share))
    return found


def share_of(statement: ShareOf, law: FinishedLaw) -> Estimate | None:
    """The share with its interval; resamples without two positive parameters have none. None where there are none."""
    names = [statement.of, statement.beside]
    if not set(names) <= set(law.form.names):
        return None
    values = law.rows[:, [law.form.names.index(name) for name in names]]
    first, second = np.where((values > 0).all(axis=1, keepdims=True), values, np.nan).T
    return estimate(first / (first + second))


def asymptote_findings(statement: Asymptote, case: Case) -> list[Finding]:
    """What the asymptotes of a case say; nothing where one of them is missing."""
    laws = case.resampled(statement.labels())
    levels = {label: found for label, law in laws.items() if (found := _levels(law)) is not None}
    if len(levels) < len(statement.labels()):
        return []
    first, second = levels[statement.first], levels[statement.second]
    difference = estimate(paired(first, second))
    if difference is None:
        return []
    doubts = [label for label, law in laws.items() if not law.asymptote_identified]
    text = f"Asymptote of {statement.first} less that of {statement.second}: {difference}."
    text += f" Not identified: {', '.join(doubts)}." if doubts else ""
    above = difference.above()
    return [Finding(case.mode, case.opening + text, graded(above and not doubts, above))]


def form_findings(statement: BetterForm, case: Case) -> list[Finding]:
    """What the comparison of forms of each fit of a case says."""
    found = []
    for label, law in case.laws.items():
        rows = {row.form: row for row in compared_rows(law)}
        if statement.form not in rows or statement.than not in rows:
            continue
        own, other = rows[statement.form], rows[statement.than]
        known = own.aicc is not None and other.aicc is not None
        clear = known and float(own.aicc or 0) < float(other.aicc or 0) - CLEAR
        predicts = math.isfinite(held_out(own)) and held_out(own) <= held_out(other)
        best = compared_rows(law)[0]
        text = f"{label}: {own.form} {criteria(own, best)}; {other.form} {criteria(other, best)}."
        found.append(Finding(case.mode, case.opening + text, graded(clear and predicts, clear or predicts)))
    return found


def no_forms(statement: object, case: Case) -> ByForm | None:
    """Of what one form of law alone has, no other form says anything."""
    return None


def _levels(law: FinishedLaw) -> Array | None:
    return law.form.saturation(law.rows, law.inverted)


def _share_finding(statement: ShareOf, case: Case, label: str, law: FinishedLaw, share: Estimate) -> Finding:
    doubts = [name for name in (statement.of, statement.beside) if not law.identifies(name)]
    text = f"{label}: {statement.called} {share}.{_exponents(law)}"
    text += f" The data do not identify {' and '.join(doubts)}." if doubts else ""
    support = NO if not share.above(statement.above) else PARTLY if doubts else YES
    return Finding(case.mode, case.opening + text, support)


def _exponents(law: FinishedLaw) -> str:
    """How the best N and D grow with compute, where the fit has an allocation."""
    found = law.allocation.exponents if law.allocation else {}
    if not found:
        return ""
    named = {"n_samples_seen": "images seen", "n_params": "parameters"}
    return " " + "; ".join(f"best {words} ~ C^{_with_interval(found[key])}" for key, words in named.items()) + "."


def _with_interval(found: Exponent) -> str:
    low, high = found.ci95 or (math.nan, math.nan)
    known = math.isfinite(low) and math.isfinite(high)
    return f"{found.value:.2f}" + (f" ({low:.2f} to {high:.2f})" if known else "")
