"""Layers chosen on simulated recordings by the command of the `layers` rule, and scores that take them."""

import os
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuroscaling.activations.zarr_writing import write_store
from neuroscaling.brainscore.job_files import (
    ChoiceJob,
    ChoiceOutput,
    ChosenSet,
    RunsJob,
    ScoreOutput,
    ScoringJob,
    WayOfChoice,
    write_job,
)
from neuroscaling.core.commitments import Commitment, read_commitment
from neuroscaling.core.hangs import STATUS, Patience
from neuroscaling.core.hashing import ArtefactName
from neuroscaling.core.leases import lock_of
from neuroscaling.core.progress import progress_beside, read_progress
from neuroscaling.core.score_files import read_score
from neuroscaling.simulate.brain import simulate_brain
from neuroscaling.study.recording_jobs import BrainJob
from neuroscaling.study.sections.simulated_brains import BrainSettings

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
    few = BrainSettings(
        stimuli=100,
        neuroids_per_region=5,
        repetitions=2,
        algonauts_train=20,
        algonauts_test=10,
        vertices=30,
        algonauts_subjects=1,
    )
    simulate_brain(BrainJob(folder / "brain", few))
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


def run(
    script: str, job: ChoiceJob | ScoringJob | RunsJob, folder: Path, check: bool = True
) -> subprocess.CompletedProcess:
    job = RunsJob([], [job]) if isinstance(job, ScoringJob) else job
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1"}
    files = [write_job(folder / "job.json", job), folder / "log"]
    command = [PYTHON, REPOSITORY / "workflow/scripts" / script, *files]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, env=environment)
    assert not check or done.returncode == 0, done.stderr
    return done


def outputs(folder: Path, key: str, benchmarks: tuple[str, ...] = (V1, IT)) -> list[ChoiceOutput]:
    manifest = folder / "activations" / RUN / f"{SET}.json"
    definitions = {benchmark: {"benchmark": benchmark, "choice": key} for benchmark in benchmarks}
    return [
        ChoiceOutput(
            folder / "commitments" / str(ArtefactName(benchmark, own)) / f"{RUN}.json",
            RUN,
            benchmark,
            SET,
            manifest,
            own,
        )
        for benchmark, own in definitions.items()
    ]


def choice_job(
    folder: Path, outputs: list[ChoiceOutput], benchmarks: tuple[str, ...] = (V1, IT), **choice: object
) -> ChoiceJob:
    sets = [ChosenSet(SET, folder / "brain/brainscore", DATA, list(benchmarks))]
    asked = replace(WayOfChoice("nested", hierarchy=False, inner_splits=2), **choice)
    return ChoiceJob(outputs, sets, asked, ceilings=folder / "ceilings")


def choose(folder: Path, key: str, **choice: object) -> list[Commitment]:
    """The records of V1 and IT."""
    run("choose_layers.py", choice_job(folder, outputs(folder, key), **choice), folder)
    return [read_commitment(out.path) for out in outputs(folder, key)]


def scoring_job(folder: Path, name: str, choice: str, **options: object) -> ScoringJob:
    manifest, definition = folder / "activations" / RUN / f"{SET}.json", {"name": name}
    path = folder / "scores" / str(ArtefactName(IT, definition)) / f"{RUN}.json"
    (chosen,) = outputs(folder, choice, (IT,))
    output = ScoreOutput(path, RUN, IT, manifest, definition, chosen.path)
    return ScoringJob([output], folder / "brain/brainscore", DATA, ceilings=folder / "ceilings", **options)


@pytest.fixture(scope="module")
def nested(folder: Path) -> dict[str, Commitment]:
    return dict(zip((V1, IT), choose(folder, "nested"), strict=True))


def test_a_choice_that_makes_no_step_for_too_long_ends_to_be_tried_again(folder: Path):
    """In the environment of Brain-Score, whose reading of a benchmark takes longer than this patience."""
    asked = outputs(folder, "nested", (IT,))
    job = replace(choice_job(folder, asked, (IT,)), patience=Patience(0.001, 0.001))
    done = run("choose_layers.py", job, folder, check=False)
    assert done.returncode == STATUS, done.stderr
    assert f"choice of layers of {RUN} for {IT}: no step for too long: it hangs" in done.stderr
    assert "in choose_layers" in done.stderr  # the tracebacks
    assert not lock_of(asked[0].path).exists() and not asked[0].path.exists()
    record = progress_beside(asked[0].path)
    found = read_progress(record)
    assert found is not None and (found.unit, found.total) == ("choices", 1) and "it hangs" in str(found.problem)


def test_each_split_finds_the_layer_that_carries_its_region(nested: dict[str, Commitment]):
    for benchmark, layer in ((V1, "V1.signal"), (IT, "IT.signal")):
        content = nested[benchmark]
        assert content.layers == [layer] * 10 and content.layer == layer
        assert content.candidates == ["IT.signal", "noise", "V1.signal"]
        assert np.shape(content.scores) == (10, 3) and np.isfinite(content.scores).all()
        assert content.near_ties.get(layer) is None and content.way == "nested"


