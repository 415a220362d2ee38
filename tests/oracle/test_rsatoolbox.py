"""RSA of recordings against rsatoolbox: dissimilarities, their comparison, and the jackknife against its formula."""

import warnings

import numpy as np
import pytest

from neuroscaling.encoding.metric_similarity import CKA, RSA, jackknife_error
from neuroscaling.regression.gram import Gram
from neuroscaling.regression.similarity import linear_cka, rdm

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    rsatoolbox = pytest.importorskip("rsatoolbox")


def sides(n=40, p=60, m=15, seed=0):
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((n, 4))
    features = np.maximum(hidden @ rng.standard_normal((4, p)) + rng.standard_normal((n, p)) + 1, 0)
    return features, hidden @ rng.standard_normal((4, m)) + rng.standard_normal((n, m))


def peer_rdm(values):
    return rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(values), method="correlation")


@pytest.mark.parametrize("seed", range(5))
def test_rsa_equals_rsatoolbox(seed):
    features, responses = sides(n=20 + 10 * seed, seed=seed)
    peers = [peer_rdm(values) for values in (features, responses)]
    ours = [Gram.of(values) for values in (features, responses)]
    for gram, peer in zip(ours, peers, strict=True):
        above = np.triu_indices(len(features), k=1)
        np.testing.assert_allclose(rdm(gram)[above], peer.dissimilarities[0], atol=1e-10)
    expected = rsatoolbox.rdm.compare(*peers, method="spearman").item()
    assert RSA.of(*ours) == pytest.approx(expected, abs=1e-10)


def test_cka_is_the_unbiased_one_and_the_jackknife_of_single_images_is_the_textbooks():
    features, responses = sides(n=30)
    a, b = Gram.of(features), Gram.of(responses)
    assert CKA.of(a, b) == linear_cka(a, b)
    left_out = [linear_cka(*(Gram.of(np.delete(values, i, 0)) for values in (features, responses))) for i in range(30)]
    expected = np.sqrt(29 / 30 * np.sum((np.array(left_out) - np.mean(left_out)) ** 2))
    assert jackknife_error(a, b, CKA, n_groups=30) == pytest.approx(expected)
    assert jackknife_error(a.take(np.arange(4)), b.take(np.arange(4)), RSA) is None


def test_the_jackknife_is_the_spread_over_samples_of_images():
    found, errors = [], []
    for seed in range(60):
        features, responses = sides(n=80, seed=0)
        rows = np.random.default_rng(seed).choice(80, 40, replace=False)
        a, b = Gram.of(features[rows]), Gram.of(responses[rows])
        found.append(CKA.of(a, b))
        errors.append(jackknife_error(a, b, CKA))
    # Samples of half of the images without replacement have half of the variance of independent ones.
    assert np.mean(errors) == pytest.approx(np.sqrt(2) * np.std(found), rel=0.35)
