"""A whole Brain-Score metric, `pls` on 10 splits, by both engines: from the stored features to the Score.

3,200 simulated stimuli x 168 neuroids, 25 components; every side runs in a process of its own in Brain-Score's
environment, on one thread: CPU seconds of reading the store, `look_at` and the metric, and peak resident memory of
the process. `stock` is brainscore_vision's metric object on the full features; where it is marked `x 10`, one split
is timed and counted ten times. The ceiling's row compares taking a kept one with computing it (internal consistency,
4 repetitions). `agreement` is the largest difference of a neuroid's correlation in a split; the features are float32,
which scikit-learn centres in float32.

`sizes / one`: the kernel engine alone, with nine numbers of mapping images (10, 20, .. doubling, and all; `--quick`:
those that there are) against all images, in one process, reading included once on both sides; the ratio is below 1
where more numbers cost more, and `agreement` is that of the correlations of all images. `sizes / one, a job` adds what
a process takes before (interpreter, imports, recordings) to both sides. `--ours` measures these and the next row alone,
minutes in place of an hour, and keeps the others in the file.

`LAION-fMRI / 4`: peak memory of the kernel engine's `dual_ridgecv_split` on generated recordings of one subject of that
size by four: 1,458 images (1,166 for training), 25,000 voxels, 21 penalties; `peer` is what the job is estimated at.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import options, report, row

ROOT = Path(__file__).parents[1]
BRAINSCORE = Path(os.environ.get("NEUROSCALING_BRAINSCORE_PYTHON") or ROOT / ".venv/brainscore/bin/python")
OBJECTS, REPETITIONS, BATCH = 64, 4, 64
NINE = (10, 20, 40, 80, 160, 320, 640, 1280, None)


def write_problem(folder: Path, stimuli: int, features: int, neuroids: int) -> None:
    """A store of rectified low-rank features in float32, and responses with noise, stimuli by repetitions."""
    from neuroscaling.activations.zarr_writing import write_store

    rng = np.random.default_rng(0)
    latent = rng.standard_normal((stimuli, 80)) * np.arange(1, 81) ** -0.6
    weights = rng.standard_normal((80, features))
    noise = 0.3 * rng.standard_normal((stimuli, features), dtype=np.float32)
    values = np.maximum((latent @ weights).astype(np.float32) + noise, 0)
    ids = [f"stimulus{i:05d}" for i in rng.permutation(stimuli)]
    batches = ({"layer": values[row : row + BATCH]} for row in range(0, stimuli, BATCH))
    write_store(folder / "set.json", ids, batches, reduction={"kind": "none"}, codec="none")
    clean = np.tanh(latent) @ rng.standard_normal((80, neuroids))
    trials = clean + 2 * rng.standard_normal((REPETITIONS, stimuli, neuroids))
    np.savez(folder / "responses.npz", ids=ids, trials=trials)


def assemblies(folder: Path) -> tuple[Any, Any, Any]:
    """Stimuli, averaged responses and single trials, as Brain-Score holds them."""
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
    from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet

    with np.load(folder / "responses.npz") as file:
        ids, trials = file["ids"].tolist(), file["trials"]
    objects = [f"object{i % OBJECTS}" for i in range(len(ids))]
    stimuli = StimulusSet({"stimulus_id": ids, "object_name": objects})
    stimuli.identifier = "simulated"
    neuroids = [f"neuroid{i}" for i in range(trials.shape[2])]

    def packed(values: np.ndarray, repetitions: int) -> Any:
        coords = {
            "stimulus_id": ("presentation", ids * repetitions),
            "object_name": ("presentation", objects * repetitions),
            "repetition": ("presentation", np.repeat(np.arange(repetitions), len(ids))),
            "neuroid_id": ("neuroid", neuroids),
            "region": ("neuroid", ["IT"] * len(neuroids)),
        }
        return NeuroidAssembly(values, coords=coords, dims=["presentation", "neuroid"])

    return stimuli, packed(trials.mean(0), 1), packed(trials.reshape(-1, trials.shape[2]), REPETITIONS)


class Benchmark:
    """What the engines ask of a benchmark: an identifier and a metric."""

    identifier = "simulated"

    def __init__(self, metric: Any):
        self._similarity_metric = metric


def metric_side(folder: Path, engine: str, splits: int) -> tuple[float, np.ndarray]:
    """CPU seconds of `splits` splits of 10, reading included once, and correlations (splits, neuroids)."""
    from brainscore_vision import load_metric

    from neuroscaling.activations.zarr_reading import open_store
    from neuroscaling.brainscore.kernel_engine import use_kernel
    from neuroscaling.brainscore.row_numbers import Layers, View
    from neuroscaling.brainscore.stored_model import StoredBrainModel

    stimuli, target, _ = assemblies(folder)
    metric = load_metric("pls", crossvalidation_kwargs={"splits": splits})
    started = time.process_time()
    store = open_store(folder / "set.json")
    view = View(Layers(store)) if engine == "kernel" else None
    if view:
        use_kernel(Benchmark(metric), view, "layer")
    model = StoredBrainModel("simulated", store, {"IT": "layer"}, "layer", view=view)
    model.start_recording("IT")
    source = model.look_at(stimuli)
    looked = time.process_time()
    raw = metric(source, target).raw.transpose("split", "neuroid").sortby("neuroid_id")
    return (looked - started) + (time.process_time() - looked) * 10 / splits, raw.values


def sizes_side(folder: Path, metric_name: str) -> dict[str, float]:
    """CPU seconds of all mapping images alone and of nine numbers of them, and how the correlations of all differ."""
    from brainscore_vision import load_metric

    from neuroscaling.activations.zarr_reading import open_store
    from neuroscaling.brainscore.kernel_engine import use_kernel
    from neuroscaling.brainscore.row_numbers import Layers, View
    from neuroscaling.brainscore.stored_model import StoredBrainModel

    stimuli, target, _ = assemblies(folder)
    found = {}
    several = [n for n in NINE if n is None or n < 0.9 * len(stimuli)]
    for name, sizes in (("warm", [None]), ("one", [None]), ("several", several)):
        started = time.process_time()
        store = open_store(folder / "set.json")
        view, metric = View(Layers(store)), load_metric(metric_name)
        mappings = use_kernel(Benchmark(metric), view, "layer")
        for n_images in sizes:
            mappings.begin("layer", n_images)
            model = StoredBrainModel("simulated", store, {"IT": "layer"}, "layer", view=view)
            model.start_recording("IT")
            raw = metric(model.look_at(stimuli), target).raw
        found[name] = time.process_time() - started, raw.transpose("split", "neuroid").values
        if name == "warm":
            before = time.process_time()
    difference = np.abs(found["one"][1] - found["several"][1]).max()
    seconds = {name: found[name][0] for name in ("one", "several")} | {"start": before - found["one"][0]}
    return {**seconds, "difference": float(difference), "sizes": len(several)}


def subject_side(folder: Path, neuroids: int) -> dict[str, float]:
    """Peak memory, and its estimate, of a mapping of given training images to many voxels; four in five train."""
    from brainscore_core.supported_data_standards.brainio.assemblies import NeuroidAssembly
    from brainscore_core.supported_data_standards.brainio.stimuli import StimulusSet
    from brainscore_vision import load_metric

    from neuroscaling.activations.zarr_reading import open_store
    from neuroscaling.brainscore.environment import estimate_mb
    from neuroscaling.brainscore.kernel_engine import use_kernel
    from neuroscaling.brainscore.row_numbers import Layers, View
    from neuroscaling.brainscore.stored_model import StoredBrainModel

    store = open_store(folder / "set.json")
    ids, rng = sorted(store.stimulus_ids), np.random.default_rng(0)
    view, metric = View(Layers(store)), load_metric("dual_ridgecv_split", alphas=[10.0**i for i in range(-10, 11)])
    use_kernel(Benchmark(metric), view, "layer")
    sides: dict[str, Any] = {}
    for name, own in (("train", ids[: 4 * len(ids) // 5]), ("test", ids[4 * len(ids) // 5 :])):
        stimuli = StimulusSet({"stimulus_id": own, "object_name": own})
        stimuli.identifier = name
        model = StoredBrainModel("simulated", store, {"IT": "layer"}, "layer", view=view)
        model.start_recording("IT")
        values = rng.standard_normal((len(own), neuroids), dtype=np.float32)
        coords = {
            "stimulus_id": ("presentation", own),
            "subject": ("presentation", ["sub-01"] * len(own)),
            "neuroid_id": ("neuroid", np.arange(neuroids)),
            "region": ("neuroid", ["IT"] * neuroids),
        }
        sides[f"target_{name}"] = NeuroidAssembly(values, coords=coords, dims=["presentation", "neuroid"])
        sides[f"source_{name}"] = model.look_at(stimuli)
    metric(**sides)
    kept = tuple(what for what in ("features", "gram") if store.keeps("layer", what))
    return {"estimate": estimate_mb(*store.shape("layer"), neuroids, "kernel", kept), "peak": peak_mb()}


def ceiling_side(folder: Path, engine: str) -> tuple[float, np.ndarray]:
    """CPU seconds of a ceiling: Brain-Score's, or one that was kept; the ceiling of each split and neuroid."""
    from brainscore_vision import load_ceiling

    from neuroscaling.brainscore.ceilings import read_ceiling, write_ceiling
    from neuroscaling.core.hashing import key_of

    _, _, trials = assemblies(folder)
    definition = {"part": "simulated"}
    kept = folder / f"ceiling-{key_of(definition)}.json"
    started = time.process_time()
    if engine == "kernel":
        ceiling = read_ceiling(kept)
    else:
        ceiling = load_ceiling("internal_consistency")(trials)
    seconds = time.process_time() - started
    if engine == "stock":
        write_ceiling(ceiling, kept, definition)
    return seconds, ceiling.raw.transpose("split", "neuroid").values


