"""Voxel-wise ridge against scikit-learn's Ridge fitted for every fold and penalty, and against himalaya."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn.linear_model import Ridge
from tests.support.himalaya_ridge import fit_himalaya

from neuroscaling.regression.scores import prediction_correlation, r_squared
from neuroscaling.regression.voxelwise.blocks import FeatureBlocks, FeatureRows, GramRows
from neuroscaling.regression.voxelwise.fit import fit_sizes
from neuroscaling.regression.voxelwise.settings import RidgeSettings

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


def fitted(source, targets, orders, folds, evaluate, settings, fit_all=fit_sizes):
    """{size: (choices, scores, alphas, predictions)} over all blocks."""
    n_targets = targets.shape[1]
    rows = {}
    for fit in fit_all(source, orders, folds, evaluate, reader(targets), n_targets, settings):
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


def himalaya_agrees(ours, peer, tolerance=1e-7):
    # Among equal scores himalaya takes the largest penalty: compare where the choice is one.
    different = ours[0] != peer[0]
    assert different.mean() < 0.1
    np.testing.assert_allclose(ours[1], peer[1], atol=1e-7)
    scale = np.abs(peer[3]).max()
    np.testing.assert_allclose(ours[3][:, ~different], peer[3][:, ~different], atol=tolerance * scale)


@pytest.mark.parametrize("score", ["r2", "r"])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize(("n", "p"), [(100, 8), (100, 40), (40, 90)])
def test_himalaya_finds_the_same_penalties_and_predictions(n, p, intercept, score):
    features, targets = problem(n + 20, p, 40)
    rows, evaluate = np.arange(n), np.arange(n + 20)
    settings = replace(EXACT, alphas=tuple(np.logspace(-1, 7, 9)), score=score, intercept=intercept)
    fits = [
        fitted(FeatureRows(features), targets, [rows], [folds_of(n)], evaluate, settings, fit_all)[0]
        for fit_all in (fit_sizes, fit_himalaya)
    ]
    himalaya_agrees(*fits)


@pytest.mark.parametrize("p", [30, 150])
def test_the_seed_papers_settings_give_its_librarys_answer(p):
    """Eight unshuffled folds, 30 penalties from 1 to 1e15, correlation, no intercept, centred features."""
    features, targets = problem(120, p, 40, seed=5)
    targets -= targets[:100].mean(0)
    rows, evaluate = np.arange(100), np.arange(120)
    labels = np.repeat(np.arange(8), [13] * 4 + [12] * 4)
    alphas = tuple(np.logspace(0, 15, 30))
    settings = replace(EXACT, alphas=alphas, score="r", scale="centre", intercept=False)
    ours = fitted(FeatureRows(features), targets, [rows], [labels], evaluate, settings)[0]
    peer = fitted(FeatureRows(features), targets, [rows], [labels], evaluate, settings, fit_himalaya)[0]
    himalaya_agrees(ours, peer)
    compare(ours, *reference(features, targets, rows, labels, evaluate, settings))


@pytest.mark.parametrize("p", [8, 40])
def test_coefficients_equal_scikit_learn(p):
    """Predictions of the unit vectors and of zero are coefficients and intercepts, in units of the raw features."""
    features, targets = problem(100, p, 20)
    everything = np.vstack([features, np.eye(p), np.zeros((1, p))])
    padded = np.vstack([targets, np.full((p + 1, 20), np.nan)])
    settings = replace(EXACT, alphas=(1e-3, 1.0, 1e3), scale="centre")
    rows = np.arange(100)
    choices, *_, predicted = fitted(
        FeatureRows(everything), padded, [rows], [folds_of(100)], np.arange(100, 101 + p), settings
    )[0]
    for target, choice in enumerate(choices):
        model = Ridge(alpha=settings.alphas[choice], solver="svd").fit(features, targets[:, target])
        np.testing.assert_allclose(predicted[-1, target], model.intercept_, rtol=1e-8)
        ours = predicted[:-1, target] - predicted[-1, target]
        np.testing.assert_allclose(ours, model.coef_, atol=1e-8 * np.abs(model.coef_).max())


@pytest.mark.parametrize("scale", ["standardise", "centre"])
@pytest.mark.parametrize("intercept", [True, False])
def test_a_sweep_of_nested_sizes_equals_separate_fits(intercept, scale):
    features, targets = problem(160, 20, 25)
    order = np.random.default_rng(4).permutation(140)
    labels, counts = folds_of(140), (10, 17, 30, 60, 140)
    settings = replace(EXACT, alphas=tuple(np.logspace(-2, 4, 7)), intercept=intercept, scale=scale, relative=True)
    orders, folds = [order[:n] for n in counts], [labels[:n] for n in counts]
    sweep = fitted(FeatureRows(features), targets, orders, folds, np.arange(160), settings)
    for i, n in enumerate(counts):
        alone = fitted(FeatureRows(features), targets, [order[:n]], [labels[:n]], np.arange(160), settings)[0]
        np.testing.assert_array_equal(sweep[i][0], alone[0])
        for ours, expected in zip(sweep[i][1:], alone[1:], strict=True):
            np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-9)
        compare(sweep[i], *reference(features, targets, order[:n], labels[:n], np.arange(160), settings))


@pytest.mark.parametrize("intercept", [True, False])
def test_inner_products_and_blocks_of_features_give_what_features_give(intercept):
    features, targets = problem(70, 90, 20)
    rows, evaluate, labels = np.random.default_rng(0).permutation(70)[:50], np.arange(70), folds_of(50)
    settings = replace(EXACT, alphas=tuple(np.logspace(-2, 4, 7)), intercept=intercept, relative=True)
    blocks = FeatureBlocks(lambda: (features[:, start : start + 7] for start in range(0, 90, 7)), 70)
    for scale, sources in {"centre": [blocks, GramRows(features @ features.T)], "standardise": [blocks]}.items():
        one = replace(settings, scale=scale)
        expected = fitted(FeatureRows(features), targets, [rows], [labels], evaluate, one)[0]
        for source in sources:
            ours = fitted(source, targets, [rows], [labels], evaluate, one)[0]
            np.testing.assert_array_equal(ours[0], expected[0])
            np.testing.assert_allclose(ours[3], expected[3], rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize(("n", "p"), [(600, 40), (400, 200), (150, 400)])
def test_single_precision_agrees_with_double(n, p):
    features, targets = problem(n + 50, p, 200)
    features, targets = features.astype(np.float32), targets.astype(np.float32)
    rows, evaluate = np.arange(n), np.arange(n, n + 50)
    settings = replace(EXACT, alphas=tuple(np.logspace(-3, 4, 8)), relative=True)
    single, double = (
        fitted(FeatureRows(features), targets, [rows], [folds_of(n)], evaluate, replace(settings, dtype=dtype))[0]
        for dtype in ("float32", "float64")
    )
    same = single[0] == double[0]
    assert same.mean() >= 0.99
    assert single[3].dtype == np.float32
    scale = np.abs(double[3]).max()
    np.testing.assert_allclose(single[3][:, same], double[3][:, same], atol=1e-4 * scale)


@pytest.mark.parametrize(("score", "intercept"), [("r", False), ("r", True), ("r2", True)])
@pytest.mark.parametrize(("n", "p"), [(600, 12), (60, 24), (40, 90)], ids=["quadratic", "basis", "hats"])
def test_large_means_cost_no_digits_in_single_precision(n, p, score, intercept):
    features, targets = problem(n + 20, p, 50)
    features, targets = features + 3e4, targets + np.linspace(0, 1e6, 50)
    rows, evaluate = np.arange(n), np.arange(n + 20)
    settings = replace(EXACT, alphas=tuple(np.logspace(-1, 3, 5)), relative=True, score=score, intercept=intercept)
    settings = replace(settings, scale="centre", dtype="float32")
    labels = folds_of(n)
    choices, scores, _, predicted = fitted(FeatureRows(features), targets, [rows], [labels], evaluate, settings)[0]
    curve, predictions = reference(features, targets, rows, labels, evaluate, settings)
    if not intercept:
        # Of features whose mean is 0 the targets' mean predicts nothing, and it costs the reference digits.
        predictions = reference(features, targets - targets[rows].mean(0), rows, labels, evaluate, settings)[1]
    columns = np.arange(50)
    assert (scores != 0).all()
    np.testing.assert_allclose(scores, curve.max(0), atol=1e-3)
    assert (curve.max(0) - curve[choices, columns]).max() < 1e-3
    expected, level = predictions[choices, :, columns].T, targets[rows].mean(0) if intercept else 0
    # What a prediction can't hold in single precision beside the mean doesn't count.
    allowed = 1e-4 * targets[rows].std(0) + np.finfo(np.float32).eps * np.abs(level)
    assert (np.abs(predicted - expected) < allowed).all()
