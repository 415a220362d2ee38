"""The trainer against a bare PyTorch loop, and many small runs in a job against a process for each.

Overhead: SIMULATED images in memory, the same network, batches, steps and optimiser; both sides in turns, on one
thread, CPU seconds of the median. Small tier: runs on few real digits, packed in one process with log-spaced
evaluations against a process for each run with an evaluation every epoch; wall and CPU seconds from command to weights;
agreement: of the final validation accuracies. perf/gpu.py measures the same on a GPU, and more.
"""

import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import quick, report, row
from loader import SIZE, feed_of, photographs
from torch.nn import functional

from neuroscaling.core.machine import keep_freed_memory
from neuroscaling.datasets.index import load_index
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.subset_file import write_subset
from neuroscaling.datasets.subset_sampling import draw
from neuroscaling.models.build import build
from neuroscaling.planning.benchmark import wait_for_device
from neuroscaling.study.architectures import architecture
from neuroscaling.study.recipes import Recipe, load_recipe
from neuroscaling.study.run_table import Run, RunJob
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training.feeding.protocols import Batch
from neuroscaling.training.job import written_job
from neuroscaling.training.loop import Training, fit
from neuroscaling.training.optimisers import learning_rate, make_optimizer
from neuroscaling.training.schedule import StepPlan
from neuroscaling.training.setup import make_objective
from neuroscaling.training.torch_runtime import autocast, make_scaler, reproducible

DIGITS = DatasetSettings("digits")
CASES = (("resnet_w16", 32, 64), ("resnet18", 64, 32))  # architecture, pixels, batch


class Held:
    """A feed of the same batches over and over, `rounds` times an epoch: what is left is the trainer."""

    def __init__(self, batches: list[Batch], rounds: int = 1):
        self.corrupt: list[str] = []
        self.held, self.n_images = batches, rounds * sum(len(batch.labels) for batch in batches)

    def batches(self, requests: Any) -> Any:
        return (self.held[request.step % len(self.held)] for request in requests)

    def close(self) -> None:
        """Nothing to give back."""


def held(size: int, batch: int, steps: int, device: torch.device, n_classes: int = 10, rounds: int = 1) -> Held:
    """SIMULATED images, normal noise: what a step costs does not depend on them."""
    draws = torch.Generator().manual_seed(0)
    batches = []
    for _ in range(steps):
        images = torch.randn(batch, 3, size, size, generator=draws).to(device, memory_format=torch.channels_last)
        batches.append(Batch([images], torch.randint(0, n_classes, (batch,), generator=draws).to(device)))
    return Held(batches, rounds)


def ours(arch: str, feed: Held, recipe: Recipe, device: torch.device) -> tuple[float, list[float]]:
    """The trainer over the batches of `feed`; its CPU seconds and the loss of each epoch."""
    training, start = trainer(arch, feed, recipe, device), time.process_time()
    with reproducible(device):
        fit(training, lambda: None, lambda: None)
    return time.process_time() - start, [row.train_loss for row in training.progress.history[1:]]


def steady(arch: str, feed: Any, recipe: Recipe, device: torch.device, compile: bool = False) -> float:
    """Wall milliseconds an image of training, from the end of the first epoch on.

    An epoch ends when its losses are read, which waits for the GPU.
    """
    training, ends = trainer(arch, feed, recipe, device, compile), []
    with reproducible(device):
        fit(training, lambda: None, lambda: ends.append(time.monotonic()))
    return 1e3 * (ends[-1] - ends[0]) / ((len(ends) - 1) * feed.n_images)


def trainer(arch: str, feed: Any, recipe: Recipe, device: torch.device, compile: bool = False) -> Training:
    """A training that is fed by `feed`, and neither evaluated nor kept."""
    network = build(arch, 10, 0).to(device, memory_format=torch.channels_last)
    plan = StepPlan(0, feed.n_images, recipe.epochs, recipe.batch_size)
    objective = make_objective(recipe, network, arch, 10, plan.n_steps, 0)
    if compile:
        objective.compile(dynamic=False)
    return Training(
        run=arch,
        objective=objective,
        module=objective,
        optimizer=make_optimizer(recipe, objective, device),
        scaler=make_scaler(recipe, device),
        ema=None,
        recipe=recipe,
        plan=plan,
        feed=feed,
        device=device,
        image_ids=np.empty(0, dtype=object),
        n_classes=10,
        evaluate=lambda training, epoch: None,
        keep=lambda training, epoch: None,
        memory=torch.channels_last,
        nan_steps=TrainingOptions().nan_steps,
    )


