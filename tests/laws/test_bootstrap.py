"""Resamples: those of the publication, of clusters, of hierarchies."""

import numpy as np
import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.laws import bootstrap
from neuroscaling.laws.bootstrap import resample_weights


def test_resamples_are_those_of_the_publication():
    drawn = np.random.default_rng(42).integers(0, 7, size=(11, 7))
    expected = np.array([np.bincount(row, minlength=7) for row in drawn])
    np.testing.assert_array_equal(resample_weights(7, 11), expected)


def test_resamples_drawn_in_blocks_are_the_same(monkeypatch):
    whole = resample_weights(50, 40)
    monkeypatch.setattr(bootstrap, "DRAWN", 333)
    np.testing.assert_array_equal(resample_weights(50, 40), whole)


def test_a_hierarchical_resample_draws_subjects_then_points():
    subject = ["a"] * 4 + ["b"] * 6
    weights = resample_weights(10, 400, hierarchy=[subject])
    of_a, of_b = weights[:, :4].sum(1), weights[:, 4:].sum(1)
    # Two subjects are drawn, each with as many points as it has.
    assert set(zip((of_a // 4).tolist(), (of_b // 6).tolist(), strict=True)) == {(0, 2), (1, 1), (2, 0)}
    assert (of_a % 4 == 0).all() and (of_b % 6 == 0).all()
    assert 0.4 < (of_a == 4).mean() < 0.6
    with pytest.raises(DataError, match="one label a point"):
        resample_weights(3, 2, hierarchy=[["a"]])


def test_clusters_are_drawn_whole():
    weights = resample_weights(6, 50, clusters=["a", "b", "a", "c", "b", "a"])
    np.testing.assert_array_equal(weights[:, 0], weights[:, 2])
    np.testing.assert_array_equal(weights[:, 1], weights[:, 4])
    assert ((weights[:, 0] + weights[:, 1] + weights[:, 3]) == 3).all()


def test_an_interval_is_of_the_finite_samples_and_of_none_not_a_number():
    assert bootstrap.interval(np.array([np.nan, np.inf, *range(101)])) == pytest.approx([2.5, 97.5])
    assert np.isnan(bootstrap.interval(np.array([np.nan, np.inf]))).all()


def test_every_resample_holds_as_many_units_as_there_are():
    assert (resample_weights(9, 30).sum(1) == 9).all()
    hierarchy = [["a"] * 3 + ["b"] * 6, ["p", "q", "r"] * 3]
    nested = resample_weights(9, 300, hierarchy=hierarchy)
    # Two subjects are drawn, in each as many of its blocks as it has, in each block as many points as it has.
    assert set(nested.sum(1).tolist()) == {6, 9, 12} and (nested.sum(0) > 0).all()
