"""Functions that a user calls from Python take a path as text, as examples have it, and as a Path."""

from pathlib import Path

import numpy as np
import pytest

from neuroscaling.datasets.index import load_index
from neuroscaling.datasets.subsets import read_subset, write_subset
from neuroscaling.encoding import accuracy_files, averaging, mapping, submission, submission_score, v4, v4_data
from neuroscaling.encoding.algonauts import check, read, tree
from neuroscaling.encoding.nsd import layout, prepare, recording
from neuroscaling.errors import NeuroscalingError
from tests.unit.digit_runs import DIGITS
from tests.unit.test_data_cli import small_tree

# Each with arguments behind the path.
READERS = [
    (recording.open_recording,), (recording.read_manifest,), (recording.damaged_files,), (layout.subjects_of,),
    (layout.spaces_of, "subj01"), (prepare.prepare, "subj01", "out", "fsaverage"), (read.read_recording, "subj01"),
    (check.check,), (check.inspect,), (tree.subjects_of,), (submission.expected_shapes,), (submission.zip_problems, {}),
    (submission.check_submission, "absent"), (submission_score.can_be_scored, "subj01"),
    (submission_score.score_submission, "absent"), (accuracy_files.read_accuracy,), (mapping.read_mapping,),
    (v4.sessions,), (v4.load_session, "210325"), (read_subset,),
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
    assert small_tree("tree") == "tree" and check.check("tree") == []
    found, expected = read.read_recording("tree", "subj01"), read.read_recording(Path("tree"), "subj01")
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
    told = [outcome(averaging.average_predictions, [kind("absent.json")], "plain") for kind in (str, Path)]
    assert told[0] == told[1] and "absent.json" in told[0][1]
    told = [outcome(v4_data.fetch_session, "000000", kind("absent")) for kind in (str, Path)]
    assert told[0] == told[1] and "000000" in told[0][1]
