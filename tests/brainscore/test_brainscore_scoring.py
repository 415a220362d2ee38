"""Ceilings that are kept, committed layers, score files and audits, in one process of Brain-Score's environment."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuroscaling.activations.zarr_writing import write_store
from neuroscaling.brainscore.audit import largest_difference
from neuroscaling.brainscore.own_benchmarks import check_definitions
from neuroscaling.brainscore.score_file import main_layer
from neuroscaling.brainscore.scoring_job import data_hash
from neuroscaling.core.commitments import Commitment, LayerChoice, read_commitment, write_commitment
from neuroscaling.core.errors import DataError
from neuroscaling.core.hashing import ArtefactName
from neuroscaling.core.records import sealed
from neuroscaling.core.score_files import file_beside
from tests.support import brainscore_data

REPOSITORY = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("NEUROSCALING_BRAINSCORE_PYTHON") or REPOSITORY / ".venv/brainscore/bin/python")
needs_brainscore = pytest.mark.skipif(
    not PYTHON.exists(), reason=f"no brainscore environment: {PYTHON} (`make env`, or NEUROSCALING_BRAINSCORE_PYTHON)"
)
IT, RDM = "MajajHong2015public.IT-pls", "Allen2022_fmri.IT-rdm"
RIDGE, BEHAVIOR = "Allen2022_fmri.IT-ridge", "Rajalingham2018public-i2n"
EACH_SPLIT = ["wide", "narrow"] * 5

DRIVER = """
import json, os, sys, threading
from dataclasses import asdict
from pathlib import Path
from neuroscaling.brainscore import environment
from neuroscaling.study import benchmarks
root = Path(sys.argv[1])
environment.prepare_environment(root / "scratch")
import numpy as np
from neuroscaling.activations.zarr_reading import open_store
from neuroscaling.brainscore.audit import audit
from neuroscaling.brainscore.ceilings import keep_ceilings
from neuroscaling.brainscore.ceilings import read_ceiling
from neuroscaling.brainscore.benchmark_objects import benchmark_object
from neuroscaling.brainscore.local_files import register_benchmark
from neuroscaling.brainscore.own_benchmarks import check_definitions
from neuroscaling.brainscore.scoring import Job
from neuroscaling.brainscore.scoring import ceiling_definition
from neuroscaling.brainscore.scoring import score_benchmark
from neuroscaling.core.errors import DataError
from neuroscaling.core.errors import NeuroscalingError

results, store = {}, open_store(root / "set.json")

def scored(name, load=benchmark_object, definitions=None, **settings):
    job = Job("toy", "toy", True, "x", store, {"IT": "wide"}, "narrow", **settings)
    benchmark = (definitions or {}).get(name)
    benchmark = benchmark.benchmark if benchmark else benchmarks.registered_benchmark(name)
    content, _ = score_benchmark(benchmark, load, job)
    json.dumps(asdict(content), allow_nan=False)
    return {key: getattr(content, key) for key in ("rows", "subjects")}

def refused(path):
    try:
        return f"read: {read_ceiling(path)}"
    except DataError as error:
        return str(error)

