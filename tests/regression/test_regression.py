"""Folds, features seen through inner products, PLS on planted truth, and scores."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroscaling.regression import scores
from neuroscaling.regression.cross_validation import shuffled_folds
from neuroscaling.regression.dual_ridge import DualRidge, DualRidgeCV, ridge_splits
from neuroscaling.regression.features import Features
from neuroscaling.regression.pls import KernelPLS
from neuroscaling.regression.scores import split_half_ceilings


def planted(n=300, p=40, t=6, noise=0.5, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n, p)) + 5
    signal = features @ rng.standard_normal((p, t)) / np.sqrt(p)
    return features, signal + noise * rng.standard_normal((n, t))


@settings(max_examples=30)
@given(n=st.integers(4, 60), k=st.integers(2, 4), seed=st.integers(0, 99))
def test_folds_hold_out_every_row_once(n, k, seed):
    folds = shuffled_folds(n, k, seed)
    assert sorted(np.concatenate([held for _, held in folds]).tolist()) == list(range(n))
    for train, held in folds:
        assert sorted([*train.tolist(), *held.tolist()]) == list(range(n))
    assert all((a[1] == b[1]).all() for a, b in zip(folds, shuffled_folds(n, k, seed), strict=True))


def test_too_many_folds_are_refused():
    with pytest.raises(ValueError, match="5 folds of 4 rows"):
        shuffled_folds(4, 5, 0)


def test_features_and_inner_products_give_one_answer():
    features, targets = planted()
    rows, others = np.arange(200), np.arange(200, 300)
    narrow = Features.of(features)
    # Columns of zeros change no inner product but send the same problem through the Gram matrix.
    wide = Features.of(np.hstack([features, np.zeros((300, 400))]))
    a, b = (KernelPLS(one, 10).fit(rows, targets[rows]).predict(others) for one in (narrow, wide))
    np.testing.assert_allclose(a, b, atol=1e-9)


def test_pls_finds_planted_truth():
    features, targets = planted(noise=0.3)
    rows, others = np.arange(200), np.arange(200, 300)
    predictions = KernelPLS(Features.of(features), 10).fit(rows, targets[rows]).predict(others)
    expected = np.sqrt(1 / (1 + 0.3**2))
    assert scores.pearson(predictions, targets[200:]).mean() == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize("p", [6, 60])
def test_leave_one_out_errors_are_those_of_fits_without_each_row(p):
    # Rows far from the others weigh on their own fit, so that the weights of the residuals matter.
    features, targets = planted(n=24, p=p)
    features[:3] *= 6
    # Of all sizes next to the penalties, down to eigenvalues of 0.
    features *= np.geomspace(0.01, 1, p)
    shared, rows, alphas = Features.of(features), np.arange(24), (0.02, 8.0, 200.0)
    model = DualRidgeCV(shared, alphas).fit(rows, targets)
    errors = np.zeros((len(alphas), 24))
    for i, alpha in enumerate(alphas):
        for row in rows:
            others = np.delete(rows, row)
            predicted = DualRidge(shared, alpha).fit(others, targets[others]).predict(rows[[row]])
            errors[i, row] = ((predicted - targets[row]) ** 2).mean()
    np.testing.assert_allclose(model.errors_, errors.mean(1), rtol=1e-9)
    assert model.alpha_ == alphas[errors.mean(1).argmin()]


@pytest.mark.parametrize("p", [6, 60])
@pytest.mark.parametrize("alpha", [0.3, 400.0])
def test_splits_from_one_factorisation_are_those_of_single_fits(p, alpha):
    features, targets = planted(n=24, p=p)
    shared = Features.of(features)
    splits = shuffled_folds(24, 4, 0)
    for predictions, (train, test) in zip(ridge_splits(shared, targets, splits, alpha), splits, strict=True):
        expected = DualRidge(shared, alpha).fit(train, targets[train]).predict(test)
        np.testing.assert_allclose(predictions, expected, rtol=1e-8, atol=1e-8)


def test_pearson_equals_numpy_and_is_nan_without_variation():
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((2, 50, 3))
    x[:, 2] = 0.1
    got = scores.pearson(x, y)
    np.testing.assert_allclose(got[:2], [np.corrcoef(x[:, i], y[:, i])[0, 1] for i in range(2)])
    assert np.isnan(got[2])
    assert scores.prediction_correlation(x, y)[2] == 0


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_varies_is_judged_about_its_mean(dtype):
    rng = np.random.default_rng(0)
    constant = np.array([0.1, 1 / 3, 7e8, 0.0, -5e-9]) * np.ones((100, 1))
    rounded = constant[:, :1] * (1 + np.finfo(dtype).eps * rng.integers(0, 2, (100, 1)))
    varying = rng.standard_normal((100, 4)) * np.array([1, 1, 1e-12, 3]) + np.array([0, 5000, 0, 1e6])
    values = np.hstack([constant, rounded, varying]).astype(dtype)
    np.testing.assert_array_equal(scores.varies(values), [False] * 6 + [True] * 4)
    other = rng.standard_normal((100, 10))
    r = scores.pearson(values, other)
    assert np.isnan(r[:6]).all()
    np.testing.assert_allclose(r[6:], [np.corrcoef(values[:, i], other[:, i])[0, 1] for i in range(6, 10)], atol=1e-9)
    np.testing.assert_array_equal(scores.bootstrap_correlations(values, other, 20, 0)[:, :6], 0)
    assert (scores.bootstrap_correlations(values, other, 20, 0)[:, 6:] != 0).all()
    np.testing.assert_array_equal(scores.r_squared(other[:, :6], values[:, :6]), 0)


def test_r_squared_by_hand():
    responses = np.array([[1.0, 5], [2, 5], [3, 5], [6, 5]])
    predictions = np.array([[1.0, 5], [3, 5], [3, 5], [5, 4]])
    # Residuals 0, 1, 0, 1 of a spread 4 + 1 + 0 + 9; of what doesn't vary nothing is explained.
    np.testing.assert_allclose(scores.r_squared(predictions, responses), [1 - 2 / 14, 0])


@given(r=st.floats(0.05, 0.95), factor=st.floats(1.5, 10))
def test_spearman_brown_undoes_itself(r, factor):
    assert scores.spearman_brown(scores.spearman_brown(r, factor), 1 / factor) == pytest.approx(r)
    assert scores.spearman_brown(r) == pytest.approx(2 * r / (1 + r))


def unequal_repeats(numbers, signal=1.0, noise=2.0, targets=150, seed=0):
    """Responses (targets, images, repeats) of planted variances, NaN after each image's number of repeats."""
    rng = np.random.default_rng(seed)
    numbers = np.asarray(numbers)
    repeats = np.sqrt(signal) * rng.standard_normal((targets, len(numbers), 1))
    repeats = repeats + np.sqrt(noise) * rng.standard_normal((targets, len(numbers), numbers.max()))
    repeats[:, np.arange(numbers.max()) >= numbers[:, None]] = np.nan
    return repeats


