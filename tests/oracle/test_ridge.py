"""The exact ridge against himalaya and against scikit-learn's Ridge fitted for every fold and penalty."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge as SklearnRidge

from neuroscaling.regression.features import Features
from neuroscaling.regression.folds import shuffled_folds
from neuroscaling.regression.ridge import cv_curve, decompose, ridge_cv
from neuroscaling.regression.scores import r_squared

ALPHAS = np.logspace(-1, 5, 7)


def problem(n, p, t, seed=0):
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n, 8)) @ rng.standard_normal((8, p)) + rng.standard_normal((n, p)) + 0.7
    noise = rng.uniform(0.5, 6, t) * rng.standard_normal((n, t))
    return features, features @ rng.standard_normal((p, t)) / np.sqrt(p) + noise + 2


def sklearn_curve(features, targets, folds):
    curve = np.zeros((len(ALPHAS), targets.shape[1]))
    for train, held_out in folds:
        for i, alpha in enumerate(ALPHAS):
            model = SklearnRidge(alpha=alpha, solver="svd").fit(features[train], targets[train])
            curve[i] += r_squared(model.predict(features[held_out]), targets[held_out]) / len(folds)
    return curve


@pytest.mark.parametrize(("n", "p"), [(120, 30), (90, 200)])
def test_cross_validated_scores_equal_scikit_learn(n, p):
    features, targets = problem(n, p, 12)
    folds = shuffled_folds(n, 4, 1)
    ours = cv_curve(Features.of(features), targets, np.arange(n), ALPHAS, folds)
    np.testing.assert_allclose(ours, sklearn_curve(features, targets, folds), atol=1e-10)


@pytest.mark.parametrize(("n", "p"), [(120, 30), (90, 200)])
def test_both_engines_agree(n, p):
    features, targets = problem(n, p, 12)
    folds = shuffled_folds(n, 4, 1)
    peer, ours = (ridge_cv(features, targets, ALPHAS, folds, engine) for engine in ("himalaya", "exact"))
    np.testing.assert_allclose(ours.alphas, peer.alphas)
    np.testing.assert_allclose(ours.cv_scores, peer.cv_scores, atol=1e-10)
    np.testing.assert_allclose(ours.coefficients, peer.coefficients, atol=1e-10)
    np.testing.assert_allclose(ours.predict(features), peer.predict(features), atol=1e-9)


@pytest.mark.parametrize(("n", "p"), [(120, 30), (90, 200)])
def test_held_out_predictions_equal_scikit_learn(n, p):
    features, targets = problem(n, p, 5)
    train, test = shuffled_folds(n, 5, 0)[0]
    ours = decompose(Features.of(features), targets, train, test).predict(np.array([1.0, 10.0, 1e2, 1e3, 1e4]))
    for target, alpha in enumerate([1.0, 10.0, 1e2, 1e3, 1e4]):
        model = SklearnRidge(alpha=alpha, solver="svd").fit(features[train], targets[train, target])
        np.testing.assert_allclose(ours[:, target], model.predict(features[test]), atol=1e-9)


def test_batches_of_penalties_and_targets_change_nothing(monkeypatch):
    features, targets = problem(90, 30, 12)
    folds = shuffled_folds(90, 4, 1)
    whole = ridge_cv(features, targets, ALPHAS, folds)
    monkeypatch.setattr("neuroscaling.regression.ridge.BATCH_NUMBERS", features.size * 2)
    parts = ridge_cv(features, targets, ALPHAS, folds)
    np.testing.assert_allclose(parts.coefficients, whole.coefficients, atol=1e-12)
    np.testing.assert_array_equal(parts.alphas, whole.alphas)
