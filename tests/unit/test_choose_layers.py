"""Layers chosen on simulated recordings by the command of the `layers` rule, and scores that take them."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from neuroscaling.activations.store import write_store
from neuroscaling.brainscore.job_files import ChoiceJob, ChosenSet, ScoringJob, write_job
from neuroscaling.simulate.brain import simulate_brain

REPOSITORY = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("NEUROSCALING_BRAINSCORE_PYTHON") or REPOSITORY / ".venv/brainscore/bin/python")
pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason=f"no brainscore environment: {PYTHON} (`make env`, or NEUROSCALING_BRAINSCORE_PYTHON)"
)
V1, IT = "FreemanZiemba2013public.V1-pls", "MajajHong2015public.IT-pls"
TRUTHS = {"V1.signal": "FreemanZiemba2013.public-V1", "IT.signal": "MajajHong2015.public-IT"}
RUN, SET, DATA = "toy-00000000", "simulated-toy-8deg", "simulated-toy"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A simulated brain, and activations whose layers are, early to late: IT's signal, noise, V1's signal, readout."""
    folder = tmp_path_factory.mktemp("layers")
    few = {"algonauts_train": 20, "algonauts_test": 10, "vertices": 30, "algonauts_subjects": 1}
    simulate_brain(folder / "brain", {"stimuli": 100, "neuroids_per_region": 5, "repetitions": 2, **few})
    truths = {layer: np.load(folder / "brain/truth" / f"{name}.npz") for layer, name in TRUTHS.items()}
    stimuli = sorted({stimulus for truth in truths.values() for stimulus in truth["stimulus_ids"].tolist()})
    rng = np.random.default_rng(0)
    layers = {name: rng.standard_normal((len(stimuli), 30)) for name in ("IT.signal", "noise", "V1.signal", "readout")}
    for layer, truth in truths.items():
        rows = [stimuli.index(stimulus) for stimulus in truth["stimulus_ids"].tolist()]
        layers[layer][rows, :5] += 5 * truth["clean"]
    batch = {name: values.astype(np.float32) for name, values in layers.items()}
    write_store(folder / "activations" / RUN / f"{SET}.json", stimuli, [batch], reduction={"kind": "none"})
    return folder


def run(script: str, job: ChoiceJob | ScoringJob, folder: Path, check: bool = True) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1"}
    files = [write_job(folder / "job.json", job), folder / "log"]
    command = [PYTHON, REPOSITORY / "workflow/scripts" / script, *files]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment)
    assert not check or done.returncode == 0, done.stderr
    return done


def outputs(folder: Path, key: str) -> list[Path]:
    return [folder / "commitments" / RUN / DATA / f"{benchmark}-{key}.json" for benchmark in (V1, IT)]


def choice_job(
    folder: Path, outputs: list[Path], benchmarks: tuple[str, ...] = (V1, IT), **choice: object
) -> ChoiceJob:
    manifest = folder / "activations" / RUN / f"{SET}.json"
    sets = [ChosenSet(SET, folder / "brain/brainscore", DATA, list(benchmarks))]
    asked = {"way": "nested", "hierarchy": False, "inner_splits": 2} | choice
    return ChoiceJob([manifest], outputs, sets, asked, ceilings=folder / "ceilings")


def choose(folder: Path, key: str, **choice: object) -> None:
    run("choose_layers.py", choice_job(folder, outputs(folder, key), **choice), folder)


def scoring_job(folder: Path, name: str, **options: object) -> ScoringJob:
    manifest, output = folder / "activations" / RUN / f"{SET}.json", folder / name / RUN / DATA / f"{IT}.json"
    kept = {"ceilings": folder / "ceilings" / DATA, "commitments": folder / "commitments"}
    return ScoringJob([manifest], [output], folder / "brain/brainscore", DATA, references={RUN: RUN}, **kept, **options)


@pytest.fixture(scope="module")
def nested(folder: Path) -> dict[str, dict]:
    choose(folder, "nested")
    return {path.name.removesuffix("-nested.json"): json.loads(path.read_text()) for path in outputs(folder, "nested")}


def test_each_split_finds_the_layer_that_carries_its_region(nested: dict):
    for benchmark, layer in ((V1, "V1.signal"), (IT, "IT.signal")):
        content = nested[benchmark]
        assert content["layers"] == [layer] * 10 and content["layer"] == layer
        assert content["candidates"] == ["IT.signal", "noise", "V1.signal"]
        assert np.shape(content["scores"]) == (10, 3) and np.isfinite(content["scores"]).all()
        assert content["near_ties"].get(layer) is None and content["way"] == "nested"


def test_a_choice_from_the_same_inputs_is_kept(folder: Path, nested: dict):
    written = [path.stat().st_mtime_ns for path in outputs(folder, "nested")]
    choose(folder, "nested")
    assert [path.stat().st_mtime_ns for path in outputs(folder, "nested")] == written
    assert "kept" in (folder / "log").read_text()


def test_a_hierarchy_keeps_it_from_standing_before_v1(folder: Path):
    choose(folder, "ordered", hierarchy=True)
    v1, it = (json.loads(path.read_text())["layers"] for path in outputs(folder, "ordered"))
    order = ["IT.signal", "noise", "V1.signal"]
    assert all(order.index(a) <= order.index(b) for a, b in zip(v1, it, strict=True))


def test_parity_takes_the_layer_with_the_best_reported_score(folder: Path):
    choose(folder, "reported", way="reported")
    v1, it = (json.loads(path.read_text()) for path in outputs(folder, "reported"))
    assert (v1["layers"], it["layers"]) == (["V1.signal"], ["IT.signal"])
    run("score_brainscore.py", scoring_job(folder, "scores", choice="reported"), folder)
    score = json.loads((folder / "scores" / RUN / DATA / f"{IT}.json").read_text())
    assert score["rows"][0]["layer"] == "IT.signal"
    assert len(list((folder / "ceilings" / DATA).iterdir())) == 2  # one a benchmark, for the choice and the score
    assert max(it["scores"][0]) == pytest.approx(score["rows"][0]["raw"], rel=1e-12)


def test_an_output_that_is_not_asked_for_is_named(folder: Path):
    output = folder / "commitments" / RUN / DATA / f"{IT}-x.json"
    failed = run("choose_layers.py", choice_job(folder, [output], (V1,)), folder, check=False)
    assert failed.returncode == 1 and "no output for this benchmark" in failed.stderr and V1 in failed.stderr


def test_a_layer_that_the_study_names_stands_above_a_choice_and_a_missing_choice_is_named(folder: Path, nested: dict):
    run("score_brainscore.py", scoring_job(folder, "named", choice="nested", layers={"IT": "noise"}), folder)
    assert json.loads((folder / "named" / RUN / DATA / f"{IT}.json").read_text())["rows"][0]["layer"] == "noise"
    failed = run("score_brainscore.py", scoring_job(folder, "absent", choice="absent"), folder, check=False)
    assert failed.returncode == 1 and f"{IT}-absent.json" in failed.stderr and "file is missing" in failed.stderr
