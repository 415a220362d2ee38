"""The exact forms against the classes that Brain-Score's metrics use, in its own environment (scikit-learn 1.5).

On simulated features, and on the real activations of 2,400 object images that brainscore_vision carries.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

DRIVER = """
import json, sys, warnings
from pathlib import Path

import numpy as np
import xarray
from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
from brainscore_vision.metrics.cka.metric import CKA
from brainscore_vision.metrics.rdm.metric import RDM, RDMMetric
from brainscore_vision.metrics.regression_correlation import metric as stock
from sklearn.cross_decomposition import PLSRegression
from sklearn.linear_model import Ridge, RidgeCV

from neuroscaling.regression.dual_ridge import DualRidge
from neuroscaling.regression.dual_ridge import DualRidgeCV
from neuroscaling.regression.features import Features
from neuroscaling.regression.gram import Gram
from neuroscaling.regression.pls import KernelPLS
from neuroscaling.regression.similarity import linear_cka
from neuroscaling.regression.similarity import nearest_units
from neuroscaling.regression.similarity import rdm
from neuroscaling.regression.similarity import rdm_similarity

warnings.simplefilter("ignore")
results = {}


def distance(ours, expected):
    expected = np.asarray(expected).reshape(ours.shape)
    return float(np.abs(ours - expected).max() / np.abs(expected).max())


def assembly(values, ids):
    coordinates = {
        "stimulus_id": ("presentation", ids), "object_name": ("presentation", ids),
        "neuroid_id": ("neuroid", np.arange(values.shape[1])), "region": ("neuroid", ["IT"] * values.shape[1]),
    }
    return NeuroidAssembly(values, coords=coordinates, dims=["presentation", "neuroid"])


def fits(name, x, y, train, test, forms):
    peer = PLSRegression(n_components=25, scale=False).fit(x[train], y[train])
    expected = peer.predict(x[test])
    for form in forms:
        ours = KernelPLS(form(x), 25).fit(train, y[train])
        results[f"{name} pls {form.__self__.__name__}"] = distance(ours.predict(test), expected)
        results[f"{name} pls iterations {form.__self__.__name__}"] = float(ours.n_iter_ != list(peer.n_iter_))
    peers = {"ridge": Ridge(alpha=1), "dual_ridge": stock.DualRidgeRegression(alpha=1)}
    for peer_name, peer in peers.items():
        peer.fit(x[train], y[train])
        expected = peer.predict(x[test])
        for form in forms:
            ours = DualRidge(form(x)).fit(train, y[train])
            results[f"{name} {peer_name} {form.__self__.__name__}"] = distance(ours.predict(test), expected)


def penalties(name, x, y, train, test, forms):
    peers = {"ridgecv": RidgeCV(stock.ALPHA_LIST), "dual_ridgecv": stock.DualRidgeCVRegression(stock.ALPHA_LIST)}
    for peer_name, peer in peers.items():
        peer.fit(x[train], y[train])
        expected = peer.predict(x[test])
        for form in forms:
            ours = DualRidgeCV(form(x), stock.ALPHA_LIST).fit(train, y[train])
            results[f"{name} {peer_name} {form.__self__.__name__}"] = distance(ours.predict(test), expected)
            results[f"{name} {peer_name} penalty {form.__self__.__name__}"] = float(ours.alpha_ != peer.alpha_)


def similarities(name, x, y):
    n = len(x)
    order = np.random.default_rng(0).permutation(n)
    ids = np.array([f"image{i:04d}" for i in order])
    a, b = assembly(x, ids), assembly(y, ids)
    for unbiased in (True, False):
        expected = float(CKA(unbiased=unbiased)(a, b))
        for form in (Features.of, Gram.of):
            ours = linear_cka(form(x), form(y), unbiased)
            results[f"{name} cka {unbiased} {form.__self__.__name__}"] = abs(ours - expected)
    results[name + " rdm"] = float(np.abs(rdm(Gram.of(x)) - RDM()(a).values).max())
    results[name + " rdm similarity"] = abs(rdm_similarity(rdm(x), rdm(y)) - float(RDMMetric()(a, b)))
    for dtype in (np.float32, np.float64):
        peer = stock.SingleRegression()
        peer.fit(xarray.DataArray(x.astype(dtype)), xarray.DataArray(y))
        different = (nearest_units(x.astype(dtype), y) != peer.mapping).sum()
        results[f"{name} nearest units {np.dtype(dtype)}"] = float(different)


