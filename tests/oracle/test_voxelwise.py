"""Voxel-wise ridge against scikit-learn's Ridge fitted for every fold and penalty, and against himalaya."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from neuroscaling.regression.scores import prediction_correlation, r_squared
from neuroscaling.regression.voxelwise.fit import fit_sizes
from neuroscaling.regression.voxelwise.settings import RidgeSettings
from neuroscaling.regression.voxelwise.sources import FeatureRows

ALPHAS = tuple(np.logspace(-3, 15, 10))
EXACT = RidgeSettings(ALPHAS, relative=False, dtype="float64", device="cpu")
SHAPES = [(100, 8), (100, 40), (40, 90), (30, 30)]


def problem(n, p, t, seed=0):
    """Low-rank features with a mean and two constant columns, and responses with noise of several strengths."""
    rng = np.random.default_rng(seed)
    features = rng.standard_normal((n, 6)) @ rng.standard_normal((6, p)) + 0.5 * rng.standard_normal((n, p)) + 3
    features[:, [1, 4]] = 1.7
    noise = rng.uniform(0.2, 4, t) * rng.standard_normal((n, t))
    return features, features @ rng.standard_normal((p, t)) / np.sqrt(p) + noise + 2


def folds_of(n, k=5, seed=1):
    return np.random.default_rng(seed).permutation(n) % k


def reader(targets):
    return lambda start, stop: targets[:, start:stop]


def fitted(source, targets, orders, folds, evaluate, settings):
    """{size: (choices, scores, alphas, predictions)} over all blocks."""
    n_targets = targets.shape[1]
    rows = {}
    for fit in fit_sizes(source, orders, folds, evaluate, reader(targets), n_targets, settings):
        parts = rows.setdefault(fit.size, [])
        assert fit.start == sum(len(part[0]) for part in parts)
        parts.append((fit.choice, fit.cv_score, fit.alpha, fit.predict(np.ones(fit.stop - fit.start, bool))))
    return {
        size: (*(np.concatenate([part[i] for part in parts]) for i in range(3)), np.hstack([p[3] for p in parts]))
        for size, parts in rows.items()
    }


def scaled(features, rows, settings):
    """What the reference fits: features with the mapping rows' mean, or z-scores, and the penalties' unit."""
    values = features - features[rows].mean(0)
    if settings.scale == "standardise":
        deviation = values[rows].std(0)
        values = np.where(deviation > 1e-9, values / np.where(deviation > 1e-9, deviation, 1), 0)
    unit = (values[rows] ** 2).sum() / len(rows) if settings.relative else 1.0
    return values, unit * np.array(settings.alphas)


def reference(features, targets, rows, labels, evaluate, settings):
    """Scores (alphas, t) and predictions for each alpha, by one scikit-learn fit for every fold and penalty.

    The intercept is fitted by centring here: predictions at large penalties vary by less than the rounding of a mean.
    """
    x, alphas = scaled(features, rows, settings)
    score = r_squared if settings.score == "r2" else prediction_correlation
    curve = np.zeros((len(alphas), targets.shape[1]))
    folds = np.unique(labels)
    for fold in folds:
        train, test = rows[labels != fold], rows[labels == fold]
        centre, mean = (x[train].mean(0), targets[train].mean(0)) if settings.intercept else (0, 0)
        for i, alpha in enumerate(alphas):
            model = Ridge(alpha=alpha, fit_intercept=False, solver="svd").fit(x[train] - centre, targets[train] - mean)
            curve[i] += score(model.predict(x[test] - centre), targets[test] - mean) / len(folds)
    models = [
        Ridge(alpha=a, fit_intercept=settings.intercept, solver="svd").fit(x[rows], targets[rows]) for a in alphas
    ]
    return curve, np.stack([model.predict(x[evaluate]) for model in models])


def compare(ours, curve, predictions, tolerance=1e-8):
    choices, scores, _, predicted = ours
    best = curve.argmax(0)
    columns = np.arange(curve.shape[1])
    # Where penalties are equal up to rounding either may be chosen; such ties must not hide a difference.
    tied = curve.max(0) - curve[choices, columns] < 1e-13
    np.testing.assert_array_equal(choices[~tied], best[~tied])
    assert (choices == best).mean() > 0.9
    np.testing.assert_allclose(scores, curve.max(0), atol=1e-10)
    expected = predictions[choices, :, columns].T
    np.testing.assert_allclose(predicted, expected, atol=tolerance * np.abs(expected).max())


@pytest.mark.parametrize("score", ["r2", "r"])
@pytest.mark.parametrize("scale", ["standardise", "centre"])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("n", "p"), SHAPES)
def test_penalties_and_predictions_equal_scikit_learn(n, p, intercept, scale, score):
    features, targets = problem(n + 20, p, 16)
    rows, evaluate = np.random.default_rng(3).permutation(n + 20)[:n], np.arange(n + 20)
    settings = replace(EXACT, score=score, scale=scale, intercept=intercept)
    ours = fitted(FeatureRows(features), targets, [rows], [folds_of(n)], evaluate, settings)
    curve, predictions = reference(features, targets, rows, folds_of(n), evaluate, settings)
    compare(ours[0], curve, predictions)
