"""Voxel-wise ridge against himalaya's RidgeCV and scikit-learn's leave-one-out RidgeCV.

SIMULATED float32 features and responses, 10 penalties from 1 to 1e6 (features as they are, with an intercept), 5 folds,
mean R^2 over folds, refit on all rows and predictions of 500 rows included. Every side runs in a process of its own on
one thread: CPU seconds, and peak resident memory above that of interpreter, libraries, features and responses.
himalaya is taken with the
better of its backends numpy and torch, and with KernelRidgeCV where there are fewer rows than features. scikit-learn's
leave-one-out criterion chooses other penalties. Agreement: of predictions where both sides chose the same penalty, over
the largest prediction; `same_penalty` is the share of such targets. perf/gpu.py measures ridge on a GPU.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from common import report, row
from pls import peak_megabytes

ALPHAS = np.logspace(0, 6, 10)
FOLDS, PREDICTED, FEW = 5, 500, 5
ROOT = Path(__file__).parents[1]


def features_of(n: int, p: int) -> np.ndarray:
    """SIMULATED features, float32: 64 latent dimensions and noise, z-scored, with a mean."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal((n, 64)) @ rng.standard_normal((64, p)) + 2 * rng.standard_normal((n, p))
    return ((values - values.mean(0)) / values.std(0) + 0.3).astype(np.float32)


def targets_of(features: np.ndarray, start: int, stop: int) -> np.ndarray:
    """SIMULATED responses of some targets, the same whichever are asked for together."""
    n, p = features.shape
    values = np.empty((n, stop - start), np.float32)
    for i in range(start, stop):
        rng = np.random.default_rng(i)
        weights = rng.standard_normal(p, np.float32) / np.float32(np.sqrt(p))
        values[:, i - start] = features @ weights + 3 * rng.standard_normal(n, np.float32) + 1
    return values


class Problem:
    """Features of mapping and predicted rows, and responses: all of them, or made anew in blocks when asked for."""

    def __init__(self, counts: list[int], p: int, t: int, held: bool) -> None:
        self.counts, self.t = counts, t
        self.features = features_of(counts[-1] + PREDICTED, p)
        self.held = targets_of(self.features, 0, t) if held else None

    def targets(self, start: int, stop: int) -> np.ndarray:
        return targets_of(self.features, start, stop) if self.held is None else self.held[:, start:stop]


def ours(
    problem: Problem, memory_mb: int = 2000, device: str = "cpu", kept: int = PREDICTED
) -> tuple[np.ndarray, np.ndarray]:
    """Penalties (sizes, t) and predictions (sizes, rows, t), of which the first rows are kept."""
    from neuroscaling.regression.voxelwise.blocks import FeatureRows
    from neuroscaling.regression.voxelwise.fit import fit_sizes
    from neuroscaling.regression.voxelwise.settings import RidgeSettings

    settings = RidgeSettings(tuple(ALPHAS), relative=False, scale="centre", memory_mb=memory_mb, device=device)
    n = problem.counts[-1]
    alphas = np.empty((len(problem.counts), problem.t))
    predicted = np.empty((len(problem.counts), kept, problem.t), np.float32)
    orders, folds = [np.arange(m) for m in problem.counts], [np.arange(m) % FOLDS for m in problem.counts]
    rows = np.arange(n, n + PREDICTED)
    for fit in fit_sizes(FeatureRows(problem.features), orders, folds, rows, problem.targets, problem.t, settings):
        part = slice(fit.start, fit.stop)
        alphas[fit.size, part] = fit.alpha
        predicted[fit.size][:, part] = fit.predict(np.ones(fit.stop - fit.start, bool))[:kept]
    return alphas, predicted


def himalaya(problem: Problem, backend_name: str) -> tuple[np.ndarray, np.ndarray]:
    """The same with himalaya, a fit for each size."""
    from himalaya.backend import set_backend
    from himalaya.kernel_ridge import KernelRidgeCV
    from himalaya.ridge import RidgeCV
    from himalaya.scoring import r2_score

    backend = set_backend(backend_name)
    x, y = backend.asarray(problem.features), backend.asarray(problem.targets(0, problem.t))
    alphas, predicted = [], []
    for m in problem.counts:
        folds = [
            (np.flatnonzero(np.arange(m) % FOLDS != f), np.flatnonzero(np.arange(m) % FOLDS == f)) for f in range(5)
        ]
        batches = {"n_targets_batch": 1000, "n_alphas_batch": 10 if x.shape[1] < 2000 else 5}
        settings = {"alphas": backend.asarray(ALPHAS.astype(np.float32)), "cv": folds, "fit_intercept": True}
        parameters = {"score_func": r2_score, **batches}
        if m >= x.shape[1]:
            model = RidgeCV(solver_params=parameters | {"warn": False}, **settings)
        else:
            model = KernelRidgeCV(kernel="linear", solver_params=parameters, warn=False, **settings)
        model.fit(x[:m], y[:m])
        alphas.append(np.asarray(model.best_alphas_))
        predicted.append(np.asarray(model.predict(x[problem.counts[-1] :])))
    return np.stack(alphas), np.stack(predicted)


