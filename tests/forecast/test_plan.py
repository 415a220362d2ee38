"""Plans from finished fits: known answers, targets beyond the asymptote, extrapolation, and files that do not fit."""

import numpy as np
import pandas as pd
import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.forecast.targets_and_budgets import plan_for_compute, plan_for_score, plan_for_x
from neuroscaling.laws.bootstrap import resample_weights
from neuroscaling.laws.compute_optimal import allocation, cost_law
from neuroscaling.laws.finished_law import require_law
from neuroscaling.laws.forms import FORMS
from neuroscaling.laws.limited_images import allocation_of_images
from tests.support.finished_fits import finished

TRUE = {
    "power_law": (0.45, 0.3, 0.4),
    "power_law_shift": (0.45, 0.3, 0.4, 2.0),
    "power_law_ceiling": (0.55, 0.3, 0.4),
    "log_linear": (0.1, 0.08),
    "sqrt_saturating": (0.7, 8.0),
    "logistic": (0.7, 20.0, 0.6),
    "chinchilla": (0.45, 0.3, 0.5, 0.9, 0.25),
}


def resampled(form, count=200, spread=0.03, seed=0):
    """Resamples about the true parameters, as the bootstraps of a fit."""
    values = np.array(TRUE[form]) * np.exp(np.random.default_rng(seed).normal(0, spread, (count, len(TRUE[form]))))
    return pd.DataFrame(values, columns=FORMS[form].names).assign(loss=0.1)


def one_variable(form="power_law", x="total_flops", scale=1e13, **changes):
    """A fit of one variable: 30 points from 1e14 to 1e18 about the true law, and its bootstraps."""
    at = np.geomspace(1e14, 1e18, 30)
    law = FORMS[form]
    y = law.curve(at / scale, *TRUE[form]) + np.random.default_rng(1).normal(0, 0.004, 30)
    bootstraps = resampled(form)
    saturation = None
    if law.asymptote:
        ends = law.saturation(np.array([TRUE[form]]))[0], law.saturation(bootstraps[law.names].to_numpy())
        saturation = float(ends[0]), np.percentile(ends[1], [2.5, 97.5]).tolist()
    return {
        "name": "planted", "mode": "corrected", "status": "fitted", "form": form, "x": x, "x_scale": scale,
        "y": "score", "invert_y": True, "loss_name": law.loss, "params": dict(zip(law.names, TRUE[form], strict=True)),
        "saturation": saturation and saturation[0], "saturation_ci95": saturation and saturation[1],
        "identified": {name: {"identified": True, "reasons": []} for name in law.names},
        "points": {"x": at.tolist(), "y": y.tolist()},
    } | changes, bootstraps  # fmt: skip


def two_variables(mode="corrected"):
    """A fit of N and D with its allocation, and its bootstraps with the cost of each."""
    rng = np.random.default_rng(2)
    n, d = 10 ** rng.uniform(5.5, 8, 40), 10 ** rng.uniform(5.5, 8, 40)
    c = 4e10 * (n / 1e5 * d / 1e4) ** 0.9 * 10 ** rng.normal(0, 0.1, 40)
    params = TRUE["chinchilla"]
    y = FORMS["chinchilla"].curve(np.stack([n / 1e5, d / 1e4], -1), *params) + rng.normal(0, 0.004, 40)
    bootstraps = resampled("chinchilla")
    weights = resample_weights(40, len(bootstraps))
    known = allocation(bootstraps[FORMS["chinchilla"].names].to_numpy(), np.array(params), n, d, c, weights, mode)
    if mode == "corrected":
        bootstraps["cost_exponent"], bootstraps["cost_factor"] = cost_law(n, d, c, weights)
    fit, _ = one_variable(
        x=["n_params", "n_samples_seen"], x_scale=[1e5, 1e4], form="power_law", mode=mode, allocation=known,
        points={"n_params": n.tolist(), "n_samples_seen": d.tolist(), "y": y.tolist()},
        saturation_ci95=np.percentile(1 - bootstraps["E"], [2.5, 97.5]).tolist(),
    )  # fmt: skip
    law = {"form": "chinchilla", "params": dict(zip(FORMS["chinchilla"].names, params, strict=True))}
    return fit | law, bootstraps


