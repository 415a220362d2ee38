"""Compute-optimal allocation: the condition of the optimum, brute force, units, the published inversion, bad data."""

import numpy as np
import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.laws.bootstrap import resample_weights
from neuroscaling.laws.compute_optimal import (
    SCALES,
    allocation,
    budgets_of,
    cost_law,
    has_optimum,
    run_at_compute,
    run_at_score,
)
from neuroscaling.laws.point_checks import NotTestable

PARAMS = np.array([[0.45, 0.3, 0.5, 0.9, 0.25], [0.5, 2.0, 0.2, 0.1, 0.7]])
COST = np.array([[0.9, 40.0], [1.1, 5.0]])


def misalignment(params, n, d, scales=SCALES):
    E, A, alpha, B, beta = params
    return E + A * (n / scales[0]) ** -alpha + B * (d / scales[1]) ** -beta


def runs(count=60, noise=0.1, seed=0):
    """Sizes and compute of runs with C = 40e9 (Nt Dt)^0.9 and noise in log10 C."""
    rng = np.random.default_rng(seed)
    n, d = 10 ** rng.uniform(5, 8.5, count), 10 ** rng.uniform(5, 8.5, count)
    return n, d, SCALES[2] * 40 * (n / SCALES[0] * d / SCALES[1]) ** 0.9 * 10 ** rng.normal(0, noise, count)


def samples(count=50, seed=1):
    return PARAMS[0] * np.exp(np.random.default_rng(seed).normal(0, 0.05, (count, 5)))


@pytest.mark.parametrize("compute", [1e14, 1e17, 3e20])
@pytest.mark.parametrize("row", [0, 1])
def test_no_other_run_of_the_same_cost_is_better(compute, row):
    params, (exponent, factor) = PARAMS[row], COST[row]
    n, d = (values[row, 0] for values in run_at_compute(PARAMS, COST, compute))
    assert SCALES[2] * factor * (n / SCALES[0] * d / SCALES[1]) ** exponent == pytest.approx(compute, rel=1e-12)
    others = n * np.geomspace(1e-3, 1e3, 2001)
    best = others[np.argmin(misalignment(params, others, n * d / others))]
    assert best == pytest.approx(n, rel=1e-6)


def test_corrected_balances_the_gains_and_parity_misses_by_the_inverted_factor():
    _, A, alpha, B, beta = PARAMS.T
    ratio = {}
    for mode in ("corrected", "parity"):
        n, d = (values[:, 0] for values in run_at_compute(PARAMS, COST, 1e18, mode))
        ratio[mode] = alpha * A * (n / 1e5) ** -alpha / (beta * B * (d / 1e4) ** -beta)
    G = (alpha * A / (beta * B)) ** (1 / (alpha + beta))
    np.testing.assert_allclose(ratio["corrected"], 1.0, rtol=1e-10)
    np.testing.assert_allclose(ratio["parity"], G ** (2 * (alpha + beta)), rtol=1e-10)
    right, wrong = (run_at_compute(PARAMS, COST, 1e18, mode) for mode in ("corrected", "parity"))
    np.testing.assert_allclose(wrong[0][:, 0], right[0][:, 0] / G**2, rtol=1e-10)
    np.testing.assert_allclose(wrong[1][:, 0], right[1][:, 0] * G**2, rtol=1e-10)


@pytest.mark.parametrize("mode", ["corrected", "parity"])
def test_the_run_for_a_score_has_this_score_and_lies_on_the_optimum(mode):
    n, d, compute = run_at_score(PARAMS, COST, 0.35, mode)
    for i in range(2):
        assert misalignment(PARAMS[i], n[i], d[i]) == pytest.approx(0.65, rel=1e-12)
        again = [v[0, 0] for v in run_at_compute(PARAMS[i : i + 1], COST[i : i + 1], compute[i], mode)]
        np.testing.assert_allclose(again, [n[i], d[i]], rtol=1e-9)