def himalaya_numpy(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    return himalaya(problem, "numpy")


def himalaya_torch(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    return himalaya(problem, "torch")


def scikit_learn(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's leave-one-out RidgeCV with a penalty for each target."""
    from sklearn.linear_model import RidgeCV

    [n] = problem.counts
    model = RidgeCV(ALPHAS, alpha_per_target=True).fit(problem.features[:n], problem.targets(0, problem.t)[:n])
    return model.alpha_[None], model.predict(problem.features[n:])[None]


def ours_in_300_megabytes(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    return ours(problem, 300, kept=FEW)


def run_side(name: str, folder: Path, counts: list[int], p: int, t: int, held: bool) -> None:
    """One side, in this process: its result and what it took, as files in `folder`."""
    function: Callable = globals()[name]
    # What the first call would import is no part of the computation.
    function(Problem([40], 8, 3, True))
    problem = Problem(counts, p, t, held)
    before = _resident_megabytes()
    start = time.process_time()
    alphas, predicted = function(problem)
    seconds = time.process_time() - start
    np.savez(folder / f"{name}.npz", alphas=alphas, predicted=predicted)
    (folder / f"{name}.json").write_text(json.dumps({"seconds": seconds, "megabytes": peak_megabytes() - before}))


def _resident_megabytes() -> float:
    status = Path("/proc/self/status")
    if not status.exists():
        return 0.0
    [line] = [line for line in status.read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def side(name: str, *problem) -> tuple[dict[str, float], np.ndarray, np.ndarray]:
    """Run one side in its own process: what it took, penalties and predictions."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": "ignore"}
        subprocess.run(
            [sys.executable, __file__, "--side", name, folder, json.dumps(problem)], check=True, env=environment
        )
        arrays = np.load(Path(folder) / f"{name}.npz")
        return json.loads((Path(folder) / f"{name}.json").read_text()), arrays["alphas"], arrays["predicted"]


def compare(case: str, peers: list[str], counts: list[int], p: int, t: int) -> dict:
    """A line of the table: ours against the fastest of `peers`."""
    took, alphas, predicted = side("ours", counts, p, t, True)
    others = {peer: side(peer, counts, p, t, True) for peer in peers}
    name = min(others, key=lambda peer: others[peer][0]["seconds"])
    other, other_alphas, expected = others[name]
    same = np.isclose(alphas, other_alphas, rtol=1e-3)
    difference = np.abs(predicted - expected).max(1)[same].max() / np.abs(expected).max()
    line = row(f"{case}, {name}", took["seconds"], other["seconds"], difference)
    return line | {
        "same_penalty": round(float(same.mean()), 4),
        "megabytes": [round(took["megabytes"]), round(other["megabytes"])],
    }


def compare_memory(n: int, p: int, t: int) -> dict:
    """A line of the table: peak memory with 300 MB given, responses made in blocks; himalaya has them whole."""
    took, _, predicted = side("ours_in_300_megabytes", [n], p, t, False)
    other, _, expected = side("himalaya_torch", [n], p, t, False)
    difference = np.median(np.abs(predicted - expected[:, :FEW])) / np.abs(expected).max()
    return row(f"peak n {n} p {p} t {t}", took["megabytes"], other["megabytes"], difference, "MB")


def cases(small: bool) -> list[tuple[str, list[str], list[int], int, int]]:
    """(name, peers, mapping sizes, features, targets)."""
    both = ["himalaya_torch", "himalaya_numpy"]
    if small:
        return [
            ("n 2000 p 128 t 500", both, [2000], 128, 500),
            ("n 500 p 256 t 500", both, [500], 256, 500),
            ("9 sizes 10..2000 p 128", both, sizes(2000), 128, 500),
            ("n 2000 p 128 t 500", ["scikit_learn"], [2000], 128, 500),
        ]
    return [
        ("n 8000 p 512 t 5000", both, [8000], 512, 5000),
        ("n 2000 p 1024 t 5000", both, [2000], 1024, 5000),
        ("n 8000 p 4096 t 2000", ["himalaya_torch"], [8000], 4096, 2000),
        ("9 sizes 10..8000 p 512", both, sizes(8000), 512, 5000),
        ("n 8000 p 512 t 5000", ["scikit_learn"], [8000], 512, 5000),
    ]


def sizes(n: int) -> list[int]:
    """Nine nested mapping sizes."""
    return [round(m) for m in np.geomspace(10, n, 9)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller problems")
    arguments = parser.parse_args()
    before = os.getloadavg()[0]
    lines = []
    for case in cases(arguments.quick):
        lines.append(compare(*case))
        print(lines[-1], flush=True)
    for t in (500, 5000) if arguments.quick else (5000, 50_000):
        lines.append(compare_memory(1000 if arguments.quick else 2000, 64 if arguments.quick else 256, t))
        print(lines[-1], flush=True)
    lines[0]["load_before"] = round(before, 2)
    report("ridge", lines)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        run_side(sys.argv[2], Path(sys.argv[3]), *json.loads(sys.argv[4]))
    else:
        main()
