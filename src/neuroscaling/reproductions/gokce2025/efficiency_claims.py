"""Three claims say what bias, data and the split of compute give."""

from __future__ import annotations

import math
from itertools import product

import numpy as np

from neuroscaling.laws.curves import Curve
from neuroscaling.laws.finished_law import FinishedLaw
from neuroscaling.laws.fit_record import Exponent
from neuroscaling.reproductions.gokce2025.claim_evidence import (
    MODES,
    NO,
    PARTLY,
    YES,
    Claim,
    Estimate,
    Finding,
    PublishedFits,
    compared_rows,
    estimate,
    graded,
    name_in,
    on_curve,
    shared_range,
    weighed_rows,
)

# Mode, what is particular to the pair, and its fits of families with a strong and with a weak prior.
BIAS_CASES = (
    ("parity", "", ("region_avg_group1", "region_avg_group2")),
    ("corrected", "", ("region_avg_group1.corrected", "region_avg_group2.corrected")),
    (
        "corrected",
        "Trained on 300 images a class or on all, both. ",
        ("many_images_group1", "many_images_group2"),
    ),
)
BIAS_RULE = (
    "Difference of the average score, families with a strong prior minus families with a weak one, at equal compute: "
    "at a tenth, at half and at the whole of the shared range of log compute. The intervals are of independent "
    "models. Supported: above zero at all three, in every pair of fits. In part: above zero at one or two, or in some "
    "pairs. Depends on the form: the grade of the values changes between the published forms and those that describe "
    "the points about as well as the best; that is asked of the corrected fits."
)
BIAS_LIMITS = (
    "Families differ in recipe as well: ResNet, EfficientNet, CORnet-S and AlexNet were trained for 100 epochs, "
    "ConvNeXt and ViT for 300 with stronger augmentation, so at equal images available the latter spend three times "
    "the compute. At 1e17 to 1e18 FLOPs half of the strong had 790 images a class or more, half of the weak 30 or "
    "fewer: the pair of fits to many images alone takes that difference away, and most of the range with it. Priors "
    "were not varied within a recipe."
)
DATA_RULE = (
    "Difference of the average score, ImageNet or ecoset minus another data set, at equal images seen: at the middle "
    "(in the log) and at the end of the shared range. The published fits over samples pool all families for ImageNet "
    "and ecoset; the fits `same-network` hold ResNet-18 alone. Supported: both lie above all of webvisionP, "
    "places365, inaturalist and infimnist at both places, with 95 % intervals above zero. In part: that holds for "
    "some pairs. Depends on the form: for ResNet-18 most pairs hold, by their values, with one form for all data sets "
    "and not with another: the published form and those about as good as the best for a data set."
)
DATA_LIMITS = (
    "The quality of images was not measured: data sets differ in content, number of classes and curation at once. All "
    "but ImageNet and ecoset rest on 4 to 11 models, mostly one seed, so their intervals are rough."
)
LOWER = ("webvisionP", "places365", "inaturalist", "infimnist")
CURATED = ("imagenet", "ecoset")
DATA_CASES = (
    ("parity", "sample_{}_scaling", ""),
    ("corrected", "sample_{}_scaling.corrected", ""),
    ("corrected", "same-network.{}", "ResNet-18 alone. "),
)
SHARES = (0.1, 0.5, 1.0)


def bias_claim(study: PublishedFits) -> Claim:
    """The claim about inductive bias with what each mode's fits say of it."""
    findings = [found for case in BIAS_CASES if (found := _bias_finding(study, *case)) is not None]
    words, matters = _bias_forms(study)
    text = "Networks with a stronger inductive bias align better at equal compute."
    return Claim(text, BIAS_RULE, findings, words, matters, BIAS_LIMITS)


def data_claim(study: PublishedFits) -> Claim:
    """The claim about the quality of data with what each mode's fits say of it."""
    findings = [found for case in DATA_CASES if (found := _data_finding(study, *case)) is not None]
    words, matters = _data_forms(study)
    text = "Data sets of better images give more alignment for the same number of images seen."
    return Claim(text, DATA_RULE, findings, words, matters, DATA_LIMITS)


def _places(first: FinishedLaw, second: FinishedLaw, shares: tuple[float, ...]) -> list[float]:
    """Values of x at the given shares of the shared range of log x; none where the ranges do not meet."""
    low, high = shared_range(first, second)
    return [low * (high / low) ** share for share in shares] if low < high else []