NUMBERS = {
    "equal": np.full(600, 8),
    "odd": np.full(600, 3),
    "2 to 10": 2 + np.arange(600) % 9,
    "1 to 5": 1 + np.arange(600) % 5,
    "half 1, half 19": np.where(np.arange(600) % 2, 1, 19),
}


@pytest.mark.parametrize("numbers", NUMBERS.values(), ids=NUMBERS)
def test_ceilings_find_the_planted_reliability_of_averages_over_unequal_repeats(numbers):
    # Of an average over n repeats the noise is the n-th part: over images it is the mean of 1 / n that counts.
    expected = 1 / (1 + 2 * np.mean(1 / numbers))
    repeats = unequal_repeats(numbers)
    assert scores.repeat_ceiling(repeats).mean() == pytest.approx(expected, abs=0.012)
    assert scores.ncsnr_ceiling(np.sqrt(0.5), dict(zip(*np.unique(numbers, return_counts=True), strict=True))) == (
        pytest.approx(expected)
    )
    image, column = np.nonzero(np.isfinite(repeats[0]))
    trials = repeats[:, image, column].T
    draws = split_half_ceilings(trials, image)
    assert draws.shape == (10, len(repeats))
    assert draws.mean() == pytest.approx(expected, abs=0.012)
    # Each draw halves the repetitions anew, so that the draws tell how much the halves matter.
    assert 1e-4 < np.median(draws, axis=1).std() < 0.02
    shuffled = np.random.default_rng(5).permutation(len(trials))
    names = np.array([f"image{number}" for number in image])
    again = split_half_ceilings(trials[shuffled], names[shuffled]).mean()
    assert again == pytest.approx(draws.mean(), abs=0.003)


