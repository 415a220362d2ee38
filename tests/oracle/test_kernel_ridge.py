"""Ridge with one penalty for all targets against scikit-learn's Ridge and RidgeCV: predictions and chosen penalties."""

import warnings

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sklearn.linear_model import Ridge, RidgeCV

from neuroscaling.regression.dual_ridge import DualRidge, DualRidgeCV, ridge_splits
from neuroscaling.regression.features import Features
from neuroscaling.regression.gram import Gram

FORMS = {"features": Features.of, "gram": Gram.of}
SHAPES = [(150, 400, 20), (300, 60, 20), (150, 400, 1), (300, 40, 1), (80, 79, 3), (40, 200, 90), (120, 20, 250)]
ALPHAS = (0.01, 0.1, 0.5, 1.0, *np.linspace(10, 100, 4, endpoint=False), *np.logspace(2, 7, 30))


def problem(n, p, m, seed=0):
    rng = np.random.default_rng(seed)
    features = np.maximum(rng.standard_normal((n, 8)) @ rng.standard_normal((8, p)) + rng.standard_normal((n, p)), 0)
    return features + 0.7, features @ rng.standard_normal((p, m)) / np.sqrt(p) + rng.standard_normal((n, m)) + 2


def shuffled(n, n_train, seed=0):
    order = np.random.default_rng(seed).permutation(n)
    return order[:n_train], order[n_train:]


def stock(model, features, targets, train, test):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(features[train], targets[train])
    return model.predict(features[test]).reshape(len(test), -1)


def check(features, targets, train, test, form, tolerance=1e-10):
    shared = FORMS[form](features)
    for alpha in (1.0, 300.0):
        expected = stock(Ridge(alpha), features, targets, train, test)
        ours = DualRidge(shared, alpha).fit(train, targets[train]).predict(test)
        assert np.abs(ours - expected).max() <= tolerance * np.abs(expected).max()
    peer = RidgeCV(ALPHAS)
    expected = stock(peer, features, targets, train, test)
    fit = DualRidgeCV(shared, ALPHAS).fit(train, targets[train])
    assert fit.alpha_ == peer.alpha_
    assert fit.errors_.min() == pytest.approx(-peer.best_score_, rel=max(1e-9, tolerance))
    assert np.abs(fit.predict(test) - expected).max() <= tolerance * np.abs(expected).max()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("share", [0.9, 0.5])
@pytest.mark.parametrize(("n", "p", "m"), SHAPES)
def test_predictions_and_penalties_equal_those_of_scikit_learn(n, p, m, share, form):
    check(*problem(n, p, m), *shuffled(n, int(share * n)), form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("p", [40, 300])
def test_repeated_rows_constant_columns_and_equal_stimuli_agree(p, form):
    features, targets = problem(150, p, 6)
    features[:, [3, 4]] = 2.0, 0.0
    targets[:, [0, 3]] = 1.0, 0.0
    features[120:130] = features[:10]
    train, test = np.arange(130), np.arange(130, 150)
    check(features, targets, np.concatenate([train, train[:20]]), test, form)


@pytest.mark.parametrize(
    ("form", "offset", "tolerance"), [("features", 1e4, 1e-10), ("gram", 30, 1e-10), ("gram", 1e3, 1e-6)]
)
def test_large_means_cost_no_digits_but_those_that_a_raw_gram_cannot_hold(form, offset, tolerance):
    features, targets = problem(150, 400, 20)
    check(features + offset, targets + offset, *shuffled(150, 135), form, tolerance)


def test_float32_features_are_fitted_in_float64_where_scikit_learn_rounds():
    features, targets = problem(150, 400, 20)
    features = (100 * features).astype(np.float32)
    train, test = shuffled(150, 135)
    exact = stock(Ridge(1.0), features.astype(np.float64), targets, train, test)
    rounded = stock(Ridge(1.0), features, targets.astype(np.float32), train, test)
    assert np.abs(rounded - exact).max() > 1e-6 * np.abs(exact).max()
    for form in FORMS.values():
        ours = DualRidge(form(features), 1.0).fit(train, targets[train]).predict(test)
        assert np.abs(ours - exact).max() <= 1e-9 * np.abs(exact).max()


@pytest.mark.parametrize("form", FORMS)
def test_leave_one_out_errors_are_those_of_fits_without_each_row(form):
    features, targets = problem(30, 12 if form == "features" else 60, 3)
    fit = DualRidgeCV(FORMS[form](features), (0.5, 20.0)).fit(np.arange(30), targets)
    for alpha, error in zip((0.5, 20.0), fit.errors_, strict=True):
        squares = []
        for row in range(30):
            others = np.delete(np.arange(30), row)
            squares.append((stock(Ridge(alpha), features, targets, others, [row]) - targets[row]) ** 2)
        assert error == pytest.approx(np.mean(squares), rel=1e-9)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("p", [20, 100])
def test_nothing_to_predict_takes_the_first_penalty_and_gives_the_mean(p, form):
    features, _ = problem(60, p, 1)
    fit = DualRidgeCV(FORMS[form](features), (3.0, 1.0, 10.0)).fit(np.arange(50), np.full((50, 2), 4.0))
    assert fit.alpha_ == 3.0
    np.testing.assert_allclose(fit.predict(np.arange(50, 60)), 4.0, atol=1e-12)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("n", "p", "m"), [(150, 400, 20), (300, 60, 20), (120, 20, 250)])