def test_no_run_reaches_a_score_at_or_beyond_the_asymptote():
    n, d, compute = run_at_score(PARAMS, COST, 0.5)
    assert np.isfinite([n[0], d[0], compute[0]]).all()
    assert np.isinf([n[1], d[1], compute[1]]).all()


def test_units_do_not_change_the_run():
    scales = (3e6, 2e3, 1e15)
    change = np.array([scales[0] / SCALES[0], scales[1] / SCALES[1]])
    E, A, alpha, B, beta = PARAMS.T
    params = np.stack([E, A * change[0] ** -alpha, alpha, B * change[1] ** -beta, beta], -1)
    n, d, c = runs()
    old, new = (np.repeat(np.stack(cost_law(n, d, c, scales=s), -1), 2, axis=0) for s in (SCALES, scales))
    for compute in (1e14, 1e20):
        np.testing.assert_allclose(
            run_at_compute(params, new, compute, scales=scales), run_at_compute(PARAMS, old, compute), rtol=1e-9
        )
    np.testing.assert_allclose(
        run_at_score(params, new, 0.35, scales=scales), run_at_score(PARAMS, old, 0.35), rtol=1e-9
    )


def test_cost_of_resamples_is_the_regression_on_repeated_rows():
    n, d, c = runs()
    weights = resample_weights(len(n), 5, seed=3)
    exponents, factors = cost_law(n, d, c, weights)
    for row, exponent, factor in zip(weights.astype(int), exponents, factors, strict=True):
        x, y = np.repeat(np.log10(n / 1e5 * d / 1e4), row), np.repeat(np.log10(c / 1e9), row)
        slope, intercept = np.polyfit(x, y, 1)
        assert (exponent, factor) == pytest.approx((slope, 10**intercept), rel=1e-9)
    assert cost_law(n, d, c)[0] == pytest.approx(cost_law(n, d, c, np.ones((1, len(n))))[0], rel=1e-12)


def test_a_cost_without_noise_is_found():
    exponent, factor = cost_law(*runs(noise=0.0))
    assert (exponent[0], factor[0]) == pytest.approx((0.9, 40.0), rel=1e-9)


def test_budgets_go_as_far_as_the_published_ones_and_the_runs():
    ends = [budgets_of(compute)[[0, -1]] for compute in ([1e16, 1e18], [1e12, 1.3e22])]
    np.testing.assert_allclose(ends, [[1e14, 3e20], [1e12, 1.3e22]])
    np.testing.assert_allclose(budgets_of([1e12, 1.3e22], "parity")[[0, -1]], [1e14, 3e20])


def test_a_resample_of_equal_runs_has_no_cost_law():
    n, d, c = runs(4)
    weights = np.array([[4.0, 0, 0, 0], [1, 1, 1, 1]])
    assert np.isnan(cost_law(n, d, c, weights)[0]).tolist() == [True, False]


def test_allocation_gives_exponents_and_a_band_around_the_fit():
    n, d, c = runs()
    weights = resample_weights(len(n), 50, seed=2)
    result = allocation(samples(), PARAMS[0], n, d, c, weights)
    alpha, beta = PARAMS[0, [2, 4]]
    exponent = cost_law(n, d, c)[0][0]
    assert result["cost"]["exponent"] == pytest.approx(exponent)
    assert result["exponents"]["n_params"]["value"] == pytest.approx(beta / (alpha + beta) / exponent)
    both = sum(result["exponents"][name]["value"] for name in ("n_params", "n_samples_seen"))
    assert both == pytest.approx(1 / exponent)
    low, high = result["cost"]["exponent_ci95"]
    assert low < exponent < high
    curve = result["curve"]
    assert (len(curve["compute"]), curve["compute"][0], result["dropped"]) == (100, pytest.approx(c.min()), 0)
    for name in ("n_params", "n_samples_seen", "score"):
        columns = [np.array(curve[name][key]) for key in ("p2.5", "p50", "p97.5", "fit")]
        assert (columns[0] < columns[1]).all() and (columns[1] < columns[2]).all()
    slope = np.diff(np.log(curve["n_params"]["fit"])) / np.diff(np.log(curve["compute"]))
    np.testing.assert_allclose(slope, result["exponents"]["n_params"]["value"], rtol=1e-9)
    scores = 1 - misalignment(PARAMS[0], *(np.array(curve[v]["fit"]) for v in ("n_params", "n_samples_seen")))
    np.testing.assert_allclose(curve["score"]["fit"], scores, rtol=1e-12)