def images_and_passes():
    """A fit of N, U and R with its cost, and its bootstraps."""
    rng = np.random.default_rng(3)
    x = np.stack([10 ** rng.uniform(5.5, 8, 40), 10 ** rng.uniform(4, 6, 40), 10 ** rng.uniform(0, 2, 40)], -1)
    c = 4e10 * (x / [1e5, 1e4, 1]).prod(axis=1) ** 0.9
    form, params = FORMS["data_constrained"], (*TRUE["chinchilla"], 10.0)
    values = np.array(params) * np.exp(np.random.default_rng(0).normal(0, 0.03, (100, 6)))
    known = allocation_of_images(values, np.array(params), x, c, scales=(1e5, 1e4, 1e9))
    bootstraps = pd.DataFrame(values, columns=form.names).assign(loss=0.1, cost_exponent=0.9, cost_factor=40.0)
    fit, _ = one_variable(
        x=["n_params", "n_samples", "passes"], x_scale=[1e5, 1e4, 1], form="power_law", allocation=known,
        points={"x": x.tolist(), "y": form.curve(x / [1e5, 1e4, 1], *params).tolist()},
        saturation_ci95=np.percentile(1 - bootstraps["E"], [2.5, 97.5]).tolist(),
    )  # fmt: skip
    law = {"form": form.name, "params": dict(zip(form.names, params, strict=True))}
    return finished(fit | law, bootstraps)


def test_fewer_images_mean_more_passes_and_a_lower_score():
    fit = images_and_passes()
    many, few = (plan_for_compute(fit, 1e16, images) for images in (1e9, 1e5))
    assert many.run["passes"].value == pytest.approx(1) and few.run["passes"].value > 2
    assert few.run["n_samples"].value == pytest.approx(1e5) and few.score.value < many.score.value
    assert few.run["passes"].low < few.run["passes"].value < few.run["passes"].high
    assert few.statements[0] == "at most 1e+05 unique images; a run that needs more repeats them"


def test_without_a_number_the_images_are_those_of_the_fitted_runs():
    fit = images_and_passes()
    most = fit.points.columns[:, 1].max()
    assert plan_for_compute(fit, 1e18).run == plan_for_compute(fit, 1e18, most).run


def test_a_score_needs_the_run_that_is_best_for_its_compute():
    fit = images_and_passes()
    plan = plan_for_score(fit, 0.2, 1e5)
    assert plan.score.value == pytest.approx(0.2)
    back = plan_for_compute(fit, plan.run["total_flops"].value, 1e5)
    assert back.run["passes"].value == pytest.approx(plan.run["passes"].value, rel=1e-6)
    assert plan_for_score(fit, 0.54, 1e5).never_reached == 1.0


def test_a_law_that_does_not_tell_images_apart_refuses_their_number():
    fit, bootstraps = two_variables()
    with pytest.raises(DataError, match="does not tell unique images from repeated ones"):
        plan_for_compute(finished(fit, bootstraps), 1e18, 1e5)
    with pytest.raises(DataError, match="states the images already"):
        plan_for_x(images_and_passes(), [1e6, 1e5, 10], 1e5)


@pytest.mark.parametrize("form", sorted(set(TRUE) - {"chinchilla"}))
def test_the_x_for_a_score_gives_this_score_in_the_fit_and_in_every_resample(form):
    fit, bootstraps = one_variable(form)
    target = float(FORMS[form].curve(1.2e14 / 1e13, *TRUE[form]))
    plan = plan_for_score(finished(fit, bootstraps), target)
    answer = plan.run["total_flops"]
    assert answer.value == pytest.approx(1.2e14, rel=1e-9)
    assert answer.low < answer.value < answer.high
    assert plan.score.value == pytest.approx(target, rel=1e-12)
    exact = FORMS[form].curve(1.2e14 / 1e13, *bootstraps[FORMS[form].names].to_numpy().T)
    assert [plan.score.low, plan.score.high] == pytest.approx(np.percentile(exact, [2.5, 97.5]).tolist())
    assert plan.never_reached == 0 and plan.statements == ()


def test_interval_of_x_is_that_of_the_closed_form():
    fit, bootstraps = one_variable()
    answer = plan_for_score(finished(fit, bootstraps), 0.5).run["total_flops"]
    exact = 1e13 * ((0.5 - bootstraps["E"]) / bootstraps["A"]) ** (-1 / bootstraps["alpha"])
    assert [answer.low, answer.high] == pytest.approx(np.percentile(exact, [2.5, 97.5]).tolist(), rel=1e-9)


