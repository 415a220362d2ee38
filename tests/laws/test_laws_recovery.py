"""Planted laws are found again for every form: within the noise, in any order, any unit, and with honest intervals."""

import numpy as np
import pytest

from neuroscaling.laws.fitting import fit
from tests.support.planted import MEDIAN, PLANTED, SCALE, planted, standard_errors, true_scores

# Near its minimum a loss does not change in its 16th digit while a parameter changes in its 8th.
SAME = 1e-7


def fitted(form, x, y, scale=SCALE, **options):
    return fit(x, y, form=form, x_scale=scale, **{"bootstraps": 0, **options})


@pytest.mark.parametrize("n", [30, 300])
@pytest.mark.parametrize("form", PLANTED)
def test_a_law_without_noise_is_found_exactly(form, n):
    x, y = planted(form, n, 0.0)
    found = fitted(form, x, y)
    assert found.params == pytest.approx(PLANTED[form][1], rel=1e-4)
    np.testing.assert_allclose(found.predict(x), y, atol=1e-7)


@pytest.mark.parametrize("noise", [0.005, 0.02])
@pytest.mark.parametrize("n", [30, 300])
@pytest.mark.parametrize("form", PLANTED)
def test_the_curve_is_as_near_as_the_noise_allows(form, n, noise):
    """The rms error of a least-squares curve with p parameters is about sigma sqrt(p / n); 2.5 times that may be."""
    x, y = planted(form, n, noise)
    distance = np.sqrt(np.mean((fitted(form, x, y).predict(x) - true_scores(form, x)) ** 2))
    assert distance <= 2.5 * MEDIAN * noise * np.sqrt(len(PLANTED[form][1]) / n)


@pytest.mark.parametrize("form", PLANTED)
def test_parameters_are_as_near_as_the_noise_allows(form):
    """Twelve data sets: the mean error within 4 standard errors of a mean, the spread near its expectation."""
    n, noise, sets = 300, 0.005, 12
    truth = np.array(list(PLANTED[form][1].values()))
    found = [list(fitted(form, *planted(form, n, noise, seed)).params.values()) for seed in range(sets)]
    errors = (np.array(found) - truth) / standard_errors(form, n, noise)
    assert np.abs(errors.mean(0)).max() < 4 / np.sqrt(sets)
    assert errors.std(0).min() > 0.4 and errors.std(0).max() < 1.8


@pytest.mark.parametrize("form", PLANTED)
def test_the_order_of_rows_changes_nothing(form):
    x, y = planted(form, 40, 0.01)
    shuffled = np.random.default_rng(1).permutation(40)
    one, other = fitted(form, x, y), fitted(form, x[shuffled], y[shuffled])
    assert other.loss_value == pytest.approx(one.loss_value, rel=1e-9)
    assert other.params == pytest.approx(one.params, rel=SAME)


@pytest.mark.parametrize("form", PLANTED)
def test_the_unit_of_x_changes_nothing(form):
    x, y = planted(form, 40, 0.01)
    one, other = fitted(form, x, y), fitted(form, x * 1000, y, SCALE * 1000)
    assert other.loss_value == pytest.approx(one.loss_value, rel=1e-9)
    assert other.params == pytest.approx(one.params, rel=SAME)


@pytest.mark.parametrize("form", PLANTED)
def test_every_row_twice_doubles_the_loss_and_changes_nothing_else(form):
    x, y = planted(form, 40, 0.01)
    one, twice = fitted(form, x, y), fitted(form, np.concatenate([x, x]), np.concatenate([y, y]))
    assert twice.loss_value == pytest.approx(2 * one.loss_value, rel=1e-9)
    assert twice.params == pytest.approx(one.params, rel=SAME)


@pytest.mark.parametrize("form", ["power_law", "sqrt_saturating", "log_linear"])
def test_intervals_cover_the_truth(form):
    """Of 40 data sets at least 80 % of the 95 % intervals hold the true value, of every parameter and of the curve in
    the middle. perf/coverage.py measures the rate for every form, over noise and n."""
    truth = np.array(list(PLANTED[form][1].values()))
    middle = np.array([1000.0])
    covered, curve_covered = np.zeros(len(truth)), 0
    for seed in range(40):
        found = fitted(form, *planted(form, 60, 0.005, seed), bootstraps=100, seed=seed)
        low, high = np.array([found.ci[name] for name in found.form.names]).T
        covered += (low <= truth) & (truth <= high)
        low, *_, high = found.band(middle)[:, 0]
        curve_covered += low <= true_scores(form, middle)[0] <= high
    assert covered.min() >= 32
    assert curve_covered >= 32
