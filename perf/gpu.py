"""All that only a GPU can tell, in one command: `python perf/gpu.py --minutes 8`.

Each part runs in a process of its own, and each row is kept below perf/results as soon as it is measured: a part
that has no time left, or fails, costs its own rows alone, and so does a command that is cut off. Rows of another card
are dropped. SIMULATED images and responses, except for the photographs of `fed`.

`ratio` is how many times better ours is: of `step` against timm's own loop, of `fed` (training with images that are
read) against images that are there already, of `packed` (small runs in one process) against a process for each, of
`extraction` against the forward pass alone, of `ridge`, `gram` and `projection` the share of what the card's matrix
product reaches, of `equality` the GPU against the CPU, of `nccl` two GPUs against one. `agreement` is the largest
relative difference of the results where both sides have some.

`--device cpu --quick` goes the same way without a GPU in tiny problems, and keeps nothing.
"""

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Timer
from typing import Any

import numpy as np
import torch
from common import report, row
from extract import ARCH, BLOCKS, READOUT, REDUCTIONS, RUN, prepare
from ridge import ALPHAS, FOLDS, PREDICTED, Problem
from ridge import ours as ridge
from train import end_to_end, held, small_tier, steady, tier, timm_step

from neuroscaling.activations.extraction import extract
from neuroscaling.activations.networks import exact_and_fast, normalise
from neuroscaling.activations.reductions import Projection
from neuroscaling.activations.stimulus_images import Preprocessing, load
from neuroscaling.activations.zarr_reading import open_store
from neuroscaling.activations.zarr_writing import gram_on
from neuroscaling.core.images import ImageFile
from neuroscaling.models.build import build
from neuroscaling.planning.benchmark import wait_for_device
from neuroscaling.regression.gram import Gram
from neuroscaling.regression.voxelwise.budget import flops
from neuroscaling.study.architectures import architecture
from neuroscaling.study.extraction_job import ExtractionJob, FeatureSpec
from neuroscaling.study.recipes import Recipe
from neuroscaling.study.sections.extraction import ExtractionOptions, Layers
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training.job import train_runs

TOPIC, ROW = "gpu", "ROW "
BATCHES = {"resnet18": 1024, "resnet50": 512, "vit_small": 512, "convnext_tiny": 256}
Rows = Iterator[dict[str, Any]]


def wall(function: Callable[[], Any], device: torch.device) -> float:
    """Seconds by the clock until the device is done."""
    wait_for_device(device)
    start = time.perf_counter()
    function()
    wait_for_device(device)
    return time.perf_counter() - start


def peak(device: torch.device, small: bool, dtype: torch.dtype = torch.float32) -> float:
    """Operations a second of one large matrix product, at its best of ten."""
    n = 256 if small else 8192
    square = torch.randn(n, n, device=device, dtype=dtype)
    return 2 * n**3 / min(wall(lambda: square @ square, device) for _ in range(10))


