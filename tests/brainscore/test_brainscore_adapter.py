"""Scoring stored activations with Brain-Score's own benchmarks, in its own environment, on simulated data."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from neuroscaling.activations.zarr_writing import write_store
from neuroscaling.brainscore.job_files import RunsJob, ScoreOutput, ScoringJob, write_job
from neuroscaling.core.errors import DataError, StudyError
from neuroscaling.core.hashing import ArtefactName, file_sha256
from neuroscaling.core.score_files import checked_file, read_score
from neuroscaling.simulate.brain import simulate_brain
from neuroscaling.study import benchmarks
from neuroscaling.study.benchmarks import find_files
from neuroscaling.study.recording_jobs import BrainJob
from neuroscaling.study.sections.simulated_brains import BrainSettings

REPOSITORY = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("NEUROSCALING_BRAINSCORE_PYTHON") or REPOSITORY / ".venv/brainscore/bin/python")
needs_brainscore = pytest.mark.skipif(
    not PYTHON.exists(), reason=f"no brainscore environment: {PYTHON} (`make env`, or NEUROSCALING_BRAINSCORE_PYTHON)"
)
TRUTHS = {
    "V1": "FreemanZiemba2013.public-V1",
    "V2": "FreemanZiemba2013.public-V2",
    "V4": "MajajHong2015.public-V4",
    "IT": "MajajHong2015.public-IT",
    "behavior": "Rajalingham2018.public",
}
LAYERS = {region: f"{region}.0" for region in benchmarks.BRAINSCORE_REGIONS}
OFFICIAL = {
    "13d28ca0ce88ee550b54db3004374ae19096e9b9": "assy_dicarlo_MajajHong2015_public.nc",
    "5ca7a3da00d8e9c694a9cd725df5ba0ad6d735af": "stimulus_hvm-public.csv",
    "8aa44e038d7b551efa8077467622f9d48d72e473": "stimulus_hvm-public.zip",
}
V1, IT, BEHAVIOR = "FreemanZiemba2013public.V1-pls", "MajajHong2015public.IT-pls", "Rajalingham2018public-i2n"
PUBLIC = (V1, "FreemanZiemba2013public.V2-pls", "MajajHong2015public.V4-pls", IT, BEHAVIOR)

DRIVER = """
import json, sys, tempfile
from dataclasses import asdict
from pathlib import Path
from neuroscaling.brainscore import environment
from neuroscaling.study import benchmarks
environment.prepare_environment(Path(tempfile.mkdtemp()))
from neuroscaling.activations.zarr_reading import open_store
from neuroscaling.brainscore.benchmark_objects import benchmark_object
from neuroscaling.brainscore.local_files import register_benchmark
from neuroscaling.brainscore.score_file import write_score
from neuroscaling.brainscore.scoring import Job
from neuroscaling.brainscore.scoring import score_benchmark
from neuroscaling.core.errors import NeuroscalingError

results, registered, ceilings = {}, {}, Path(tempfile.mkdtemp())
for name, case in json.loads(Path(sys.argv[1]).read_text()).items():
    try:
        benchmark = benchmarks.registered_benchmark(case["benchmark"])
        if registered.get(case["benchmark"]) != case["data"]:
            register_benchmark(case["data"], benchmark)
            registered[case["benchmark"]] = case["data"]
        store = open_store(case["activations"])
        settings = {key: case[key] for key in ("protocol", "engine")}
        job = Job("toy", "toy", True, case["data"], store, case["layers"], "behavior.0", ceilings=ceilings, **settings)
        content, targets = score_benchmark(benchmark, benchmark_object, job)
        results[name] = asdict(content) | {"targets": targets}
        if name == "parity":
            write_score(Path(sys.argv[2]).with_name("parity.json"), content, targets, {}, {})
    except NeuroscalingError as error:
        results[name] = {"error": str(error)}
