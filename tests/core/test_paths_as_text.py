"""Functions that a user calls from Python take a path as text, as examples have it, and as a Path."""

from pathlib import Path

import numpy as np
import pytest

from neuroscaling.core.errors import NeuroscalingError
from neuroscaling.datasets.index import load_index
from neuroscaling.datasets.subset_file import read_subset, write_subset
from neuroscaling.encoding import accuracy_files, submission, submission_score
from neuroscaling.encoding import predictions as fmri_predictions
from neuroscaling.recordings import algonauts_check, algonauts_recording, prepared, v4_sessions
from neuroscaling.study import algonauts_tree, nsd_tree, recording_folders
from tests.cli.test_data_cli import small_tree
from tests.support.digit_runs import DIGITS

# Each with arguments behind the path.
READERS = [
    (prepared.open_recording,),
    (prepared.read_manifest,),
    (prepared.damaged_files,),
    (nsd_tree.nsd_subjects,),
    (nsd_tree.spaces_of, "subj01"),
    (algonauts_recording.read_recording, "subj01"),
    (algonauts_check.check_algonauts_tree,),
    (algonauts_check.inspect_algonauts_tree,),
    (algonauts_tree.tree_subjects,),
    (submission.expected_shapes,),
    (submission.zip_problems, {}),
    (submission.check_submission, "absent"),
    (submission_score.can_be_scored, "subj01"),
    (submission_score.score_submission, "absent"),
    (accuracy_files.read_accuracy,),
    (algonauts_tree.read_mapping,),
    (recording_folders.v4_session_names,),
    (v4_sessions.load_session, "210325"),
    (read_subset,),
]  # fmt: skip


def outcome(function, *arguments):
    """What comes of a call: its result, or the message and kind of its error."""
    try:
        return function(*arguments)
    except (NeuroscalingError, OSError) as error:
        return type(error), str(error)


@pytest.mark.parametrize(
    "function, rest", [(f, rest) for f, *rest in READERS], ids=lambda f: getattr(f, "__name__", "")
)
def test_absent_files_are_told_of_alike(function, rest, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert outcome(function, "absent", *rest) == outcome(function, Path("absent"), *rest)


def test_a_tree_is_read_and_a_submission_written_from_text(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert small_tree("tree") == "tree" and algonauts_check.check_algonauts_tree("tree") == []
    found, expected = (
        algonauts_recording.read_recording("tree", "subj01"),
        algonauts_recording.read_recording(Path("tree"), "subj01"),
    )
    assert found.training.stimulus_ids == expected.training.stimulus_ids and submission_score.can_be_scored(
        "tree", "subj01"
    )
    shapes = submission.expected_shapes("tree")
    predictions = {s: {h: np.zeros(shape, np.float32) for h, shape in sides.items()} for s, sides in shapes.items()}
    submission.write_submission(predictions, "zipped.zip", shapes)
    assert submission.check_submission("zipped.zip", "tree") == []
    assert len(submission_score.score_submission("zipped.zip", "tree")) > 0


def test_a_subset_comes_back_from_text(tmp_path):
    index = load_index("digits", DIGITS, "train")
    write_subset(str(tmp_path / "3.parquet"), index, np.arange(3), "n3", 0)
    assert list(read_subset(str(tmp_path / "3.parquet"))[0]["index"]) == [0, 1, 2]


def test_score_files_and_sessions_that_are_absent_are_told_of_alike(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = [outcome(fmri_predictions.average_predictions, [kind("absent.json")], "plain") for kind in (str, Path)]
    assert told[0] == told[1] and "absent.json" in told[0][1]
    told = [outcome(v4_sessions.fetch_session, "000000", kind("absent")) for kind in (str, Path)]
    assert told[0] == told[1] and "000000" in told[0][1]