def step(device: torch.device, small: bool, compiled: bool = False) -> Rows:
    """Milliseconds an image of a step of training, ours and timm's: bf16, channels last, images that are there."""
    for arch, batch in list(BATCHES.items())[: 1 if small else None]:
        batch, steps = (4, 1) if small else (batch, 16)
        recipe = Recipe(name="perf", epochs=3, batch_size=batch, optimizer="sgd", learning_rate=0.01, precision="bf16")
        size = 32 if small else architecture(arch).input_size
        ours = steady(
            arch, held(size, batch, min(steps, 8), device, rounds=max(steps // 8, 1)), recipe, device, compiled
        )
        peer = timm_step(arch, size, batch, device, compiled, 3 if small else 40)
        yield row(f"step, {arch}, {'compiled' if compiled else 'as it is'}", ours, peer, 0.0, "ms/image")


def fed(device: torch.device, small: bool) -> Rows:
    """A step fed with photographs, decoded once or for each step, against images that are there already."""
    cores, (batch, n) = len(os.sched_getaffinity(0)), (8, 16) if small else (512, 4096)
    archs = {"resnet18": batch} if small else {"resnet18": batch, "resnet50": batch // 2}
    for one in end_to_end(archs, device, max(cores - 1, 0) if not small else 0, n):
        yield one | {"case": f"fed, {one['case']}"}


def packed(device: torch.device, small: bool) -> Rows:
    """Small runs in one process against a process for each."""
    for one in small_tier(1 if small else 6, device.type, epochs=10 if small else 100):
        yield one | {"case": f"packed, {one['case']}"}


def extraction(device: torch.device, small: bool) -> Rows:
    """Milliseconds an image of extracting ResNet-18's blocks, against its forward pass on images that are there."""
    n, batch = (4, 2) if small else (2048, 256)
    workers = 0 if small else max(len(os.sched_getaffinity(0)) - 1, 0)
    with tempfile.TemporaryDirectory(prefix="gpu-") as name:
        folder = Path(name)
        alone = _forward(prepare(folder, n), batch, device)
        alone()
        peer = statistics.median(wall(alone, device) for _ in range(3))
        for number, reduction in enumerate(list(REDUCTIONS)[: 1 if small else None]):
            work = partial(_extract, folder, f"{number}.json", reduction, batch, workers, device)
            yield row(f"extraction, {reduction}", 1e3 * wall(work, device) / n, 1e3 * peer / n, 0.0, "ms/image")


def _forward(paths: list[Path], batch: int, device: torch.device) -> Callable[[], None]:
    model, files = build(ARCH, 1000, 0).eval().to(device), [ImageFile(path) for path in paths]
    portions = [files[start : start + batch] for start in range(0, len(files), batch)]
    batches = [normalise(images, device) for images in load(portions, Preprocessing(224))]

    def run() -> None:
        with exact_and_fast(device, "none"):
            for images in batches:
                model(images)

    return run


def _extract(folder: Path, name: str, reduction: str, batch: int, workers: int, device: torch.device) -> Path:
    reduced, features, codec = REDUCTIONS[reduction]
    asked = FeatureSpec(Layers(candidates=BLOCKS, readout=READOUT), reduced, features)
    job = ExtractionJob(RUN, folder, folder / "manifest.json", folder / name, asked)
    extract(job, ExtractionOptions(batch=batch, codec=codec, workers=workers), device=str(device))
    return folder / name


def ridge_share(device: torch.device, small: bool) -> Rows:
    """Seconds of a ridge over ten penalties and five folds, against its operations at the card's peak."""
    n, p, t = (40, 16, 50) if small else (8779, 4096, 39548)
    best = peak(device, small)
    problem = Problem([n], p, min(t, 2000), True)
    problem.held, problem.t = np.tile(problem.held, (1, -(-t // 2000)))[:, :t], t
    ridge(Problem([40], 8, 3, True), device=str(device))
    seconds = wall(lambda: ridge(problem, 30_000, str(device)), device)
    counted = flops(n, p, t, len(ALPHAS), FOLDS, PREDICTED, cuda=device.type == "cuda")
    yield row(f"ridge, {n} rows, {p} features, {t} targets", seconds, counted / best, 0.0, "s")


def gram(device: torch.device, small: bool) -> Rows:
    """Seconds of a Gram matrix in double precision, blocks sent to the device included, against the card's peak."""
    n, p, width = (30, 64, 16) if small else (8779, 65_536, 4096)
    block = np.random.default_rng(0).standard_normal((n, width), np.float32)
    best = peak(device, small, torch.float64)
    seconds = wall(lambda: gram_on(str(device), (block for _ in range(p // width)), (n, p)), device)
    few = gram_on(str(device), iter([block[:200]]), (len(block[:200]), width)).products
    there = Gram.of(block[:200]).products
    yield row(f"gram, {n} stimuli, {p} features", seconds, 2 * n**2 * p / best, _off(few, there), "s")


def projection(device: torch.device, small: bool) -> Rows:
    """Milliseconds an image of projecting ResNet-18's widest block, against the network's forward pass."""
    features, components, batch = (512, 16, 4) if small else (64 * 112 * 112, 1000, 256)
    values = torch.randn(batch, features, device=device)
    project, on_cpu = (Projection(features, components, 0, torch.device(place)) for place in (device, "cpu"))
    few = project(values[:2]).cpu().numpy()
    seconds = statistics.median(wall(lambda: project(values), device) for _ in range(5))
    model = build(ARCH, 1000, 0).eval().to(device)
    images = torch.randn(batch, 3, 32 if small else 224, 32 if small else 224, device=device)
    with exact_and_fast(device, "none"):
        model(images)
        forward = statistics.median(wall(lambda: model(images), device) for _ in range(5))
    off = _off(few, on_cpu(values[:2].cpu()).numpy())
    case = f"projection of {features} features to {components}"
    yield row(case, 1e3 * seconds / batch, 1e3 * forward / batch, off, "ms/image")


def equality(device: torch.device, small: bool) -> Rows:
    """Activations and predictions of the GPU against those of the CPU."""
    n = 2 if small else 64
    with tempfile.TemporaryDirectory(prefix="gpu-") as name:
        folder, cpu = Path(name), torch.device("cpu")
        prepare(folder, n)
        places = {"device": device, "host": cpu}
        times = [
            wall(partial(_extract, folder, f"{side}.json", "none, zstd", n, 0, place), place)
            for side, place in places.items()
        ]
        stores = [open_store(folder / f"{side}.json") for side in places]
        worst = max(_off(*(store.read(layer) for store in stores)) for layer in (*BLOCKS, READOUT))
        yield row("equality, activations", *(1e3 * seconds / n for seconds in times), worst, "ms/image")
    problem = Problem([40] if small else [2000], 16 if small else 512, 50 if small else 500, True)
    predicted: list[np.ndarray] = []
    times = []
    for place in (device, cpu):
        times.append(wall(partial(lambda name: predicted.append(ridge(problem, device=name)[1]), str(place)), place))
    yield row("equality, ridge", *times, _off(*predicted), "s")


def nccl(device: torch.device, small: bool) -> Rows:
    """Seconds of a training on two GPUs, processes and their start included, against one."""
    if device.type == "cuda" and torch.cuda.device_count() < 2:
        print("one GPU: what NCCL does between two isn't measured", flush=True)
        return
    with tempfile.TemporaryDirectory(prefix="gpu-") as name:
        accuracies, times = [], []
        for gpus in (2, 1):
            jobs = tier(Path(name) / str(gpus), "alone", 1, epochs=10 if small else 30)
            options = TrainingOptions(device=device.type, gpus=gpus, threads=1)
            times.append(wall(partial(train_runs, jobs, options), device))
            accuracies.append(json.loads((jobs[0].out / "run.json").read_text())["acc"])
        yield row("nccl, two GPUs", *times, abs(accuracies[0] - accuracies[1]), "s")


def _off(ours: np.ndarray, peer: np.ndarray) -> float:
    return float(np.abs(ours.astype(np.float64) - peer).max() / max(np.abs(peer).max(), 1e-30))


# In the order of what a plan needs most; what is compiled takes minutes, so it comes last.
PARTS: dict[str, Callable[[torch.device, bool], Rows]] = {
    "step": step,
    "equality": equality,
    "ridge": ridge_share,
    "gram": gram,
    "projection": projection,
    "extraction": extraction,
    "packed": packed,
    "fed": fed,
    "nccl": nccl,
    "compiled": partial(step, compiled=True),
}


def measure(command: list[str], keep: Callable[[dict[str, Any]], None], seconds: float) -> str:
    """Run a part for at most so many seconds; each of its rows goes to `keep`. Gives why it did not end well, or ``."""
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True)
    late = Timer(seconds, os.killpg, (process.pid, signal.SIGKILL))
    late.start()
    try:
        for line in process.stdout or ():
            if line.startswith(ROW):
                keep(json.loads(line.removeprefix(ROW)))
            else:
                print(line, end="", flush=True)
        status = process.wait()
    finally:
        late.cancel()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if status == -signal.SIGKILL:
        return f"ended from outside, after {seconds:.0f} s at most"
    return f"exit status {status}" if status else ""


def all_parts(options: argparse.Namespace) -> int:
    """Run the parts one after the other until the minutes are over; exit status 1 where one failed."""
    end, rows, told = time.monotonic() + 60 * options.minutes, [], {}
    kept = options.device == "cuda" and not options.quick

    def keep(one: dict[str, Any]) -> None:
        rows.append(one)
        print("  ".join(str(value) for value in one.values()), flush=True)
        if kept:
            report(TOPIC, [one], keep=True, quiet=True)

    for name in options.parts:
        left = end - time.monotonic()
        if left < 15:
            told[name] = "no time was left"
            continue
        command = [sys.executable, __file__, "--part", name, "--device", options.device]
        told[name] = measure([*command, *(["--quick"] if options.quick else [])], keep, left)
    failed = {name: why for name, why in told.items() if why}
    print(f"{len(rows)} rows" + (f" in perf/results/{TOPIC}.json" if kept else "; nothing was kept"))
    for name, why in failed.items():
        print(f"not measured to its end: {name} ({why})")
    return int(any(why.startswith("exit") for why in failed.values()))


def main() -> int:
    """Run one part, or all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=8.0, help="what all parts together may take (8)")
    parser.add_argument(
        "--parts", nargs="+", choices=PARTS, default=list(PARTS), help="these parts alone, in this order"
    )
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="cpu: to try the parts out")
    parser.add_argument("--quick", action="store_true", help="tiny problems, which tell nothing about speed")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        parser.error("torch finds no CUDA device here. `--device cpu --quick` tries the parts out, and keeps nothing.")
    if not options.part:
        return all_parts(options)
    torch.set_num_threads(1)
    for one in PARTS[options.part](torch.device(options.device), options.quick):
        print(ROW + json.dumps(one), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
