"""Claim: behaviour keeps scaling with compute while neural alignment saturates."""

from __future__ import annotations

from itertools import product

import numpy as np

from neuroscaling.report.published.claim_numbers import (
    Array,
    Content,
    Estimate,
    Resampled,
    Study,
    compared_rows,
    criteria,
    estimate,
    gain,
    paired,
    parameters,
    plausible_rows,
    score,
)
from neuroscaling.report.published.claim_verdict import Claim, Finding, graded

HALF = 0.5
CORRECTED_PAIR = ("compute_neuro.corrected", "compute_behavior.corrected")
# Mode, what is particular to the pair, and its fits of neural alignment and of behaviour.
CASES = (
    ("parity", "", ("compute_neuro", "compute_behavior")),
    ("corrected", "", CORRECTED_PAIR),
    (
        "corrected",
        "Without ConvNeXt and ViT trained on few images. ",
        ("many_images_neuro", "many_images_behavior"),
    ),
)
RULE = (
    "Pace: the gain that the law predicts for the decade of compute beyond the data, divided by the mean gain a "
    "decade within the data. Neural alignment saturates when its pace is below one half, behaviour keeps scaling when "
    "its pace is above one half, each with its whole 95 % interval. Supported: both hold in every pair of fits. In "
    "part: they hold in some, or only the pace of behaviour is above that of neural alignment. Depends on the form: "
    "another form that describes the points about as well (AICc within 2 of the best, or a held-out error no larger "
    "than the best form's) puts either pace on the other side of one half."
)
LIMITS = (
    "The data end at 1.6e20 FLOPs: what lies beyond is the form's word. One half is a convention: it tells a curve "
    "that levels off from one that does not. Scores are relative to ceilings of the public benchmarks, and layers "
    "were chosen on the benchmarks themselves."
)


def claim(study: Study) -> Claim:
    """The claim with what each mode's fits say of it."""
    findings = [found for case in CASES if (found := _finding(study, *case)) is not None]
    words, matters = _forms(study)
    text = "With more compute behavioural alignment keeps growing while neural alignment saturates."
    return Claim(text, RULE, findings, words, matters, LIMITS)


def pace(law: Resampled) -> Array:
    """Predicted gain of the decade beyond the data over the mean gain a decade within them: (1 + k,)."""
    return _pace(law.fit["form"], law.rows, law.ends, law.fit["x_scale"])


def _pace(form: str, rows: Array, ends: tuple[float, float], scale: float) -> Array:
    low, high = ends
    first, last, beyond = score(form, rows, np.array([low, high, 10 * high]) / scale).T
    with np.errstate(all="ignore"):
        return (beyond - last) * np.log10(high / low) / (last - first)


def _finding(study: Study, mode: str, lead: str, names: tuple[str, str]) -> Finding | None:
    laws = [study.resampled(name) for name in names]
    if None in laws:
        return None
    neural, behavior = laws
    paces = [estimate(pace(law)) for law in laws]
    difference = estimate(paired(pace(behavior), pace(neural)))
    if None in (*paces, difference):
        return None
    whole = paces[0].below(HALF) and paces[1].above(HALF)
    words = f"{_described('Neural', neural, paces[0])} {_described('Behaviour', behavior, paces[1])}"
    return Finding(mode, f"{lead}{words}", graded(whole, difference.above()))


def _described(what: str, law: Resampled, pace: Estimate) -> str:
    top = law.ends[1]
    reached = float(law.score([top])[0, 0])
    next_decade = estimate(gain(law.score([top, 10 * top])))
    return (
        f"{what}: {reached:.3f} at the largest compute, {_asymptote(law.fit)}; next decade +{next_decade}, pace {pace}."
    )


def _asymptote(fit: Content) -> str:
    if fit.get("saturation") is None:
        return fit.get("saturation_statement") or "no asymptote within sight"
    low, high = fit.get("saturation_ci95") or (None, None)
    return f"asymptote {fit['saturation']:.3f}" + (f" ({low:.3f} to {high:.3f})" if None not in (low, high) else "")


def _forms(study: Study) -> tuple[str | None, bool]:
    """What the forms that describe the points about as well make of the two paces, in the corrected fits."""
    fits = [study.fitted(name) for name in CORRECTED_PAIR]
    if None in fits:
        return None, False
    plausible = [{row["form"] for row in plausible_rows(fit)} for fit in fits]
    paces = [_paces(fit) for fit in fits]
    kept = [[p for form, p in found.items() if form in names] for found, names in zip(paces, plausible, strict=True)]
    sides = {(neural < HALF, behavior > HALF) for neural, behavior in product(*kept)}
    words = [_form_words(*case) for case in zip(("Neural", "Behaviour"), fits, paces, plausible, strict=True)]
    return " ".join(words), len(sides) > 1


def _form_words(what: str, fit: Content, paces: dict[str, float], plausible: set[str]) -> str:
    """Pace and criteria of every form; "(out)" behind those that describe the points worse."""
    rows = [row for row in compared_rows(fit) if row["form"] in paces]
    names = [row["form"] + ("" if row["form"] in plausible else " (out)") for row in rows]
    words = [f"pace {paces[row['form']]:.2f}, {criteria(row, compared_rows(fit)[0])}" for row in rows]
    return f"{what}: " + "; ".join(f"{name}: {said}" for name, said in zip(names, words, strict=True)) + "."


def _paces(fit: Content) -> dict[str, float]:
    """Pace of the points by every form of the comparison that has one."""
    ends = fit["curve"]["x"][0], fit["curve"]["x"][-1]
    rows = compared_rows(fit)
    found = {row["form"]: _pace(row["form"], parameters(row), ends, fit["x_scale"])[0] for row in rows}
    return {form: float(value) for form, value in found.items() if np.isfinite(value)}