def test_a_target_beyond_the_asymptote_is_said_in_words_with_the_share():
    fit, bootstraps = one_variable()
    plan = plan_for_score(finished(fit, bootstraps), 0.56)
    share = float(np.mean(1 - bootstraps["E"] <= 0.56))
    assert 0.2 < share < 1 and plan.never_reached == share
    assert np.isinf(plan.run["total_flops"].value) and np.isinf(plan.run["total_flops"].high)
    assert np.isfinite(plan.run["total_flops"].low)
    low, high = fit["saturation_ci95"]
    assert plan.statements[0] == f"the target 0.56 lies beyond the asymptote 0.55 ({low:.3g} to {high:.3g})"
    assert plan.statements[1] == f"in {100 * share:.0f} % of the resamples the target is never reached"
    assert plan.score is None and "never" in plan.describe()
    assert plan.to_dict()["run"]["total_flops"]["value"] is None


def test_a_target_that_only_some_resamples_miss_has_no_upper_end():
    fit, bootstraps = one_variable()
    plan = plan_for_score(finished(fit, bootstraps), 0.548)
    assert np.isfinite(plan.run["total_flops"].value) and np.isinf(plan.run["total_flops"].high)
    assert 0 < plan.never_reached < 1 and "beyond the asymptote" not in plan.describe()
    assert "lies 0.4 decades above the largest of the data (1e+18): an extrapolation" in plan.describe()


def test_without_an_asymptote_every_score_is_reached():
    fit, bootstraps = one_variable("log_linear")
    plan = plan_for_score(finished(fit, bootstraps), 0.9)
    assert plan.asymptote is None and plan.never_reached == 0
    assert plan.run["total_flops"].value == pytest.approx(1e13 * 10 ** ((0.9 - 0.1) / 0.08), rel=1e-9)


def test_a_shifted_law_may_lie_above_the_target_everywhere():
    fit, bootstraps = one_variable("power_law_shift")
    plan = plan_for_score(finished(fit, bootstraps), 0.1)
    assert plan.run["total_flops"].value == 0
    assert "the law is at or beyond the target 0.1 for every total_flops" in plan.statements


def test_a_falling_quantity_reaches_its_target_from_above():
    fit, bootstraps = one_variable(invert_y=False)
    fit["points"]["y"] = [1 - y for y in fit["points"]["y"]]
    plan = plan_for_score(finished(fit, bootstraps), 0.5)
    assert plan.run["total_flops"].value == pytest.approx(1e13 * (0.05 / 0.3) ** (-1 / 0.4), rel=1e-9)
    assert np.isinf(plan_for_score(finished(fit, bootstraps), 0.4).run["total_flops"].value)


def test_resamples_with_infinite_parameters_are_counted():
    fit, bootstraps = one_variable("power_law_shift")
    bootstraps.loc[:2, "A"] = np.inf
    plan = plan_for_score(finished(fit, bootstraps), 0.5)
    assert (plan.resamples, plan.dropped) == (197, 3)
    assert "left out: 3 of 200 resamples, without usable parameters" in plan.statements


def test_an_asymptote_that_is_not_identified_is_said():
    fit, bootstraps = one_variable(saturation=None, saturation_ci95=None)
    fit["identified"]["E"] = {"identified": False, "reasons": ["no saturation within the data"]}
    plan = plan_for_score(finished(fit, bootstraps), 0.6)
    assert plan.asymptote is None
    assert "the target 0.6 is never reached by the fitted law" in plan.statements
    assert "the data do not identify the asymptote: no saturation within the data" in plan.statements


def test_score_at_a_compute_and_at_an_x():
    fit, bootstraps = one_variable()
    plan = plan_for_compute(finished(fit, bootstraps), 1e20)
    assert plan.score.value == pytest.approx(1 - 0.45 - 0.3 * 1e7**-0.4)
    assert plan.statements == (
        "total_flops 1e+20 lies 2.0 decades above the largest of the data (1e+18): an extrapolation",
    )
    assert plan_for_x(finished(fit, bootstraps), 1e20).score == plan.score
    below = plan_for_x(finished(fit, bootstraps), 1e13)
    assert "1.0 decades below the smallest" in below.describe()