def bare(arch: str, feed: Held, recipe: Recipe, device: torch.device) -> tuple[float, list[float]]:
    """The same by a loop of nothing but torch."""
    network = build(arch, 10, 0).to(device, memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(network.parameters(), lr=recipe.learning_rate, momentum=0.9)
    losses, step, start = [], 0, time.process_time()
    torch.use_deterministic_algorithms(device.type == "cpu")
    for _ in range(recipe.epochs):
        total = 0.0
        for batch in feed.held:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(recipe, step, len(feed.held))
            with autocast(recipe.precision, device):
                loss = functional.cross_entropy(network(batch.views[0]).float(), batch.labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            total += loss.item()
            step += 1
        losses.append(total / len(feed.held))
    torch.use_deterministic_algorithms(False)
    return time.process_time() - start, losses


def overhead(small: bool) -> list[dict[str, Any]]:
    """CPU seconds of trainer and bare loop, in turns."""
    rows, device = [], torch.device("cpu")
    keep_freed_memory()  # as every training does; of the whole process, so the bare loop has it too
    for arch, size, batch in CASES[: 1 if small else None]:
        feed = held(size, batch, 4 if small or size > 32 else 20, device)
        recipe = Recipe(
            name="perf",
            epochs=1 if small else 8 if size <= 32 else 4,
            batch_size=batch,
            optimizer="sgd",
            learning_rate=0.01,
        )
        times: dict[Any, list[float]] = {ours: [], bare: []}
        losses: dict[Any, list[float]] = {}
        for repeat in range(3 if small else 8):
            for side in (ours, bare) if repeat % 2 else (bare, ours):
                seconds, losses[side] = side(arch, feed, recipe, device)
                times[side].append(seconds)
        worst = max(abs(a - b) / b for a, b in zip(losses[ours], losses[bare], strict=True))
        rows.append(row(f"step, {arch} at {size} px", *(statistics.median(times[s]) for s in (ours, bare)), worst))
    return rows


def small_tier(n: int, device: str = "cpu", epochs: int = 100) -> list[dict[str, Any]]:
    """Seconds of one job of n small runs, and of a process for each with an evaluation every epoch."""
    with tempfile.TemporaryDirectory() as folder:
        sides = [tier(Path(folder) / way, way, n, epochs) for way in ("packed", "alone")]
        measured = []
        for jobs, evaluate_alone in zip(sides, (False, True), strict=True):
            start, cpu = time.monotonic(), _children()
            for group in [[job] for job in jobs] if evaluate_alone else [jobs]:
                _process(group, Path(folder), device)
            measured.append((time.monotonic() - start, _children() - cpu))
        accuracies = [[_accuracy(job) for job in jobs] for jobs in sides]
    worst = max(abs(a - b) for a, b in zip(*accuracies, strict=True))
    (wall, cpu), (other_wall, other_cpu) = measured
    what = f"{len(sides[0])} small runs in a job"
    return [row(f"{what}, wall", wall, other_wall, worst, "s"), row(f"{what}, CPU", cpu, other_cpu, worst)]


def tier(folder: Path, way: str, n: int, epochs: int = 100) -> list[RunJob]:
    """Runs on 1 to 10 digits a class; the same weights whatever the evaluations."""
    index = load_index("digits", DIGITS, "train")
    evaluations = "log" if way == "packed" else "published"
    recipe = load_recipe("digits").model_copy(update={"epochs": epochs, "evaluations": evaluations})
    jobs = []
    for seed in range(n):
        k = (1, 3, 10)[seed % 3]
        subset = folder / f"{k}-s{seed}.parquet"
        write_subset(subset, index, draw(index, k, seed), k, seed)
        trained = {"dataset": "digits", "dataset_settings": DIGITS, "fingerprint": index.fingerprint, "recipe": recipe}
        drawn = {"samples_per_class": k, "subset": str(k), "subset_seed": seed, "seed": seed}
        run = Run(f"resnet_w8-{k}-s{seed}", "trained", "resnet_w8", "ResNet", **trained, **drawn)
        jobs.append(RunJob(run, subset, folder / run.run))
    return jobs


def end_to_end(archs: dict[str, int], device: torch.device, workers: int, n: int = 8192) -> list[dict[str, Any]]:
    """Milliseconds an image of a step fed with photographs, and fed with SIMULATED images that are there already."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        photographs(Path(folder), n)
        for arch, batch in archs.items():
            recipe = Recipe(name="perf", epochs=6, batch_size=batch, optimizer="sgd", learning_rate=0.01)
            recipe = recipe.model_copy(update={"precision": "bf16" if device.type == "cuda" else "fp32"})
            resident = steady(arch, held(SIZE, batch, n // batch, device), recipe, device)
            for title, crops in (("decoded once", "stored"), ("from JPEG files", "originals")):
                feed = feed_of(Path(folder), n, crops, TrainingOptions(workers=workers), device.type)
                fed = steady(arch, feed, recipe, device)
                feed.close()
                rows.append(row(f"{arch}, {title}", fed, resident, 0.0, "ms/image"))
    return rows


def timm_step(arch: str, size: int, batch: int, device: torch.device, compile: bool, steps: int) -> float:
    """Milliseconds an image of timm's step, as its benchmark.py times it: forward, loss, backward, optimiser."""
    import timm
    from timm.optim import create_optimizer_v2

    made = {"img_size": size} if arch.startswith("vit") else {}
    network = timm.create_model(architecture(arch).timm_name, num_classes=10, **made)
    network = network.to(device, memory_format=torch.channels_last).train()
    network = torch.compile(network) if compile else network
    optimizer = create_optimizer_v2(network, opt="sgd", lr=1e-4)
    images = torch.randn(batch, 3, size, size, device=device).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, 10, (batch,), device=device)
    warm = max(steps // 4, 1)
    for number in range(warm + steps):
        if number == warm:
            wait_for_device(device)
            start = time.monotonic()
        optimizer.zero_grad()
        with torch.autocast(device.type, torch.bfloat16):
            loss = functional.cross_entropy(network(images), labels)
        loss.backward()
        optimizer.step()
    wait_for_device(device)
    return 1e3 * (time.monotonic() - start) / (steps * batch)


def _process(jobs: list[RunJob], folder: Path, device: str) -> None:
    path = folder / "jobs.json"
    path.write_text(written_job(jobs, TrainingOptions(device=device, threads=1)))
    command = [sys.executable, "-m", "neuroscaling.training.job", str(path)]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)


def _children() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _accuracy(job: RunJob) -> float:
    return json.loads((job.out / "run.json").read_text())["acc"]


def main() -> None:
    """Compare, print, and keep the table."""
    small = quick(__doc__)
    torch.set_num_threads(1)
    report("train", overhead(small) + small_tier(2 if small else 24))


if __name__ == "__main__":
    main()
