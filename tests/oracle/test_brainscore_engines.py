"""Engine `kernel` against engine `stock`, unmodified Brain-Score and scikit-learn, on simulated recordings."""

import json
import os
import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from tests.support.engine_cases import write_recordings, write_stores

REPOSITORY = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("NEUROSCALING_BRAINSCORE_PYTHON") or REPOSITORY / ".venv/brainscore/bin/python")
pytestmark = [
    pytest.mark.skipif(
        not PYTHON.exists(),
        reason=f"no brainscore environment: {PYTHON} (`make env`, or NEUROSCALING_BRAINSCORE_PYTHON)",
    ),
    # All cases in one process: a minute, and seven on a machine with much else to do.
    pytest.mark.timeout(3000),
]

DRIVER = """
import json, sys, tempfile, traceback
from dataclasses import asdict, replace
from pathlib import Path
from neuroscaling.brainscore import environment
environment.prepare_environment(Path(tempfile.mkdtemp()))
from brainscore_vision import load_metric
from brainscore_vision.benchmarks import BenchmarkBase
from brainscore_vision.benchmarks.cowley2026.benchmark import _CombinedNeuralBenchmark
from brainscore_vision.metrics.regression_correlation import metric
from neuroscaling.activations.zarr_reading import open_store
from neuroscaling.study import benchmarks
from neuroscaling.brainscore.own_benchmarks import check_definitions
from neuroscaling.brainscore.benchmark_objects import benchmark_object
from neuroscaling.brainscore.local_files import register_benchmark
from neuroscaling.brainscore.scoring import Job
from neuroscaling.brainscore.scoring import score_benchmark
from neuroscaling.core.errors import NeuroscalingError

def metric_of(name):
    if name == "dual_ridgecv":
        return metric.CrossRegressedCorrelation(metric.dual_ridge_cv_regression(), metric.pearsonr_correlation())
    if name == "neuron_to_neuron":
        return load_metric(name, crossvalidation_kwargs={"stratification_coord": "texture_type"})
    return load_metric(name)

def combined(names, data):
    for name in names:
        register_benchmark(data, benchmarks.registered_benchmark(name))
    own = _CombinedNeuralBenchmark.__new__(_CombinedNeuralBenchmark)
    own._sessions = [benchmark_object(name) for name in names]
    mean = lambda: metric.Score(sum(float(b.ceiling) for b in own._sessions) / len(names))
    BenchmarkBase.__init__(own, identifier="combined", version=1, parent="V4", ceiling_func=mean)
    return own

def definitions_of(case):
    files = {
        "assembly": "assy_dicarlo_MajajHong2015_public.nc",
        "stimuli": "stimulus_hvm-public.csv",
        "images": "stimulus_hvm-public",
    }
    own = {"region": "IT", "metric": case["benchmark"], "ceiling": "none", "degrees": 8.0}
    return check_definitions({case["benchmark"]: own | files}, case["data"]) if case.get("defined") else {}

def loader(case):
    if "combined" in case:
        return lambda name: combined(case["combined"], case["data"])
    def loaded(name):
        benchmark = benchmark_object(name, definitions_of(case))
        if "metric" in case:
            benchmark._similarity_metric = metric_of(case["metric"])
        return benchmark
    return loaded

results, ceilings = {}, Path(tempfile.mkdtemp())
for name, case in json.loads(Path(sys.argv[1]).read_text()).items():
    defined = definitions_of(case)
    known = defined[case["benchmark"]].benchmark if defined else benchmarks.registered_benchmark(case["benchmark"])
    benchmark = replace(known, **{"metric": case["metric"]} if "metric" in case else {})
    if "combined" not in case and not defined:
        register_benchmark(case["data"], benchmark)
    layers = {benchmark.region: case["layers"]}
    readout = case["layers"] if isinstance(case["layers"], str) else ""
    for engine in case["engines"]:
        store = open_store(case["store"])
        sizes = {"samples": tuple(case.get("samples", ["all"]))}
        job = Job("toy", "toy", True, case["data"], store, layers, readout, ceilings=ceilings, engine=engine, **sizes)
        try:
            content, targets = score_benchmark(benchmark, loader(case), job)
            results[f"{name} {engine}"] = asdict(content), targets
        except NeuroscalingError as error:
            results[f"{name} {engine}"] = str(error)
        except Exception:
            results[f"{name} {engine}"] = traceback.format_exc()
Path(sys.argv[2]).write_text(json.dumps(results))
"""