def test_parity_holds_the_cost_fixed_and_says_so():
    n, d, c = runs(noise=0.5)
    weights = resample_weights(len(n), 50, seed=2)
    grid = [1e15, 1e17, 1e19]
    parity, corrected = (
        allocation(samples(), PARAMS[0], n, d, c, weights, mode, grid) for mode in ("parity", "corrected")
    )
    assert parity["cost"]["exponent"] == corrected["cost"]["exponent"]
    assert parity["cost"]["exponent_ci95"] is None and corrected["cost"]["exponent_ci95"] is not None
    widths = [np.ptp(result["exponents"]["n_params"]["ci95"]) for result in (parity, corrected)]
    assert widths[0] < widths[1]
    assert parity["curve"]["n_params"]["fit"] != corrected["curve"]["n_params"]["fit"]
    assert parity["curve"]["n_params"]["fit"][1] * parity["curve"]["n_samples_seen"]["fit"][1] == pytest.approx(
        corrected["curve"]["n_params"]["fit"][1] * corrected["curve"]["n_samples_seen"]["fit"][1]
    )


def test_resamples_without_optimum_are_counted_and_left_out():
    broken = samples()
    broken[0, 2], broken[1, 4], broken[2, 1] = 0.0, -0.1, np.inf
    costs = np.repeat(COST[:1], len(broken), axis=0)
    assert has_optimum(broken, costs).sum() == len(broken) - 3
    result, rest = (allocation(s, PARAMS[0], *runs(), grid=[1e16]) for s in (broken, broken[3:]))
    assert result.pop("dropped") == 3 and rest.pop("dropped") == 0
    assert result == rest


def test_a_law_without_optimum_is_named():
    flat = PARAMS[0] * [1, 1, 0, 1, 1]
    with pytest.raises(NotTestable, match="no compute-optimal run") as error:
        allocation(samples(), flat, *runs())
    assert "alpha 0" in str(error.value)


def test_degenerate_runs_are_named():
    n, d, c = runs(10)
    with pytest.raises(DataError, match="N D is the same for all runs"):
        cost_law(n, 1e12 / n, c)
    with pytest.raises(DataError, match=r"total_flops must be a number above 0: 1 are not[\s\S]*rows 3"):
        cost_law(n, d, np.where(np.arange(10) == 3, 0.0, c))
    with pytest.raises(DataError, match="n_params must be a number above 0"):
        cost_law(np.where(np.arange(10) == 3, np.nan, n), d, c)
    with pytest.raises(DataError, match="10, 10 and 9 numbers"):
        cost_law(n, d, c[:9])
    with pytest.raises(DataError, match="one weight a run"):
        cost_law(n, d, c, np.ones((2, 9)))
    with pytest.raises(DataError, match="compute must be a number above 0"):
        run_at_compute(PARAMS, COST, [1e15, -1.0])
    with pytest.raises(DataError, match=r"unknown mode[\s\S]*nearest:  parity"):
        run_at_compute(PARAMS, COST, 1e15, "paritty")


def test_far_compute_and_steep_laws_do_not_overflow():
    steep = np.array([[0.5, 1e-8, 5.0, 1e4, 0.01]])
    n, d = run_at_compute(steep, COST[:1], [1e6, 1e40])
    assert np.isfinite(n).all() and np.isfinite(d).all() and (n > 0).all() and (d > 0).all()
