"""RDMs, CKA and nearest units against numpy, scipy and the definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from neuroscaling.regression.features import Features
from neuroscaling.regression.gram import Gram
from neuroscaling.regression.similarity import linear_cka, nearest_units, rdm, rdm_similarity


def problem(n, p, m, seed=0):
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((n, 4))
    features = np.maximum(hidden @ rng.standard_normal((4, p)) + rng.standard_normal((n, p)) + 1, 0)
    return features, hidden @ rng.standard_normal((4, m)) + rng.standard_normal((n, m))


@settings(max_examples=30)
@given(n=st.integers(2, 40), p=st.integers(3, 60), seed=st.integers(0, 10**6))
def test_rdm_is_one_less_the_correlation_of_stimuli(n, p, seed):
    features, _ = problem(n, p, 1, seed)
    features += 0.1 * np.random.default_rng(seed).standard_normal((n, p))
    expected = 1 - np.corrcoef(features)
    for ours in (rdm(features), rdm(Gram.of(features, 7))):
        np.testing.assert_allclose(ours, expected, atol=1e-10)
        np.testing.assert_allclose(ours.diagonal(), 0, atol=1e-13)


def test_stimuli_without_variation_have_no_dissimilarities():
    features, _ = problem(20, 30, 1)
    features[[3, 8]] = [[0.0], [0.7]]
    dissimilarities = rdm(Gram.of(features))
    assert np.isnan(dissimilarities[[3, 8]]).all() and np.isnan(dissimilarities[:, [3, 8]]).all()
    kept = np.delete(np.arange(20), [3, 8])
    np.testing.assert_allclose(dissimilarities[np.ix_(kept, kept)], 1 - np.corrcoef(features[kept]), atol=1e-10)
    assert np.isnan(rdm_similarity(dissimilarities, rdm(problem(20, 5, 1)[0])))


def test_similarity_of_rdms_is_spearman_over_pairs():
    a, b = (rdm(values) for values in problem(25, 30, 12))
    a[np.triu_indices(25, 1)] = np.round(a[np.triu_indices(25, 1)], 2)
    above = np.triu_indices(25, 1)
    assert rdm_similarity(a, b) == pytest.approx(spearmanr(a[above], b[above])[0], abs=1e-12)
    with pytest.raises(ValueError, match="of 25 and of 24"):
        rdm_similarity(a, b[:24, :24])


def centred_alignment(a, b):
    a, b = a - a.mean(0), b - b.mean(0)
    return (a.T @ b).ravel() @ (a.T @ b).ravel() / (np.linalg.norm(a.T @ a) * np.linalg.norm(b.T @ b))


def unbiased_hsic(a, b):
    """The average over all ordered quadruples of different stimuli that the estimator stands for."""
    n = len(a)
    k, m = a @ a.T, b @ b.T
    total = count = 0
    for i in range(n):
        for j in range(n):
            for q in range(n):
                for r in range(n):
                    if len({i, j, q, r}) == 4:
                        total += k[i, j] * (m[i, j] + m[q, r] - 2 * m[i, q])
                        count += 1
    return total / count


def test_cka_equals_its_definitions():
    a, b = problem(8, 5, 3)
    expected = unbiased_hsic(a, b) / np.sqrt(unbiased_hsic(a, a) * unbiased_hsic(b, b))
    for form in (Features.of, Gram.of):
        assert linear_cka(form(a), form(b), unbiased=False) == pytest.approx(centred_alignment(a, b), abs=1e-12)
        assert linear_cka(form(a), form(b)) == pytest.approx(expected, abs=1e-10)


@settings(max_examples=20)
@given(n=st.integers(5, 40), p=st.integers(2, 60), seed=st.integers(0, 10**6), shift=st.sampled_from([0.0, 50.0]))
def test_cka_ignores_rotation_scale_and_means(n, p, seed, shift):
    a, b = problem(n, p, 6, seed)
    rotation, _ = np.linalg.qr(np.random.default_rng(seed).standard_normal((p, p)))
    for unbiased in (True, False):
        same = linear_cka(Gram.of(a), Gram.of(3 * (a @ rotation) + shift), unbiased)
        assert same == pytest.approx(1, abs=1e-8)  # few stimuli and large means cost digits: 3e-10 is seen
        moved = linear_cka(Gram.of(a + shift), Gram.of(b), unbiased)
        assert moved == pytest.approx(linear_cka(Features.of(a), Features.of(b), unbiased), abs=1e-8)


def test_cka_without_variation_or_with_too_few_stimuli():
    a, b = problem(10, 5, 3)
    assert linear_cka(Gram.of(np.ones((10, 4))), Gram.of(b)) == pytest.approx(0, abs=1e-3)
    with pytest.raises(ValueError, match="at least 4"):
        linear_cka(Gram.of(a[:3]), Gram.of(b[:3]))
    with pytest.raises(ValueError, match="10 and 9 stimuli"):
        linear_cka(Gram.of(a), Gram.of(b[:9]))


@settings(max_examples=30)
@given(
    n=st.integers(4, 40),
    p=st.integers(1, 90),
    m=st.integers(1, 9),
    block=st.integers(1, 100),
    seed=st.integers(0, 10**6),
    dtype=st.sampled_from([np.float16, np.float32, np.float64]),
)
def test_nearest_unit_has_the_highest_correlation(n, p, m, block, seed, dtype):
    features, targets = problem(n, p, m, seed)
    features = (features + np.random.default_rng(seed).standard_normal((n, p))).astype(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("neuroscaling.regression.similarity.UNITS_BLOCK", block)
        found = nearest_units(features, targets)
    correlations = np.corrcoef(features.astype(np.float64).T, targets.T)[:p, p:].reshape(p, m)
    np.testing.assert_allclose(correlations[found, np.arange(m)], correlations.max(0), atol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("block", [17, 1000])
def test_of_equal_units_the_first_is_taken_and_dead_ones_never(dtype, block, monkeypatch):
    features, targets = problem(50, 40, 60)
    doubled = np.concatenate([np.zeros((50, 3)), features, features, features], axis=1).astype(dtype)
    monkeypatch.setattr("neuroscaling.regression.similarity.UNITS_BLOCK", block)
    found = nearest_units(doubled, targets)
    assert found.min() >= 3 and found.max() < 43
    np.testing.assert_array_equal(found - 3, nearest_units(features.astype(dtype), targets))
    # Also not where every other unit correlates below 0, and rounding lets equal numbers vary.
    opposed = np.concatenate([np.full((50, 3), 0.1), -targets[:, :1]], axis=1).astype(dtype)
    assert nearest_units(opposed, targets[:, :1]).tolist() == [3]


def test_target_that_correlates_with_nothing_is_refused():
    features, targets = problem(20, 6, 3)
    targets[:, 1] = 0.0
    with pytest.raises(ValueError, match="1 targets"):
        nearest_units(features, targets)
    with pytest.raises(ValueError, match="3 targets"):
        nearest_units(np.zeros((20, 4)), problem(20, 6, 3)[1])
