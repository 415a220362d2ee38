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
    weighed_rows,
)
from neuroscaling.report.published.claim_verdict import Claim, Finding, graded

HALF = 0.5
# Mode, what is particular to the pair, and its fits of neural alignment and of behaviour.
CASES = (
    ("parity", "", ("compute_neuro", "compute_behavior")),
    ("corrected", "", ("compute_neuro.corrected", "compute_behavior.corrected")),
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
    "with a form that describes the points about as well as the best, either pace lies on the other side of one half "
    "than with the published form; that is asked of the corrected fits."
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
    """What other forms make of the two paces, in the corrected fits."""
    found = [_by_form(study, lead, names) for mode, lead, names in CASES if mode == "corrected"]
    words = [said for said, _ in found if said is not None]
    return " ".join(words) or None, any(matters for _, matters in found)


def _by_form(study: Study, lead: str, names: tuple[str, str]) -> tuple[str | None, bool]:
    fits = [study.fitted(name) for name in names]
    if None in fits:
        return None, False
    paces = [_paces(fit) for fit in fits]
    weighed = [
        [p[row["form"]] for row in weighed_rows(fit) if row["form"] in p] for fit, p in zip(fits, paces, strict=True)
    ]
    sides = {(neural < HALF, behavior > HALF) for neural, behavior in product(*weighed)}
    words = [_form_words(*case) for case in zip(("Neural", "Behaviour"), fits, paces, strict=True)]
    return lead + " ".join(words), len(sides) > 1


def _form_words(what: str, fit: Content, paces: dict[str, float]) -> str:
    """Pace and criteria of every form; "(out)" behind those that describe the points worse."""
    rows = [row for row in compared_rows(fit) if row["form"] in paces]
    plausible = plausible_rows(fit)
    names = [row["form"] + ("" if row in plausible else " (out)") for row in rows]
    words = [f"pace {paces[row['form']]:.2f}, {criteria(row, compared_rows(fit)[0])}" for row in rows]
    return f"{what}: " + "; ".join(f"{name}: {said}" for name, said in zip(names, words, strict=True)) + "."


def _paces(fit: Content) -> dict[str, float]:
    """Pace of the points by every form of the comparison that has one."""
    ends = fit["curve"]["x"][0], fit["curve"]["x"][-1]
    rows = compared_rows(fit)
    found = {row["form"]: _pace(row["form"], parameters(row), ends, fit["x_scale"])[0] for row in rows}
    return {form: float(value) for form, value in found.items() if np.isfinite(value)}
