"""Several processes train one run as one process does; those here talk by gloo, on the CPU."""

import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from neuroscaling.core.leases import held, lock_of
from neuroscaling.core.records import read_run
from neuroscaling.study.recipes import Recipe
from neuroscaling.study.run_table import RunJob
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training.job import train_runs, written_job
from neuroscaling.training.schedule import StepPlan
from tests.support import waiting_group
from tests.support.digit_runs import digit_run, digit_subset
from tests.support.photographs import photograph_run, photographs
from tests.support.processes import LIMIT, wait_for

# Batch normalisation of torch sums in another order, and less exactly, where channels are last.
OPTIONS = TrainingOptions(device="cpu", threads=1, channels_last=False)
SGD = {"optimizer": "sgd", "learning_rate": 0.05, "epochs": 3, "warmup_epochs": 0, "evaluations": 1}
RUNS = {
    "vit": {"arch": "vit_w16", "optimizer": "adamw", "learning_rate": 1e-3},
    "whole micro batches": {"micro_batch": 16, "gradient_clip": 1.0},
    "a shared micro batch": {"ema": 0.5},
    "three micro batches": {
        "batch_size": 48,
        "micro_batch": 16,
        "loss": "soft_target",
        "mixup": 0.8,
        "drop_last": True,
    },
    # Its loss amplifies rounding from epoch to epoch.
    "simclr": {"recipe": "digits_simclr", "learning_rate": 1e-3, "epochs": 2},
    "dino": {"recipe": "digits_dino", "epochs": 2, "learning_rate": 1e-3},
}


pytestmark = pytest.mark.usefixtures("one_thread")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """History of each run by one process and by two, and what failed with two: a run with a corrupt image is last."""
    folder = tmp_path_factory.mktemp("distributed")
    found = {}
    for processes in (1, 2):
        jobs = {name: job_of(folder, name, processes) for name in RUNS}
        last = [] if processes == 1 else [job_with_a_corrupt_image(folder / "corrupt")]
        failures = train_runs([*jobs.values(), *last], replace(OPTIONS, gpus=processes))
        for name, job in jobs.items():
            found[name, processes] = pq.read_table(job.out / "history.parquet").to_pydict()
    return found, failures


def job_with_a_corrupt_image(folder):
    recipe = Recipe.model_validate(
        {"name": "r", "epochs": 1, "batch_size": 18, "optimizer": "sgd", "learning_rate": 0.01}
        | {"augmentation": "crop_flip", "crops": "originals"}
    )
    folder.mkdir()
    run, subset = photograph_run(photographs(folder), recipe, k=6)
    run = replace(run, run="corrupt", arch="resnet_w4", kind="trained", family="ResNet", start=None)
    (folder / "train" / "flower" / "03.jpg").write_bytes(b"not an image")
    return RunJob(run, subset, folder / "run")


def job_of(folder, name, processes):
    run = digit_run(k=10, **(SGD | RUNS[name]))
    return RunJob(replace(run, run=name), digit_subset(folder, run), folder / f"{name}-{processes}")


@pytest.mark.parametrize("name", RUNS)
def test_two_processes_give_the_curves_of_one(trained, name):
    histories = trained[0]
    of_an_image = 1.5 / 359  # whose two likeliest classes are equal but for rounding
    for column, tolerance in (("train_loss", 0), ("val_loss", 0), ("val_accuracy", of_an_image)):
        one, two = ([x for x in histories[name, n][column] if x is not None] for n in (1, 2))
        assert two == pytest.approx(one, rel=1e-5, abs=tolerance), column
    assert histories[name, 1]["images_seen"] == histories[name, 2]["images_seen"]


@contextmanager
def by_two_processes(jobs, folder, waits_after=10**9):
    """A job of two processes, which stand after a step until they are told to stop, and its log."""
    file, log = folder / "jobs.json", folder / "log"
    file.write_text(written_job(jobs, replace(OPTIONS, checkpoint_steps=4, gpus=2)))
    command = [sys.executable, "-m", waiting_group.__name__, str(file)]
    environment = os.environ | {waiting_group.STEP: str(waits_after)}
    with open(log, "wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, cwd=ROOT)
    try:
        yield process, log
    finally:
        process.terminate()  # where a test fails: torchrun ends its processes
        process.wait(LIMIT)


def wait_until(condition, process, log):
    def is_there():
        assert process.poll() is None, log.read_text()
        return condition()

    wait_for(is_there, log.read_text)


def test_a_run_of_two_processes_that_is_stopped_goes_on(tmp_path):
    run = digit_run("vit_w16", k=30, epochs=6)
    subset, out = digit_subset(tmp_path, run), tmp_path / "two"
    with by_two_processes([RunJob(run, subset, out)], tmp_path, waits_after=10) as (process, log):
        wait_until(lambda: any((out / "state").glob("step-*8.state")), process, log)
        process.send_signal(signal.SIGTERM)
        assert process.wait(LIMIT) == 128 + signal.SIGTERM, log.read_text()
    saved = [int(path.stem.removeprefix("step-")) for path in (out / "state").glob("step-*.state")]
    assert 8 < max(saved) <= 11 and not lock_of(out).exists()
    train_runs([RunJob(run, subset, out)], OPTIONS)  # by one process now: the number is no part of a run
    train_runs([RunJob(run, subset, tmp_path / "one")], OPTIONS)
    losses = [pq.read_table(folder / "history.parquet")["train_loss"].to_pylist() for folder in (out, tmp_path / "one")]
    assert losses[0][1:] == pytest.approx(losses[1][1:], rel=1e-4)
    assert json.loads((out / "run.json").read_text())["n_samples_seen"] == 1800


def test_two_processes_leave_a_run_that_another_driver_makes_for_the_end_and_wait_for_it_together(tmp_path):
    jobs = [
        RunJob(replace(digit_run(k=3, epochs=1, warmup_epochs=0), run=name), None, tmp_path / name) for name in "ab"
    ]
    jobs = [RunJob(job.run, digit_subset(tmp_path, job.run), job.out) for job in jobs]
    with by_two_processes(jobs, tmp_path) as (process, log):
        with held(jobs[0].out, "it"):
            wait_until(lambda: "waiting for run a" in log.read_text(), process, log)
            assert [(job.out / "run.json").is_file() for job in jobs] == [False, True]
        assert process.wait(LIMIT) == 0, log.read_text()
    assert read_run(jobs[0].out / "run.json").status == "done"


def test_a_corrupt_image_that_one_process_finds_ends_the_run_of_both(trained):
    (failure,) = trained[1]
    assert "1 images can't be decoded" in failure.problem and "03.jpg" in failure.problem


@pytest.mark.parametrize("world", [1, 2, 3, 8])
@pytest.mark.parametrize("n, micro_batch", [(256, 64), (232, 64), (100, None), (129, 64), (48, 16)])
def test_every_image_of_a_step_has_one_process(world, n, micro_batch):
    plans = [StepPlan(0, 1000, 1, 256, micro_batch, world=world, rank=rank) for rank in range(world)]
    parts = [part for plan in plans for part in plan.share(n).parts]
    assert [row for part in parts for row in range(part.start, part.stop)] == list(range(n))
    units = plans[0].share(n).units
    assert len({plan.share(n).units for plan in plans}) == 1 and {rank for unit in units for rank in unit} == {
        *range(world)
    }
    assert all(len(plan.share(n).parts) == sum(plan.rank in unit for unit in units) for plan in plans)
