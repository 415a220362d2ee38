"""Inner products of stimuli: streamed blocks, sums, parts of it, and centring."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuroscaling.regression.features import Features
from neuroscaling.regression.gram import Gram, centre


@settings(max_examples=30)
@given(n=st.integers(1, 40), p=st.integers(1, 60), block=st.integers(1, 70), seed=st.integers(0, 99))
def test_any_blocks_give_the_products_of_all_features(n, p, block, seed):
    features = np.random.default_rng(seed).standard_normal((n, p)) + 1
    gram = Gram.of(features, block)
    np.testing.assert_allclose(gram.products, features @ features.T, atol=1e-11)
    np.testing.assert_array_equal(gram.products, gram.products.T)
    np.testing.assert_allclose(gram.sums, features.sum(1), atol=1e-11)
    assert gram.n_features == p and gram.products.dtype == gram.sums.dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_type_and_layout_is_summed_in_float64(dtype, order):
    features = np.asarray(np.random.default_rng(0).standard_normal((30, 500)) + 3, dtype, order=order)
    wide = features.astype(np.float64)
    kept = features.copy()
    np.testing.assert_allclose(Gram.of(features, 64).products, wide @ wide.T, rtol=1e-13)
    np.testing.assert_array_equal(features, kept)


def test_more_rows_than_one_mirrored_part():
    features = np.random.default_rng(0).standard_normal((2100, 3))
    np.testing.assert_allclose(Gram.of(features).products, features @ features.T, atol=1e-12)


def test_part_has_rows_in_the_order_asked_for():
    features = np.random.default_rng(0).standard_normal((20, 7))
    rows = np.array([5, 3, 3, 19])
    part, expected = Gram.of(features).take(rows), Gram.of(features[rows])
    np.testing.assert_allclose(part.products, expected.products, atol=1e-14)
    np.testing.assert_allclose(part.sums, expected.sums, atol=1e-14)
    assert part.n_features == 7


def test_blocks_of_other_stimuli_or_none_are_refused():
    with pytest.raises(ValueError, match="3 rows, those before it 4"):
        Gram.of_blocks([np.ones((4, 2)), np.ones((3, 2))])
    with pytest.raises(ValueError, match="at least one block"):
        Gram.of_blocks([])


def test_centred_products_are_those_of_centred_features():
    features = np.random.default_rng(0).standard_normal((20, 7)) + 5
    centred = features - features.mean(0)
    products = Gram.of(features).products
    means = products.mean(0)
    np.testing.assert_array_equal(centre(products), means)
    np.testing.assert_allclose(products, centred @ centred.T, atol=1e-12)


def test_features_hold_the_products_of_their_centred_values():
    features = np.random.default_rng(0).standard_normal((20, 7)) + 5
    shared, centred = Features.of(features), features - features.mean(0)
    np.testing.assert_allclose(shared.gram, centred @ centred.T, atol=1e-12)
    np.testing.assert_allclose(shared.covariance, centred.T @ centred, atol=1e-12)
