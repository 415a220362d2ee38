"""The law of model size, unique images and passes: its limits, its fit, and the best run."""

import numpy as np
import pytest
from scipy.optimize import minimize, minimize_scalar

from neuroscaling.core.errors import DataError
from neuroscaling.laws import compute_optimal
from neuroscaling.laws.fitting import fit
from neuroscaling.laws.forms import FORMS
from neuroscaling.laws.limited_images import allocation_of_images, best_run, cheapest_run
from neuroscaling.laws.loss import DELTA
from tests.support.law_points import TRUE, X3, noisy

TRUTH = TRUE["data_constrained"]
SCALES = (10.0, 10.0, 1e9)
PARAMS = np.array([list(TRUTH.values())])
COST = np.array([[1.05, 3.0]])


def law_of(n, u, passes, E, A, alpha, B, beta, R_star):
    """The law written out as its authors have it, apart from the package."""
    data = u + u * R_star * (1 - np.exp(-(passes - 1) / R_star))
    return 1 - E - A / n**alpha - B / data**beta


def with_passes(passes):
    x = X3.copy()
    x[:, 2] = passes
    return x


def test_the_curve_is_the_published_formula():
    n, u, passes = X3.T
    found = FORMS["data_constrained"].curve(X3, **TRUTH)
    np.testing.assert_allclose(found, law_of(n, u, passes, **TRUTH), rtol=1e-12)


def test_one_pass_is_the_law_of_model_and_data_size_exactly():
    two = {name: TRUTH[name] for name in ("E", "A", "alpha", "B", "beta")}
    x = with_passes(1.0)
    assert np.array_equal(FORMS["data_constrained"].curve(x, **TRUTH), FORMS["chinchilla"].curve(x[:, :2], **two))


@pytest.mark.parametrize(("worn", "images"), [(1e9, lambda x: x[:, 1] * x[:, 2]), (1e-9, lambda x: x[:, 1])])
def test_repeated_images_are_as_new_or_worth_nothing_at_the_ends(worn, images):
    two = {name: TRUTH[name] for name in ("E", "A", "alpha", "B", "beta")}
    found = FORMS["data_constrained"].curve(X3, **TRUTH | {"R_star": worn})
    expected = FORMS["chinchilla"].curve(np.stack([X3[:, 0], images(X3)], -1), **two)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_before_the_first_pass_is_over_every_image_is_new():
    two = {name: TRUTH[name] for name in ("E", "A", "alpha", "B", "beta")}
    found = FORMS["data_constrained"].curve(np.array([[50.0, 1000.0, 0.25]]), **TRUTH)
    assert found == pytest.approx(FORMS["chinchilla"].curve(np.array([[50.0, 250.0]]), **two))


def test_another_solver_finds_no_lower_loss_and_the_same_law():
    y = noisy("data_constrained", 0.002, seed=3)
    law = fit(X3, y, form="data_constrained", x_scale=[10, 10, 1], bootstraps=0)
    n, u, passes = (X3 / [10, 10, 1]).T

    def loss(theta):
        E, A, alpha, B, beta, worn = np.where([1, 1, 0, 1, 0, 1], np.exp(theta), theta)
        left = np.abs(np.log(1 - law_of(n, u, passes, E, A, alpha, B, beta, worn)) - np.log1p(-y))
        return np.where(left <= DELTA, left**2 / 2, DELTA * (left - DELTA / 2)).sum()

    start = np.where([1, 1, 0, 1, 0, 1], np.log(list(TRUTH.values())), list(TRUTH.values()))
    found = minimize(
        loss, start, method="Nelder-Mead", options={"maxiter": 6000, "maxfev": 6000, "xatol": 1e-9, "fatol": 1e-13}
    )
    assert law.loss_value <= found.fun * (1 + 1e-6)
    theirs = np.where([1, 1, 0, 1, 0, 1], np.exp(found.x), found.x)
    np.testing.assert_allclose(list(law.params.values()), theirs, rtol=0.02)
    np.testing.assert_allclose(list(law.params.values()), list(TRUTH.values()), rtol=0.15)


def test_with_passes_that_vary_every_parameter_is_identified():
    law = fit(X3, noisy("data_constrained", 0.001), form="data_constrained", x_scale=[10, 10, 1], bootstraps=60)
    assert all(flag["identified"] for flag in law.flags.values()) and law.notes == []


def test_one_pass_alone_tells_all_but_how_images_wear():
    x = with_passes(1.0)
    y = FORMS["data_constrained"].curve(x / [10, 10, 1], **TRUTH) + np.random.default_rng(0).normal(0, 0.001, len(x))
    law = fit(x, y, form="data_constrained", x_scale=[10, 10, 1], bootstraps=60)
    two = fit(x[:, :2], y, form="chinchilla", x_scale=[10, 10], bootstraps=0)
    assert law.loss_value == pytest.approx(two.loss_value, rel=1e-6)
    assert {name for name, flag in law.flags.items() if not flag["identified"]} == {"R_star"}
    assert "nothing tells R_star: variable 3 is 1 at all points" in law.flags["R_star"]["reasons"]
    assert "nothing tells R_star: variable 3 is 1 at all points" in law.notes and law.undetermined == 0


