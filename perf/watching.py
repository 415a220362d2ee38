"""What watching costs: CPU seconds of a watch (ours) beside those of all that its process does meanwhile (peer).

A training of a small network on real digits, watched as in a job: the watch's thread has a clock of its own, so a busy
machine changes nothing but how often it looks, once a second of the wall clock: on a busy one more often for the same
work. Ridge of SIMULATED targets, whose loops count each candidate, task and fit: the seconds of counting are those of
as many things counted in a bare loop, less that loop; with them the watch's thread. A ratio above 100 is less than 1 %.
`agreement` is 0: nothing is computed twice.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import cpu_seconds, quick, report, row
from train import DIGITS

from neuroscaling.core import watching
from neuroscaling.core.counting import Tally, counted, counting
from neuroscaling.core.leases import held
from neuroscaling.datasets.index import load_index
from neuroscaling.datasets.subset_file import write_subset
from neuroscaling.datasets.subset_sampling import draw
from neuroscaling.encoding.fits import Task
from neuroscaling.encoding.layers import Candidate
from neuroscaling.encoding.metric_ridge import encode
from neuroscaling.regression.voxelwise.blocks import FeatureRows
from neuroscaling.regression.voxelwise.settings import NestedSubsets, RidgeSettings
from neuroscaling.study.recipes import load_recipe
from neuroscaling.study.run_table import Run, RunJob
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training.train import train

COUNTED = 100_000


@contextmanager
def timed_watch(spent: list[float]) -> Iterator[None]:
    """Let each watch leave the CPU seconds of its thread."""
    run = watching.Watch.run

    def timed(self: watching.Watch) -> None:
        run(self)
        spent.append(time.thread_time())

    watching.Watch.run = timed  # type: ignore[method-assign]
    try:
        yield
    finally:
        watching.Watch.run = run  # type: ignore[method-assign]


def training(folder: Path, epochs: int) -> dict[str, Any]:
    """Of a run on 400 digits."""
    index, subset = load_index("digits", DIGITS, "train"), folder / "40-s0.parquet"
    write_subset(subset, index, draw(index, 40, 0), 40, 0)
    run = Run(
        "resnet_w8-40-s0",
        "trained",
        "resnet_w8",
        "ResNet",
        dataset="digits",
        dataset_settings=DIGITS,
        fingerprint=index.fingerprint,
        recipe=load_recipe("digits").model_copy(update={"epochs": epochs}),
        samples_per_class=40,
        subset="40",
        subset_seed=0,
        seed=0,
    )
    spent: list[float] = []
    with timed_watch(spent):
        seconds, failed = cpu_seconds(
            lambda: train(RunJob(run, subset, folder / run.run), TrainingOptions(device="cpu", threads=1))
        )
    assert failed is None and len(spent) == 1
    return shares("training, resnet_w8", spent[0], seconds)


def encoding(folder: Path, n: int, rounds: int) -> dict[str, Any]:
    """Of ridge of `n` images, in as many tasks as `rounds`."""
    draws = np.random.default_rng(0)
    features = [draws.standard_normal((n, 200)).astype(np.float32) for _ in range(4)]
    responses = draws.standard_normal((n, 500)).astype(np.float32)
    fit, evaluate = np.arange(n - 50), np.arange(n - 50, n)
    order = NestedSubsets((len(fit),), (fit,), (fit % 5,))
    candidates = [
        Candidate(str(i), lambda values=values: FeatureRows(values))  # type: ignore[misc]
        for i, values in enumerate(features)
    ]
    settings = RidgeSettings(alphas=tuple(np.logspace(-3, 3, 10)), device="cpu")
    tally, spent = Tally("encoding", "subjects", 1), []  # type: tuple[Tally, list[float]]

    def fitted() -> None:
        tasks = [Task(order, evaluate)] * rounds
        encode(candidates, tasks, lambda start, stop: responses[:, start:stop], responses.shape[1], settings)

    with (
        timed_watch(spent),
        held(folder / "score.json", "a score") as lease,
        watching.watched_lease(lease, "a score", tally),
    ):
        seconds, _ = cpu_seconds(fitted)
    return shares(f"ridge, {tally.steps} steps", spent[0] + tally.steps * each(), seconds)


def each() -> float:
    """CPU seconds of counting one thing."""

    def passed(things: Callable[[], Any]) -> None:
        for _ in things():
            pass

    with counting(Tally("encoding", "subjects")):
        ours, _ = cpu_seconds(lambda: passed(lambda: counted(range(COUNTED), "fit")))
    bare, _ = cpu_seconds(lambda: passed(lambda: range(COUNTED)))
    return (ours - bare) / COUNTED


def shares(case: str, watched: float, everything: float) -> dict[str, Any]:
    """A row, in milliseconds: a watch takes few."""
    return row(case, 1e3 * watched, 1e3 * everything, 0.0, "CPU ms")


def main() -> None:
    """Measure, print, and keep the table."""
    small = quick(__doc__)
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = [training(Path(folder), 20 if small else 200), encoding(Path(folder), 600, 10 if small else 100)]
    report("watching", rows)


if __name__ == "__main__":
    main()