def _bias_finding(study: PublishedFits, mode: str, lead: str, names: tuple[str, str]) -> Finding | None:
    strong, weak = (study.fitted(name) for name in names)
    if strong is None or weak is None:
        return None
    places = _places(strong, weak, SHARES)
    differences = [on_curve(strong, x).minus(on_curve(weak, x)) for x in places]
    above = [difference.above() for difference in differences]
    words = ", ".join(f"{d} at {x:.1e} FLOPs" for d, x in zip(differences, places, strict=True))
    text = f"Strong minus weak prior: {words}. {_saving(strong, weak, places[1])}" if places else "No shared compute."
    return Finding(mode, f"{lead}{text}", graded(bool(above) and all(above), any(above)))


def _saving(strong: FinishedLaw, weak: FinishedLaw, x: float) -> str:
    """With how much less compute the strong prior reaches what the weak one has at x, along the two curves."""
    target, curve = on_curve(weak, x).value, strong.line
    reached = np.flatnonzero(curve.fit >= target)
    if not reached.size:
        return f"The score of the weak prior at {x:.1e} FLOPs is not reached by the strong one."
    ratio = x / float(curve.x[reached[0]])
    bound = "at least " if reached[0] == 0 else "about "
    return f"What the weak prior has at {x:.1e} FLOPs the strong one has with {bound}{_times(ratio)} times less."


def _times(ratio: float) -> str:
    return f"{ratio:.0f}" if ratio >= 10 else f"{ratio:.1f}"


def _bias_forms(study: PublishedFits) -> tuple[str | None, bool]:
    """What other forms make of the differences, in the corrected fits."""
    found = [_bias_by_form(study, lead, names) for mode, lead, names in BIAS_CASES if mode == "corrected"]
    words = [said for said, _ in found if said is not None]
    return " ".join(words) or None, any(matters for _, matters in found)


def _bias_by_form(study: PublishedFits, lead: str, names: tuple[str, str]) -> tuple[str | None, bool]:
    """Strong minus weak at the three places for every pair of plausible forms."""
    strong, weak = (study.fitted(name) for name in names)
    if strong is None or weak is None:
        return None, False
    places = _places(strong, weak, SHARES)
    if not places:
        return None, False
    found = {}
    for (first, over), (second, under) in product(_curves(strong).items(), _curves(weak).items()):
        found[f"{first} and {second}"] = [over.at(x) - under.at(x) for x in places]
    words = "; ".join(f"{pair}: {', '.join(f'{v:.3f}' for v in values)}" for pair, values in found.items())
    grades = {graded(min(values) > 0, max(values) > 0) for values in found.values()}
    return f"{lead}Strong minus weak prior at the same places, by form. {words}.", len(grades) > 1


def _curves(law: FinishedLaw) -> dict[str, Curve]:
    """The curves of the forms that are weighed, by form."""
    return {row.form: row.curve for row in weighed_rows(law) if row.curve is not None}


def _data_finding(study: PublishedFits, mode: str, name: str, lead: str) -> Finding | None:
    """ImageNet and ecoset against the other data sets, by the fits called `name` with the data set put in."""
    laws = _by_dataset(study, name)
    pairs = [(a, b) for a, b in product(CURATED, LOWER) if a in laws and b in laws]
    compared = {(a, b): _differences(laws[a], laws[b]) for a, b in pairs}
    compared = {pair: differences for pair, differences in compared.items() if differences}
    if not compared:
        return None
    holds = [all(difference.above() for difference in differences) for differences in compared.values()]
    whole = all(holds) and len(holds) == len(CURATED) * len(LOWER)
    words = ", ".join(f"{a} minus {b} {differences[0]}" for (a, b), differences in compared.items())
    absent = [dataset for dataset in (*CURATED, *LOWER) if dataset not in laws]
    text = f"{lead}At the middle of the shared range: {words}. {sum(holds)} of {len(holds)} pairs hold at both places."
    text += f" Not testable: {', '.join(absent)}." if absent else ""
    return Finding(mode, text, graded(whole, any(holds)))


def _by_dataset(study: PublishedFits, name: str) -> dict[str, FinishedLaw]:
    """The laws called `name` with the data set put in, of the data sets that have one."""
    found = {dataset: study.fitted(name.format(dataset)) for dataset in (*CURATED, *LOWER)}
    return {dataset: law for dataset, law in found.items() if law is not None}


