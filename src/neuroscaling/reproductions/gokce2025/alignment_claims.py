"""Two claims say that alignment saturates and that higher areas gain more."""

from __future__ import annotations

import math
from itertools import pairwise, product

import numpy as np

from neuroscaling.laws.finished_law import FinishedLaw
from neuroscaling.reproductions.gokce2025.claim_evidence import (
    MODES,
    Array,
    Claim,
    Estimate,
    Finding,
    PublishedFits,
    compared_rows,
    criteria,
    estimate,
    gain,
    graded,
    name_in,
    paired,
    plausible_rows,
    score,
    scores,
    weighed_rows,
)

HALF = 0.5
# Mode, what is particular to the pair, and its fits of neural alignment and of behaviour.
SATURATION_CASES = (
    ("parity", "", ("compute_neuro", "compute_behavior")),
    ("corrected", "", ("compute_neuro.corrected", "compute_behavior.corrected")),
    (
        "corrected",
        "Without ConvNeXt and ViT trained on few images. ",
        ("many_images_neuro", "many_images_behavior"),
    ),
)
SATURATION_RULE = (
    "Pace: the gain that the law predicts for the decade of compute beyond the data, divided by the mean gain a "
    "decade within the data. Neural alignment saturates when its pace is below one half, behaviour keeps scaling when "
    "its pace is above one half, each with its whole 95 % interval. Supported: both hold in every pair of fits. In "
    "part: they hold in some, or only the pace of behaviour is above that of neural alignment. Depends on the form: "
    "with a form that describes the points about as well as the best, either pace lies on the other side of one half "
    "than with the published form; that is asked of the corrected fits."
)
SATURATION_LIMITS = (
    "The data end at 1.6e20 FLOPs: what lies beyond is the form's word. One half is a convention: it tells a curve "
    "that levels off from one that does not. Scores are relative to ceilings of the public benchmarks, and layers "
    "were chosen on the benchmarks themselves."
)


def saturation_claim(study: PublishedFits) -> Claim:
    """The claim with what each mode's fits say of it."""
    findings = [found for case in SATURATION_CASES if (found := _saturation_finding(study, *case)) is not None]
    words, matters = _saturation_by_form(study)
    text = "With more compute behavioural alignment keeps growing while neural alignment saturates."
    return Claim(text, SATURATION_RULE, findings, words, matters, SATURATION_LIMITS)


def pace(law: FinishedLaw) -> Array:
    """Predicted gain of the decade beyond the data over the mean gain a decade within them: (1 + k,)."""
    return _pace(law.form_name, law.rows, law.line.ends, float(law.scales[0]))


def _pace(form: str, rows: Array, ends: tuple[float, float], scale: float) -> Array:
    low, high = ends
    first, last, beyond = score(form, rows, np.array([low, high, 10 * high]) / scale).T
    with np.errstate(all="ignore"):
        return (beyond - last) * np.log10(high / low) / (last - first)


def _saturation_finding(study: PublishedFits, mode: str, lead: str, names: tuple[str, str]) -> Finding | None:
    neural, behavior = (study.resampled(name) for name in names)
    if neural is None or behavior is None:
        return None
    of_neural, of_behavior = estimate(pace(neural)), estimate(pace(behavior))
    difference = estimate(paired(pace(behavior), pace(neural)))
    if of_neural is None or of_behavior is None or difference is None:
        return None
    whole = of_neural.below(HALF) and of_behavior.above(HALF)
    words = f"{_described('Neural', neural, of_neural)} {_described('Behaviour', behavior, of_behavior)}"
    return Finding(mode, f"{lead}{words}", graded(whole, difference.above()))


def _described(what: str, law: FinishedLaw, pace: Estimate) -> str:
    top = law.line.ends[1]
    reached = float(scores(law, [top])[0, 0])
    next_decade = estimate(gain(scores(law, [top, 10 * top])))
    return f"{what}: {reached:.3f} at the largest compute, {_asymptote(law)}; next decade +{next_decade}, pace {pace}."


