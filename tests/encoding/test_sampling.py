"""Mapping images of encoding: nested, all rows of an image together, held-out images untouched, sizes checked."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from neuroscaling.core.errors import DataError
from neuroscaling.encoding.settings import EncodingSettings, all_rows, sample_rows
from neuroscaling.study.sections.encoding import AlgonautsEncoding


def settings(protocol="corrected", **changes):
    entry = {"source": "algonauts2023", "data": {"local": "tree"}, "validation": 10, "draws": 0}
    return EncodingSettings.of(AlgonautsEncoding.model_validate(entry | changes), protocol)


def ids(n, repetitions=1):
    return [f"nsd-{i:05d}" for _ in range(repetitions) for i in range(n)]


@given(n=st.integers(60, 200), repetitions=st.integers(1, 3), repeats=st.integers(1, 3))
def test_subsets_are_nested_and_all_rows_of_an_image_stay_together(n, repetitions, repeats):
    shown = ids(n, repetitions)
    sampling = sample_rows(
        shown,
        settings(samples=[10, 25, "all"], repeats=repeats, evaluate="validation", validation=30),
        "subj01",
    )
    assert len(sampling.draws) == repeats
    assert all(np.array_equal(rows, sampling.held_out[0]) for rows in sampling.held_out)
    held_out = {shown[row] for row in sampling.held_out[0]}
    assert len(held_out) == 30 and len(sampling.held_out[0]) == 30 * repetitions
    for draw in sampling.draws:
        assert draw.n_images == (10, 25, n - 30)
        for smaller, larger in zip(range(2), range(1, 3), strict=True):
            size = len(draw.orders[smaller])
            assert np.array_equal(draw.orders[larger][:size], draw.orders[smaller])
            assert np.array_equal(draw.folds[larger][:size], draw.folds[smaller])
        for rows, folds in zip(draw.orders, draw.folds, strict=True):
            images = [shown[row] for row in rows]
            assert held_out.isdisjoint(images)
            assert {image: folds[images.index(image)] for image in images} == dict(zip(images, folds, strict=True))
            assert len(rows) == len(set(images)) * repetitions


def test_draws_differ_and_are_the_same_again():
    first, second = sample_rows(ids(100), settings(samples=[20], repeats=2), "subj01").draws
    assert set(first.orders[0]) != set(second.orders[0])
    again = sample_rows(ids(100), settings(samples=[20], repeats=2), "subj01").draws[1]
    assert np.array_equal(again.orders[0], second.orders[0])


def test_parity_takes_the_first_rows_holds_out_the_last_and_folds_neighbours():
    asked = settings("parity", samples=[20, "all"], equalise=90, evaluate="validation", validation=10)
    sampling = sample_rows(ids(100), asked, "subj01")
    (draw,) = sampling.draws
    assert np.array_equal(draw.orders[0], np.arange(20)) and np.array_equal(draw.orders[1], np.arange(80))
    assert np.array_equal(sampling.held_out[0], np.arange(80, 90))
    assert np.array_equal(draw.folds[0], np.repeat(np.arange(8), [3, 3, 3, 3, 2, 2, 2, 2]))


def test_equalised_subjects_use_as_many_images():
    for n in (80, 100):
        sampling = sample_rows(ids(n), settings(equalise=70), "subj01")
        assert sampling.draws[0].n_images == (70,)


def test_the_final_model_is_fitted_on_every_row():
    draw = all_rows(ids(50, 2), settings(equalise=30))
    assert sorted(draw.orders[0]) == list(range(100)) and draw.n_images == (50,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"samples": [60, 200, 300]}, "more mapping images than the 100"),
        ({"equalise": 120}, "asks for 120 training images, and the subject has 100"),
        ({"evaluate": "validation", "validation": 99}, "1 mapping images are left"),
    ],
)
def test_what_a_subject_cannot_give_is_said(changes, message):
    with pytest.raises(DataError, match=message):
        sample_rows(ids(100), settings(**changes), "subj01")