def _differences(first: FinishedLaw, second: FinishedLaw) -> list[Estimate]:
    places = _places(first, second, (0.5, 1.0))
    return [on_curve(first, x).minus(on_curve(second, x)) for x in places]


def _data_forms(study: PublishedFits) -> tuple[str | None, bool]:
    """How many pairs hold, by their values alone, when all data sets of ResNet-18 are described by one form."""
    laws = _by_dataset(study, "same-network.{}")
    pairs = [(a, b) for a, b in product(CURATED, LOWER) if a in laws and b in laws]
    forms = dict.fromkeys(row.form for law in laws.values() for row in weighed_rows(law))
    judged = {form: [_holds(form, laws[a], laws[b]) for a, b in pairs] for form in forms}
    known = {form: [value for value in values if value is not None] for form, values in judged.items()}
    held = {form: values for form, values in known.items() if values and len(values) == len(pairs)}
    if not held:
        return None, False
    words = ", ".join(f"{sum(values)} of {len(values)} pairs by {form}" for form, values in held.items())
    most = {2 * sum(values) > len(values) for values in held.values()}
    return f"ResNet-18 alone, by the values without their intervals: {words}.", len(most) > 1


def _holds(form: str, first: FinishedLaw, second: FinishedLaw) -> bool | None:
    """Whether the first lies above the second at both places, both described by `form`; None where it can't be told."""
    over, under = (next((r.curve for r in compared_rows(law) if r.form == form), None) for law in (first, second))
    places = _places(first, second, (0.5, 1.0))
    if over is None or under is None or not places:
        return None
    return all(over.at(x) > under.at(x) for x in places)


HALF = 0.5
REGIONS = ("V1", "V2", "V4", "IT", "Behavioral")
ALLOCATION_RULE = (
    "Share of data: alpha / (alpha + beta) of the two-variable law, the part of a growth of log compute that goes to "
    "the number of images seen; the rest goes to parameters. Supported: in both modes, and in every region fitted by "
    "itself, the whole 95 % interval lies above one half. Not supported: nowhere does it. In part: all else, or the "
    "data do not identify both exponents."
)
ALLOCATION_FORM = (
    "One two-variable form was fitted, in which parameters and images add up: no other form was compared, so the "
    "shares hold under this form only. Parity repeats the published inversion of a factor, which moves the "
    "recommended model and data sizes but not the shares."
)
ALLOCATION_LIMITS = (
    "The cost of a model is not 6 N D across these families: a regression over all of them stands in for it. Epochs "
    "and batch sizes were fixed a family, so images seen and images available are not told apart."
)


def allocation_claim(study: PublishedFits) -> Claim:
    """The claim with what the average's and each region's law say of it."""
    cases = [(name_in("compute_chinchilla", mode), "Mean of the five benchmarks", mode) for mode in MODES]
    cases += [(f"allocation.{region}", region, "corrected") for region in REGIONS]
    findings = [found for case in cases if (found := _allocation_finding(study, *case)) is not None]
    text = "Growing compute is better spent on more data than on more parameters."
    return Claim(text, ALLOCATION_RULE, findings, ALLOCATION_FORM if findings else None, False, ALLOCATION_LIMITS)


def data_share(study: PublishedFits, name: str) -> Estimate | None:
    """alpha / (alpha + beta) with its interval; resamples without two positive exponents have no optimum."""
    law = study.resampled(name)
    if law is None:
        return None
    exponents = law.rows[:, [law.form.names.index(key) for key in ("alpha", "beta")]]
    alpha, beta = np.where((exponents > 0).all(axis=1, keepdims=True), exponents, np.nan).T
    return estimate(alpha / (alpha + beta))


def _allocation_finding(study: PublishedFits, name: str, what: str, mode: str) -> Finding | None:
    law, share = study.fitted(name), data_share(study, name)
    if law is None or share is None:
        return None
    doubts = _doubts(law)
    text = f"{what}: share of data {share}.{_exponents(law)}"
    text += f" The data do not identify {' and '.join(doubts)}." if doubts else ""
    support = NO if not share.above(HALF) else PARTLY if doubts else YES
    return Finding(mode, text, support)


def _doubts(law: FinishedLaw) -> list[str]:
    """Exponents that the data do not identify."""
    return [key for key in ("alpha", "beta") if not law.identifies(key)]


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
