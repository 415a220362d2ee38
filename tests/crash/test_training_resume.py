"""A training that is killed goes on where it was and ends with the weights of an uninterrupted one, to the last bit."""

import json
import os
import signal
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from neuroscaling.hashing import file_sha256
from tests.unit.digit_runs import digit_run, digit_subset

DRIVER = """
import json, logging, sys
from pathlib import Path
from neuroscaling.training.train import train
logging.basicConfig(level=logging.INFO)
run, subset, out, every = sys.argv[1:]
operating = {"device": "cpu", "threads": 1, "checkpoint_steps": int(every)}
train(json.loads(run), Path(subset), Path(out), operating)
"""
EPOCHS = 12
WEIGHTS = f"weights-ep{EPOCHS}.safetensors"


@pytest.fixture(scope="module")
def job(tmp_path_factory):
    """A run with its subset, and the checksum of the weights that it ends with when nobody disturbs it."""
    folder = tmp_path_factory.mktemp("training")
    changes = {"epochs": EPOCHS, "augmentation": "shift", "batch_size": 32, "micro_batch": 16}
    run = digit_run(k=30, **changes, ema=0.9, mixup=0.8, loss="soft_target", gradient_clip=1.0)
    job = (json.dumps(run), str(digit_subset(folder, run)))
    process = start(job, folder / "whole", every=10_000)
    assert process.wait(120) == 0
    return job, file_sha256(folder / "whole" / WEIGHTS)


def start(job, out, every=3):
    out.mkdir(parents=True, exist_ok=True)
    with open(out.with_suffix(".log"), "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-c", DRIVER, *job, str(out), str(every)], stdout=log, stderr=log, env=os.environ
        )


def states(out):
    return sorted((out / "state").glob("step-*.state"))


def interrupt(process, out, number, after_step):
    """Send the signal once a state of step `after_step` or later is there; returns the exit status."""
    deadline = time.monotonic() + 60
    while not states(out) or int(states(out)[-1].stem.removeprefix("step-")) < after_step:
        assert process.poll() is None, "the training ended before it could be interrupted"
        assert time.monotonic() < deadline
        time.sleep(0.002)
    process.send_signal(number)
    return process.wait(60)


def finish(job, out):
    assert start(job, out).wait(120) == 0, out.with_suffix(".log").read_text()
    assert not (out / "state").exists()
    return file_sha256(out / WEIGHTS)


def test_killed_twice_and_resumed(job, tmp_path):
    settings, expected = job
    out = tmp_path / "run"
    for step in (20, 60):
        assert interrupt(start(settings, out), out, signal.SIGKILL, step) == -signal.SIGKILL
        assert not (out / "run.json").exists() and not (out / WEIGHTS).exists()
    assert finish(settings, out) == expected
    assert "resumes at step" in out.with_suffix(".log").read_text()
    history = pq.read_table(out / "history.parquet").to_pydict()
    assert history["epoch"] == list(range(EPOCHS + 1)) and history["step"][-1] == EPOCHS * 10


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_told_to_stop_saves_its_state_and_resumes(job, tmp_path, number):
    settings, expected = job
    out = tmp_path / "run"
    assert interrupt(start(settings, out, every=15), out, number, 15) == 128 + number
    saved = int(states(out)[-1].stem.removeprefix("step-"))
    assert not (out / "state" / "lock").exists()
    assert finish(settings, out) == expected
    assert f"resumes at step {saved}" in out.with_suffix(".log").read_text()


@pytest.mark.parametrize("which", ["the newest", "all"])
def test_damaged_states_are_passed_over(job, tmp_path, which):
    settings, expected = job
    out = tmp_path / "run"
    interrupt(start(settings, out), out, signal.SIGKILL, 30)
    assert len(states(out)) >= 2
    older = int(states(out)[-2].stem.removeprefix("step-"))
    damaged = states(out) if which == "all" else states(out)[-1:]
    for path in damaged:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert finish(settings, out) == expected
    text = out.with_suffix(".log").read_text()
    assert text.count("damaged or cut short") == len(damaged)
    assert (f"resumes at step {older}" in text) == (which == "the newest")
