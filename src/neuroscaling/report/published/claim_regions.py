"""Claim: higher visual areas gain more from scale."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from neuroscaling.report.published.claim_numbers import (
    Array,
    Content,
    Estimate,
    Resampled,
    Study,
    compared_rows,
    estimate,
    gain,
    name_in,
    paired,
    weighed_rows,
)
from neuroscaling.report.published.claim_verdict import MODES, Claim, Finding, graded

REGIONS = {"V1": "v1", "V2": "v2", "V4": "v4", "IT": "it", "behaviour": "behavior"}
RULE = (
    "Two measures over V1, V2, V4, IT and behaviour: the published one, A 10^-alpha, which is the reducible "
    "misalignment left at 1e14 FLOPs, and the gain a decade of compute within the data. Supported: each rises at "
    "every step and both IT and behaviour exceed V1, with 95 % intervals of the differences (same resamples) above "
    "zero. In part: only some of that holds. Depends on the form: whether the measured gains rise, or exceed that of "
    "V1, changes between the published form and those that describe the points of a region about as well as the best."
)
LIMITS = (
    "Families with a strong prior only (ResNet, EfficientNet, CORnet-S, AlexNet). A 10^-alpha is not a gain a decade: "
    "where the asymptote is uncertain it takes over that uncertainty. V1 and V2 are scored on textures, V4 and IT on "
    "objects, behaviour on choices: a gain of one is not in the units of another beyond its own ceiling. Nor are the "
    "scales equal: neural scores are (r / ceiling)², that of behaviour is r / √ceiling."
)


def claim(study: Study) -> Claim:
    """The claim with what each mode's fits say of it."""
    findings = [finding for mode in MODES for finding in _findings(study, mode)]
    words, matters = _forms(study)
    text = "Higher visual areas gain more from scale than early ones, and behaviour most."
    return Claim(text, RULE, findings, words, matters, LIMITS)


def left_at_ten(law: Resampled) -> Array:
    """A 10^-alpha (1 + k,): the reducible misalignment left at x = 10, as published."""
    amplitude, alpha = law.rows[:, 1], law.rows[:, 2]
    with np.errstate(all="ignore"):
        return amplitude * 10.0**-alpha


def gain_per_decade(law: Resampled) -> Array:
    """Mean gain a decade of x within the data (1 + k,)."""
    return gain(law.score(list(law.ends))) / np.log10(law.ends[1] / law.ends[0])


MEASURES = {"A 10^-alpha": left_at_ten, "gain a decade": gain_per_decade}


def _findings(study: Study, mode: str) -> list[Finding]:
    laws = {region: study.resampled(name_in(f"region_{key}_group1", mode)) for region, key in REGIONS.items()}
    if None in laws.values() or any(law.fit["form"] != "power_law" for law in laws.values()):
        return []
    return [_finding(mode, name, {r: measure(law) for r, law in laws.items()}) for name, measure in MEASURES.items()]


def _finding(mode: str, name: str, statistics: dict[str, Array]) -> Finding:
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


def _forms(study: Study) -> tuple[str | None, bool]:
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