def test_the_ceiling_of_noise_alone_is_0_and_never_below():
    ceilings = scores.repeat_ceiling(unequal_repeats(NUMBERS["1 to 5"], signal=0.0))
    assert ceilings.min() == 0 and (ceilings == 0).mean() > 0.3 and ceilings.mean() < 0.06


def test_repeat_ceiling_by_hand():
    # Variances of repeats 2 and 8, mean of 1 / n (1/2 + 1/2 + 1) / 3, means 2, 7 and 2 of variance 25 / 3.
    repeats = np.array([[[1, 3], [5, 9], [2, np.nan], [np.nan, np.nan]]])
    assert scores.repeat_ceiling(repeats)[0] == pytest.approx((25 / 3 - 5 * 2 / 3) / (25 / 3))
    assert scores.repeat_ceiling(repeats[:, :3])[0] == pytest.approx(0.6)


def test_halves_need_two_repeated_stimuli():
    with pytest.raises(ValueError, match="1 stimuli were repeated"):
        split_half_ceilings(np.zeros((4, 2)), np.array([0, 0, 1, 2]))


def test_repeat_ceiling_needs_two_repeats():
    repeats = np.full((1, 5, 2), np.nan)
    repeats[..., 0] = 1
    with pytest.raises(ValueError, match="two repeats"):
        scores.repeat_ceiling(repeats)
    repeats[:, 0, :] = 1, 2
    repeats[:, 1:] = np.nan
    with pytest.raises(ValueError, match="one image alone"):
        scores.repeat_ceiling(repeats)


def test_ceiling_from_signal_to_noise_ratio():
    # 3 of 4 images with three repeats, one with one: w = (3/3 + 1) / 4.
    assert scores.ncsnr_ceiling(np.array([1.0]), {3: 3, 1: 1})[0] == pytest.approx(1 / 1.5)
    assert scores.ncsnr_ceiling(np.array([0.0]), {3: 1})[0] == 0


def test_normalised_scores_clip_only_where_the_challenge_does():
    r, ceiling = np.array([0.5, -0.5, 0.9, 0.1]), np.array([0.5, 0.5, 0.4, 0.0])
    np.testing.assert_allclose(scores.algonauts_score(r, ceiling), [50, 0, 100, 100])
    np.testing.assert_allclose(scores.normalised(r, ceiling)[:3], [0.5, -0.5, 0.81 / 0.4])
    assert np.isnan(scores.normalised(r, ceiling)[3])
    assert scores.pooled_score(r[:2], ceiling[:2]) == pytest.approx(0)
    assert scores.pooled_score(r, None) == pytest.approx((0.25 - 0.25 + 0.81 + 0.01) / 4)


def test_bootstrapped_correlations_surround_the_correlation():
    rng = np.random.default_rng(0)
    y = rng.standard_normal((400, 2))
    x = y + rng.standard_normal((400, 2))
    draws = scores.bootstrap_correlations(x, y, 300, seed=0)
    np.testing.assert_allclose(draws.mean(0), scores.pearson(x, y), atol=0.01)
    np.testing.assert_allclose(draws.std(0), (1 - scores.pearson(x, y) ** 2) / np.sqrt(400), rtol=0.2)
