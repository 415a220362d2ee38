"""The checker of Algonauts trees: what is left out or unusual is a note, and what can't be used is a problem."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from neuroscaling.recordings.algonauts_check import check_algonauts_tree, inspect_algonauts_tree
from tests.recordings.test_algonauts_check import change, image, only, responses, write_sound


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    return write_sound(tmp_path_factory.mktemp("sound") / "tree")


@pytest.fixture
def tree(sound, tmp_path) -> Path:
    return Path(shutil.copytree(sound / "subj01", tmp_path / "tree" / "subj01")).parent


def test_vertices_that_are_left_out_are_notes_by_hemisphere_and_reason(tree):
    values = np.load(responses(tree, side="rh"))
    values[3, 4] = np.nan
    values[:, 7] = 0.1
    np.save(responses(tree, side="rh"), values)
    report = inspect_algonauts_tree(tree)
    assert report.problems == []
    assert report.rows[0]["masked"] == 2
    assert [(note.what, note.value) for note in report.notes] == [
        ("1 of 23 rh vertices have NaN and are left out", "4"),
        ("1 of 23 rh vertices don't vary and are left out", "7"),
    ]


def test_a_hemisphere_of_nan_is_a_problem(tree):
    def damaged(values):
        values[2, :15] = np.nan
        return values

    change(responses(tree), damaged)
    assert only(check_algonauts_tree(tree)).what == "15 of 20 lh vertices have NaN or don't vary"


def test_a_row_of_nan_is_named_as_the_cause(tree):
    def damaged(values):
        values[[4, 6]] = np.nan
        return values

    change(responses(tree), damaged)
    problem = only(check_algonauts_tree(tree))
    assert problem.what == "2 rows are NaN throughout, so that no vertex can be used"
    assert problem.value == "5, 7"


def test_a_ceiling_in_per_cent(tree):
    change(tree / "subj01/test_split/noise_ceiling/lh_noise_ceiling.npy", lambda values: 100 * values)
    problem = only(check_algonauts_tree(tree))
    assert (problem.value, problem.allowed) == ("50 to 70", "0 to 1")
    assert "100" in problem.fix


def test_repetitions_and_signal_to_noise_out_of_range(tree):
    change(tree / "subj01/training_split/repeats.npy", lambda values: values - 1)
    change(tree / "subj01/test_split/noise_ceiling/rh_ncsnr.npy", lambda values: -values)
    assert {problem.what for problem in check_algonauts_tree(tree)} == {
        "number of repetitions out of range",
        "signal-to-noise ratio below 0",
    }
    change(tree / "subj01/training_split/repeats.npy", lambda values: values[:-1])
    assert "30 images need as many numbers of repetitions" in {problem.what for problem in check_algonauts_tree(tree)}


def test_a_tree_without_some_classes_is_noted(tree):
    for file in [*(tree / "subj01/roi_masks").glob("*floc*"), *(tree / "subj01/roi_masks").glob("*all-vertices*")]:
        file.unlink()
    report = inspect_algonauts_tree(tree)
    assert report.problems == []
    assert report.notes[0].value == "floc-bodies, floc-faces, floc-places, floc-words"
    assert "all-vertices" in report.notes[1].what


def test_a_roi_by_another_name_is_noted_with_the_nearest(tree):
    np.save(tree / "subj01/roi_masks/mapping_streams.npy", {0: "Unknown", 1: "early", 5: "ventrl"}, allow_pickle=True)
    note = only(inspect_algonauts_tree(tree).notes)
    assert (note.value, note.nearest) == ("ventrl", "ventral")


def test_images_out_of_order_are_noted(tree):
    first, second = image(tree, "training", 1), image(tree, "training", 2)
    first.rename(first.with_name("train-0001_nsd-00201.png"))
    second.rename(second.with_name("train-0002_nsd-00200.png"))
    report = inspect_algonauts_tree(tree)
    assert report.problems == []
    assert "ascending order" in only(report.notes).what


def test_problems_of_all_subjects_come_at_once(sound, tmp_path):
    tree = Path(shutil.copytree(sound, tmp_path / "tree"))
    (tree / "subj01/training_split/training_fmri/lh_training_fmri.npy").unlink()
    (tree / "subj02/roi_masks/mapping_streams.npy").unlink()
    problems = check_algonauts_tree(tree, ["subj01", "subj02", "subj7"])
    assert [problem.what for problem in problems] == [
        "subject folder is missing",
        "training responses are missing",
        "file is missing",
    ]