def _asymptote(law: FinishedLaw) -> str:
    if law.saturation is None:
        return law.saturation_statement or "no asymptote within sight"
    low, high = law.saturation_ci95 or (math.nan, math.nan)
    known = math.isfinite(low) and math.isfinite(high)
    return f"asymptote {law.saturation:.3f}" + (f" ({low:.3f} to {high:.3f})" if known else "")


def _saturation_by_form(study: PublishedFits) -> tuple[str | None, bool]:
    """What other forms make of the two paces, in the corrected fits."""
    found = [_by_form(study, lead, names) for mode, lead, names in SATURATION_CASES if mode == "corrected"]
    words = [said for said, _ in found if said is not None]
    return " ".join(words) or None, any(matters for _, matters in found)


def _by_form(study: PublishedFits, lead: str, names: tuple[str, str]) -> tuple[str | None, bool]:
    laws = [law for name in names if (law := study.fitted(name)) is not None]
    if len(laws) < len(names):
        return None, False
    paces = [_paces(law) for law in laws]
    weighed = [[p[row.form] for row in weighed_rows(law) if row.form in p] for law, p in zip(laws, paces, strict=True)]
    sides = {(neural < HALF, behavior > HALF) for neural, behavior in product(*weighed)}
    words = [_form_words(*case) for case in zip(("Neural", "Behaviour"), laws, paces, strict=True)]
    return lead + " ".join(words), len(sides) > 1


def _form_words(what: str, law: FinishedLaw, paces: dict[str, float]) -> str:
    """Pace and criteria of every form; "(out)" behind those that describe the points worse."""
    rows = [row for row in compared_rows(law) if row.form in paces]
    plausible = {row.form for row in plausible_rows(law)}
    names = [row.form + ("" if row.form in plausible else " (out)") for row in rows]
    words = [f"pace {paces[row.form]:.2f}, {criteria(row, compared_rows(law)[0])}" for row in rows]
    return f"{what}: " + "; ".join(f"{name}: {said}" for name, said in zip(names, words, strict=True)) + "."


def _paces(law: FinishedLaw) -> dict[str, float]:
    """Pace of the points by every form of the comparison that has one."""
    ends, scale = law.line.ends, float(law.scales[0])
    found = {row.form: _pace(row.form, row.parameters, ends, scale)[0] for row in compared_rows(law)}
    return {form: float(value) for form, value in found.items() if np.isfinite(value)}


HIGHEST = ("IT", "behaviour")
REGIONS = {"V1": "v1", "V2": "v2", "V4": "v4", "IT": "it", "behaviour": "behavior"}
HIERARCHY_RULE = (
    "Two measures over V1, V2, V4, IT and behaviour: the published one, A 10^-alpha, which is the reducible "
    "misalignment left at 1e14 FLOPs, and the gain a decade of compute within the data. Supported: each rises at "
    "every step and both IT and behaviour exceed V1, with 95 % intervals of the differences (same resamples) above "
    "zero. In part: only some of that holds. Depends on the form: whether the measured gains rise, or exceed that of "
    "V1, changes between the published form and those that describe the points of a region about as well as the best."
)
HIERARCHY_LIMITS = (
    "Families with a strong prior only (ResNet, EfficientNet, CORnet-S, AlexNet). A 10^-alpha is not a gain a decade: "
    "where the asymptote is uncertain it takes over that uncertainty. V1 and V2 are scored on textures, V4 and IT on "
    "objects, behaviour on choices: a gain of one is not in the units of another beyond its own ceiling. Nor are the "
    "scales equal: neural scores are (r / ceiling)², that of behaviour is r / √ceiling."
)