def test_one_number_of_passes_trades_data_off_with_how_images_wear():
    x = with_passes(100.0)
    y = FORMS["data_constrained"].curve(x / [10, 10, 1], **TRUTH) + np.random.default_rng(0).normal(0, 0.001, len(x))
    law = fit(x, y, form="data_constrained", x_scale=[10, 10, 1], bootstraps=60)
    assert not law.flags["R_star"]["identified"] and not law.flags["B"]["identified"]
    assert law.flags["alpha"]["identified"] and law.flags["beta"]["identified"]
    assert "nothing tells R_star: variable 3 is 100 at all points" in law.notes


def test_passes_are_counted_and_have_no_other_unit():
    with pytest.raises(DataError, match="counts this variable from 1"):
        fit(X3, noisy("data_constrained"), form="data_constrained", x_scale=[10, 10, 10], bootstraps=0)


def misalignment(n, u, passes):
    return 1 - law_of(n / SCALES[0], u / SCALES[1], passes, **TRUTH)


@pytest.mark.parametrize("images", [50.0, 3e3, 1e6])
@pytest.mark.parametrize("compute", [1e15, 1e17])
def test_the_best_run_is_that_of_a_search(images, compute):
    exponent, factor = COST[0]
    product = (compute / 1e9 / factor) ** (1 / exponent) * SCALES[0] * SCALES[1]
    n, u, passes = (float(v[0, 0]) for v in best_run(PARAMS, COST, compute, images, SCALES))
    assert n * u * passes == pytest.approx(product) and u <= images * (1 + 1e-12) and passes >= 1

    def searched(log_seen):
        seen = np.exp(log_seen)
        unique = min(seen, images)
        return misalignment(product / seen, unique, seen / unique)

    grid = np.linspace(np.log(1.0), np.log(product), 400)
    near = grid[np.argmin([searched(point) for point in grid])]
    best = minimize_scalar(searched, bounds=(near - 1, near + 1), method="bounded", options={"xatol": 1e-10})
    assert misalignment(n, u, passes) == pytest.approx(best.fun, rel=1e-9)
    assert u * passes == pytest.approx(np.exp(best.x), rel=1e-4)


def test_enough_images_give_the_law_of_model_and_data_size():
    n, u, passes = best_run(PARAMS, COST, [1e15, 1e18], 1e12, SCALES)
    two_n, two_d = compute_optimal.run_at_compute(PARAMS[:, :5], COST, [1e15, 1e18], scales=SCALES)
    for found, expected in ((n, two_n), (u, two_d), (passes, np.ones((1, 2)))):
        np.testing.assert_allclose(found, expected)


def test_fewer_images_ask_for_more_passes_and_larger_networks():
    n, u, passes = np.array([best_run(PARAMS, COST, 1e18, images, SCALES) for images in (1e2, 1e3, 1e4)])[..., 0, 0].T
    np.testing.assert_allclose(u, [1e2, 1e3, 1e4])
    assert (np.diff(passes) < 0).all() and (np.diff(n) < 0).all() and passes[-1] > 1


def test_the_cheapest_run_with_a_score_is_the_best_of_its_compute():
    found = [v[0] for v in cheapest_run(PARAMS, COST, 0.5, 1e3, SCALES)]
    again = best_run(PARAMS, COST, found[3], 1e3, SCALES)
    np.testing.assert_allclose(found[:3], [v[0, 0] for v in again], rtol=1e-6)
    assert 1 - misalignment(*found[:3]) == pytest.approx(0.5, rel=1e-9)
    # However long the training, 1e3 images give no more than U (1 + R*) of them.
    most = 1 - TRUTH["E"] - TRUTH["B"] * (1e3 / SCALES[1] * (1 + TRUTH["R_star"])) ** -TRUTH["beta"]
    assert np.isinf(cheapest_run(PARAMS, COST, most + 1e-3, 1e3, SCALES)[3])
    assert np.isfinite(cheapest_run(PARAMS, COST, most - 1e-3, 1e3, SCALES)[3])


def test_the_allocation_has_intervals_of_the_resamples():
    law = fit(X3, noisy("data_constrained", 0.001), form="data_constrained", x_scale=[10, 10, 1], bootstraps=40)
    compute = 1e9 * 3.0 * ((X3 / [10, 10, 1]).prod(axis=1)) ** 1.05
    found = allocation_of_images(
        law.samples, np.array(list(law.params.values())), X3, compute, grid=[1e17], images=1e3, scales=SCALES
    )
    curve = found["curve"]
    truth = dict(zip(("n_params", "n_samples", "passes"), best_run(PARAMS, COST, 1e17, 1e3, SCALES), strict=True))
    for name, value in truth.items():
        low, high = curve[name]["p2.5"][0], curve[name]["p97.5"][0]
        assert low * 0.95 <= value[0, 0] <= high * 1.05, name
    assert found["images"] == 1e3 and found["dropped"] == 0
    assert curve["n_samples_seen"]["fit"][0] == pytest.approx(curve["n_samples"]["fit"][0] * curve["passes"]["fit"][0])


def test_no_images_are_no_question():
    with pytest.raises(DataError, match="images"):
        best_run(PARAMS, COST, 1e17, 0.0, SCALES)
