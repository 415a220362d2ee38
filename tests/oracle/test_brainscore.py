"""Against Brain-Score itself: images on the screen pixel by pixel, and scores of its own precomputed model."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.support import brainscore_data

from neuroscaling.activations.zarr_writing import write_store
from neuroscaling.stimuli.preparation import place_on_screen

REPOSITORY = Path(__file__).parents[2]
PYTHON = Path(os.environ.get("NEUROSCALING_BRAINSCORE_PYTHON") or REPOSITORY / ".venv/brainscore/bin/python")
pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason=f"no brainscore environment: {PYTHON} (`make env`, or NEUROSCALING_BRAINSCORE_PYTHON)"
)

SCREEN = """
import json, sys, tempfile
from pathlib import Path
from neuroscaling.brainscore import environment
environment.prepare_environment(Path(tempfile.mkdtemp()))
from brainscore_vision.benchmark_helpers.screen import ImageConverter
for path, source, target, out in json.loads(sys.argv[1]):
    ImageConverter(target_dir=out).convert_image(path, source_degrees=source, target_degrees=target)
"""

PRECOMPUTED = """
import json, sys, tempfile
from dataclasses import replace
from pathlib import Path
from neuroscaling.brainscore import environment
from neuroscaling.study import benchmarks
environment.prepare_environment(Path(tempfile.mkdtemp()))
from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
from brainscore_vision import load_benchmark, load_stimulus_set
from brainscore_vision.benchmark_helpers import PrecomputedFeatures
from neuroscaling.activations.zarr_reading import open_store
from neuroscaling.brainscore.benchmark_objects import benchmark_object
from neuroscaling.brainscore.local_files import register_benchmark
from neuroscaling.brainscore.scoring import Job
from neuroscaling.brainscore.scoring import score_benchmark

store, results = open_store(sys.argv[2]), {}
benchmark = benchmarks.registered_benchmark("MajajHong2015public.IT-pls")
register_benchmark(sys.argv[1], benchmark)
stimuli = load_stimulus_set(benchmark.stimulus_sets[0])
coords = {column: ("presentation", stimuli[column].values) for column in stimuli.columns}
values = store.read_rows("all", stimuli["stimulus_id"].tolist())
coords["neuroid_id"] = ("neuroid", [f"f{i}" for i in range(values.shape[1])])
coords["layer"] = ("neuroid", ["all"] * values.shape[1])
features = NeuroidAssembly(values, coords=coords, dims=["presentation", "neuroid"])
theirs = load_benchmark(benchmark.benchmark)(PrecomputedFeatures(features, visual_degrees=benchmark.degrees))
results["theirs"] = [float(theirs), float(theirs.raw), float(theirs.ceiling), float(theirs.attrs["error"])]

def with_components(name, number):
    made = benchmark_object(name)
    made._similarity_metric.regression._regression.n_components = number
    return made


for engine in ("stock", "kernel"):
    job = Job("toy", "toy", True, "toy", store, {"IT": "all"}, "all", engine=engine)
    row = score_benchmark(benchmark, benchmark_object, job)[0].rows[0]
    results[engine] = [row[key] for key in ("score", "raw", "ceiling", "error")]
    results[f"{engine} components"] = row.get("n_components")
    dead = replace(job, layers={"IT": "dead"})
    row = score_benchmark(benchmark, benchmark_object, dead)[0].rows[0]
    results[f"{engine} dead"] = [row[key] for key in ("score", "raw", "ceiling", "error")]
    results[f"{engine} dead components"] = row.get("n_components")
row = score_benchmark(benchmark, lambda name: with_components(name, 6), replace(dead, engine="stock"))[0].rows[0]
results["stock 6 components"] = [row[key] for key in ("score", "raw", "ceiling", "error")]
Path(sys.argv[3]).write_text(json.dumps(results))
"""


def _run(*arguments: object) -> None:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "src"), "OMP_NUM_THREADS": "1"}
    command = [str(PYTHON), *(str(argument) for argument in arguments)]
    finished = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert finished.returncode == 0, finished.stderr


def test_images_on_the_screen_are_brain_scores_pixel_by_pixel(tmp_path: Path):
    rng = np.random.default_rng(0)
    cases = []
    sizes = [(33, 20), (64, 64), (425, 425), (7, 101)]
    for i, (size, mode) in enumerate(zip(sizes, ("RGB", "L", "RGB", "RGBA"), strict=True)):
        image = Image.fromarray(rng.integers(0, 256, (*size, 4), dtype=np.uint8), "RGBA").convert(mode)
        image.save(tmp_path / f"{i}.png")
        for source, target in ((4, 8), (8.4, 8), (18, 8), (8, 11.2), (10, 9)):
            out = tmp_path / f"{source}-{target}"
            out.mkdir(exist_ok=True)
            cases.append((str(tmp_path / f"{i}.png"), source, target, str(out)))
    _run("-c", SCREEN, json.dumps(cases))
    for path, source, target, out in cases:
        ours = place_on_screen(Image.open(path), source, target)
        theirs = Image.open(Path(out) / Path(path).name)
        assert ours.mode == theirs.mode and np.array_equal(np.asarray(ours), np.asarray(theirs)), (path, source, target)


def test_stored_activations_score_as_brain_scores_precomputed_features(tmp_path: Path):
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((80, 10))
    stimuli = brainscore_data.write_majajhong(tmp_path / "data", latent, shuffled=True)["MajajHong2015.public"]
    values = latent @ rng.standard_normal((10, 40)) + 0.3 * rng.standard_normal((80, 40))
    order = rng.permutation(80)
    ids = [stimuli[i] for i in order]
    # Six of forty units are alive.
    dead = np.where(np.arange(40) < 6, values, 0)
    layers = {"all": values[order].astype(np.float32), "dead": dead[order].astype(np.float32)}
    write_store(tmp_path / "store.json", ids, [layers], reduction={"kind": "none"})
    _run("-c", PRECOMPUTED, tmp_path / "data", tmp_path / "store.json", tmp_path / "results.json")
    results = json.loads((tmp_path / "results.json").read_text())
    assert np.allclose(results["stock"], results["theirs"], rtol=1e-12, atol=0)
    assert np.allclose(results["kernel"], results["theirs"], rtol=0, atol=1e-6)
    assert results["theirs"][1] > 0.2
    assert (results["kernel components"], results["stock components"]) == (25, None)
    # Beyond the rank of a layer scikit-learn predicts what rounding left: the engines part, and the file says why.
    assert (results["kernel dead components"], results["stock dead components"]) == (6, None)
    assert np.allclose(results["kernel dead"], results["stock 6 components"], rtol=0, atol=1e-6)
    assert results["kernel dead"][1] > results["stock dead"][1] + 0.02
