"""The components that simulated recordings follow are the same whatever signs LAPACK gives them."""

import numpy as np

from tests.support.components import components


def test_components_have_one_sign_length_1_and_no_more_than_the_rank():
    features = np.random.default_rng(0).standard_normal((40, 6)) @ np.diag([6, 5, 4, 3, 0, 0]) + 2
    found = components(features, 3)
    np.testing.assert_allclose(found.T @ found, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(components(-features, 3), found, atol=1e-12)
    assert (found.max(0) == np.abs(found).max(0)).all()
    assert components(features, 6).shape == (40, 4) and components(np.ones((5, 3)), 2).shape == (5, 0)
