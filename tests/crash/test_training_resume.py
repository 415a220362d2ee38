"""A training that is killed goes on where it was and ends with the weights of an uninterrupted one, to the last bit."""

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace

import pyarrow.parquet as pq
import pytest

from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.leases import lock_of
from neuroscaling.study.recipes import Recipe
from neuroscaling.study.run_table import RunJob
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training.job import train_runs, written_job
from neuroscaling.training.train import train
from tests.support import waiting_training
from tests.support.digit_runs import digit_run, digit_subset
from tests.support.photographs import photograph_run, photographs
from tests.support.processes import LIMIT, wait_for

EPOCHS = 12
WEIGHTS = f"weights-ep{EPOCHS}.safetensors"
OPTIONS = TrainingOptions(device="cpu", threads=1)


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A run with its subset, and the checksum of the weights that it ends with when nobody disturbs it."""
    folder = tmp_path_factory.mktemp("training")
    changes = {"epochs": EPOCHS, "augmentation": "shift", "batch_size": 32, "micro_batch": 16}
    run = digit_run(k=30, **changes, ema=0.9, mixup=0.8, loss="soft_target", gradient_clip=1.0)
    subset = digit_subset(folder, run)
    train(RunJob(run, subset, folder / "whole"), OPTIONS)
    return run, subset, file_sha256(folder / "whole" / WEIGHTS)


def start(jobs, folder, run, last_step, every=3, **options):
    """A process, in a group of its own, that trains `jobs` and saves a state every so many steps.

    The training of `run` goes to `last_step`, and waits there for a signal: it may come earlier, and never too late.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "jobs.json"
    path.write_text(written_job(jobs, replace(OPTIONS, checkpoint_steps=every, **options)))
    with open(folder / "log", "ab") as log:
        command = [sys.executable, waiting_training.__file__, str(path), run, str(last_step)]
        return subprocess.Popen(command, stdout=log, stderr=log, env=os.environ, start_new_session=True)


def states(out):
    return sorted((out / "state").glob("step-*.state"))


def step_of(state):
    return int(state.stem.removeprefix("step-"))


def interrupt(process, out, number, after_step, send=os.kill):
    """Send the signal once a state of step `after_step` or later is there; returns the exit status."""

    def is_there():
        assert process.poll() is None, "the training ended before it could be interrupted"
        return any(step_of(state) >= after_step for state in states(out))

    wait_for(is_there, pause=0.01)
    send(process.pid, number)
    return process.wait(LIMIT)


def finish(run, subset, out, caplog):
    """Train to the end in this process; the checksum of the weights, and what was logged."""
    with caplog.at_level(logging.INFO):
        train(RunJob(run, subset, out), OPTIONS)
    assert not (out / "state").exists()
    return file_sha256(out / WEIGHTS), caplog.text


@pytest.fixture(scope="module")
def killed(job, tmp_path_factory):
    """The folder of the run, killed after two states or more."""
    run, subset, _ = job
    out = tmp_path_factory.mktemp("killed") / "run"
    process = start([RunJob(run, subset, out)], out.parent, run.run, 45)
    assert interrupt(process, out, signal.SIGKILL, 30) == -signal.SIGKILL
    assert not (out / "run.json").exists() and len(states(out)) >= 2
    return out


def test_killed_twice_and_resumed(job, killed, tmp_path, caplog):
    run, subset, expected = job
    out = tmp_path / "run"
    shutil.copytree(killed, out)
    process = start([RunJob(run, subset, out)], tmp_path, run.run, 90)
    assert interrupt(process, out, signal.SIGKILL, 60) == -signal.SIGKILL
    assert not (out / "run.json").exists() and not (out / WEIGHTS).exists()
    weights, logged = finish(run, subset, out, caplog)
    assert weights == expected and "resumes at step" in logged
    history = pq.read_table(out / "history.parquet").to_pydict()
    assert history["epoch"] == list(range(EPOCHS + 1)) and history["step"][-1] == EPOCHS * 10


def test_told_to_stop_saves_its_state_and_resumes(job, tmp_path, caplog):
    run, subset, expected = job
    out = tmp_path / "run"
    for number, step in ((signal.SIGTERM, 15), (signal.SIGUSR1, 60)):
        process = start([RunJob(run, subset, out)], tmp_path, run.run, step + 15, every=15)
        assert interrupt(process, out, number, step) == 128 + number
        assert not lock_of(out).exists()
    saved = step_of(states(out)[-1])
    weights, logged = finish(run, subset, out, caplog)
    assert weights == expected and f"resumes at step {saved}" in logged


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_to_all_processes_of_a_job_finds_its_state_saved(tmp_path, number):
    """As a scheduler sends it: those that decode images get it too."""
    keys = {"epochs": 10_000, "batch_size": 16, "optimizer": "sgd", "learning_rate": 0.01, "evaluations": 10_000}
    recipe = Recipe(name="r", augmentation="crop_flip", crops="originals", **keys)
    run, subset = photograph_run(photographs(tmp_path / "photographs", 12), recipe, k=12)
    run = replace(run, kind="trained", arch="resnet_w8", family="ResNet")
    process = start([RunJob(run, subset, tmp_path / "run")], tmp_path, run.run, 20_000, every=5, workers=2)
    assert interrupt(process, tmp_path / "run", number, 30, os.killpg) == 128 + number
    assert f"told to stop ({number.name}) after step" in (tmp_path / "log").read_text()


@pytest.mark.parametrize("which", ["the newest", "all"])
def test_damaged_states_are_passed_over(job, killed, tmp_path, which, caplog):
    run, subset, expected = job
    out = tmp_path / "run"
    shutil.copytree(killed, out)
    older = step_of(states(out)[-2])
    damaged = states(out) if which == "all" else states(out)[-1:]
    for path in damaged:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    weights, logged = finish(run, subset, out, caplog)
    assert weights == expected
    assert logged.count("damaged or cut short") == len(damaged)
    assert (f"resumes at step {older}" in logged) == (which == "the newest")


def test_of_a_job_of_many_runs_that_is_killed_only_the_unfinished_ones_are_made_again(job, tmp_path, caplog):
    run, subset, _ = job
    jobs = [RunJob(replace(run, run=name), subset, tmp_path / name) for name in ("first", "second", "third")]
    interrupt(start(jobs, tmp_path, "second", 45), tmp_path / "second", signal.SIGKILL, 30)
    made = [tmp_path / "first" / name for name in (WEIGHTS, "run.json", "history.parquet")]
    before = [path.stat().st_mtime_ns for path in made]
    with caplog.at_level(logging.INFO):
        assert train_runs(jobs, OPTIONS) == []
    assert [path.stat().st_mtime_ns for path in made] == before
    assert "first is complete" in caplog.text and "second resumes at step" in caplog.text
    for name in ("second", "third"):
        weights = json.loads((tmp_path / name / "run.json").read_text())["weights"]
        assert (tmp_path / name / weights).is_file() and not (tmp_path / name / "state").exists()