@pytest.mark.parametrize("mode", ["corrected", "parity"])
def test_the_plan_for_a_compute_is_the_curve_of_the_allocation(mode):
    fit, bootstraps = two_variables(mode)
    curve = fit["allocation"]["curve"]
    plan = plan_for_compute(finished(fit, bootstraps), curve["compute"][40])
    for name in ("n_params", "n_samples_seen"):
        expected = [curve[name][key][40] for key in ("fit", "p2.5", "p97.5")]
        assert [plan.run[name].value, plan.run[name].low, plan.run[name].high] == pytest.approx(expected)
    assert plan.score.value == pytest.approx(curve["score"]["fit"][40])
    assert ("published slip" in plan.describe()) == (mode == "parity")


def test_score_and_compute_are_each_other_s_inverse():
    fit, bootstraps = two_variables()
    plan = plan_for_score(finished(fit, bootstraps), 0.45)
    assert plan.score.value == pytest.approx(0.45)
    back = plan_for_compute(finished(fit, bootstraps), plan.run["total_flops"].value)
    assert back.run["n_params"].value == pytest.approx(plan.run["n_params"].value)
    assert back.score.value == pytest.approx(0.45)
    point = [plan.run[name].value for name in ("n_params", "n_samples_seen")]
    assert plan_for_x(finished(fit, bootstraps), point).score.value == pytest.approx(0.45)
    beyond = plan_for_score(finished(fit, bootstraps), 0.6)
    assert beyond.statements[0].startswith("the target 0.6 lies beyond the asymptote 0.55 (")
    assert beyond.never_reached > 0.9


def test_resamples_without_an_optimum_are_counted():
    fit, bootstraps = two_variables()
    bootstraps.loc[0, "beta"] = -0.1
    assert plan_for_compute(finished(fit, bootstraps), 1e18).dropped == 1


def test_a_plan_names_the_scale_of_its_score():
    fit, bootstraps = one_variable()
    named = plan_for_compute(finished({**fit, "scale": "r2/c"}, bootstraps), 1e16)
    assert named.to_dict()["scale"] == "r2/c" and "score of this run, r2/c" in named.describe()
    unnamed = plan_for_compute(finished(fit, bootstraps), 1e16)
    assert unnamed.scale is None and "score of this run  " in unnamed.describe()


def test_one_resample_gives_no_interval():
    fit, bootstraps = one_variable()
    plan = plan_for_score(finished(fit, bootstraps[:1]), 0.5)
    assert np.isnan(plan.run["total_flops"].low)
    assert "the fit has no bootstraps, so there are no intervals" in plan.statements


def test_questions_that_have_no_answer_are_named():
    fit, bootstraps = one_variable()
    for target in (1.0, 1.4, np.nan):
        with pytest.raises(DataError, match=r"no law reaches this score[\s\S]*a number below 1"):
            plan_for_score(finished(fit, bootstraps), target)
    with pytest.raises(DataError, match="one number above 0 for each of total_flops"):
        plan_for_compute(finished(fit, bootstraps), -1.0)
    with pytest.raises(DataError, match="one number above 0 for each of total_flops"):
        plan_for_x(finished(fit, bootstraps), [1e5, 1e6])
    with pytest.raises(DataError, match=r"does not speak of compute[\s\S]*found:    n_params"):
        plan_for_compute(finished(*one_variable(x="n_params")), 1e18)


def test_files_that_do_not_belong_together_are_named():
    fit, bootstraps = one_variable()
    with pytest.raises(DataError, match="bootstraps of planted: no column alpha"):
        require_law(finished(fit, bootstraps.rename(columns={"alpha": "alhpa"})))
    with pytest.raises(DataError, match="no resample has finite parameters"):
        require_law(finished(fit, bootstraps * np.nan))
    with pytest.raises(DataError, match=r"this fit has no law[\s\S]*too few points"):
        require_law(finished({"name": "f", "status": "not testable", "reason": "too few points"}, bootstraps))
    with pytest.raises(DataError, match="planted, params, A: the parameter has no finite value"):
        require_law(finished(fit | {"params": fit["params"] | {"A": None}}, bootstraps))
    with pytest.raises(DataError, match="planted, points: the fit has no such field"):
        require_law(finished(fit | {"points": None}, bootstraps))


def test_missing_costs_are_named():
    fit, bootstraps = two_variables()
    with pytest.raises(DataError, match="no columns cost_exponent and cost_factor"):
        plan_for_compute(finished(fit, bootstraps.drop(columns="cost_factor")), 1e18)
    with pytest.raises(DataError, match=r"no allocation[\s\S]*compute: total_flops"):
        plan_for_score(finished(fit | {"allocation": None}, bootstraps), 0.5)
