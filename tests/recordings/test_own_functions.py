"""What a function of one's own returns is looked through before it is written: every fault is told, all at once."""

import sys
from pathlib import Path

import numpy as np
import pytest

from neuroscaling.core.errors import DataError, StudyError
from neuroscaling.recordings.preparation import prepare_recording
from neuroscaling.recordings.prepared import open_recording
from neuroscaling.study.own_arrays import OwnImages
from neuroscaling.study.preparation_jobs import FunctionJob
from tests.support.own_functions import MODULE, N_TRAINING, N_UNITS, NAMES, write_module

FUNCTION = "ourlab.recordings:read"
CHANGED = """
def read_changed(options, subject):
    recording = read(options, subject)
    training, test = recording.training, recording.tests["test"]
    return replace(recording, {changes})
"""


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    write_module(tmp_path)
    Path("arrays").mkdir()
    values = np.random.default_rng(0).standard_normal((len(NAMES), N_UNITS))
    np.save("arrays/anna.npy", values)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "ourlab"]:
        del sys.modules[name]


def prepared(function: str = FUNCTION, memory_mb: float = 1000, options: dict[str, object] | None = None) -> Path:
    images = OwnImages(images=Path("images"), stimuli=None, ordered=False)
    job = FunctionJob(
        function, options or {"folder": "arrays"}, "ours", "anna", Path("prepared/anna"), images, memory_mb
    )
    return prepare_recording(job).parent


def fault(function: str) -> str:
    with pytest.raises((DataError, StudyError)) as caught:
        prepared(function)
    assert not Path("prepared/anna").exists()
    return str(caught.value)


def test_a_recording_is_written_as_it_was_returned(root):
    values = np.load("arrays/anna.npy")
    values[:, 2] = 7
    np.save("arrays/anna.npy", values)
    recording = open_recording(prepared(memory_mb=1e-3))  # in blocks of two targets
    used = [0, 1, 3, 4, 5]
    assert recording.name == "anna" and recording.simulated and recording.n_targets == len(used)
    assert recording.training.stimulus_ids == NAMES[:N_TRAINING] and recording.training.repeats.tolist() == [4] * 40
    for split, rows in ((recording.training, values[:N_TRAINING]), (recording.test, values[N_TRAINING:])):
        assert np.array_equal(split.responses.read(0, 5), rows[:, used].astype(np.float32))
    assert recording.regions["V1"].tolist() == [True, True, False, False, False]
    assert recording.vertex.tolist() == [0, 2, 6, 8, 10] and recording.masked == {"both": [4]}
    assert recording.test.ceiling.tolist() == pytest.approx([0.8] * 5) and recording.ncsnr.tolist() == [1] * 5


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("fails", ["the function fails for anna: KeyError: 'no such session'", "recordings.py"]),
        ("words", ["the function gives `str`", "neuroscaling.recordings.recording.Recording"]),
        ("hungry", ["the function can't be called", "function(options, subject)"]),
        ("NUMBER", ["`NUMBER` is not a function"]),
        ("raed", ["no function `raed` in this module", "nearest:  read"]),
    ],
)
def test_functions_that_give_no_recording(root, function, words):
    text = fault(f"ourlab.recordings:{function}")
    assert all(word in text for word in words), text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ("name='bert'", ["another name", "allowed:  anna"]),
        (
            "training=replace(training, repeats=None)",
            ["anna, training", "`repeats` are missing", f"{N_TRAINING} whole"],
        ),
        ("training=replace(training, responses=None)", ["no responses"]),
        (
            "training=replace(training, responses=ArrayResponses(np.zeros((3, 6))))",
            ["(3, 6)", "(40, 6): rows, targets"],
        ),
        ("tests={'test': replace(test, stimulus_ids=['image99.png', *NAMES[41:]])}", ["image99.png", "nearest:"]),
        ("tests={'test': replace(test, stimulus_ids=[NAMES[0], *NAMES[41:]])}", ["1 images of the training split are"]),
        ("tests={'training': test}", ["not a name of a test set"]),
        ("tests={'test': replace(test, ceiling=np.full(6, 80.0))}", ["6 values of `ceiling`", "from 0 to 1"]),
        ("ncsnr=np.full(6, np.nan)", ["6 values of `ncsnr`"]),
        ("regions={}", ["no region"]),
        ("regions={'V1': np.arange(6)}", ["region `V1` is no mask", "bool (6,)"]),
        ("hemisphere=np.full(6, 'left')", ["left", "6 of lh, rh, both"]),
        ("hemisphere=np.full(6, 'left'), ncsnr=np.zeros(2)", ["`hemisphere`", "`ncsnr` is not one number a target"]),
    ],
)
def test_faults_of_recordings(root, changes, words):
    write_module(root, MODULE + CHANGED.format(changes=changes))
    text = fault("ourlab.recordings:read_changed")
    assert all(word in text for word in words), text


def test_the_function_of_the_documentation_is_one(root):
    page = (Path(__file__).parents[2] / "docs" / "own-recordings.md").read_text(encoding="utf-8")
    write_module(root, page.split("```python\n")[1].split("```")[0])
    rng, is_test = np.random.default_rng(0), np.arange(len(NAMES)) >= N_TRAINING
    rates, area = rng.standard_normal((len(NAMES), 3)), np.array(["V4", "IT", "V4"])
    np.savez("arrays/anna.npz", image=np.array(NAMES), test=is_test, area=area, rates=rates)
    recording = open_recording(prepared(options={"folder": "arrays", "repetitions": 4}))
    assert recording.test.stimulus_ids == NAMES[N_TRAINING:] and recording.regions["V4"].tolist() == [True, False, True]


def test_responses_that_are_no_number(root):
    values = np.load("arrays/anna.npy")
    values[N_TRAINING + 3, 4] = np.nan
    np.save("arrays/anna.npy", values)
    text = fault(FUNCTION)
    assert "1 responses are no numbers" in text and f"nan of target 4 to {NAMES[N_TRAINING + 3]}" in text
