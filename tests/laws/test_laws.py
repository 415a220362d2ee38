"""Forms, losses and the solver: gradients, recovery, warm starts, profiles."""

import numpy as np
import pytest

from neuroscaling.laws import solver
from neuroscaling.laws.bfgs import bfgs
from neuroscaling.laws.bootstrap import resample_weights
from neuroscaling.laws.fitting import fit
from neuroscaling.laws.forms import FORMS
from neuroscaling.laws.loss import DELTA, LOSSES, huber
from tests.support.law_points import TRUE, X, data_of, noisy, points, unit


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
        # A step of 1e-6 leaves half of the digits: 5e-5 of the gradient is seen.
        np.testing.assert_allclose(gradient[:, j], numeric, rtol=3e-4, atol=3e-7)


@pytest.mark.parametrize("name", FORMS)
def test_natural_form_and_inner_form_agree_in_every_unit(name):
    form = FORMS[name]
    x, centre, scale = points(name), np.array(unit(name, 50.0)), np.array(unit(name, 7.0))
    log_x = np.log(x / centre).T
    theta = form.starts(log_x, form.target(np.linspace(0.1, 0.5, len(x))))[:4]
    inner = form.score(form.inner(theta, log_x)[0])
    natural = form.natural(theta, np.broadcast_to(scale / centre, x.shape[1:]))
    for row, values in zip(natural, inner, strict=True):
        np.testing.assert_allclose(form.curve(x / scale, *row), values, rtol=1e-9)


@pytest.mark.parametrize("name", FORMS)
def test_recovers_a_known_law_within_its_interval(name):
    scale = unit(name, 10.0)
    law = fit(points(name), noisy(name, 0.001), form=name, x_scale=scale, bootstraps=200)
    for parameter, true in TRUE[name].items():
        low, high = law.ci[parameter]
        width = high - low
        assert low - width <= true <= high + width
        assert law.params[parameter] == pytest.approx(true, rel=0.35 if name == "power_law_shift" else 0.15)
    truth = FORMS[name].curve(points(name) / scale, **TRUE[name])
    np.testing.assert_allclose(law.predict(points(name)), truth, atol=0.01)


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

    x, value = bfgs(rosenbrock, np.random.default_rng(0).normal(0, 1, (50, 2)), 500)
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
