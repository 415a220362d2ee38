"""Nested subsets of mapping images: seeded, balanced, and the same in any order of the rows."""

from itertools import pairwise

import numpy as np
import pytest

from neuroscaling.regression.mapping_images import mapping_rows, nested_order

LABELS = np.repeat(["a", "b", "c"], [60, 30, 10])


@pytest.mark.parametrize("labels", [None, LABELS], ids=["plain", "balanced"])
def test_subsets_are_nested_and_seeded(labels):
    subsets = [set(mapping_rows(np.arange(100), n, 3, labels)) for n in (10, 20, 50, 100)]
    assert [len(subset) for subset in subsets] == [10, 20, 50, 100]
    assert all(small < large for small, large in pairwise(subsets))
    assert subsets[0] != set(mapping_rows(np.arange(100), 10, 4, labels))


@pytest.mark.parametrize("n", [10, 17, 50, 99])
def test_each_subset_has_each_label_in_its_share(n):
    for seed in range(20):
        chosen = LABELS[nested_order(100, seed, LABELS)[:n]]
        counts = np.array([(chosen == label).sum() for label in "abc"])
        assert (np.abs(counts - n * np.array([0.6, 0.3, 0.1])) <= 2).all()


def test_plain_subsets_are_not_balanced():
    counts = [(LABELS[nested_order(100, seed)[:20]] == "c").sum() for seed in range(20)]
    assert max(counts) - min(counts) >= 3


@pytest.mark.parametrize("labels", [None, LABELS], ids=["plain", "balanced"])
def test_the_order_of_rows_and_what_ids_are_make_no_difference(labels):
    ids = np.array([f"image{i:03d}" for i in range(100)])
    order = np.random.default_rng(0).permutation(100)
    expected = set(mapping_rows(np.arange(100), 30, 0, labels))
    moved = mapping_rows(ids[order], 30, 0, None if labels is None else labels[order])
    assert set(order[moved]) == expected and (np.diff(moved) > 0).all()


def test_an_image_that_was_shown_twice_comes_with_all_its_rows():
    rows = mapping_rows(np.repeat(np.arange(20), 2), 7, 0)
    assert len(rows) == 14 and set(rows[::2] + 1) == set(rows[1::2])
