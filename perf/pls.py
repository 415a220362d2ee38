"""Regressions and similarities from inner products against the classes that Brain-Score's metrics use.

3,200 simulated stimuli x 168 neuroids, 25 components, 10 shuffled splits of 9 to 1, Gram matrix and predictions
included. Every side runs in a process of its own on one thread, which maps float32 features from a file: CPU seconds
of the whole computation, and peak resident memory (interpreter, libraries and the file's pages included). Peers are
unmodified: scikit-learn in this interpreter; CKA, RDM and neuron-to-neuron from brainscore_vision, both sides in
Brain-Score's interpreter where there is one. Peers marked `x 10` are timed for one split.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from common import quick, report, row

ALPHAS = np.concatenate([[0.01, 0.1, 0.5, 1.0], np.logspace(1, 7, 91)])
ROOT = Path(__file__).parents[1]
BRAINSCORE = Path(os.environ.get("NEUROSCALING_BRAINSCORE_PYTHON") or ROOT / ".venv/brainscore/bin/python")


def write_problem(folder: Path, stimuli: int, features: int, neuroids: int = 168) -> None:
    """Rectified low-rank features, float32, and responses with noise, float64."""
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((stimuli, 80)) * np.arange(1, 81) ** -0.6
    values = np.lib.format.open_memmap(folder / "features.npy", "w+", np.float32, (stimuli, features))
    for start in range(0, features, 1000):
        part = values[:, start : start + 1000]
        noise = 0.3 * rng.standard_normal(part.shape)
        part[:] = np.maximum(latent @ rng.standard_normal((80, part.shape[1])) + noise, 0)
    responses = np.tanh(latent) @ rng.standard_normal((80, neuroids)) + rng.standard_normal((stimuli, neuroids))
    np.save(folder / "responses.npy", responses)


def splits(stimuli: int, number: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Shuffled pairs (training rows, held-out rows), the same on both sides."""
    orders = [np.random.default_rng(seed).permutation(stimuli) for seed in range(number)]
    return [(order[stimuli // 10 :], order[: stimuli // 10]) for order in orders]


def shared_features(x: np.ndarray) -> Any:
    """What a study does: features themselves where they are few, else their Gram."""
    from neuroscaling.regression.features import Features
    from neuroscaling.regression.gram import Gram

    return Features.of(x) if x.shape[1] <= 0.9 * len(x) else Gram.of(x)


def ours_pls(x: np.ndarray, y: np.ndarray, number: int) -> np.ndarray:
    from neuroscaling.regression.pls import pls_splits

    return np.stack(pls_splits(shared_features(x), y, splits(len(x), number)))


def peer_pls(x: np.ndarray, y: np.ndarray, number: int) -> np.ndarray:
    from sklearn.cross_decomposition import PLSRegression

    model = PLSRegression(25, scale=False)
    return np.stack([model.fit(x[train], y[train]).predict(x[test]) for train, test in splits(len(x), number)])


def ours_ridge(x: np.ndarray, y: np.ndarray, number: int) -> np.ndarray:
    from neuroscaling.regression.dual_ridge import ridge_splits

    return np.stack(ridge_splits(shared_features(x), y, splits(len(x), number)))


def peer_ridge(x: np.ndarray, y: np.ndarray, number: int) -> np.ndarray:
    from sklearn.linear_model import Ridge

    # In float64: with float32 features scikit-learn's Ridge rounds, and is no reference.
    wide = [(x[train].astype(float), y[train], x[test].astype(float)) for train, test in splits(len(x), number)]
    return np.stack([Ridge(1.0).fit(train, targets).predict(test) for train, targets, test in wide])


def ours_ridgecv(x: np.ndarray, y: np.ndarray, number: int) -> np.ndarray:
    from neuroscaling.regression.dual_ridge import DualRidgeCV

    train, test = splits(len(x), 1)[0]
    return DualRidgeCV(shared_features(x), ALPHAS).fit(train, y[train]).predict(test)


def peer_ridgecv(x: np.ndarray, y: np.ndarray, number: int) -> np.ndarray:
    from sklearn.linear_model import RidgeCV

    train, test = splits(len(x), 1)[0]
    return RidgeCV(ALPHAS).fit(x[train].astype(float), y[train]).predict(x[test].astype(float))


def ours_rdm(x: np.ndarray, y: np.ndarray, number: int) -> np.ndarray:
    from neuroscaling.regression.similarity import rdm, rdm_similarity

    return np.array(rdm_similarity(rdm(x), rdm(y)))


def peer_rdm(x: np.ndarray, y: np.ndarray, number: int) -> np.ndarray:
    from brainscore_vision.metrics.rdm.metric import RDMMetric

    return np.array(float(RDMMetric()(_assembly(x), _assembly(y))))


def ours_cka(x: np.ndarray, y: np.ndarray, number: int) -> np.ndarray:
    from neuroscaling.regression.gram import Gram
    from neuroscaling.regression.similarity import linear_cka

    return np.array(linear_cka(Gram.of(x), Gram.of(y)))


def peer_cka(x: np.ndarray, y: np.ndarray, number: int) -> np.ndarray:
    from brainscore_vision.metrics.cka.metric import CKA

    return np.array(float(CKA()(_assembly(x.astype(float)), _assembly(y))))


def ours_nearest(x: np.ndarray, y: np.ndarray, number: int) -> np.ndarray:
    from neuroscaling.regression.similarity import nearest_units

    return nearest_units(np.asarray(x), y)


def peer_nearest(x: np.ndarray, y: np.ndarray, number: int) -> np.ndarray:
    import xarray
    from brainscore_vision.metrics.regression_correlation.metric import SingleRegression

    model = SingleRegression()
    model.fit(xarray.DataArray(x), xarray.DataArray(y))
    return model.mapping


def _assembly(values: np.ndarray) -> Any:
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly

    ids = [f"image{i:05d}" for i in range(len(values))]
    presentation = dict.fromkeys(("stimulus_id", "object_name"), ("presentation", ids))
    neuroid = {name: ("neuroid", np.arange(values.shape[1])) for name in ("neuroid_id", "region_id")}
    return NeuroidAssembly(values, coords=presentation | neuroid, dims=["presentation", "neuroid"])


def run_side(name: str, folder: Path, number: int) -> None:
    """One side, in this process: its result and what it took, as files in `folder`."""
    function: Callable = globals()[name]
    x, y = np.load(folder / "features.npy", mmap_mode="r"), np.load(folder / "responses.npy")
    # What the first call would import is no part of the computation.
    function(np.asarray(x[:60, :40]), y[:60, :3], 1)
    start = time.process_time()
    result = function(x, y, number)
    seconds = time.process_time() - start
    np.save(folder / f"{name}.npy", result)
    (folder / f"{name}.json").write_text(json.dumps({"seconds": seconds, "megabytes": peak_megabytes()}))


def peak_megabytes() -> float:
    """Peak resident memory of this program.

    Linux's VmHWM starts anew with the program, where getrusage's figure still holds the peak of the process that
    started it.
    """
    status = Path("/proc/self/status")
    if status.exists():
        [line] = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def side(name: str, folder: Path, number: int, interpreter: str) -> tuple[dict[str, float], np.ndarray]:
    """Run one side in its own process; what it took, and its result."""
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": "ignore"}
    command = [interpreter, __file__, "--side", name, str(folder), str(number)]
    subprocess.run(command, check=True, env=environment | {"BS_INSTALL_DEPENDENCIES": "no"})
    return json.loads((folder / f"{name}.json").read_text()), np.load(folder / f"{name}.npy")


def compare(metric: str, stimuli: int, features: int, number: int, timed: int, interpreter: str) -> list[dict]:
    """Two lines of the table, time and memory; the peer runs `timed` of the `number` splits."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_problem(folder, stimuli, features)
        ours, result = side(f"ours_{metric}", folder, number, interpreter)
        peer, expected = side(f"peer_{metric}", folder, timed, interpreter)
        responses = np.load(folder / "responses.npy")
    factor = number // timed
    result = result[:timed] if metric in ("pls", "ridge") else result
    agreement = np.abs(result - expected).max() / np.abs(expected).max()
    case = f"{metric} {stimuli} x {features}" + (f", peer x {factor}" if factor > 1 else "")
    lines = [
        row(case, ours["seconds"], factor * peer["seconds"], agreement),
        row(f"{metric} {stimuli} x {features} peak", ours["megabytes"], peer["megabytes"], agreement, "MB"),
    ]
    if metric in ("pls", "ridge"):
        scores = [_score(one, responses, timed) for one in (result, expected)]
        lines[0] |= {"score": scores[0], "peer_score": scores[1], "score_difference": abs(scores[0] - scores[1])}
    return lines


def _score(predictions: np.ndarray, responses: np.ndarray, number: int) -> float:
    """Brain-Score's aggregate: mean over splits of the median correlation over neuroids."""
    medians = []
    for prediction, (_, test) in zip(predictions, splits(len(responses), number), strict=True):
        x, y = prediction - prediction.mean(0), responses[test] - responses[test].mean(0)
        medians.append(np.median((x * y).sum(0) / np.sqrt((x**2).sum(0) * (y**2).sum(0))))
    return float(np.mean(medians))


def cases(small: bool) -> list[tuple[str, int, int, int, int]]:
    """(metric, stimuli, features, splits, splits that the peer runs)."""
    if small:
        return [("pls", 800, 500, 3, 3), ("pls", 800, 4000, 3, 1), ("ridge", 800, 4000, 3, 1), ("rdm", 800, 4000, 1, 1)]
    regressions = [("pls", 3200, 1000, 10, 10), ("pls", 3200, 25_000, 10, 1), ("ridge", 3200, 1000, 10, 10)]
    regressions += [("ridge", 3200, 25_000, 10, 1), ("ridgecv", 3200, 1000, 1, 1), ("ridgecv", 1000, 25_000, 1, 1)]
    return [*regressions, ("rdm", 1000, 25_000, 1, 1), ("cka", 3200, 25_000, 1, 1), ("nearest", 3200, 4000, 1, 1)]


def main() -> None:
    lines = []
    for metric, *sizes in cases(quick(__doc__)):
        if metric in ("rdm", "cka", "nearest") and not BRAINSCORE.exists():
            print(f"left out {metric}: no Brain-Score environment")
            continue
        interpreter = str(BRAINSCORE) if metric in ("rdm", "cka", "nearest") else sys.executable
        lines += compare(metric, *sizes, interpreter)
        print(lines[-2], lines[-1], sep="\n", flush=True)
    report("pls", lines)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        run_side(sys.argv[2], Path(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
