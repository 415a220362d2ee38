"""Kernel PLS against scikit-learn's PLSRegression: predictions, and the very same power iterations."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.cross_decomposition import PLSRegression

from neuroscaling.regression.features import Features
from neuroscaling.regression.pls import KernelPLS, pls_predict


def problem(n, p, m, seed=0, latent=12):
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((n, latent)) * np.arange(1, latent + 1) ** -0.6
    features = np.maximum(hidden @ rng.standard_normal((latent, p)) + 0.3 * rng.standard_normal((n, p)), 0)
    targets = np.tanh(hidden) @ rng.standard_normal((latent, m)) + rng.standard_normal((n, m)) + 3
    return features + 1, targets


def both(features, targets, n_train, n_components):
    train, test = np.arange(n_train), np.arange(n_train, len(features))
    reference = PLSRegression(n_components, scale=False).fit(features[train], targets[train])
    ours = pls_predict(Features.of(features), targets, train, test, n_components)
    return ours, reference.predict(features[test]).reshape(ours.shape)


@pytest.mark.parametrize(("n", "p", "m"), [(150, 400, 20), (300, 60, 20), (150, 400, 1), (300, 40, 1), (80, 79, 3)])
def test_predictions_equal_those_of_scikit_learn(n, p, m):
    ours, reference = both(*problem(n, p, m), n * 4 // 5, 15)
    assert np.abs(ours - reference).max() <= 1e-10 * np.abs(reference).max()


@pytest.mark.parametrize("n_components", [1, 5, 25])
def test_iterations_equal_those_of_scikit_learn(n_components):
    features, targets = problem(200, 90, 30)
    reference = PLSRegression(n_components, scale=False).fit(features, targets)
    fit = KernelPLS(Features.of(features), n_components).fit(np.arange(200), targets)
    assert fit.n_iter_ == list(reference.n_iter_)


@settings(max_examples=25, deadline=None)
@given(n=st.integers(20, 70), p=st.integers(6, 90), m=st.integers(1, 6), seed=st.integers(0, 10**6))
def test_any_shape_agrees(n, p, m, seed):
    ours, reference = both(*problem(n, p, m, seed, latent=6), n - 5, 4)
    assert np.abs(ours - reference).max() <= 1e-8 * max(np.abs(reference).max(), 1)


def test_more_components_than_rank_end_early_at_least_squares():
    rng = np.random.default_rng(0)
    features = rng.standard_normal((60, 3)) @ rng.standard_normal((3, 20))
    targets = features @ rng.standard_normal((20, 4)) + 0.1 * rng.standard_normal((60, 4))
    ours = pls_predict(Features.of(features), targets, np.arange(50), np.arange(50, 60), 10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        reference = PLSRegression(3, scale=False).fit(features[:50], targets[:50]).predict(features[50:])
    np.testing.assert_allclose(ours, reference, atol=1e-9)


def test_constant_target_and_constant_feature_columns_agree():
    features, targets = problem(100, 30, 5)
    features[:, 3] = 2.0
    targets[:, 0] = 1.0
    ours, reference = both(features, targets, 80, 6)
    np.testing.assert_allclose(ours, reference, atol=1e-10)
    np.testing.assert_allclose(ours[:, 0], 1.0, atol=1e-12)