def simulated(n, p, m):
    rng = np.random.default_rng(0)
    hidden = rng.standard_normal((n, 40)) * np.arange(1, 41) ** -0.6
    x = np.maximum(hidden @ rng.standard_normal((40, p)) + 0.3 * rng.standard_normal((n, p)), 0)
    y = np.tanh(hidden) @ rng.standard_normal((40, m)) + rng.standard_normal((n, m))
    x[:, 3], x[:, 7], y[:, 0] = 0.0, x[:, 5], 1.0
    return x, y


def real(folder, model):
    [path] = folder.glob(f"identifier={model},*.nc")
    data = xarray.open_dataset(path)["__xarray_dataarray_variable__"]
    return data.values[np.argsort(data["stimulus_path"].values)]


both = (Features.of, Gram.of)
for n, p, m in ((200, 500, 20), (250, 60, 20), (200, 500, 1), (90, 100, 150)):
    x, y = simulated(n, p, max(m, 2))
    y = y[:, -m:]
    order = np.random.default_rng(1).permutation(n)
    case = (f"simulated {n}x{p}x{m}", x, y, order[n // 10 :], order[: n // 10], both)
    fits(*case)
    penalties(*case)
x, y = simulated(120, 300, 30)
similarities("simulated", x, y[:, 1:])

folder = Path(stock.__file__).parents[2] / "benchmarks/rajalingham2018/test_resources"
targets = real(folder, "resnet34")
chosen = np.flatnonzero(targets.std(0) > 0)[:168]
targets = targets[:, chosen].astype(np.float64)
order = np.random.default_rng(0).permutation(2400)
train, test = order[:2160], order[2160:]
fits("alexnet", real(folder, "alexnet").astype(np.float64), targets, train, test, [Gram.of])
x = real(folder, "resnet18")
fits("resnet18", x.astype(np.float64), targets, train, test, both)
expected = PLSRegression(25, scale=False).fit(x[train], targets[train]).predict(x[test])
results["resnet18 float32"] = distance(KernelPLS(Gram.of(x)).fit(train, targets[train]).predict(test), expected)
some = real(folder, "alexnet")[order[:300]].astype(np.float64)
penalties("alexnet some", some, targets[order[:300]], np.arange(270), np.arange(270, 300), [Gram.of])
similarities("alexnet some", some, targets[order[:300]])
Path(sys.argv[1]).write_text(json.dumps(results))
"""

LIMITS = {"iterations": 0, "penalty": 0, "nearest units": 0, "float32": 1e-6}


@pytest.fixture(scope="module")
def results(brainscore_python: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    """Largest differences between the two sides, by case."""
    output = tmp_path_factory.mktemp("kernel") / "results.json"
    source = Path(__file__).parents[2] / "src"
    environment = os.environ | {"PYTHONPATH": str(source), "BS_INSTALL_DEPENDENCIES": "no", "OMP_NUM_THREADS": "1"}
    command = [brainscore_python, "-c", DRIVER, str(output)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(output.read_text())


def _beyond(results: dict[str, float], prefix: str, tolerance: float) -> dict[str, float]:
    limits = {name: next((LIMITS[end] for end in LIMITS if end in name), tolerance) for name in results}
    found = {name: value for name, value in results.items() if name.startswith(prefix)}
    assert found
    return {name: value for name, value in found.items() if not value <= limits[name]}


def test_simulated_features_score_as_with_the_stock_classes(results: dict[str, float]):
    assert _beyond(results, "simulated", 1e-10) == {}


@pytest.mark.parametrize("model", ["alexnet", "resnet18"])
def test_real_activations_give_the_same_predictions(results: dict[str, float], model: str):
    assert _beyond(results, model, 1e-10) == {}
    assert _beyond(results, f"{model} pls", 1e-12) == {}


def test_real_activations_give_the_same_penalties_and_similarities(results: dict[str, float]):
    assert _beyond(results, "alexnet some", 1e-10) == {}