def hierarchy_claim(study: PublishedFits) -> Claim:
    """The claim with what each mode's fits say of it."""
    findings = [finding for mode in MODES for finding in _hierarchy_findings(study, mode)]
    words, matters = _hierarchy_by_form(study)
    text = "Higher visual areas gain more from scale than early ones, and behaviour most."
    return Claim(text, HIERARCHY_RULE, findings, words, matters, HIERARCHY_LIMITS)


def left_at_ten(law: FinishedLaw) -> Array:
    """A 10^-alpha (1 + k,): the reducible misalignment left at x = 10, as published."""
    amplitude, alpha = law.rows[:, 1], law.rows[:, 2]
    with np.errstate(all="ignore"):
        return amplitude * 10.0**-alpha


def gain_per_decade(law: FinishedLaw) -> Array:
    """Mean gain a decade of x within the data (1 + k,)."""
    low, high = law.line.ends
    return gain(scores(law, [low, high])) / np.log10(high / low)


MEASURES = {"A 10^-alpha": left_at_ten, "gain a decade": gain_per_decade}


def _hierarchy_findings(study: PublishedFits, mode: str) -> list[Finding]:
    found = {region: study.resampled(name_in(f"region_{key}_group1", mode)) for region, key in REGIONS.items()}
    laws = {region: law for region, law in found.items() if law is not None}
    if len(laws) < len(REGIONS) or any(law.form_name != "power_law" for law in laws.values()):
        return []
    return [
        _hierarchy_finding(mode, name, {r: measure(law) for r, law in laws.items()})
        for name, measure in MEASURES.items()
    ]


def _hierarchy_finding(mode: str, name: str, statistics: dict[str, Array]) -> Finding:
    values = _known({region: estimate(rows) for region, rows in statistics.items()})
    above = _known({region: estimate(paired(statistics[region], statistics["V1"])) for region in HIGHEST})
    if len(values) < len(statistics) or len(above) < len(HIGHEST):
        return Finding(mode, f"{name}: no finite value in some region.")
    ends = [difference.above() for difference in above.values()]
    text = f"{name}: {', '.join(f'{region} {value}' for region, value in values.items())}. {_differences(above)}"
    return Finding(mode, text, graded(_rises([v.value for v in values.values()]) and all(ends), any(ends)))


def _known(estimates: dict[str, Estimate | None]) -> dict[str, Estimate]:
    return {name: value for name, value in estimates.items() if value is not None}


def _differences(above: dict[str, Estimate]) -> str:
    return "Above V1: " + ", ".join(f"{region} by {value}" for region, value in above.items()) + "."


def _rises(values: list[float]) -> bool:
    return all(second > first for first, second in pairwise(values))


def _hierarchy_by_form(study: PublishedFits) -> tuple[str | None, bool]:
    """The measured gains by each form that describes the points of at least one region about as well as the best."""
    found = {region: study.fitted(name_in(f"region_{key}_group1", "corrected")) for region, key in REGIONS.items()}
    laws = {region: law for region, law in found.items() if law is not None}
    if len(laws) < len(REGIONS):
        return None, False
    forms = dict.fromkeys(row.form for law in laws.values() for row in weighed_rows(law))
    gains = {form: [_gain_by(form, law) for law in laws.values()] for form in forms}
    gains = {form: values for form, values in gains.items() if np.isfinite(values).all()}
    words = "; ".join(f"{form}: {', '.join(f'{v:.3f}' for v in values)}" for form, values in gains.items())
    kinds = {(_rises(values), values[3] > values[0], values[4] > values[0]) for values in gains.values()}
    return f"Gain a decade within the data ({', '.join(laws)}) by form. {words}.", len(kinds) > 1


def _gain_by(form: str, law: FinishedLaw) -> float:
    for row in compared_rows(law):
        if row.form == form and row.curve is not None:
            low, high = row.curve.ends
            return float((row.curve.fit[-1] - row.curve.fit[0]) / np.log10(high / low))
    return math.nan