V4, IT, V1 = "MajajHong2015public.V4-pls", "MajajHong2015public.IT-pls", "FreemanZiemba2013public.V1-pls"
PRIVATE_V4, BEHAVIOR = "MajajHong2015.V4-pls", "Rajalingham2018public-i2n"
ALLEN, ALLEN_RDM = "Allen2022_fmri.IT-ridge", "Allen2022_fmri.V4-rdm"
EACH_SPLIT = ["wide", "narrow", "wide", "other", "other", "narrow", "wide", "wide", "other", "narrow"]
SCORES, NEUROIDS = 1e-10, 1e-10
"""Largest difference of scores, and of the correlations of single neuroids, with float64 features."""
IN_FLOAT32 = {"pls": 1e-6, "ridge": 1e-4}
"""Where scikit-learn itself rounds: it centres float32 features in float32, and solves ridge in float32."""
CASES = {
    # name: benchmark, layers, and what else differs from float64 features with both engines
    "pls narrow": (IT, "narrow", {}),
    "pls wide": (IT, "wide", {}),
    "pls textures": (V1, "wide", {}),
    "pls one target": (V4, "wide", {"data": "single"}),
    "pls low rank": (IT, "rank", {}),
    "pls float32": (IT, "wide", {"store": "float32"}),
    "a layer each split": (IT, EACH_SPLIT, {}),
    "sessions": ("Cowley2026.V4-pls", "wide", {"combined": [V4, PRIVATE_V4]}),
    "ridge narrow": (IT, "narrow", {"metric": "ridge"}),
    "ridge wide": (IT, "wide", {"metric": "ridge"}),
    "dual_ridgecv wide": (V4, "wide", {"metric": "dual_ridgecv"}),
    "dual_ridgecv narrow": (V4, "narrow", {"metric": "dual_ridgecv"}),
    "neuron_to_neuron": (V1, "wide", {"metric": "neuron_to_neuron"}),
    "rdm_cv": (IT, "wide", {"metric": "rdm_cv"}),
    "cka": (IT, "wide", {"metric": "cka"}),
    "cka_biased": (IT, "narrow", {"metric": "cka_biased"}),
    "cka_cv": (IT, "wide", {"metric": "cka_cv"}),
    "dual_ridge_split": (ALLEN, "wide", {}),
    "dual_ridge_split narrow float32": (ALLEN, "narrow", {"store": "float32"}),
    "pls_split": (ALLEN, "wide", {"metric": "pls_split"}),
    "neuron_to_neuron_split": ("Papale2025.V4-ridgecv", "wide", {"metric": "neuron_to_neuron_split"}),
    "ridge_split float32": ("Hebart2023_fmri.V2-ridge", "wide", {"store": "float32"}),
    "ridgecv_split": ("Papale2025.V4-ridgecv", "wide", {}),
    "ridgecv_split narrow": ("Papale2025.IT-ridgecv", "narrow", {}),
    "rdm": (ALLEN_RDM, "wide", {}),
    "behavior": (BEHAVIOR, "narrow", {}),
    "defined cka": ("cka", "wide", {"defined": True}),
    "defined rdm": ("rdm", "narrow", {"defined": True}),
}
SAMPLES = [10, 40, "all"]
FEW = {
    # Cases of CASES that are scored with few mapping images too: `stock` fits scikit-learn on each subset alone.
    name: (*CASES[name][:2], CASES[name][2] | {"samples": SAMPLES})
    for name in (
        "pls narrow",
        "pls textures",
        "a layer each split",
        "sessions",
        "dual_ridgecv narrow",
        "neuron_to_neuron",
        "dual_ridge_split",
        "ridgecv_split",
    )
}
FEW_OTHERWISE = {
    "gram few pls narrow": (IT, "narrow", {"store": "gram", "samples": SAMPLES, "engines": ["kernel"]}),
    "shuffled few pls narrow": (IT, "narrow", {"store": "shuffled", "samples": SAMPLES, "engines": ["kernel"]}),
    "few rdm": (ALLEN_RDM, "wide", {"samples": SAMPLES, "engines": ["kernel"]}),
    "few behavior": (BEHAVIOR, "narrow", {"samples": SAMPLES, "engines": ["kernel"]}),
    "too many": (V1, "wide", {"samples": [10, 44, 100], "engines": ["kernel"]}),
    "too many of given": (ALLEN, "wide", {"samples": [61], "engines": ["stock"]}),
    "as many as there are": (ALLEN, "wide", {"samples": [60], "engines": ["kernel"]}),
}
ENGINE = {"widened": "stock"}
OTHER_STORES = {
    f"{store} {name}": (*CASES[name][:2], CASES[name][2] | {"store": store, "engines": [ENGINE.get(store, "kernel")]})
    for store, names in {
        "shuffled": ("pls narrow", "pls wide", "ridge wide", "dual_ridge_split", "rdm", "cka", "behavior"),
        "widened": ("pls float32", "dual_ridge_split narrow float32", "ridge_split float32"),
        "gram": ("pls wide", "pls narrow", "dual_ridge_split", "ridgecv_split", "rdm", "cka"),
    }.items()
    for name in names
}
REFUSED = {
    "features are needed": (V1, "wide", {"store": "gram", "metric": "neuron_to_neuron", "engines": ["kernel"]}),
    "stock needs features": (IT, "wide", {"store": "gram", "engines": ["stock"]}),
    "metric": (IT, "wide", {"metric": "linear_predictivity", "engines": ["kernel"]}),
    "no splits": (ALLEN_RDM, ["wide", "narrow"], {"engines": ["kernel"]}),
    "no repetitions": (IT, "wide", {"data": "once", "engines": ["kernel"]}),
}


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """All cases in one process: (content of the score file, rows of the targets' parquet), or an error's text."""
    folder = tmp_path_factory.mktemp("engines")
    write_stores(folder, write_recordings(folder))
    defaults = {"data": "data", "store": "float64", "engines": ["stock", "kernel"]}
    cases = {}
    few = {f"few {name}": case for name, case in FEW.items()}
    for name, (benchmark, layers, other) in (CASES | OTHER_STORES | REFUSED | few | FEW_OTHERWISE).items():
        case = defaults | {"benchmark": benchmark, "layers": layers} | other
        paths = {"data": str(folder / case["data"]), "store": str(folder / f"{case['store']}.json")}
        cases[name] = case | paths
    (folder / "cases.json").write_text(json.dumps(cases))
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1"}
    command = [str(PYTHON), "-c", DRIVER, str(folder / "cases.json"), str(folder / "results.json")]
    finished = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert finished.returncode == 0, finished.stderr[-3000:]
    return json.loads((folder / "results.json").read_text())