for name in sys.argv[2:]:
    register_benchmark(root / "data", benchmarks.registered_benchmark(name))
    first = benchmark_object(name)
    definition = ceiling_definition(benchmarks.registered_benchmark(name), "x", "")
    keep_ceilings(first, root / "ceilings", definition)
    computed = first.ceiling
    (path,) = (root / "ceilings").glob(f"{first.identifier}-*.json")
    arrays = path.with_name(f"{path.name.removesuffix('.json')}.npz")
    kept = read_ceiling(path)
    raw, again = computed.attrs.get("raw"), kept.attrs.get("raw")
    equal = raw is None or (raw.dims == again.dims and np.array_equal(raw.values, again.values, equal_nan=True))
    levels = {} if raw is None else {dim: list(raw.indexes[dim].names) for dim in raw.dims}
    same = levels == ({} if again is None else {dim: list(again.indexes[dim].names) for dim in again.dims})
    results[name] = {"equal": bool(equal), "levels": same, "value": float(kept) == float(computed)}
    results[name]["lower"] = kept.attrs.get("lower_bound_loo") == computed.attrs.get("lower_bound_loo")
    before = arrays.read_bytes()
    results[name]["kept"] = scored(name, ceilings=root / "ceilings")
    results[name]["untouched"] = arrays.read_bytes() == before
    results[name]["parity"] = scored(name, protocol="parity")
    record = path.read_bytes()
    damaged = {
        path: [record.replace(*pair) for pair in ((b"numpy", b"numpi"), (b"ng/1", b"ng/0"), (b'"x"', b'"y"'))],
        arrays: [before[: len(before) // 2], before[:-30] + bytes([before[-30] ^ 1]) + before[-29:], b""],
    }
    results[name]["damaged"] = []
    for file, contents in damaged.items():
        whole = file.read_bytes()
        for content in contents:
            file.write_bytes(content)
            results[name]["damaged"].append(refused(path))
        file.write_bytes(whole)
    other = path.with_name(path.name.replace(path.stem[-8:], "00000000"))
    other.write_bytes(record)
    results[name]["damaged"].append(refused(other))
    other.unlink()
    path.unlink()
    others = [benchmark_object(name), benchmark_object(name)]
    for other in others:
        keep_ceilings(other, root / "ceilings", definition)
    threads = [threading.Thread(target=lambda other=other: other.ceiling) for other in others]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results[name]["again"] = float(read_ceiling(path)) == float(computed) and arrays.read_bytes() == before
    results[name]["at once"] = [float(other.ceiling) == float(computed) for other in others]
def with_ceiling(change):
    def loaded(name):
        benchmark = benchmark_object(name)
        ceiling = benchmark._ceiling_func()
        change(ceiling)
        benchmark._ceiling_func = lambda: ceiling
        return benchmark
    return loaded

def moved_to(value):
    def change(ceiling):
        ceiling.attrs["raw"].values += value - float(ceiling)
        ceiling.values[...] = value
    return change

def agreement(upper, lower):
    def change(ceiling):
        ceiling.values[...] = upper
        ceiling.attrs["lower_bound_loo"] = lower
    return change

def first_half(value):
    def change(ceiling):
        ceiling.attrs["raw"].values[0] = value
        ceiling.values[...] = ceiling.attrs["raw"].values.mean()
    return change

for case, (name, change) in {
    "negative": (sys.argv[2], moved_to(-0.035)),
    "nan": (sys.argv[2], moved_to(float("nan"))),
    "tiny": (sys.argv[2], moved_to(7e-8)),
    "small": (sys.argv[2], moved_to(0.0007)),
    "subjects": (sys.argv[4], moved_to(-0.1)),
    "rdm negative": (sys.argv[3], agreement(-0.1, -0.2)),
    "rdm by chance": (sys.argv[3], agreement(0.7, 0.001)),
    "people": (sys.argv[5], first_half(-0.02)),
}.items():
    for protocol in ("corrected", "parity"):
        results[f"{case} {protocol}"] = scored(name, with_ceiling(change), protocol=protocol)
    if case == "negative":
        results[f"{case} stock"] = scored(name, with_ceiling(change), engine="stock")
files = {"assembly": "assy_dicarlo_MajajHong2015_public.nc", "stimuli": "stimulus_hvm-public.csv"}
own = {"region": "IT", "metric": "pls", "degrees": 8, "images": "stimulus_hvm-public", "time_window": [70, 170]}
defined = check_definitions({"noise": own | files, "none": own | files | {"ceiling": "none"}}, root / "noise")
for name in defined:
    for protocol in ("corrected", "parity"):
        found = scored(name, lambda name: benchmark_object(name, defined), defined, protocol=protocol)
        results[f"{name} {protocol}"] = found
inner = open_store(root / "gram.json")
for case, (name, where, layers) in {
    "audit": (sys.argv[2], store, "wide"),
    "audit surrogate": (sys.argv[2], inner, "wide"),
    "audit splits": (sys.argv[2], store, ["wide", "narrow"] * 5),
    "audit refused": (sys.argv[3], inner, "wide"),
    "no memory": (sys.argv[2], store, "wide"),
}.items():
    os.environ |= {"SLURM_MEM_PER_NODE": "100"} if case == "no memory" else {}
    try:
        entry = benchmarks.registered_benchmark(name)
        results[case] = audit(where, layers, entry, benchmark_object, root / "ceilings", "x")
    except NeuroscalingError as error:
        results[case] = str(error)
(root / "results.json").write_text(json.dumps(results))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings of three families and a store of two layers, with features and without."""
    root = tmp_path_factory.mktemp("scoring")
    rng = np.random.default_rng(0)
    one, two, three, four = (rng.standard_normal((n, 10)) for n in (80, 48, 40, 20))
    ids = brainscore_data.write_majajhong(root / "data", one)
    ids |= brainscore_data.write_rajalingham(root / "data", two)
    ids |= brainscore_data.write_allen(root / "data", three, four)
    brainscore_data.write_majajhong(root / "noise", one, noise=1e4)
    latent = np.concatenate([one, two, three, four])
    names = [stimulus for stimuli in ids.values() for stimulus in stimuli]
    layers = {"narrow": latent @ rng.standard_normal((10, 30)), "wide": latent @ rng.standard_normal((10, 120))}
    layers = {name: values + 0.3 * rng.standard_normal(values.shape) for name, values in layers.items()}
    write_store(root / "set.json", names, [layers], reduction={"kind": "none"})
    write_store(root / "gram.json", names, [layers], reduction={"kind": "none"}, keep="gram")
    return root


@pytest.fixture(scope="module")
def results(folder: Path) -> dict:
    """What the driver found."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1"}
    command = [str(PYTHON), "-c", DRIVER, str(folder), IT, RDM, RIDGE, BEHAVIOR]
    finished = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert finished.returncode == 0, finished.stderr[-3000:]
    return json.loads((folder / "results.json").read_text())


@needs_brainscore
@pytest.mark.parametrize("benchmark", [IT, RDM, RIDGE, BEHAVIOR])
def test_a_kept_ceiling_is_the_computed_one(results: dict, benchmark: str):
    found = results[benchmark]
    assert found["equal"] and found["levels"] and found["value"] and found["lower"]
    assert found["untouched"] and found["kept"]["rows"][0]["ceiling"] == found["parity"]["rows"][0]["ceiling"]


@needs_brainscore
@pytest.mark.parametrize("benchmark", [IT, RDM, RIDGE, BEHAVIOR])
def test_a_ceiling_that_is_not_there_is_computed_by_one_of_two_at_once(results: dict, benchmark: str):
    assert results[benchmark]["again"] and results[benchmark]["at once"] == [True, True]


@needs_brainscore
@pytest.mark.parametrize("benchmark", [IT, RDM, RIDGE, BEHAVIOR])
def test_a_ceiling_that_was_altered_or_stands_under_another_name_is_refused(results: dict, benchmark: str):
    found = results[benchmark]["damaged"]
    assert len(found) == 7 and all("delete the ceiling's .json and run again" in text for text in found), found
    assert sum("the file was altered" in text for text in found) == 5
    assert "another artefact" in found[-1] and "00000000" in found[-1]


@needs_brainscore
def test_the_published_scale_counts_subject_by_subject(results: dict):
    old, new = results[RIDGE]["parity"], results[RIDGE]["kept"]
    squares = [(part["raw"] / part["ceiling"]) ** 2 for part in new["subjects"]]
    assert old["rows"][0]["score"] == pytest.approx(np.mean(squares)) and old["rows"][0]["scale"] == "(r/c)2"
    for found in (old, new):
        assert found["rows"][0]["score"] == pytest.approx(np.mean([part["score"] for part in found["subjects"]]))
        assert {part["scale"] for part in found["subjects"]} == {found["rows"][0]["scale"]}
    for benchmark, scale in ((RDM, "r/c"), (BEHAVIOR, "r/sqrt(c)")):
        assert results[benchmark]["parity"] == results[benchmark]["kept"]
        assert results[benchmark]["parity"]["rows"][0]["scale"] == scale


@needs_brainscore
@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("negative corrected", "the ceiling is not above 0: -0.035"),
        ("negative parity", "the ceiling is not above 0: -0.035"),
        ("negative stock", "the ceiling is not above 0: -0.035"),
        ("nan corrected", "the ceiling is not finite: nan"),
        ("nan parity", "the ceiling is not finite: nan"),
        ("tiny corrected", "the ceiling is as small as rounding: 7e-08"),
        ("tiny parity", "the ceiling is as small as rounding: 7e-08"),
        ("small corrected", "the ceiling is not significantly above 0: 0.0007"),
        ("small parity", "the ceiling is not significantly above 0: 0.0007"),
        ("subjects corrected", "the ceiling is not above 0: -"),
        ("subjects parity", "the ceiling is not above 0: -"),
        ("rdm negative corrected", "the ceiling is not above 0: -0.1"),
        ("rdm by chance corrected", "the agreement of each subject with the mean of the others is not significantly"),
        ("people corrected", "the agreement of two halves of the people is not above 0: -0.02"),
        ("noise corrected", "the ceiling is not "),
        ("noise parity", "the ceiling is not "),
    ],
)
def test_a_ceiling_that_cannot_divide_gives_no_score_but_a_reason(results: dict, case: str, reason: str):
    (row,) = results[case]["rows"]
    assert row["score"] is None and row["reason"].startswith(reason)
    assert row["raw"] is not None and (row["ceiling"] is None) == case.startswith("nan")
    for part in results[case]["subjects"]:
        assert (part["score"] is None) == (part["reason"] is not None)
    if "subjects" in case:
        assert row["reason"].endswith("of 2)") and "subj" in row["reason"]


