"""Verdicts on the published claims follow from the numbers of the fits: made-up fits flip them."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from neuroscaling.claims.evidence import Estimate, plausible_rows
from neuroscaling.claims.judging import judge
from neuroscaling.laws.forms import form_by_name
from neuroscaling.study.sections.claim_files import load_claim_file
from tests.support.finished_fits import finished

CLAIMS = load_claim_file(Path(__file__).parents[2] / "config/claims/gokce2025.yaml").claims
ENDS = (1e14, 1e20)
SLOW, FAST = (0.5, 0.4, 0.15), (0.1, 0.85, 0.02)  # E, A, alpha: levels off within the data; hardly at all
LINE = {"a": 0.1, "b": 0.05}
SATURATION, REGIONS, ALLOCATION, BIAS, QUALITY = range(5)


def row(form, params, aicc=0.0, mae=0.01, ends=ENDS, scale=1e13):
    """A row of a comparison of forms."""
    x = np.geomspace(*ends, 100)
    curve = {"x": x.tolist(), "fit": form_by_name(form).curve(x / scale, *params.values()).tolist()}
    return {"form": form, "params": params, "aicc": aicc, "holdout": {"mae": mae}, "curve": curve}


def law(params=SLOW, noise=0.002, band=0.005, others=(), ends=ENDS, scale=1e13, seed=0):
    """A fitted power law and its resamples; `others`: rows of the comparison beside it."""
    params = dict(zip(("E", "A", "alpha"), params, strict=True))
    own = row("power_law", params, ends=ends, scale=scale)
    low, high = ([v + step for v in own["curve"]["fit"]] for step in (-band, band))
    fit = {
        "status": "fitted", "form": "power_law", "params": params, "x_scale": scale, "saturation": 1 - params["E"],
        "saturation_ci95": [0.4, 0.6], "curve": own["curve"] | {"p2.5": low, "p97.5": high},
        "compared": [own, *others] if others else [],
    }  # fmt: skip
    jitter = 1 + np.random.default_rng(seed).normal(0, noise, (200, 3))
    return fit, pd.DataFrame(np.array(list(params.values())) * jitter, columns=list(params))


def planes(alpha=0.3, beta=0.2, noise=0.05, identified=True):
    """A fitted two-variable law and its resamples."""
    params = {"E": 0.5, "A": 1.0, "alpha": alpha, "B": 1.0, "beta": beta}
    flags = {name: {"identified": identified, "reasons": []} for name in params}
    fit = {"status": "fitted", "form": "chinchilla", "params": params, "identified": flags}
    jitter = 1 + np.random.default_rng(0).normal(0, noise, (200, 5))
    return fit, pd.DataFrame(np.array(list(params.values())) * jitter, columns=list(params))


def judged(made):
    """The claims for made-up fits {name: (content, resamples)}."""
    fits = {name: finished({"name": name, **fit}, table) for name, (fit, table) in made.items()}
    return [asdict(claim) for claim in judge(CLAIMS, fits)]


def both(name, made):
    return {name: made, f"{name}.corrected": made}


def verdict(made, claim):
    return judged(made)[claim]["verdict"]


def saturation(neural, behavior, **changes):
    made = both("compute_neuro", neural) | both("compute_behavior", behavior)
    return made | {"many_images_neuro": neural, "many_images_behavior": behavior} | changes


def test_every_claim_has_its_parts_and_survives_json():
    found = judged(saturation(law(SLOW), law(FAST)))
    assert len(found) == 5
    for claim in found:
        assert {"claim", "verdict", "evidence", "depends_on_form", "rule", "limits"} <= set(claim)
        assert claim["rests_on_groups"] is None and claim["stands"] is None
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_without_fits_nothing_is_testable():
    found = judged({})
    assert {claim["verdict"] for claim in found} == {"not testable"}
    assert all(claim["evidence"] == [] and claim["depends_on_form"] is None for claim in found)


def test_fits_that_are_not_testable_or_without_resamples_are_no_evidence():
    fit, table = law(SLOW)
    empty = saturation((fit, table.iloc[:0]), law(FAST))
    assert verdict(empty, SATURATION) == "not testable"
    assert verdict(saturation(({"status": "not testable"}, table), law(FAST)), SATURATION) == "not testable"


def test_saturation_flips_with_the_two_paces():
    assert verdict(saturation(law(SLOW), law(FAST)), SATURATION) == "supported"
    assert verdict(saturation(law(FAST), law(SLOW)), SATURATION) == "not supported"
    assert verdict(saturation(law(FAST), law(FAST)), SATURATION) == "not supported"
    # Both level off, behaviour later: only the comparison holds.
    later = law((0.3, 0.6, 0.08))
    assert verdict(saturation(law(SLOW), later), SATURATION) == "supported in part"


def test_saturation_that_rests_on_few_images_is_supported_in_part():
    made = saturation(law(SLOW), law(FAST), many_images_neuro=law(FAST))
    assert verdict(made, SATURATION) == "supported in part"


def test_pace_and_gain_are_those_of_the_law():
    text = judged(saturation(law(SLOW), law(FAST)))[SATURATION]["evidence"][0]["text"]
    E, A, alpha = SLOW
    first, last, beyond = (1 - E - A * (x / 1e13) ** -alpha for x in (1e14, 1e20, 1e21))
    assert f"next decade +{beyond - last:.3f} (" in text
    assert f"pace {(beyond - last) / ((last - first) / 6):.3f} (" in text
    assert f"{last:.3f} at the largest compute" in text


def test_a_form_without_an_end_that_describes_the_points_as_well_decides_the_verdict():
    line = row("log_linear", LINE, aicc=1.0, mae=0.02)
    claim = judged(saturation(law(SLOW, others=[line]), law(FAST)))[SATURATION]
    assert (
        claim["verdict"] == "depends on the form"
        and "log_linear: pace 1.00, AICc +1.0, held-out error 0.020" in claim["depends_on_form"]
    )
    worse = row("log_linear", LINE, aicc=30.0, mae=0.02)
    claim = judged(saturation(law(SLOW, others=[worse]), law(FAST)))[SATURATION]
    assert claim["verdict"] == "supported" and "log_linear (out): pace 1.00" in claim["depends_on_form"]


def test_a_better_form_that_disagrees_with_the_published_one_decides_the_verdict():
    """Behaviour grows on by the power law; a logistic describes the points far better and has levelled off."""
    bent = row("logistic", {"L": 0.6, "x50": 1e3, "s": 0.5}, aicc=-50.0, mae=0.001)
    claim = judged(saturation(law(SLOW), law(FAST, others=[bent])))[SATURATION]
    assert claim["verdict"] == "depends on the form"
    assert "Behaviour: logistic: pace 0.0" in claim["depends_on_form"]
    assert "power_law (out): pace 0.85" in claim["depends_on_form"]


def test_a_form_is_out_only_when_both_criteria_speak_against_it():
    kept = {
        (30.0, 0.02): False, (30.0, 0.005): True, (1.0, 0.02): True,
    }  # fmt: skip
    for (aicc, mae), expected in kept.items():
        fit = law(SLOW, others=[row("log_linear", LINE, aicc, mae)])[0]
        assert ("log_linear" in [r.form for r in plausible_rows(finished(fit))]) is expected
    # A form that was not held out can't be ruled out by its error.
    fit = law(SLOW, others=[row("log_linear", LINE, 30.0) | {"holdout": None}])[0]
    assert [r.form for r in plausible_rows(finished(fit))] == ["power_law"]


def test_forms_without_aicc_can_not_be_told_apart():
    rows = [
        row("power_law", dict(zip(("E", "A", "alpha"), SLOW, strict=True)), None),
        row("log_linear", LINE, None, 0.02),
    ]
    rows = [r | {"holdout": None} for r in rows]
    assert len(plausible_rows(finished({**law()[0], "compared": rows}))) == 2


def regions(amplitudes, noise=0.002, seeds=(0, 0, 0, 0, 0)):
    keys = ("v1", "v2", "v4", "it", "behavior")
    made = {}
    for key, amplitude, seed in zip(keys, amplitudes, seeds, strict=True):
        made |= both(f"region_{key}_group1", law((0.3, amplitude, 0.15), noise, seed=seed))
    return made


def test_regions_flip_with_the_order_of_the_gains():
    assert verdict(regions([0.1, 0.2, 0.3, 0.4, 0.5]), REGIONS) == "supported"
    assert verdict(regions([0.5, 0.4, 0.3, 0.2, 0.1]), REGIONS) == "not supported"
    assert verdict(regions([0.1, 0.3, 0.2, 0.4, 0.5]), REGIONS) == "supported in part"


def test_regions_are_compared_resample_by_resample():
    """A difference that every shared resample shows counts, however wide the intervals of the regions are."""
    close = [0.30, 0.301, 0.302, 0.303, 0.304]
    assert verdict(regions(close, noise=0.1), REGIONS) == "supported"
    assert verdict(regions(close, noise=0.1, seeds=range(5)), REGIONS) == "not supported"


def test_regions_show_the_published_measure():
    text = judged(regions([0.1, 0.2, 0.3, 0.4, 0.5]))[REGIONS]["evidence"][0]["text"]
    assert text.startswith(f"A 10^-alpha: V1 {0.1 * 10**-0.15:.3f} (")


def test_regions_whose_order_turns_with_the_form_depend_on_it():
    made = regions([0.1, 0.2, 0.3, 0.4, 0.5])
    for key, slope in {"v1": 0.05, "v2": 0.04, "v4": 0.03, "it": 0.02, "behavior": 0.01}.items():
        fit, table = made[f"region_{key}_group1.corrected"]
        own = row("power_law", fit["params"])
        line = row("log_linear", {"a": 0.1, "b": slope}, aicc=0.5)
        made[f"region_{key}_group1.corrected"] = ({**fit, "compared": [own, line]}, table)
    claim = judged(made)[REGIONS]
    assert claim["verdict"] == "depends on the form"
    assert "log_linear: 0.050, 0.040, 0.030, 0.020, 0.010" in claim["depends_on_form"]


def allocation(average, **areas):
    made = both("compute_chinchilla", average)
    return made | {
        f"allocation.{region}": areas.get(region, average) for region in ("V1", "V2", "V4", "IT", "Behavioral")
    }


def test_allocation_flips_with_the_exponents():
    assert verdict(allocation(planes(0.3, 0.1)), ALLOCATION) == "supported"
    assert verdict(allocation(planes(0.1, 0.3)), ALLOCATION) == "not supported"
    assert verdict(allocation(planes(0.21, 0.2, noise=0.2)), ALLOCATION) == "not supported"
    assert verdict(allocation(planes(0.3, 0.1), V1=planes(0.1, 0.3)), ALLOCATION) == "supported in part"
    assert verdict(allocation(planes(0.3, 0.1, identified=False)), ALLOCATION) == "supported in part"


def test_share_of_data_is_that_of_the_optimum():
    fit, table = planes(0.3, 0.2)
    table.loc[:9, "alpha"] = -1.0
    text = judged(allocation((fit, table)))[ALLOCATION]["evidence"][0]["text"]
    share = table["alpha"][10:] / (table["alpha"][10:] + table["beta"][10:])
    low, high = np.percentile(share, [2.5, 97.5])
    assert f"share of data 0.600 ({low:.3f} to {high:.3f})" in text


def bias(strong, weak, **changes):
    made = both("region_avg_group1", strong) | both("region_avg_group2", weak)
    return made | {"many_images_group1": strong, "many_images_group2": weak} | changes


def test_bias_flips_with_the_curves():
    high, low = law((0.4, 0.4, 0.15)), law((0.5, 0.4, 0.15))
    assert verdict(bias(high, low), BIAS) == "supported"
    assert verdict(bias(low, high), BIAS) == "not supported"
    assert verdict(bias(high, high), BIAS) == "not supported"
    # The weak prior overtakes at large compute.
    assert verdict(bias(law((0.5, 0.3, 0.3)), law((0.3, 0.8, 0.1))), BIAS) == "supported in part"


def test_bias_that_turns_with_the_form_depends_on_it():
    line = row("log_linear", {"a": 0.6, "b": 0.05}, aicc=0.5)
    made = bias(law((0.4, 0.4, 0.15)), law((0.5, 0.4, 0.15), others=[line]))
    assert verdict(made, BIAS) == "depends on the form"


def test_bias_that_rests_on_few_images_is_supported_in_part():
    high, low = law((0.4, 0.4, 0.15)), law((0.5, 0.4, 0.15))
    claim = judged(bias(high, low, many_images_group2=high))[BIAS]
    assert claim["verdict"] == "supported in part"
    assert claim["evidence"][2]["text"].startswith(
        "Trained on 300 images per class or on all, both. strong prior minus weak"
    )
    assert "half of the strong had 790 images per class or more, half of the weak 30" in claim["limits"]


def test_bias_that_turns_with_the_form_among_many_images_depends_on_it():
    line = row("log_linear", {"a": 0.6, "b": 0.05}, aicc=0.5)
    high, low = law((0.4, 0.4, 0.15)), law((0.5, 0.4, 0.15))
    made = bias(high, low, many_images_group2=law((0.5, 0.4, 0.15), others=[line]))
    assert verdict(made, BIAS) == "depends on the form"


def test_saving_of_compute():
    """The same curve shifted by two decades of compute."""
    shifted = law((0.5, 0.4 * 100**0.15, 0.15))
    text = judged(bias(law((0.5, 0.4, 0.15)), shifted))[BIAS]["evidence"][0]["text"]
    saved = float(text.split("about ")[1].split(" times")[0])
    assert saved == pytest.approx(100, rel=0.15)


def quality(levels):
    made = {}
    for dataset, level in levels.items():
        fit = law((level, 0.4, 0.15), ends=(1e5, 1e8), scale=1e4)
        made |= both(f"sample_{dataset}_scaling", fit) | {f"same-network.{dataset}": fit}
    return made


def test_quality_flips_with_the_curves_at_equal_images():
    good = {"imagenet": 0.4, "ecoset": 0.39}
    bad = {"webvisionP": 0.5, "places365": 0.5, "inaturalist": 0.55, "infimnist": 0.8}
    assert verdict(quality(good | bad), QUALITY) == "supported"
    assert verdict(quality(good | bad | {"webvisionP": 0.35}), QUALITY) == "supported in part"
    assert verdict(quality(good | dict.fromkeys(bad, 0.3)), QUALITY) == "not supported"


def test_quality_that_turns_with_the_form_depends_on_it():
    levels = {
        "imagenet": 0.4,
        "ecoset": 0.39,
        "webvisionP": 0.5,
        "places365": 0.5,
        "inaturalist": 0.55,
        "infimnist": 0.8,
    }
    made = quality(levels)
    for dataset, level in levels.items():
        fit, table = made[f"same-network.{dataset}"]
        range_of_images = {"ends": (1e5, 1e8), "scale": 1e4}
        line = row("log_linear", {"a": level / 2, "b": 0.05}, aicc=0.5, **range_of_images)
        own = row("power_law", fit["params"], **range_of_images)
        made[f"same-network.{dataset}"] = ({**fit, "compared": [own, line]}, table)
    claim = judged(made)[QUALITY]
    assert claim["verdict"] == "depends on the form"
    assert "8 of 8 pairs by power_law, 0 of 8 pairs by log_linear" in claim["depends_on_form"]


def test_data_sets_that_are_not_testable_are_named_and_withhold_full_support():
    made = quality({"imagenet": 0.4, "ecoset": 0.39, "webvisionP": 0.5, "places365": 0.5, "infimnist": 0.8})
    claim = judged(made)[QUALITY]
    assert claim["verdict"] == "supported in part"
    assert "Not testable: inaturalist." in claim["evidence"][0]["text"]


def test_ranges_that_do_not_meet_are_not_compared():
    far = law((0.5, 0.4, 0.15), ends=(1e21, 1e22))
    assert "no range of x in common" in judged(bias(law(), far))[BIAS]["evidence"][0]["text"]


def test_difference_of_independent_estimates():
    difference = Estimate(0.5, 0.4, 0.7).minus(Estimate(0.2, 0.17, 0.24))
    assert difference.value == pytest.approx(0.3)
    assert difference.low == pytest.approx(0.3 - np.hypot(0.1, 0.04))
    assert difference.high == pytest.approx(0.3 + np.hypot(0.2, 0.03))