def test_splits_from_one_factorisation_equal_separate_fits(n, p, m, form):
    features, targets = problem(n, p, m)
    splits = [shuffled(n, int(0.9 * n), seed) for seed in range(4)]
    for predictions, (train, test) in zip(ridge_splits(FORMS[form](features), targets, splits), splits, strict=True):
        expected = stock(Ridge(1.0), features, targets, train, test)
        np.testing.assert_allclose(predictions, expected, atol=1e-10 * np.abs(expected).max())


@pytest.mark.parametrize("form", FORMS)
def test_splits_keep_their_digits_where_training_rows_are_met_exactly(form):
    rng = np.random.default_rng(0)
    hidden = rng.standard_normal((200, 30))
    features = np.maximum(10 * hidden @ rng.standard_normal((30, 3000)) + rng.standard_normal((200, 3000)), 0)
    targets = hidden @ rng.standard_normal((30, 4)) + 1
    train, test = shuffled(200, 180)
    for alpha in (1e-2, 1.0):
        (predictions,) = ridge_splits(FORMS[form](features), targets, [(train, test)], alpha)
        expected = stock(Ridge(alpha), features, targets, train, test)
        np.testing.assert_allclose(predictions, expected, atol=1e-11 * np.abs(expected).max())


@pytest.mark.parametrize("form", FORMS)
def test_splits_that_leave_rows_out_are_fitted_one_by_one(form):
    features, targets = problem(100, 150, 4)
    train, test = shuffled(100, 80)
    (predictions,) = ridge_splits(FORMS[form](features), targets, [(train[:60], test)])
    expected = stock(Ridge(1.0), features, targets, train[:60], test)
    np.testing.assert_allclose(predictions, expected, atol=1e-10 * np.abs(expected).max())


@settings(max_examples=30)
@given(
    n=st.integers(12, 60),
    p=st.integers(1, 90),
    m=st.integers(1, 80),
    seed=st.integers(0, 10**6),
    form=st.sampled_from(sorted(FORMS)),
)
# Small penalties against large eigenvalues: the mean's share must not drown what a row itself adds.
@example(n=12, p=12, m=1, seed=86, form="features")
def test_any_shape_agrees(n, p, m, seed, form):
    check(*problem(n, p, m, seed), *shuffled(n, n - 4, seed), form, 1e-9)


def test_penalties_must_be_positive():
    shared = Features.of(problem(20, 5, 1)[0])
    for alphas in ((), (1.0, 0.0), (-1.0,), (float("nan"),)):
        with pytest.raises(ValueError, match="all above 0"):
            DualRidgeCV(shared, alphas)
    with pytest.raises(ValueError, match="all above 0"):
        DualRidge(shared, 0.0)