def test_a_choice_that_is_there_is_kept_and_says_what_it_was_made_from(folder: Path, nested: dict[str, Commitment]):
    files = [out.path for out in outputs(folder, "nested")]
    written = [path.stat().st_mtime_ns for path in files]
    choose(folder, "nested", way="reported")
    assert [path.stat().st_mtime_ns for path in files] == written
    made_from = nested[IT].made_from
    assert f"activations/{RUN}/{SET}.json" in made_from and f"{DATA}/stimulus_hvm-public.csv" in made_from


def test_layers_are_chosen_inside_few_mapping_images_too(folder: Path, nested: dict[str, Commitment]):
    """And scoring takes those of each number; those of all images are what they are without other numbers."""
    samples = {"samples": [30, 60, "all"]}
    asked = [replace(out, definition=out.definition | samples) for out in outputs(folder, "few")]
    named = [
        replace(out, path=folder / "few" / str(ArtefactName(out.benchmark, out.definition)) / out.path.name)
        for out in asked
    ]
    run("choose_layers.py", choice_job(folder, named), folder)
    for out, layer in zip(named, ("V1.signal", "IT.signal"), strict=True):
        found = read_commitment(out.path)
        assert [few.n_mapping for few in found.few] == [30, 60]
        assert all(len(few.layers) == 10 and np.shape(few.scores) == (10, 3) for few in found.few)
        assert found.few[1].layer == layer and found.few[0].scores != found.few[1].scores
        assert (found.layers, found.scores) == (nested[out.benchmark].layers, nested[out.benchmark].scores)
    job = scoring_job(folder, "few", "few")
    (output,) = job.outputs
    definition = output.definition | samples
    path = folder / "scores" / str(ArtefactName(IT, definition)) / output.path.name
    run("score_brainscore.py", replace(job, outputs=[replace(output, path=path, definition=definition,
                                                             commitment=named[1].path)]), folder)  # fmt: skip
    score = read_score(path)
    assert [row["n_mapping"] for row in score.rows] == [30, 60, 90]
    chosen = [few.layers for few in read_commitment(named[1].path).few]
    assert [row.get("layers", [row["layer"]] * 10) for row in score.rows] == [*chosen, nested[IT].layers]
    assert [row["n_components"] for row in score.rows] == [10, 20, 25]


def test_a_hierarchy_keeps_it_from_standing_before_v1(folder: Path):
    v1, it = (found.layers for found in choose(folder, "ordered", hierarchy=True))
    order = ["IT.signal", "noise", "V1.signal"]
    assert all(order.index(a) <= order.index(b) for a, b in zip(v1, it, strict=True))


def test_parity_takes_the_layer_with_the_best_reported_score(folder: Path):
    """One process chooses and scores; recordings that can't be read keep it from no other work."""
    job = scoring_job(folder, "scores", "reported")
    lost = replace(scoring_job(folder, "lost", "reported"), data=folder / "nowhere", data_name="lost")
    choice = choice_job(folder, outputs(folder, "reported"), way="reported")
    failed = run("score_brainscore.py", RunsJob([choice], [lost, job]), folder, check=False)
    assert failed.returncode == 1 and "lost: " in failed.stderr and str(folder / "nowhere") in failed.stderr
    assert not lost.outputs[0].path.exists()
    v1, it = (read_commitment(out.path) for out in outputs(folder, "reported"))
    assert (v1.layers, it.layers) == (["V1.signal"], ["IT.signal"])
    score = read_score(job.outputs[0].path)
    assert score.rows[0]["layer"] == "IT.signal"
    assert it.checksum in score.made_from.values()
    # One a benchmark, for the choice and the score.
    assert len(list((folder / "ceilings").glob("*.json"))) == 2
    assert max(it.scores[0]) == pytest.approx(score.rows[0]["raw"], rel=1e-12)


@pytest.mark.parametrize(
    ("benchmarks", "hierarchy", "named"), [((V1,), False, IT), ((V1, IT), True, V1)], ids=["stranger", "missing"]
)
def test_outputs_that_do_not_fit_what_is_asked_are_named(folder: Path, benchmarks: tuple, hierarchy: bool, named: str):
    job = choice_job(folder, outputs(folder, "x", (IT,)), benchmarks, hierarchy=hierarchy)
    failed = run("choose_layers.py", job, folder, check=False)
    assert failed.returncode == 1 and f"outputs of {RUN}" in failed.stderr and named in failed.stderr


def test_a_missing_choice_is_named(folder: Path):
    job = scoring_job(folder, "absent", "absent")
    failed = run("score_brainscore.py", job, folder, check=False)
    assert failed.returncode == 1 and "file is missing" in failed.stderr
    assert str(job.outputs[0].commitment) in failed.stderr