Path(sys.argv[2]).write_text(json.dumps(results))
"""


def _run(*arguments: object) -> subprocess.CompletedProcess:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1"}
    command = [str(PYTHON), *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=environment)


@pytest.fixture(scope="module")
def brain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("simulated") / "brain"
    few = BrainSettings(
        stimuli=120,
        neuroids_per_region=8,
        repetitions=4,
        algonauts_train=20,
        algonauts_test=10,
        vertices=30,
        algonauts_subjects=1,
    )
    simulate_brain(BrainJob(folder, few))
    return folder


def _features(brain: Path) -> tuple[list[str], dict[str, np.ndarray]]:
    """The features that generated each region's responses, for all stimuli (0 where a region's set lacks one)."""
    truths = {region: np.load(brain / "truth" / f"{name}.npz") for region, name in TRUTHS.items()}
    stimuli = sorted({s for truth in truths.values() for s in truth["stimulus_ids"].tolist()})
    layers = {}
    for region, truth in truths.items():
        own = truth["features"] if region == "behavior" else truth["clean"]
        # Partial least squares with 25 components needs as many features: the same ones again do no harm.
        own = np.hstack([own * scale for scale in (1, 1.1, 0.9, 1.2)])
        rows = [stimuli.index(s) for s in truth["stimulus_ids"].tolist()]
        layers[f"{region}.0"] = np.zeros((len(stimuli), own.shape[1]), np.float32)
        layers[f"{region}.0"][rows] = own + 1e-3 * np.random.default_rng(0).standard_normal(own.shape)
    return stimuli, layers


def _store(path: Path, stimuli: list[str], layers: dict[str, np.ndarray]) -> Path:
    write_store(path, stimuli, [layers], reduction={"kind": "none"})
    return path


@pytest.fixture(scope="module")
def stores(brain: Path) -> dict[str, Path]:
    """Stores of the truth, of the truth in another order, of noise, with too few features and without some stimuli."""
    stimuli, layers = _features(brain)
    rng = np.random.default_rng(1)
    order = rng.permutation(len(stimuli))
    folder = brain.parent / "activations"
    noise = {layer: rng.standard_normal((len(stimuli), 40)).astype(np.float32) for layer in layers}
    narrow = {layer: values[:, :8] for layer, values in layers.items()}
    some = [row for row, stimulus in enumerate(stimuli) if not stimulus.startswith("texture")]
    return {
        "truth": _store(folder / "truth.json", stimuli, layers),
        "shuffled": _store(
            folder / "shuffled.json", [stimuli[i] for i in order], {k: v[order] for k, v in layers.items()}
        ),
        "noise": _store(folder / "noise.json", stimuli, noise),
        "narrow": _store(folder / "narrow.json", stimuli, narrow),
        "partial": _store(folder / "partial.json", [stimuli[i] for i in some], {k: v[some] for k, v in layers.items()}),
    }


def _altered(brain: Path, name: str) -> Path:
    folder = brain.parent / name
    shutil.copytree(brain / "brainscore", folder)
    return folder


def _with_nan(brain: Path) -> Path:
    import xarray as xr

    folder = _altered(brain, "with-nan")
    path = folder / "assy_dicarlo_MajajHong2015_public.nc"
    assembly = xr.load_dataarray(path)
    assembly[3, 9] = np.nan
    path.unlink()
    assembly.to_netcdf(path)
    return folder


def _without_responses(brain: Path) -> Path:
    import xarray as xr

    folder = _altered(brain, "without-responses")
    path = folder / "assy_dicarlo_MajajHong2015_public.nc"
    assembly = xr.load_dataarray(path)
    silent = assembly.stimulus_id.values[0]
    kept = assembly[assembly.stimulus_id.values != silent]
    path.unlink()
    kept.to_netcdf(path)
    return folder


@pytest.fixture(scope="module")
def results(brain: Path, stores: dict[str, Path]) -> dict[str, dict]:
    """All cases in one process: starting Brain-Score takes longer than a score."""
    data = brain / "brainscore"

    def case(benchmark: str, store: str, **other: object) -> dict:
        defaults = {"data": str(data), "layers": LAYERS, "protocol": "corrected", "engine": "kernel"}
        return defaults | {"benchmark": benchmark, "activations": str(stores[store])} | other

    cases = {f"truth {name}": case(name, "truth") for name in PUBLIC}
    cases |= {f"noise {name}": case(name, "noise") for name in (V1, IT, BEHAVIOR)}
    cases |= {
        f"shuffled {IT}": case(IT, "shuffled"),
        f"shuffled {BEHAVIOR}": case(BEHAVIOR, "shuffled"),
        "parity": case(IT, "truth", protocol="parity"),
        "protocol": case(IT, "truth", protocol="paritty"),
        "engine": case(IT, "truth", engine="kernal"),
        "few features": case(IT, "narrow"),
        "partial": case(V1, "partial"),
        "layer": case(IT, "truth", layers=LAYERS | {"IT": "IT.1"}),
        "region": case(IT, "truth", layers={"V1": "V1.0"}),
        "benchmark": case("MajajHong2015public.IT-plss", "truth"),
        "nan": case(IT, "truth", data=str(_with_nan(brain))),
        "silent": case(IT, "truth", data=str(_without_responses(brain))),
    }
    folder = brain.parent
    (folder / "cases.json").write_text(json.dumps(cases))
    finished = _run("-c", DRIVER, folder / "cases.json", folder / "results.json")
    assert finished.returncode == 0, finished.stderr
    return json.loads((folder / "results.json").read_text())


@needs_brainscore
@pytest.mark.parametrize("benchmark", PUBLIC)
def test_what_generated_the_responses_reaches_the_ceiling(results: dict, benchmark: str):
    row = results[f"truth {benchmark}"]["rows"][0]
    assert 0.8 < row["score"] < 1.25
    assert row["region"] == benchmarks.BENCHMARKS[benchmark].region


@needs_brainscore
@pytest.mark.parametrize("benchmark", [V1, IT, BEHAVIOR])
def test_noise_scores_near_zero(results: dict, benchmark: str):
    assert abs(results[f"noise {benchmark}"]["rows"][0]["raw"]) < 0.15


@needs_brainscore
@pytest.mark.parametrize("benchmark", [IT, BEHAVIOR])
def test_the_order_of_the_stored_stimuli_does_not_matter(results: dict, benchmark: str):
    assert results[f"shuffled {benchmark}"]["rows"] == results[f"truth {benchmark}"]["rows"]


@needs_brainscore
def test_a_score_says_what_it_is(results: dict):
    score = results[f"truth {IT}"]
    row = score["rows"][0]
    assert (score["simulated"], score["metric"], score["engine"]) == (True, "pls", "kernel")
    assert (row["n_targets"], row["n_mapping"], row["layer"]) == (8, 108, "IT.0")
    assert row["score"] == pytest.approx(row["raw"] ** 2 / row["ceiling"], rel=1e-12)
    assert score["versions"] == {"brainscore_vision": benchmarks.BRAINSCORE_VERSION, "benchmark": 4}
    assert score["provenance"]["versions"]["brainscore_vision"] == benchmarks.BRAINSCORE_VERSION
    behavior = results[f"truth {BEHAVIOR}"]
    assert behavior["rows"][0]["scale"] == "r/sqrt(c)" and behavior["rows"][0]["n_targets"] is None


@needs_brainscore
def test_splits_and_neuroids_add_up_to_the_score(results: dict):
    score = results[f"truth {IT}"]
    row, targets = score["rows"][0], score["targets"]
    splits = [split["raw"] for split in score["splits"]]
    assert row["raw"] == pytest.approx(np.mean(splits)) and len(splits) == 10
    assert row["error"] == pytest.approx(np.std(splits) / np.sqrt(10))
    for split, raw in enumerate(splits):
        assert raw == pytest.approx(np.median([t["raw"] for t in targets if t["split"] == split]))
    ceilings = {target["target"]: target["ceiling"] for target in targets}
    assert len(ceilings) == 8 and all(0 < ceiling <= 1 for ceiling in ceilings.values())
    behavior = results[f"truth {BEHAVIOR}"]
    assert behavior["targets"] == [] and len(behavior["splits"]) == 2


@needs_brainscore
def test_neuroids_are_written_beside_the_score(results: dict, brain: Path):
    table = pyarrow.parquet.read_table(brain.parent / "parity.targets.parquet")
    assert table.column_names == ["target", "subject", "region", "n_mapping", "split", "raw", "ceiling"]
    assert table.to_pylist() == results["parity"]["targets"]
    assert "targets" not in json.loads((brain.parent / "parity.json").read_text())


@needs_brainscore
def test_parity_is_on_the_published_scale(results: dict):
    old, new = results["parity"], results[f"truth {IT}"]
    assert (old["rows"][0]["scale"], new["rows"][0]["scale"]) == ("(r/c)2", "r2/c")
    assert old["rows"][0]["score"] * new["rows"][0]["ceiling"] == pytest.approx(new["rows"][0]["score"], rel=1e-12)


@needs_brainscore
@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("protocol", ["paritty", "corrected, parity"]),
        ("engine", ["kernal", "nearest:  kernel"]),
        ("few features", ["too few features", "IT.0", "at least 25"]),
        ("partial", ["60 of 120 stimuli have no activations", "texture-digit-"]),
        ("layer", ["no such layer", "IT.1", "nearest:  IT.0"]),
        ("region", ["no layer for this region", "IT", "V1"]),
        ("benchmark", ["unknown benchmark", f"nearest:  {IT}"]),
        ("nan", ["responses are NaN", "nan of neuroid IT-0009", "assy_dicarlo_MajajHong2015_public.nc"]),
        ("silent", ["1 stimuli have no recorded response", "hvm-digit-"]),
    ],
)
def test_bad_input_is_named(results: dict, case: str, words: list[str]):
    assert all(word in results[case]["error"] for word in words), results[case]


@pytest.fixture()
def scoring(brain: Path, stores: dict[str, Path], tmp_path: Path) -> ScoringJob:
    return ScoringJob(
        outputs=[],
        data=brain / "brainscore",
        data_name="simulated-toy",
        simulated=True,
        layers=LAYERS,
        readout="behavior.0",
        ceilings=tmp_path / "ceilings",
    )


def _score(job: ScoringJob, folder: Path, *outputs: ScoreOutput, **options: object) -> subprocess.CompletedProcess:
    """Run the command of the `brainscore` rule; its log is `folder`/log."""
    path = write_job(folder / "job.json", RunsJob([], [replace(job, outputs=list(outputs), **options)]))
    return _run(REPOSITORY / "workflow" / "scripts" / "score_brainscore.py", path, folder / "log")


def _output(activations: Path, folder: Path, benchmark: str, **settings: object) -> ScoreOutput:
    """The score of a run called `toy-00000000`."""
    definition = {"benchmark": benchmark, **settings}
    path = folder / str(ArtefactName(benchmark, definition)) / "toy-00000000.json"
    return ScoreOutput(path, "toy-00000000", benchmark, activations, definition)


@needs_brainscore
def test_the_command_makes_what_is_absent_and_seals_it_and_keeps_ceilings(
    scoring: ScoringJob, stores: dict[str, Path], tmp_path: Path, results: dict
):
    out, other = (_output(stores["truth"], tmp_path / "first", benchmark) for benchmark in (IT, V1))
    first = _score(scoring, tmp_path, out)
    assert first.returncode == 0, first.stderr
    content = read_score(out.path)
    assert content.rows == results[f"truth {IT}"]["rows"] and content.definition == out.definition
    recordings = find_files(scoring.data, benchmarks.DATA_SETS["MajajHong2015.public"])
    expected = {f"simulated-toy/{path.name}": path for path in (recordings.assembly, recordings.csv)}
    assert expected.keys() < content.made_from.keys()
    assert all(content.made_from[name] == f"sha256:{file_sha256(path)}" for name, path in expected.items())
    targets = checked_file(out.path, content.files, "targets.parquet")
    written = [path.stat().st_mtime_ns for path in (out.path, targets)]
    second = _score(scoring, tmp_path, out, other)
    assert second.returncode == 0 and read_score(other.path).benchmark == V1
    assert [path.stat().st_mtime_ns for path in (out.path, targets)] == written
    shuffled = _output(stores["shuffled"], tmp_path / "second", IT)
    third = _score(scoring, tmp_path, shuffled)
    # Scored from the ceiling that the first process kept, to the last digit.
    assert third.returncode == 0 and read_score(shuffled.path).rows == results[f"truth {IT}"]["rows"]
    assert len(list((tmp_path / "ceilings").glob("*.json"))) == len(list((tmp_path / "ceilings").glob("*.npz"))) == 2
    targets.write_bytes(targets.read_bytes()[:-1])
    with pytest.raises(DataError, match="the file was altered") as error:
        checked_file(out.path, content.files, "targets.parquet")
    assert content.files["targets.parquet"] in str(error.value) and file_sha256(targets) in str(error.value)


@needs_brainscore
def test_the_command_fails_with_one_message_and_writes_nothing(
    scoring: ScoringJob, stores: dict[str, Path], tmp_path: Path
):
    out = _output(stores["truth"], tmp_path / "scores", IT)
    failed = _score(scoring, tmp_path, out, layers={"IT": "layer4"})
    assert failed.returncode == 1
    assert "no such layer" in failed.stderr and "Traceback" not in failed.stderr
    assert "no such layer" in (tmp_path / "log").read_text()
    assert not list((tmp_path / "scores").rglob("[!.]*.json")), "the record of the try stays, hidden"


@needs_brainscore
def test_an_official_file_of_other_content_is_named(
    brain: Path, scoring: ScoringJob, stores: dict[str, Path], tmp_path: Path
):
    """Brain-Score looks for a file in the folder of its sha1 and compares it; a wrong one is not downloaded over."""
    official = tmp_path / "official"
    for sha1, name in OFFICIAL.items():
        (official / sha1).mkdir(parents=True)
        if name.endswith(".zip"):
            shutil.make_archive(
                str(official / sha1 / name.removesuffix(".zip")), "zip", brain / "brainscore" / name[:-4]
            )
        else:
            shutil.copy(brain / "brainscore" / name, official / sha1)
    failed = _score(replace(scoring, data=official), tmp_path, _output(stores["truth"], tmp_path, IT))
    assert failed.returncode == 1
    assert "SHA1 mismatch" in failed.stderr and "assy_dicarlo_MajajHong2015_public.nc" in failed.stderr
    assert sorted(path.name for path in official.rglob("*") if path.is_file()) == sorted(OFFICIAL.values())


def test_missing_recordings_are_all_named(tmp_path: Path):
    with pytest.raises(DataError) as error:
        find_files(tmp_path, benchmarks.DATA_SETS["MajajHong2015.public"])
    names = ["assy_dicarlo_MajajHong2015_public.nc", "stimulus_hvm-public.csv", "stimulus_hvm-public"]
    assert [problem.value for problem in error.value.problems] == names


def test_the_table_of_benchmarks_knows_the_nearest():
    with pytest.raises(StudyError, match=r"nearest:  FreemanZiemba2013public\.V1-pls"):
        benchmarks.registered_benchmark("FreemanZiemba2013public.V1-plss")
    assert {entry.region for entry in benchmarks.BENCHMARKS.values()} == {*benchmarks.BRAINSCORE_REGIONS, "behavior"}
