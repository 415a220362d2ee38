"""`neuroscaling data check arrays`, and `check` before the first job: images and responses are looked at whole."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from neuroscaling.cli.deep_checks import deep_problems
from neuroscaling.cli.main import main
from neuroscaling.planning.encoding import SubjectShape, subject_shape
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.recordings import encoding_jobs
from tests.support.own_arrays import ENTRY, N_IMAGES, N_UNITS, stimulus_rows, write_own, write_table

TRIALS = np.random.default_rng(0).standard_normal((N_IMAGES, N_UNITS, 2))


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study of an untrained network on SIMULATED responses."""
    monkeypatch.chdir(tmp_path)
    write_own(Path("own"), TRIALS)
    entry = {**ENTRY, "data": {"local": "own"}}
    Path("own.yaml").write_text(
        yaml.safe_dump({"study": "own", "runs": [{"baselines": ["pixels"]}], "encoding": [entry]})
    )
    return "own.yaml"


def test_sound_files_print_a_row_a_subject(study, capsys):
    assert main(["data", "check", "arrays", study, "--format", "json"]) == 0
    anna, bert = json.loads(capsys.readouterr().out)
    assert (anna["subject"], anna["units"], anna["regions"]) == ("anna", 3, "V1, V4, IT, late")
    assert (bert["images"], bert["repetitions"], bert["ceilings"]) == ("training 9, test 3", "2", "repetitions")
    assert bert["axes"] == "images x units x repetitions" and deep_problems(load_study(study)) == []


def test_missing_responses_and_images_that_cannot_be_decoded_are_told_together(study, capsys):
    responses = TRIALS.copy()
    responses[4, 1] = np.nan
    np.save("own/responses.npy", responses)
    Path("own/images/007.png").write_bytes(b"no image")
    assert main(["data", "check", "arrays", study]) == 1
    err = capsys.readouterr().err
    assert "image s4, unit 1 (from 0)" in err and "007.png" in err
    found = "\n".join(map(str, deep_problems(load_study(study))))
    assert "image s4, unit 1 (from 0)" in found and "007.png" in found


def test_images_in_another_order_are_told_by_their_sha1(study, capsys):
    rows = stimulus_rows()
    for row in rows:
        row["sha1"] = hashlib.sha1((Path("own/images") / row["filename"]).read_bytes()).hexdigest()
    write_table(Path("own/stimuli.csv"), rows)
    assert main(["data", "check", "arrays", study]) == 0
    one, other = Path("own/images/002.png"), Path("own/images/003.png")
    pixels = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(pixels)
    assert main(["data", "check", "arrays", study]) == 1
    err = capsys.readouterr().err
    assert "2 images are in another order" in err and "002.png is what the table calls 003.png" in err
    one.write_bytes(Path("own/images/000.png").read_bytes()[:-1] + b"x")
    assert main(["data", "check", "arrays", study]) == 1


def test_a_study_without_arrays(tmp_path, capsys):
    file = tmp_path / "none.yaml"
    file.write_text("study: none\nruns: [{baselines: [pixels]}]\n")
    assert main(["data", "check", "arrays", str(file)]) == 1
    assert "source: arrays" in capsys.readouterr().err


def test_a_plan_knows_the_numbers_of_images_and_units(study):
    loaded = load_study(study)
    assert [subject_shape(loaded, job) for job in encoding_jobs(loaded)] == [
        SubjectShape(9, 3, 3), SubjectShape(9, 3, 2)
    ]  # fmt: skip


def test_names_follow_the_contents_and_not_the_place(study):
    names = [job.data for job in encoding_jobs(load_study(study))]
    Path("own").rename("moved")
    Path(study).write_text(Path(study).read_text().replace("local: own", "local: moved"))
    assert [job.data for job in encoding_jobs(load_study(study))] == names
    np.save("moved/responses.npy", TRIALS + 1)  # of the same size
    jobs = encoding_jobs(load_study(study))
    assert jobs[0].data != names[0] and len({job.stimuli.name for job in jobs}) == 1
