"""`neuroscaling data check`: a table for a sound folder, all problems and exit status 1 for another."""

import json

import numpy as np
import pytest

from neuroscaling.cli.main import main
from tests.support.simulated_algonauts import Plan, Stretch, write_tree

NUMBERS = list(range(50, 70))


@pytest.fixture
def tree(tmp_path):
    return small_tree(tmp_path / "tree")


def small_tree(root):
    """A SIMULATED tree of two subjects in the challenge's layout."""
    images = {number: np.full((425, 425, 3), number, np.uint8) for number in NUMBERS}
    features = {"a": np.random.default_rng(0).standard_normal((len(NUMBERS), 4))}
    plans = [
        Plan("subj01", NUMBERS[:14], NUMBERS[14:], {"lh": 6, "rh": 7}),
        Plan("subj02", NUMBERS[:13], NUMBERS[15:], {"lh": 5, "rh": 7}, nan={"rh": (2,)}),
    ]
    write_tree(root, images, features, [Stretch(1, "a", rois=("V1v",))], plans)
    return root


def test_a_sound_tree_prints_a_row_a_subject(tree, capsys):
    assert main(["data", "check", "algonauts2023", str(tree)]) == 0
    out, err = capsys.readouterr()
    header, first, second = out.splitlines()
    assert header.split()[:6] == ["subject", "training", "test", "lh", "rh", "masked"]
    assert first.split()[:6] == ["subj01", "14", "6", "6", "7", "0"]
    assert second.split()[:6] == ["subj02", "13", "5", "5", "7", "1"]
    assert "1 of 7 rh vertices have NaN and are left out" in err


def test_subjects_can_be_chosen_and_rows_come_as_json(tree, capsys):
    arguments = ["--subjects", "subj01", "--images", "all", "--format", "json"]
    assert main(["data", "check", "algonauts2023", str(tree), *arguments]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["subject"], row["rois"], row["test_responses"]) == ("subj01", "1 of 31", "yes")


def test_all_problems_are_printed_with_exit_status_1(tree, capsys):
    (tree / "subj01/training_split/training_fmri/lh_training_fmri.npy").unlink()
    next((tree / "subj02/test_split/test_images").iterdir()).write_bytes(b"")
    assert main(["data", "check", "algonauts2023", str(tree)]) == 1
    err = capsys.readouterr().err
    assert "training responses are missing" in err
    assert "1 images can't be decoded" in err
    assert "2 problems" in err


def test_a_folder_that_holds_no_subject(tmp_path, capsys):
    assert main(["data", "check", "algonauts2023", str(tmp_path)]) == 1
    assert "no subject folder" in capsys.readouterr().err
