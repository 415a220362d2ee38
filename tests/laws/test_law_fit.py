"""A fitted law: intervals, flags, reports, losses, and what can't be fitted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroscaling.core.errors import DataError
from neuroscaling.laws import fitting
from neuroscaling.laws.compute_optimal import cost_law
from neuroscaling.laws.fitting import fit
from neuroscaling.laws.identifiability import NO_GROWTH, NO_SATURATION
from neuroscaling.laws.loss import LOSSES
from tests.support.law_points import X2, X, noisy


def test_same_seed_gives_the_same_interval_and_another_seed_another():
    y = noisy("power_law", 0.02)
    assert fit(X, y, bootstraps=30).ci == fit(X, y, bootstraps=30).ci
    assert fit(X, y, bootstraps=30).ci != fit(X, y, bootstraps=30, seed=1).ci


@settings(max_examples=15)
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


def test_what_a_masked_array_masks_is_missing_and_no_point():
    x, y = X.copy(), noisy("power_law")
    mask = np.arange(X.size) == 20
    y[20] = 0.99
    for points in ((x, np.ma.masked_array(y, mask)), (np.ma.masked_array(x, mask), y)):
        with pytest.raises(DataError, match=r"points without a number: 1 of 36") as caught:
            fit(*points)
        assert "rows 20" in str(caught.value)
    errors = np.ma.masked_array(np.full(X.size, 0.1), mask)
    with pytest.raises(DataError, match="standard errors must be positive"):
        fit(x, y, form="log_linear", loss="weighted", y_error=errors)
    with pytest.raises(DataError, match="n_params must be a number above 0: 1 are not"):
        cost_law(np.ma.masked_array(x, mask), x, x)
    law = fit(x[~mask], np.ma.masked_array(y, mask)[~mask], bootstraps=0)
    assert law.params == fit(x[~mask], y[~mask], bootstraps=0).params
    assert np.isnan(law.predict(np.ma.masked_array(x, mask))).tolist() == mask.tolist()


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


def test_the_package_offers_the_fit_itself():
    assert fitting.fit(X, noisy("power_law"), bootstraps=0).params == fit(X, noisy("power_law"), bootstraps=0).params


def test_a_law_of_two_variables_has_no_single_curve():
    law = fit(X2, noisy("chinchilla"), form="chinchilla", x_scale=[10, 10], bootstraps=30)
    content = law.to_dict()
    assert content["curve"] is None and content["beyond"] is None and content["x_scale"] == [10.0, 10.0]
    assert content["saturation"] == pytest.approx(0.6, abs=0.02)
    assert law.predict(X2).shape == (36,) and law.band(X2[:2]).shape == (5, 2)
    with pytest.raises(DataError, match=r"x of shape \(n, 2\)"):
        fit(X, noisy("power_law"), form="chinchilla")
    with pytest.raises(DataError, match="another number of variables"):
        fit(X, noisy("power_law"), x_scale=[1, 2])