def _numbers(rows: list[dict]) -> np.ndarray:
    return np.array([[row.get(key) for key in ("score", "raw", "ceiling", "error")] for row in rows], dtype=float)


def _assert_equal(ours: list, theirs: list, tolerance: float, of_single: float) -> None:
    """Both (content, targets): the same rows with numbers within `tolerance`, those of single neuroids `of_single`.

    How many components it found engine `kernel` alone tells.
    """
    for key in ("rows", "splits", "subjects"):
        names = [
            [{k: v for k, v in row.items() if k != "n_components" and not isinstance(v, float)} for row in c[0][key]]
            for c in (ours, theirs)
        ]
        assert names[0] == names[1]
        np.testing.assert_allclose(_numbers(ours[0][key]), _numbers(theirs[0][key]), rtol=0, atol=tolerance)
    assert len(ours[1]) == len(theirs[1])
    for mine, other in zip(ours[1], theirs[1], strict=True):
        assert [mine[k] for k in ("target", "subject", "region", "n_mapping", "split")] == [
            other[k] for k in ("target", "subject", "region", "n_mapping", "split")
        ]
    np.testing.assert_allclose(_numbers(ours[1]), _numbers(theirs[1]), rtol=0, atol=of_single)


@pytest.mark.parametrize("case", list(CASES))
def test_both_engines_give_the_same_scores(results: dict, case: str):
    stock, kernel = results[f"{case} stock"], results[f"{case} kernel"]
    assert isinstance(stock, list) and isinstance(kernel, list), (stock, kernel)
    rounded = IN_FLOAT32["ridge" if "ridge" in case else "pls"] if "float32" in case else 0
    _assert_equal(kernel, stock, max(SCORES, rounded), max(NEUROIDS, rounded))
    assert (stock[0]["engine"], kernel[0]["engine"]) == ("stock", "kernel")
    assert np.isfinite(kernel[0]["rows"][0]["raw"]) and kernel[0]["rows"][0]["raw"] != 0


