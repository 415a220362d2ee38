"""Banded ridge against himalaya's random search, and the weights of stacking against SciPy's solvers."""

import numpy as np
import pytest
from scipy.optimize import minimize, nnls
from sklearn.linear_model import Ridge
from tests.support.himalaya_banded import banded_by_himalaya

from neuroscaling.regression.scores import r_squared
from neuroscaling.regression.voxelwise.banded import candidate_weights, fit_banded
from neuroscaling.regression.voxelwise.bands import Bands
from neuroscaling.regression.voxelwise.blocks import FeatureRows
from neuroscaling.regression.voxelwise.settings import MappingSize, RidgeSettings
from neuroscaling.regression.voxelwise.simplex import simplex_weights
from neuroscaling.regression.voxelwise.stacking import fit_stacked

SETTINGS = RidgeSettings(tuple(np.logspace(-3, 3, 7)), scale="centre", dtype="float64", device="cpu")
N, N_EVALUATE = 60, 20
ROWS = np.random.default_rng(9).permutation(N + N_EVALUATE)
SIZE = MappingSize(0, ROWS[:N], np.arange(N) % 4)
EVALUATE = ROWS[N:]


def layers(seed=0, widths=(5, 30, 90)):
    """Features of three layers, of other sizes and means, and targets made from the first two with noise."""
    rng = np.random.default_rng(seed)
    values = [(k + 1) * rng.standard_normal((N + N_EVALUATE, p)) + 3 * k for k, p in enumerate(widths)]
    targets = np.zeros((N + N_EVALUATE, 25))
    for x in values[:2]:
        signal = (x - x.mean(0)) @ rng.standard_normal((x.shape[1], 25))
        targets += rng.uniform(0, 2, 25) * signal / signal.std(0)
    return values, targets + rng.standard_normal((N + N_EVALUATE, 25)) + 4


def bands_of(features, settings=SETTINGS, size=SIZE):
    return Bands.of([lambda x=x: FeatureRows(x) for x in features], size, EVALUATE, settings)


def reader(targets):
    return lambda start, stop: targets[:, start:stop]


@pytest.mark.parametrize(("score", "intercept"), [("r2", True), ("r", True), ("r2", False)])
@pytest.mark.parametrize("scale", ["centre", "standardise"])
def test_banded_ridge_equals_himalayas_random_search(score, intercept, scale):
    settings = RidgeSettings(SETTINGS.alphas, score=score, scale=scale, intercept=intercept, dtype="float64")
    features, targets = layers()
    if not intercept:
        targets -= targets[SIZE.rows].mean(0)
    bands, candidates = bands_of(features, settings), candidate_weights(3, 12, seed=1)
    ours = fit_banded(bands, reader(targets), 25, settings, candidates, standard_errors=-np.inf)
    peer = banded_by_himalaya(bands, targets, settings, candidates)
    same = np.isclose(ours.alpha, peer.alpha) & (np.abs(ours.weights - peer.weights) < 1e-12).all(0)
    assert same.mean() > 0.9
    assert len(np.unique(ours.weights, axis=1).T) > 3
    np.testing.assert_allclose(ours.cv, peer.cv, atol=1e-8)
    np.testing.assert_allclose(ours.predictions[:, same], peer.predictions[:, same], rtol=1e-8, atol=1e-8)


def test_a_band_has_the_penalty_that_its_weight_says():
    """Ridge on the layers side by side, each times the root of its weight over its unit, gives the same."""
    features, targets = layers()
    bands, weights = bands_of(features), np.array([[0.2, 0.5, 0.3]])
    ours = fit_banded(bands, reader(targets), 25, SETTINGS, weights)
    scales = np.sqrt(weights[0] / bands.units)
    x = np.hstack([scale * values for scale, values in zip(scales, features, strict=True)])
    for alpha in np.unique(ours.alpha):
        model = Ridge(alpha=alpha, solver="svd").fit(x[SIZE.rows], targets[SIZE.rows])
        own = ours.alpha == alpha
        np.testing.assert_allclose(ours.predictions[:, own], model.predict(x[EVALUATE])[:, own], rtol=1e-8)


def test_stacking_combines_scikit_learns_models_of_the_layers():
    features, targets = layers()
    bands = bands_of(features)
    ours = fit_stacked(bands, reader(targets), 25, SETTINGS)
    held_out, predictions = zip(*(layer_models(x, targets) for x in features), strict=True)
    for target in range(25):
        residuals = np.stack([targets[SIZE.rows, target] - layer[:, target] for layer in held_out])
        expected = convex_least_squares(residuals)
        np.testing.assert_allclose(ours.weights[:, target], expected, atol=1e-6)
        combined = sum(w * layer[:, target] for w, layer in zip(ours.weights[:, target], predictions, strict=True))
        np.testing.assert_allclose(ours.predictions[:, target], combined, rtol=1e-8)


def layer_models(x, targets):
    """Predictions of held-out mapping rows, and of evaluation rows, at each target's best penalty: one fit for each."""
    x, columns = x - x[SIZE.rows].mean(0), np.arange(targets.shape[1])
    unit = (x[SIZE.rows] ** 2).sum() / N
    models = [Ridge(alpha=alpha * unit, solver="svd") for alpha in SETTINGS.alphas]
    held_out, curve = np.empty((len(models), N, len(columns))), np.zeros((len(models), len(columns)))
    for fold in SIZE.folds:
        train, test = SIZE.rows[SIZE.training(fold)], SIZE.held_out(fold)
        for i, model in enumerate(models):
            held_out[i, test] = model.fit(x[train], targets[train]).predict(x[SIZE.rows[test]])
            curve[i] += r_squared(held_out[i, test], targets[SIZE.rows[test]])
    best = curve.argmax(0)
    predictions = np.stack([model.fit(x[SIZE.rows], targets[SIZE.rows]).predict(x[EVALUATE]) for model in models])
    return held_out[best, :, columns].T, predictions[best, :, columns].T


def convex_least_squares(residuals):
    """Weights by SciPy's sequential quadratic programming, from residuals (layers, rows)."""
    products = residuals @ residuals.T / residuals.size
    n = len(products)
    found = minimize(
        lambda w: w @ products @ w,
        np.full(n, 1 / n),
        jac=lambda w: 2 * products @ w,
        bounds=[(0, 1)] * n,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1, "jac": lambda w: np.ones(n)},
        options={"ftol": 1e-15, "maxiter": 500},
    )
    return found.x


@pytest.mark.parametrize(("n_models", "n_rows"), [(1, 8), (3, 40), (12, 40), (25, 10)])
def test_weights_of_stacking_equal_non_negative_least_squares(n_models, n_rows):
    """The last case has more models than rows; then many weights are best, and their error is what can be compared."""
    rng = np.random.default_rng(n_models)
    residuals = rng.uniform(0.5, 2, (40, n_models, 1)) * rng.standard_normal((40, n_models, n_rows))
    residuals += 2 * rng.standard_normal((40, 1, n_rows))
    products = residuals @ residuals.transpose(0, 2, 1)
    ours = simplex_weights(products)
    assert (ours >= 0).all()
    np.testing.assert_allclose(ours.sum(1), 1, atol=1e-12)
    for one, w, p in zip(residuals, ours, products, strict=True):
        peer, _ = nnls(np.vstack([one.T, 1e4 * np.ones(n_models)]), np.append(np.zeros(n_rows), 1e4))
        peer /= peer.sum()
        np.testing.assert_allclose(w @ p @ w, peer @ p @ peer, rtol=1e-8)
        if n_models < n_rows:
            np.testing.assert_allclose(w, peer, atol=1e-6)
