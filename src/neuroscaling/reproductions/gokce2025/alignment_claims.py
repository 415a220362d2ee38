"""Two claims say that alignment saturates and that higher areas gain more."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np

from neuroscaling.reproductions.gokce2025.claim_evidence import (
    MODES,
    Array,
    Claim,
    Content,
    Estimate,
    Finding,
    PublishedFits,
    Resampled,
    compared_rows,
    criteria,
    estimate,
    gain,
    graded,
    name_in,
    paired,
    parameters,
    plausible_rows,
    score,
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


def pace(law: Resampled) -> Array:
    """Predicted gain of the decade beyond the data over the mean gain a decade within them: (1 + k,)."""
    return _pace(law.fit["form"], law.rows, law.ends, law.fit["x_scale"])


def _pace(form: str, rows: Array, ends: tuple[float, float], scale: float) -> Array:
    low, high = ends
    first, last, beyond = score(form, rows, np.array([low, high, 10 * high]) / scale).T
    with np.errstate(all="ignore"):
        return (beyond - last) * np.log10(high / low) / (last - first)


def _saturation_finding(study: PublishedFits, mode: str, lead: str, names: tuple[str, str]) -> Finding | None:
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


def _saturation_by_form(study: PublishedFits) -> tuple[str | None, bool]:
    """What other forms make of the two paces, in the corrected fits."""
    found = [_by_form(study, lead, names) for mode, lead, names in SATURATION_CASES if mode == "corrected"]
    words = [said for said, _ in found if said is not None]
    return " ".join(words) or None, any(matters for _, matters in found)


def _by_form(study: PublishedFits, lead: str, names: tuple[str, str]) -> tuple[str | None, bool]:
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


def left_at_ten(law: Resampled) -> Array:
    """A 10^-alpha (1 + k,): the reducible misalignment left at x = 10, as published."""
    amplitude, alpha = law.rows[:, 1], law.rows[:, 2]
    with np.errstate(all="ignore"):
        return amplitude * 10.0**-alpha


def gain_per_decade(law: Resampled) -> Array:
    """Mean gain a decade of x within the data (1 + k,)."""
    return gain(law.score(list(law.ends))) / np.log10(law.ends[1] / law.ends[0])


MEASURES = {"A 10^-alpha": left_at_ten, "gain a decade": gain_per_decade}


def _hierarchy_findings(study: PublishedFits, mode: str) -> list[Finding]:
    laws = {region: study.resampled(name_in(f"region_{key}_group1", mode)) for region, key in REGIONS.items()}
    if None in laws.values() or any(law.fit["form"] != "power_law" for law in laws.values()):
        return []
    return [
        _hierarchy_finding(mode, name, {r: measure(law) for r, law in laws.items()})
        for name, measure in MEASURES.items()
    ]


def _hierarchy_finding(mode: str, name: str, statistics: dict[str, Array]) -> Finding:
    values = {region: estimate(rows) for region, rows in statistics.items()}
    above = {region: estimate(paired(statistics[region], statistics["V1"])) for region in ("IT", "behaviour")}
    if None in values.values() or None in above.values():
        return Finding(mode, f"{name}: no finite value in some region.")
    ends = [difference.above() for difference in above.values()]
    text = f"{name}: {', '.join(f'{region} {value}' for region, value in values.items())}. {_differences(above)}"
    return Finding(mode, text, graded(_rises([v.value for v in values.values()]) and all(ends), any(ends)))


def _differences(above: dict[str, Estimate]) -> str:
    return "Above V1: " + ", ".join(f"{region} by {value}" for region, value in above.items()) + "."


def _rises(values: list[float]) -> bool:
    return all(second > first for first, second in pairwise(values))


def _hierarchy_by_form(study: PublishedFits) -> tuple[str | None, bool]:
    """The measured gains by each form that describes the points of at least one region about as well as the best."""
    fits = {region: study.fitted(name_in(f"region_{key}_group1", "corrected")) for region, key in REGIONS.items()}
    if None in fits.values():
        return None, False
    forms = dict.fromkeys(row["form"] for fit in fits.values() for row in weighed_rows(fit))
    gains = {form: [_gain_by(form, fit) for fit in fits.values()] for form in forms}
    gains = {form: values for form, values in gains.items() if np.isfinite(values).all()}
    words = "; ".join(f"{form}: {', '.join(f'{v:.3f}' for v in values)}" for form, values in gains.items())
    kinds = {(_rises(values), values[3] > values[0], values[4] > values[0]) for values in gains.values()}
    return f"Gain a decade within the data ({', '.join(fits)}) by form. {words}.", len(kinds) > 1


def _gain_by(form: str, fit: Content) -> float:
    for row in compared_rows(fit):
        if row["form"] == form:
            curve = row["curve"]
            return (curve["fit"][-1] - curve["fit"][0]) / float(np.log10(curve["x"][-1] / curve["x"][0]))
    return float("nan")