def _of_size(found: list, size: int | None) -> tuple[dict, list[dict]]:
    content, targets = found
    parts = {key: [row for row in content[key] if row["n_mapping"] == size] for key in ("rows", "splits", "subjects")}
    return parts, [row for row in targets if row["n_mapping"] == size]


@pytest.mark.parametrize("case", list(FEW))
def test_few_mapping_images_score_as_the_stock_classes_fitted_on_them_alone(results: dict, case: str):
    stock, kernel = results[f"few {case} stock"], results[f"few {case} kernel"]
    assert isinstance(stock, list) and isinstance(kernel, list), (stock, kernel)
    _assert_equal(kernel, stock, SCORES, NEUROIDS)
    sizes = [row["n_mapping"] for row in kernel[0]["rows"]]
    assert sizes[:-1] == FEW[case][2]["samples"][:-1] and sizes[-1] > sizes[-2]
    raws = [row["raw"] for row in kernel[0]["rows"]]
    assert len(set(raws)) == len(raws) and np.isfinite(raws).all()


@pytest.mark.parametrize("case", list(FEW))
def test_all_mapping_images_score_what_they_score_alone(results: dict, case: str):
    """To the last digit, whatever other numbers are asked for."""
    for engine in ("kernel", "stock"):
        few, alone = results[f"few {case} {engine}"], results[f"{case} {engine}"]
        size = alone[0]["rows"][0]["n_mapping"]
        assert _of_size(few, size) == _of_size(alone, size)


def test_sizes_of_one_benchmark_share_ceiling_neuroids_and_splits(results: dict):
    content, targets = results["few pls narrow kernel"]
    rows = content["rows"]
    assert len({(row["ceiling"], row["n_targets"], row["scale"]) for row in rows}) == 1
    assert [row["n_components"] for row in rows] == [3, 13, 25]
    assert len(targets) == len(rows) * len(results["pls narrow kernel"][1])


def test_few_images_come_out_the_same_from_inner_products_and_in_any_order(results: dict):
    expected = results["few pls narrow kernel"]
    _assert_equal(results["gram few pls narrow kernel"], expected, 1e-9, 1e-9)
    assert results["shuffled few pls narrow kernel"][0]["rows"] == expected[0]["rows"]


@pytest.mark.parametrize("case", ["rdm", "behavior"])
def test_what_fits_no_mapping_has_one_row(results: dict, case: str):
    (row,) = results[f"few {case} kernel"][0]["rows"]
    assert row == results[f"{case} kernel"][0]["rows"][0] and row["n_mapping"] is None


def test_as_many_images_as_there_are_are_all(results: dict):
    assert results["as many as there are kernel"][0]["rows"] == results["dual_ridge_split kernel"][0]["rows"]


@pytest.mark.parametrize("case", [name for name in CASES if f"widened {name}" in OTHER_STORES])
def test_float32_features_give_the_scores_of_their_numbers(results: dict, case: str):
    _assert_equal(results[f"{case} kernel"], results[f"widened {case} stock"], SCORES, NEUROIDS)


