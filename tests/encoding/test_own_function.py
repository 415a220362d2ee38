"""From a function of one's own that returns recordings to scores: the layer that made SIMULATED responses is found."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from neuroscaling.activations.zarr_reading import open_store
from neuroscaling.cli.deep_checks import deep_problems
from neuroscaling.cli.job import Step, steps_of
from neuroscaling.core.score_files import read_score
from neuroscaling.planning.encoding import SubjectShape, subject_shape
from neuroscaling.recordings.prepared import open_recording
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.recordings import encoding_jobs
from neuroscaling.study.wanted import Targets
from tests.support.components import components
from tests.support.own_functions import ENTRY, N_TEST, N_TRAINING, N_UNITS, NAMES, write_module

LAYER = "layer1.0"
STUDY = {
    "study": "own",
    "runs": [{"untrained": ["resnet_w8"]}],
    "reduction": {"kind": "grid", "size": 2},
    "encoding": [{**ENTRY, "subjects": ["anna"], "samples": [20, "all"], "draws": 20}],
}


def makes(folder: str) -> dict[str, Step]:
    """The steps of the study whose names begin so."""
    return {name: step for name, step in steps_of(load_study("own.yaml")) if name.startswith(folder)}


def make_all(folder: str) -> None:
    """Each step that is still to do."""
    for step in makes(folder).values():
        if not step.record.is_file():
            step.make(step.path)


def planted() -> np.ndarray:
    """Responses (images, units) that follow a layer of the network, with a little noise."""
    stored = open_store(next(iter(makes("activations").values())).path)
    features, rng = stored.read(LAYER)[stored.rows_of(NAMES)], np.random.default_rng(0)
    signal = components(features, 3) @ rng.standard_normal((3, N_UNITS))
    return signal / signal.std(0) + 0.1 * rng.standard_normal(signal.shape)


@pytest.fixture
def study(tmp_path, monkeypatch):
    """The study in a folder of its own, each of its artefacts made."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    write_module(tmp_path)
    Path("arrays").mkdir()
    np.save("arrays/anna.npy", np.zeros((len(NAMES), N_UNITS)))
    Path("own.yaml").write_text(yaml.safe_dump(STUDY))
    for folder in ("runs", "stimuli", "activations"):
        make_all(folder)
    np.save("arrays/anna.npy", planted())
    for folder in ("recordings", "scores"):
        make_all(folder)
    yield load_study("own.yaml")
    for name in [name for name in sys.modules if name.partition(".")[0] == "ourlab"]:
        del sys.modules[name]


def test_recordings_of_a_function_are_encoded(study):
    (path,) = Targets(study).score_files
    score = read_score(path)
    largest = [row for row in score.rows if row["n_mapping"] == N_TRAINING]
    assert score.simulated and score.benchmark == "ours"
    assert {row["region"]: row["layer"] for row in largest} == {"V1": LAYER, "IT": LAYER}
    assert all(row["raw"] > 0.5 and row["scale"] == "r2/c" for row in largest)

    (job,) = encoding_jobs(study)
    recording = open_recording(job.folder)
    assert recording.vertex.tolist() == list(range(0, 2 * N_UNITS, 2)) and (recording.test.ceiling == 0.8).all()
    assert json.loads((job.folder / "manifest.json").read_text())["settings"]["left_out"] == {"both": [1]}
    assert subject_shape(study, job) == SubjectShape(N_TRAINING, N_TEST, N_UNITS)
    assert deep_problems(study) == []


def test_another_function_other_options_and_other_files_are_called_anew(study):
    def data(**changes):
        Path("own.yaml").write_text(yaml.safe_dump(STUDY | {"encoding": [STUDY["encoding"][0] | changes]}))
        return encoding_jobs(load_study("own.yaml"))[0]

    before = data()
    assert data(samples=["all"]).data == before.data and before.folder.is_dir()
    (Path("arrays") / "notes.txt").write_text("another file in the folder")
    assert data().data != before.data
    (Path("arrays") / "notes.txt").unlink()
    assert data().data == before.data
    assert data(options={"folder": "arrays", "window": [50, 150]}).data != before.data
    module = Path("ourlab/recordings.py")
    module.write_text(module.read_text() + "\nOTHER = 4\n")
    after = data()
    assert after.data != before.data and after.stimuli == before.stimuli
