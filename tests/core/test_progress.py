"""Progress records: written whole, read leniently, counted on by the next try."""

import json
import os
from dataclasses import replace

import pytest

from neuroscaling.core.progress import begun, progress_beside, progress_of_run, read_progress, write_progress


def test_a_record_is_read_as_it_was_written(tmp_path):
    path = progress_of_run(tmp_path / "run")
    progress = replace(begun(path, "run", "training", "steps", 40), done=3, epoch=1, epochs=4, loss=2.5, seconds=1.5)
    write_progress(path, progress)
    assert read_progress(path) == progress and progress.pid == os.getpid() and progress.attempt == 1
    assert [entry.name for entry in path.parent.iterdir()] == ["progress.json"]


def test_numbers_that_are_not_finite_are_written_as_null(tmp_path):
    path = tmp_path / "progress.json"
    write_progress(
        path, replace(begun(path, "run", "training", "steps", 40), loss=float("nan"), seconds_left=float("inf"))
    )
    found = read_progress(path)
    assert found is not None and found.loss is None and found.seconds_left is None


def test_the_next_try_counts_on_from_what_the_last_one_left(tmp_path, monkeypatch):
    path = progress_beside(tmp_path / "set.json")
    for attempt, before in [(1, 0.0), (2, 10.0), (3, 20.0)]:
        monkeypatch.setenv("SLURM_JOB_ID", str(attempt))
        progress = begun(path, "set", "extraction", "images", None)
        assert (progress.attempt, progress.seconds_before) == (attempt, before)
        assert progress.slurm_job_id == str(attempt)
        write_progress(path, replace(progress, seconds=10.0))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": "progress/1"}', '{"format": "run/3"}', '{"done": "x"}', "\0"]
)
def test_no_record_and_a_damaged_one_tell_nothing(tmp_path, text):
    path = tmp_path / "progress.json"
    assert read_progress(path) is None and read_progress(tmp_path) is None
    path.write_text(text)
    assert read_progress(path) is None


def test_a_record_of_another_version_tells_nothing(tmp_path):
    path = tmp_path / "progress.json"
    write_progress(path, begun(path, "run", "training", "steps", 40))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": "progress/2"}))
    assert read_progress(path) is None