@pytest.mark.parametrize("case", [name for name in OTHER_STORES if name.startswith("shuffled")])
def test_the_order_of_extraction_changes_no_digit(results: dict, case: str):
    ours, theirs = results[f"{case} kernel"], results[f"{case.removeprefix('shuffled ')} kernel"]
    assert [ours[0][key] for key in ("rows", "splits", "subjects")] == [
        theirs[0][key] for key in ("rows", "splits", "subjects")
    ]
    assert ours[1] == theirs[1]


@pytest.mark.parametrize("case", [name for name in OTHER_STORES if name.startswith("gram")])
def test_inner_products_alone_give_the_same_scores(results: dict, case: str):
    _assert_equal(results[f"{case} kernel"], results[f"{case.removeprefix('gram ')} kernel"], 1e-9, 1e-9)


def test_layers_of_splits_are_recorded_and_differ_from_one_layer(results: dict):
    chosen, one = results["a layer each split kernel"][0], results["pls wide kernel"][0]
    assert chosen["rows"][0]["layers"] == EACH_SPLIT and chosen["rows"][0]["layer"] == "wide"
    assert [row["layer"] for row in chosen["splits"]] == EACH_SPLIT
    same = [
        a["raw"] == pytest.approx(b["raw"], abs=1e-12) for a, b in zip(chosen["splits"], one["splits"], strict=True)
    ]
    assert same == [layer == "wide" for layer in EACH_SPLIT]
    assert "layers" not in one["rows"][0]


def test_sessions_are_averaged_and_told_apart(results: dict):
    content, targets = results["sessions kernel"]
    assert [row["subject"] for row in content["subjects"]] == ["MajajHong2015.V4.public-pls", "MajajHong2015.V4-pls"]
    assert content["rows"][0]["score"] == pytest.approx(np.mean([row["score"] for row in content["subjects"]]))
    assert len(targets) == 10 * 5 + 10 * 4


def test_subjects_have_numbers_of_their_own(results: dict):
    content, targets = results["dual_ridge_split kernel"]
    first, second = content["subjects"]
    assert (first["subject"], second["subject"]) == ("subj01", "subj02") and first["raw"] != second["raw"]
    assert first["score"] == pytest.approx(first["raw"] ** 2 / first["ceiling"])
    assert {row["subject"] for row in targets} == {"subj01", "subj02"}
    rdm = results["rdm kernel"][0]
    assert [row["subject"] for row in rdm["subjects"]] == ["subj01", "subj02"]
    assert rdm["rows"][0]["ceiling_lower"] < rdm["rows"][0]["ceiling"] and rdm["rows"][0]["scale"] == "r/c"


def test_a_constant_neuroid_is_left_out_and_named(results: dict):
    content, targets = results["pls wide kernel"]
    (silent,) = content["left_out"]
    assert silent == results["pls wide stock"][0]["left_out"][0]
    assert content["rows"][0]["n_targets"] == len({row["target"] for row in targets})
    assert silent not in {row["target"] for row in targets} and all(row["raw"] is not None for row in targets)


def test_planted_features_are_found(results: dict):
    assert results["pls wide kernel"][0]["rows"][0]["score"] > 0.5
    raws = [results[f"{name} kernel"][0]["rows"][0]["raw"] for name in ("pls textures", "neuron_to_neuron")]
    assert all(a > b > 0 for a, b in pairwise(raws))


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("features are needed kernel", ["only inner products are kept", "wide"]),
        ("stock needs features stock", ["only inner products are kept", "wide"]),
        ("metric kernel", ["does not serve this metric", "LinearRegression", "pls, ridge", "engine: stock"]),
        ("no splits kernel", ["one layer for each split", "Allen2022_fmri.V4-rdm"]),
        ("too many kernel", ["more mapping images", f"{V1} has", "44, 100", "at most 43, or `all`"]),
        ("too many of given stock", ["more mapping images", f"{ALLEN} has", "61", "at most 60, or `all`"]),
        ("no repetitions kernel", ["no ceiling can be computed", "MajajHong2015.IT.public-pls", "repetition"]),
    ],
)
def test_what_an_engine_cannot_do_is_said(results: dict, case: str, words: list[str]):
    assert isinstance(results[case], str) and all(word in results[case] for word in words), results[case]
