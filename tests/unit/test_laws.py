"""Laws: gradients, recovery of known laws, resamples, identification, and what can't be fitted."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroscaling.errors import DataError
from neuroscaling.laws import bootstrap, compare, solver
from neuroscaling.laws.bootstrap import resample_weights
from neuroscaling.laws.fitting import fit
from neuroscaling.laws.forms import FORMS
from neuroscaling.laws.identify import NO_GROWTH, NO_SATURATION
from neuroscaling.laws.job import fit_table
from neuroscaling.laws.loss import DELTA, LOSSES, huber

X = np.repeat(np.geomspace(10, 1e5, 12), 3)
X2 = np.stack([X, np.tile(np.geomspace(10, 1e5, 9), 4)], -1)
TRUE = {
    "power_law": {"E": 0.5, "A": 0.3, "alpha": 0.4},
    "power_law_shift": {"E": 0.5, "A": 1.0, "alpha": 0.6, "shift": 20.0},
    "chinchilla": {"E": 0.4, "A": 0.2, "alpha": 0.4, "B": 0.3, "beta": 0.3},
    "power_law_ceiling": {"C": 0.6, "A": 0.4, "alpha": 0.3},
    "log_linear": {"a": 0.1, "b": 0.08},
    "sqrt_saturating": {"L": 0.7, "k": 8.0},
    "logistic": {"L": 0.7, "x50": 20.0, "s": 0.6},
}


def points(form):
    return X2 if FORMS[form].variables == 2 else X


def centred(form, centre=None):
    """ln x about its mean, or in units of `centre`: (n,) or (2, n)."""
    x = points(form)
    return np.log(x / (np.exp(np.log(x).mean(0)) if centre is None else centre)).T


def data_of(form, y, rows=slice(None), loss=None):
    law = FORMS[form]
    return solver.Data(law, centred(form)[..., rows], y[rows], LOSSES[loss or law.loss])


def noisy(form, sigma=0.003, seed=0):
    x = points(form)
    y = FORMS[form].curve(x / 10.0, **TRUE[form])
    return y + np.random.default_rng(seed).normal(0, sigma, len(x))


def job(**changes):
    return {
        "name": "f", "forms": ["power_law"], "x": "n_samples", "x_scale": None, "y": "score", "filters": {},
        "merge_families": True, "group_by": ["run"], "cluster": [], "loss": None, "bootstraps": 20, "seed": 42,
        "holdout": "top_decade", "mode": "corrected", "fit": "f", "invert_y": True, "samples_per_class_of": {},
        "hierarchy": [], "compute": None,
    } | changes  # fmt: skip


def score_table():
    """Two regions of 30 simulated runs."""
    x = np.repeat(np.geomspace(10, 1000, 10), 3)
    y = FORMS["power_law"].curve(x / 10, 0.5, 0.3, 0.4) + np.random.default_rng(1).normal(0, 0.005, 30)
    rows = [
        {"run": f"run{i:02d}", "arch": "a", "arch_family": "ResNetFlex", "dataset": "d",
         "samples_per_class": int(x[i]), "seed": i % 3, "kind": "trained", "data": "simulated-x",
         "simulated": True, "region": region, "n_samples": x[i],
         "score": y[i] - shift}
        for i in range(30) for region, shift in (("V1", 0.1), ("IT", 0.0))
    ]  # fmt: skip
    return pd.DataFrame(rows)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("name", FORMS)
def test_gradients_are_those_of_the_values(name, loss):
    form, rng = FORMS[name], np.random.default_rng(0)
    data = data_of(name, noisy(name), slice(0, 8), loss)
    starts = form.starts(data.log_x, form.target(data.y))
    theta = starts[:: max(1, len(starts) // 7)] + rng.normal(0, 0.05, form.bounds.shape[0])
    ones = np.ones((1, 8))
    value, gradient = solver.losses(data, theta, ones)
    assert np.isfinite(value).any()
    for j in range(theta.shape[1]):
        step = np.zeros(theta.shape[1])
        step[j] = 1e-6
        numeric = (solver.losses(data, theta + step, ones)[0] - solver.losses(data, theta - step, ones)[0]) / 2e-6
        np.testing.assert_allclose(gradient[:, j], numeric, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("name", FORMS)
def test_natural_form_and_inner_form_agree_in_every_unit(name):
    form = FORMS[name]
    x, centre, scale = points(name), 50.0, 7.0
    log_x = np.log(x / centre).T
    theta = form.starts(log_x, form.target(np.linspace(0.1, 0.5, len(x))))[:4]
    inner = form.score(form.inner(theta, log_x)[0])
    natural = form.natural(theta, np.broadcast_to(scale / centre, x.shape[1:]))
    for row, values in zip(natural, inner, strict=True):
        np.testing.assert_allclose(form.curve(x / scale, *row), values, rtol=1e-9)


@pytest.mark.parametrize("name", FORMS)
def test_recovers_a_known_law_within_its_interval(name):
    scale = 10.0 if FORMS[name].variables == 1 else [10.0, 10.0]
    law = fit(points(name), noisy(name, 0.001), form=name, x_scale=scale, bootstraps=200)
    for parameter, true in TRUE[name].items():
        low, high = law.ci[parameter]
        width = high - low
        assert low - width <= true <= high + width
        assert law.params[parameter] == pytest.approx(true, rel=0.35 if name == "power_law_shift" else 0.15)
    np.testing.assert_allclose(law.predict(points(name)), FORMS[name].curve(points(name) / 10, **TRUE[name]), atol=0.01)


@pytest.mark.parametrize("name", FORMS)
def test_no_start_of_scipy_finds_a_lower_loss(name):
    minimize = pytest.importorskip("scipy.optimize").minimize
    form = FORMS[name]
    data = data_of(name, noisy(name, 0.02))
    best = solver.multi_start(data, bounded=True)[1][0]
    ones = np.ones((1, data.n))
    starts = form.starts(data.log_x, form.target(data.y))
    starts = starts[:: max(1, len(starts) // 6)]
    found = [minimize(lambda t: solver.losses(data, t[None], ones)[0][0], s, method="Nelder-Mead").fun for s in starts]
    assert best <= min(found) * (1 + 1e-9)


def test_bfgs_finds_the_minimum_of_many_rosenbrock_functions():
    def rosenbrock(x, index):
        a, b = x.T
        scale = 1.0 + index
        value = (1 - a) ** 2 + scale * (b - a**2) ** 2
        return value, np.stack([-2 * (1 - a) - 4 * scale * a * (b - a**2), 2 * scale * (b - a**2)], -1)

    x, value = solver.bfgs(rosenbrock, np.random.default_rng(0).normal(0, 1, (50, 2)), 500)
    np.testing.assert_allclose(x, 1.0, atol=1e-5)
    assert value.max() < 1e-10


@pytest.mark.parametrize("name", ["power_law", "power_law_shift", "log_linear", "logistic"])
def test_weights_are_repeated_points(name):
    y = noisy(name, 0.02)
    weights = resample_weights(X.size, 5, seed=3)
    data = data_of(name, y)
    weighted = solver.refit(data, solver.multi_start(data, True)[0], weights, True).loss
    for row, loss in zip(weights.astype(int), weighted, strict=True):
        repeated = data_of(name, y, np.repeat(np.arange(X.size), row))
        assert loss == pytest.approx(solver.multi_start(repeated, True)[1][0], rel=1e-6)


def test_warm_starts_are_given_up_where_they_are_not_enough():
    y = noisy("power_law_shift", 0.05)
    data = data_of("power_law_shift", y)
    weights = resample_weights(X.size, 60)
    astray = np.array([[np.log(0.9), np.log(1e-6), 4.9, 7.9]])
    lost = solver.refit(data, astray, weights, True)
    found = solver.refit(data, solver.multi_start(data, True)[0], weights, True)
    assert not lost.warm_enough
    np.testing.assert_allclose(lost.loss, found.loss, rtol=1e-3)


def test_a_profile_touches_the_minimum_and_rises_from_it():
    data = data_of("power_law", noisy("power_law", 0.01))
    minima, losses = solver.multi_start(data, True)
    at = minima[0, 0] + np.array([-0.3, 0.0, 0.3])
    profile = solver.profile(data, minima, 0, at, True)
    assert profile[1] == pytest.approx(losses[0], rel=1e-9)
    assert profile[0] > losses[0] and profile[2] > losses[0]


def test_huber_is_quadratic_inside_and_linear_outside():
    value, slope = huber(np.array([0.0, DELTA / 2, -5.0]))
    np.testing.assert_allclose(value, [0, DELTA**2 / 8, DELTA * (5 - DELTA / 2)])
    np.testing.assert_allclose(slope, [0, DELTA / 2, -DELTA])


def test_resamples_are_those_of_the_publication():
    drawn = np.random.default_rng(42).integers(0, 7, size=(11, 7))
    expected = np.array([np.bincount(row, minlength=7) for row in drawn])
    np.testing.assert_array_equal(resample_weights(7, 11), expected)


def test_resamples_drawn_in_blocks_are_the_same(monkeypatch):
    whole = resample_weights(50, 40)
    monkeypatch.setattr(bootstrap, "DRAWN", 333)
    np.testing.assert_array_equal(resample_weights(50, 40), whole)


def test_a_hierarchical_resample_draws_subjects_then_points():
    subject = ["a"] * 4 + ["b"] * 6
    weights = resample_weights(10, 400, hierarchy=[subject])
    of_a, of_b = weights[:, :4].sum(1), weights[:, 4:].sum(1)
    # Two subjects are drawn, each with as many points as it has.
    assert set(zip((of_a // 4).tolist(), (of_b // 6).tolist(), strict=True)) == {(0, 2), (1, 1), (2, 0)}
    assert (of_a % 4 == 0).all() and (of_b % 6 == 0).all()
    assert 0.4 < (of_a == 4).mean() < 0.6
    with pytest.raises(DataError, match="one label a point"):
        resample_weights(3, 2, hierarchy=[["a"]])


def test_clusters_are_drawn_whole():
    weights = resample_weights(6, 50, clusters=["a", "b", "a", "c", "b", "a"])
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    np.testing.assert_array_equal(weights[:, 1], weights[:, 4])
    assert ((weights[:, 0] + weights[:, 1] + weights[:, 3]) == 3).all()


def test_same_seed_gives_the_same_interval_and_another_seed_another():
    y = noisy("power_law", 0.02)
    assert fit(X, y, bootstraps=30).ci == fit(X, y, bootstraps=30).ci
    assert fit(X, y, bootstraps=30).ci != fit(X, y, bootstraps=30, seed=1).ci


@settings(max_examples=15, deadline=None)
@given(st.floats(1e-6, 1e12), st.integers(0, 100))
def test_unit_of_x_changes_no_curve(unit, seed):
    y = noisy("power_law", 0.01, seed)
    one, other = fit(X, y, bootstraps=0), fit(X * unit, y, bootstraps=0)
    assert one.loss_value == pytest.approx(other.loss_value, rel=1e-6)
    np.testing.assert_allclose(one.predict(X), other.predict(X * unit), atol=1e-4)


def test_band_contains_the_curve_and_grows_beyond_the_data():
    law = fit(X, noisy("power_law", 0.02), bootstraps=100)
    curve = law.to_dict()["curve"]
    assert len(curve["x"]) == 100
    assert (np.array(curve["p2.5"]) <= np.array(curve["p97.5"])).all()
    inside, beyond = law.band([1e3])[:, 0], law.band([1e9])[:, 0]
    assert beyond[2] - beyond[0] > inside[2] - inside[0]


def test_saturation_is_reported_where_the_data_show_it():
    law = fit(X, noisy("power_law"), bootstraps=100)
    assert all(flag["identified"] for flag in law.flags.values()) and law.notes == []
    assert law.saturation == pytest.approx(0.5, abs=0.02)


def test_no_saturation_is_claimed_for_a_straight_line():
    law = fit(X, 0.05 + 0.02 * np.log10(X) + np.random.default_rng(0).normal(0, 0.003, X.size), bootstraps=100)
    assert NO_SATURATION in law.notes and not law.flags["E"]["identified"]


def test_no_growth_is_claimed_for_noise():
    law = fit(X, 0.3 + np.random.default_rng(0).normal(0, 0.02, X.size), bootstraps=100)
    assert NO_GROWTH in law.notes


def test_falling_scores_stay_within_bounds_and_are_flagged():
    law = fit(X, 0.5 - 0.05 * np.log10(X), bootstraps=50)
    assert NO_GROWTH in law.notes and np.isfinite(list(law.params.values())).all()


def test_least_squares_of_lmfit_agrees():
    result = fit(X, noisy("power_law_ceiling"), form="power_law_ceiling", x_scale=10.0, bootstraps=0)
    check = result.least_squares()
    for name, value in result.params.items():
        assert check.params[name].value == pytest.approx(value, rel=1e-3)
    assert "alpha" in check.fit_report()


def test_the_report_says_what_the_errors_mean():
    robust = fit(X, noisy("power_law"), x_scale=10.0, bootstraps=100)
    assert "is not valid" in robust.fit_report() and "alpha" in robust.fit_report()
    parameters = robust.parameters()
    assert parameters["alpha"].stderr == pytest.approx(robust.samples[:, 2].std(ddof=1))
    assert parameters["E"].max == pytest.approx(2.0)
    assert "is not valid" not in fit(X, noisy("log_linear"), form="log_linear", bootstraps=50).fit_report()


def test_a_ridge_is_flagged_and_the_asymptote_on_it_is_not():
    x = np.repeat(np.geomspace(1, 100, 8), 4)
    y = 0.5 - 0.3 * np.exp(-x / 10) + np.random.default_rng(0).normal(0, 0.004, x.size)
    law = fit(x, y, form="power_law_shift", bootstraps=200)
    assert law.saturation == pytest.approx(0.5, abs=0.01)
    for name in ("alpha", "shift"):
        assert not law.flags[name]["identified"]


def test_an_asymptote_at_its_bound_is_words_and_no_number():
    law = fit(X, 1 - 0.9 * (X / 10) ** -0.1, bootstraps=50)
    content = law.to_dict()
    assert content["saturation"] is None and content["saturation_ci95"] is None
    assert content["saturation_statement"] == NO_SATURATION
    assert "flat" in " ".join(law.flags["E"]["reasons"]) or "bound" in " ".join(law.flags["E"]["reasons"])


def test_the_profile_of_the_asymptote_has_its_minimum_at_the_fit():
    law = fit(X, noisy("power_law"), bootstraps=50)
    profile = law.to_dict()["profile"]
    best = int(np.argmin(profile["loss"]))
    assert profile["saturation"][best] == pytest.approx(law.saturation, abs=0.05)
    assert profile["within_noise"][best] and not all(profile["within_noise"])


@pytest.mark.parametrize(
    ("x", "y", "message"),
    [
        ([1, 2, 3], [0.1, 0.2, 0.3], "too few points"),
        ([5, 5, 5, 5, 5], [0.1, 0.2, 0.3, 0.2, 0.1], "the same for all"),
        ([0, 2, 3, 4, 5], [0.1, 0.2, 0.3, 0.2, 0.1], "x must be positive: 1 of 5"),
        ([1, 2, 3, 4, 5], [0.1, 1.2, 0.3, 0.2, 1.0], "no log misalignment: 2 of 5"),
        ([1, 2, 3, 4, 5], [0.1, np.nan, 0.3, 0.2, 0.1], "without a number: 1 of 5"),
        ([1, 2, 3, 4, 5], [0.1, 0.3], "one length"),
    ],
)
def test_points_that_no_law_describes_are_named(x, y, message):
    with pytest.raises(DataError, match=message):
        fit(x, y)


def test_unknown_names_get_the_nearest():
    for key, value, right in (
        ("form", "powerlaw", "power_law"),
        ("loss", "hubert", "huber"),
        ("mode", "party", "parity"),
    ):
        with pytest.raises(DataError) as caught:
            fit(X, noisy("power_law"), **{key: value})
        assert caught.value.problems[0].nearest == right


@pytest.mark.parametrize("loss", ["huber", "least_squares"])
def test_aicc_prefers_the_true_form(loss):
    y = noisy("power_law", 0.01)
    ours, other = (fit(X, y, form=form, loss=loss, bootstraps=0) for form in ("power_law", "log_linear"))
    assert ours.aicc() < other.aicc()


def test_aicc_of_squares_is_that_of_the_residuals():
    y = noisy("log_linear", 0.01)
    law = fit(X, y, form="log_linear", bootstraps=0)
    rss = np.sum((y - law.predict(X)) ** 2)
    assert law.aicc() == pytest.approx(36 * np.log(rss / 36) + 6 + 24 / 32)


def test_the_exact_line_is_that_of_numpy():
    y = noisy("log_linear", 0.05)
    law = fit(X, y, form="log_linear", x_scale=1.0, bootstraps=20)
    b, a = np.polyfit(np.log10(X), y, 1)
    assert law.params == pytest.approx({"a": a, "b": b})
    rows = np.random.default_rng(42).integers(0, X.size, (20, X.size))[7]
    np.testing.assert_allclose(law.samples[7][::-1], np.polyfit(np.log10(X[rows]), y[rows], 1))


def test_every_form_can_take_every_loss():
    y = noisy("power_law", 0.01)
    for form, loss in (("log_linear", "huber"), ("power_law", "least_squares"), ("logistic", "huber")):
        law = fit(X, y, form=form, loss=loss, bootstraps=0)
        difference = law.predict(X) - y if loss == "least_squares" else np.log1p(-law.predict(X)) - np.log1p(-y)
        assert law.loss_value == pytest.approx(LOSSES[loss].values(difference)[0].sum(), rel=1e-9)


def test_weighted_points_count_by_their_errors():
    y = noisy("log_linear", 0.01)
    y[0] += 0.5
    errors = np.full(X.size, 0.01)
    errors[0] = 100.0
    law = fit(X, y, form="log_linear", loss="weighted", y_error=errors, x_scale=1.0, bootstraps=5)
    b, a = np.polyfit(np.log10(X[1:]), y[1:], 1)
    assert law.params == pytest.approx({"a": a, "b": b}, abs=1e-5)
    assert fit(X, y, form="log_linear", loss="weighted", y_error=3 * errors, bootstraps=0).params["b"] == (
        pytest.approx(law.params["b"], rel=1e-6)
    )
    for wrong in (None, errors[:3], 0 * errors):
        with pytest.raises(DataError, match="standard error"):
            fit(X, y, form="log_linear", loss="weighted", y_error=wrong)


def test_a_law_of_y_itself_is_reported_as_y():
    y = 0.2 + 0.5 * (X / 10) ** -0.4
    law = fit(X, y, invert_y=False, x_scale=10.0, bootstraps=20)
    assert law.params == pytest.approx({"E": 0.2, "A": 0.5, "alpha": 0.4}, rel=1e-3)
    np.testing.assert_allclose(law.predict(X), y, rtol=1e-3)
    assert law.saturation == pytest.approx(0.2, rel=1e-3)


def test_held_out_points():
    x = np.array([1, 5, 10, 50, 100.0])
    assert compare.held_out(x, "top_decade").tolist() == [False, False, True, True, True]
    assert compare.held_out(x, "largest").tolist() == [False, False, False, False, True]
    of_cluster = compare.held_out(x, "largest_of_cluster", ["a", "a", "b", "a", "b"])
    assert of_cluster.tolist() == [False, False, False, True, True]
    assert compare.held_out(np.array([3, 1, 3, 2.0]), {"last": 2}).tolist() == [True, False, True, True]


def test_fit_of_a_table_says_what_it_used():
    content, bootstraps = fit_table(score_table(), job(filters={"region": "IT"}))
    assert content["status"] == "fitted" and content["simulated"] and content["data"] == ["simulated-x"]
    assert content["n"] == 30 and content["dropped"] == {}
    assert len(bootstraps) == 20 and list(bootstraps) == ["E", "A", "alpha", "loss"]
    assert content["holdout"]["n_held_out"] > 0 and content["holdout"]["mae"] < 0.05


def test_group_mean_over_regions():
    both = fit_table(score_table(), job())[0]
    one = fit_table(score_table(), job(filters={"region": "IT"}))[0]
    np.testing.assert_allclose(np.array(one["points"]["y"]) - 0.05, both["points"]["y"])


def test_incomplete_groups_are_counted_and_parity_averages_what_is_there():
    table = score_table()
    table.loc[0, "score"] = np.nan
    table = table.drop(index=5)
    corrected = fit_table(table, job())[0]
    assert corrected["n"] == 28
    assert corrected["dropped"] == {
        "points with an empty score among their rows": 1, "points with fewer rows than the others": 1,
    }  # fmt: skip
    assert fit_table(table, job(mode="parity"))[0]["n"] == 30


def test_filters():
    table = score_table()
    for condition, n in (({"min": 100}, 15), ({"max": 10}, 3), ({"not": [10]}, 27), (10, 3)):
        content = fit_table(table, job(filters={"region": "IT", "samples_per_class": condition}))[0]
        assert len(content["points"]["x"]) == n
    merged = fit_table(table, job(filters={"arch_family": "ResNet"}))[0]
    assert set(merged["points"]["arch_family"]) == {"ResNet"}


def test_too_few_points_are_a_result_and_no_crash():
    table = score_table().assign(score=np.nan)
    content, bootstraps = fit_table(table, job(filters={"region": "IT"}))
    assert content["status"] == "not testable" and "30 points with an empty score" in content["reason"]
    assert bootstraps.empty
    content, _ = fit_table(score_table(), job(filters={"region": "V44"}))
    assert content["status"] == "not testable" and "no row passes this filter" in content["reason"]


def test_unknown_column_is_an_error():
    with pytest.raises(DataError) as caught:
        fit_table(score_table(), job(x="n_sample"))
    assert caught.value.problems[0].nearest == "n_samples"


def test_column_that_varies_within_a_group_is_an_error():
    table = score_table()
    table["n_samples"] += (table["region"] == "V1").astype(float)
    with pytest.raises(DataError, match="differ within a group"):
        fit_table(table, job())


def test_comparison_ranks_forms():
    forms = ["log_linear", "power_law_ceiling", "sqrt_saturating"]
    content = fit_table(score_table(), job(forms=forms, filters={"region": "IT"}))[0]
    assert content["form"] == "log_linear"
    assert content["compared"][0]["form"] == "power_law_ceiling"
    assert content["compared"][0]["delta_aicc"] == 0
