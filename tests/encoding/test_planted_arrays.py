"""From three files of one's own to a law, in this process: the layers that made SIMULATED responses are found."""

import json
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml

import neuroscaling as ns
from neuroscaling.activations.zarr_reading import open_store
from neuroscaling.cli.job import Step, steps_of
from neuroscaling.core.encoding_scores import ScoreHeader
from neuroscaling.core.score_files import read_score
from neuroscaling.core.score_table import build_table, write_table
from neuroscaling.encoding.encoding_job import score_subject
from neuroscaling.encoding.settings import EncodingSettings
from neuroscaling.recordings.prepared import open_recording
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.sections.encoding import ArraysEncoding
from neuroscaling.study.wanted import Targets
from tests.support.components import components
from tests.support.notebooks import run_notebook
from tests.support.own_arrays import ENTRY, stimulus_rows, write_own

N_TRAINING, N_UNITS = 120, 24
STIMULI = [*stimulus_rows(N_TRAINING + 60, 60)]
for row in STIMULI[-20:]:
    row["split"] = "other"
LAYERS = {"V1": "layer1.0", "IT": "layer4.0"}
UNITS = [{"subject": "anna", "region": region} for region in LAYERS for _ in range(N_UNITS // 2)]
METRICS = ["ridge", "pls", "rsa", "cka"]
SAMPLES = [12, 20, 35, 60, "all"]
STUDY = {
    "study": "own",
    "runs": [{"untrained": ["resnet_w8"]}],
    "reduction": {"kind": "grid", "size": 2},
    "encoding": [
        {**ENTRY, "data": {"local": "own"}, "samples": SAMPLES, "repeats": 2, "draws": 20, "metrics": METRICS}
    ],
    "fits": ["mapping.yaml"],
}
FITS = """
fits:
  - name: mapping
    form: logistic
    x: n_mapping
    y: raw
    filters: {benchmark: mine, metric: ridge, test_set: test}
    group_by: [run, subject, n_mapping]
    by: {region: [V1, IT]}
    bootstraps: 20
"""


def makes(folder: str) -> dict[str, Step]:
    """The steps of the study whose names begin so."""
    return {name: step for name, step in steps_of(load_study("own.yaml")) if name.startswith(folder)}


def planted() -> np.ndarray:
    """Responses (images, units, 4 repetitions) that follow a layer of the network, with noise of the signal's size."""
    stored = open_store(next(iter(makes("activations").values())).path)
    ids = [row["stimulus_id"] for row in STIMULI]
    rows, rng, signals = stored.rows_of(ids), np.random.default_rng(0), []
    for layer in LAYERS.values():
        whitened = components(stored.read(layer)[rows], 4)
        signals.append(whitened @ rng.standard_normal((4, N_UNITS // 2)))
    signal = np.hstack(signals)
    return (signal / signal.std(0))[..., None] + rng.standard_normal((len(STIMULI), N_UNITS, 4))


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The study in a folder of its own, each of its artefacts made; the responses come once there are activations."""
    root = tmp_path_factory.mktemp("planted")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        write_own(Path("own"), np.zeros((len(STIMULI), N_UNITS)), STIMULI, UNITS)
        Path("own.yaml").write_text(yaml.safe_dump(STUDY))
        Path("mapping.yaml").write_text(FITS)
        for folder in ("runs", "stimuli", "activations"):
            for step in makes(folder).values():
                step.make(step.path)
        np.save("own/responses.npy", planted())
        assert all(step.record.is_file() for step in makes("activations").values()), "other responses, other images"
        for folder in ("recordings", "scores"):
            for step in makes(folder).values():
                step.make(step.path)
        loaded = load_study("own.yaml")
        targets = Targets(loaded)
        table = build_table(targets.score_files, targets.run_files, False, targets.score_files)
        loaded.results.table.parent.mkdir(parents=True)
        write_table(loaded.results.table, table)
        for step in makes("fits").values():
            step.make(step.path)
        yield loaded


@pytest.fixture(scope="module")
def opened(study):
    """The same study, from Python."""
    return ns.open_study("own.yaml")


def test_the_layers_that_made_the_responses_are_found(study):
    (path,) = Targets(study).score_files
    score = read_score(path)
    largest = [row for row in score.rows if row["n_mapping"] == N_TRAINING]
    assert {(row["metric"], row["test_set"]) for row in largest} == {(m, t) for m in METRICS for t in ("test", "other")}
    mapped = [row for row in largest if row["metric"] in ("ridge", "pls")]
    assert all(row["layer"] == LAYERS[row["region"]] and row["scale"] == "r2/c" for row in mapped)
    assert all(0.7 < row["score"] < 1.2 for row in mapped)
    assert {row["layer"] for row in largest if row["region"] == "V1"} == {LAYERS["V1"]}
    assert score.simulated and score.benchmark == "mine"


def test_ceilings_are_those_of_the_repetitions(study):
    (step,) = [step for name, step in steps_of(study) if name.startswith("recordings")]
    recording = open_recording(step.path)
    assert recording.tests["test"].ceiling.mean() == pytest.approx(0.8, abs=0.03)  # 1 / (1 + 1 / 4)
    assert recording.ncsnr.mean() == pytest.approx(1, abs=0.06)


def test_the_law_of_mapping_images_comes_out(study):
    """r rises to the root of the ceiling, as of a linear readout of noisy averages.

    Five points tell roughly where a logistic ends (.86 to 1.1 in eight draws of the noise), and well where it is at all
    images (.85 to .91).
    """
    assert len(study.fits) == len(LAYERS)
    for name in study.fits:
        fit = json.loads(study.results.fit(name).read_text())
        assert fit["status"] == "fitted" and fit["simulated"] and fit["n"] == len(SAMPLES)
        assert fit["params"]["L"] == pytest.approx(0.8**0.5, abs=0.3)
        assert fit["curve"]["fit"][-1] == pytest.approx(0.87, abs=0.06)


def test_python_reads_what_the_study_made(opened):
    runs, (run,) = opened.runs(), Targets(load_study("own.yaml")).study.runs
    assert runs["run"].tolist() == [run] and runs["state"].tolist() == ["done"]
    stored, found = open_store(opened.activations(run).attrs["store"]), opened.activations(run)
    assert list(found.children) == stored.layers
    np.testing.assert_array_equal(found["layer1.0"]["activations"], stored.read("layer1.0"))
    assert len(opened.fits()) == len(LAYERS) and opened.fits()["mapping.V1"].record.simulated


def test_python_finds_the_activations_of_the_study_and_makes_none(opened):
    run, stimuli = opened.runs()["run"][0], next(Path("store/stimuli").iterdir())
    before = sorted(Path("store").rglob("*"))
    found = ns.extract(Path("store/runs") / run, stimuli, reduction={"kind": "grid", "size": 2})
    assert found.attrs["store"] == opened.activations(run).attrs["store"]
    assert sorted(Path("store").rglob("*")) == before


@pytest.mark.parametrize("metric", METRICS)
def test_scores_from_python_are_those_of_an_encoding(opened, tmp_path, metric):
    """Of one draw of the mapping images, of the recordings that the study prepared."""
    activations = opened.activations(opened.runs()["run"][0])
    (step,) = [step for name, step in steps_of(load_study("own.yaml")) if name.startswith("recordings")]
    entry = ArraysEncoding.model_validate({**ENTRY, "data": {"local": "own"}, "metrics": [metric]})
    header, settings = ScoreHeader("net", "own", True, "mine", (metric,)), EncodingSettings.of(entry, "corrected")
    score_subject(activations.attrs["store"], open_recording(step.path), tmp_path / "net.json", header, settings)
    expected = [row for row in json.loads((tmp_path / "net.json").read_text())["rows"] if row["test_set"] == "test"]
    coordinates = {"stimulus": [row["stimulus_id"] for row in STIMULI]}
    dimensions = ("stimulus", "neuroid", "repetition")
    responses = xr.DataArray(np.load("own/responses.npy"), coordinates, dimensions)
    shown = [row["stimulus_id"] for row in STIMULI if row["split"] != "other"]
    test = [row["stimulus_id"] for row in STIMULI if row["split"] == "test"]
    regions = [unit["region"] for unit in UNITS]
    found = ns.score(activations, responses.sel(stimulus=shown), metric, test=test, regions=regions).regions
    assert found["layer"].tolist() == [row["layer"] for row in expected]
    for ours, theirs in (("score", "score"), ("error", "error"), ("r", "raw"), ("ceiling", "ceiling")):
        np.testing.assert_allclose(found[ours], np.array([row[theirs] for row in expected], float), rtol=1e-5)


def test_laws_from_python_are_those_of_the_study(opened):
    asked = {"benchmark": "mine", "metric": "ridge", "test_set": "test"}
    found = ns.fit(
        "results/own/scores.parquet", "n_mapping", "raw", by="region", form="logistic", filters=asked,
        group_by=["run", "subject", "n_mapping"], bootstraps=20,
    )  # fmt: skip
    for region in LAYERS:
        theirs = opened.fits()[f"mapping.{region}"]
        assert found[region].params == theirs.params and found[region].intervals == theirs.intervals


def test_the_notebook_reads_a_finished_study(study, monkeypatch):
    monkeypatch.setenv("NEUROSCALING_FOLDER", str(Path.cwd()))
    monkeypatch.setenv("NEUROSCALING_STUDY", "own.yaml")
    said = run_notebook("reading_a_study")
    assert "Study own" in said and "SIMULATED data" in said and "2 laws by fit" in said and "'layer4.0'" in said