def side(folder: str, engine: str, splits: str) -> None:
    """One side in this process; prints JSON and keeps its values."""
    from neuroscaling.brainscore import environment as brainscore_environment

    brainscore_environment.prepare_environment(Path(folder) / "scratch")
    own = Path(folder)
    if engine == "sizes":
        print(json.dumps(sizes_side(own, splits)))
        return
    if engine == "subject":
        print(json.dumps(subject_side(own, int(splits))))
        return
    seconds, values = ceiling_side(own, engine) if splits == "0" else metric_side(own, engine, int(splits))
    np.save(own / f"{engine}.npy", values)
    print(json.dumps({"seconds": seconds, "mb": peak_mb()}))


def peak_mb() -> float:
    """Peak resident memory of this process; getrusage would count that of the process which started it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM"))


def measured(folder: Path, engine: str, splits: int | str) -> dict[str, Any]:
    """Run one side in its own process on one thread."""
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = os.environ | threads | {"PYTHONPATH": str(ROOT / "src"), "PYTHONWARNINGS": "ignore"}
    command = [str(BRAINSCORE), __file__, "--side", str(folder), engine, str(splits)]
    finished = subprocess.run(command, capture_output=True, text=True, env=environment, check=True)
    return json.loads(finished.stdout.splitlines()[-1])


def compare(folder: Path, case: str, peer_splits: int, splits: int = 10) -> list[dict]:
    """Lines of one case: seconds, and memory in MB where it tells."""
    peer, ours = measured(folder, "stock", peer_splits), measured(folder, "kernel", splits)
    mine, theirs = (np.load(folder / f"{engine}.npy") for engine in ("kernel", "stock"))
    agreement = np.abs(mine[: len(theirs)] - theirs).max()
    mark = " x 10" if peer_splits == 1 else ""
    lines = [row(case + mark, ours["seconds"], peer["seconds"], agreement)]
    return lines + ([row(f"{case}, memory", ours["mb"], peer["mb"], agreement, "MB")] if splits else [])


def compare_sizes(folder: Path, metric: str, width: int) -> list[dict]:
    """The lines of several numbers of mapping images against one: of the metric, and of a whole job."""
    found = measured(folder, "sizes", metric)
    several, one, start = (found[name] for name in ("several", "one", "start"))
    case = f"{metric} {width}, {found['sizes']} sizes / one"
    job = row(f"{case}, a job", start + several, start + one, found["difference"])
    return [row(case, several, one, found["difference"]), job]


def main() -> None:
    """Compare the metric at several widths, and the ceiling."""
    asked = options(__doc__, ours="leave out what the stock engine takes part in")
    small = asked.quick
    stimuli, neuroids = (640, 40) if small else (3200, 168)
    rows = []
    for width, peer_splits in ((1000, 10), (4000, 1)) if small else ((1000, 10), (25_000, 1)):
        with tempfile.TemporaryDirectory() as scratch:
            write_problem(Path(scratch), stimuli, width, neuroids)
            if not asked.ours:
                rows += compare(Path(scratch), f"pls {width}", peer_splits)
            rows += [line for metric in ("pls", "ridge") for line in compare_sizes(Path(scratch), metric, width)]
            if width == 1000 and not asked.ours:
                rows += compare(Path(scratch), "ceiling", 0, 0)
    images, voxels = (365, 6250) if small else (1458, 25_000)
    with tempfile.TemporaryDirectory() as scratch:
        write_problem(Path(scratch), images, 4000, 1)
        found = measured(Path(scratch), "subject", voxels)
        rows.append(row(f"LAION-fMRI / {16 if small else 4}", found["peak"], found["estimate"], 0.0, "MB"))
    report("brainscore", rows, keep=asked.ours)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--side"]:
        side(*sys.argv[2:])
    else:
        main()