@needs_brainscore
def test_a_score_without_a_ceiling_says_so_in_its_scale(results: dict):
    for protocol in ("corrected", "parity"):
        (row,) = results[f"none {protocol}"]["rows"]
        assert (row["scale"], row["reason"], row["ceiling"]) == ("r2", None, None)
        assert row["score"] == pytest.approx(row["raw"] ** 2, rel=1e-12)


@needs_brainscore
@pytest.mark.parametrize("case", ["audit", "audit surrogate", "audit splits"])
def test_an_audit_finds_both_engines_equal(results: dict, case: str):
    kernel, stock = results[case]
    assert (kernel["engine"], stock["engine"]) == ("kernel", "stock")
    assert kernel["difference"] == 0 and 0 < stock["difference"] < 1e-10
    assert stock["features"] == ("surrogate of the Gram matrix" if "surrogate" in case else "features")
    assert kernel["score"] == pytest.approx(stock["score"], abs=1e-10)


@needs_brainscore
def test_an_audit_that_needs_features_says_so(results: dict):
    assert all(word in results["audit refused"] for word in ("needs the features", "wide", "keep: both"))


@needs_brainscore
def test_a_score_that_would_outgrow_the_memory_is_refused(results: dict):
    assert all(word in results["no memory"] for word in (IT, "layer wide", "this job has 104 MB", "mem_mb"))


def test_differences_of_missing_numbers_are_none():
    assert largest_difference([1.0, None], [1.5, None]) == 0.5
    assert largest_difference([1.0, None], [1.0, 2.0]) is None and largest_difference([1.0], []) is None


def test_the_layer_of_most_splits_stands_for_all():
    assert main_layer(["a", "b", "b"]) == "b" and main_layer(["c", "a", "a", "c"]) == "c"
    assert file_beside(Path("x/vit.in1k-1.json"), "targets.parquet") == Path("x/vit.in1k-1.targets.parquet")


def test_all_that_a_study_says_of_its_own_benchmark_tells_its_data_apart(folder: Path):
    files = {"assembly": "assy_dicarlo_MajajHong2015_public.nc", "stimuli": "stimulus_hvm-public.csv"}
    own = files | {"region": "IT", "metric": "pls", "degrees": 8, "images": "stimulus_hvm-public"}
    others = [{"region": "V4"}, {"metric": "ridge"}, {"degrees": 4}, {"trials": 2}, {"ceiling": "none"}]
    others += [{"time_window": [70, 170]}, {"stratified_by": "object_name"}]

    def hashed(root: Path, **changes: object) -> str:
        defined = check_definitions({"mine": own | changes}, root)
        return data_hash(root, defined["mine"].benchmark, defined)

    found = [hashed(folder / "data"), hashed(folder / "noise"), *(hashed(folder / "data", **other) for other in others)]
    assert len(set(found)) == len(found)
    copied = folder / "copied"
    copied.mkdir()
    for name in files.values():
        shutil.copy(folder / "data" / name, copied)
    (copied / "stimulus_hvm-public").symlink_to(folder / "data" / "stimulus_hvm-public")
    assert hashed(copied) == found[0]


def test_chosen_layers_are_read_from_a_record_that_holds(tmp_path: Path):
    definition = {"way": "nested"}
    path = tmp_path / str(ArtefactName(IT, definition)) / "teacher.json"
    choice = LayerChoice(IT, "IT", ["narrow", "wide"], "narrow", EACH_SPLIT, [[0.1, 0.2]], {}, None)
    facts = {"way": "nested", "hierarchy": False, "inner_splits": 3, "made_from": {}, "provenance": {}}
    written = Commitment(**vars(choice), run="teacher", definition=definition, **facts)
    write_commitment(path, written)
    content = json.loads(path.read_text())
    assert read_commitment(path) == replace(written, checksum=content["checksum"])
    whole = path.read_text()
    for words, damaged in (
        ("the file was altered", whole.replace("narrow", "narrov")),
        ("no layers are committed to", json.dumps(sealed(content | {"layers": []}))),
        ("of another format", json.dumps(sealed(content | {"format": "commitment/1"}))),
        ("key is missing", json.dumps(sealed({key: content[key] for key in content if key != "near_ties"}))),
        ("not allowed in a file of chosen layers", json.dumps(sealed(content | {"layers": "narrow"}))),
        ("another run", json.dumps(sealed(content | {"run": "pupil"}))),
        ("another artefact", json.dumps(sealed(content | {"definition": {"way": "reported"}}))),
    ):
        path.write_text(damaged)
        with pytest.raises(DataError, match=words):
            read_commitment(path)
