"""SIGKILL of the driver and of a training job: after a restart nothing is lost and the weights are the same."""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import yaml

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.workflow, pytest.mark.slow]
STUDY = {
    "study": "killed",
    "datasets": {"digits": {"format": "digits"}},
    "runs": [
        {
            "archs": ["vit_w16"],
            "datasets": ["digits"],
            "recipe": "recipe.yaml",
            "samples_per_class": ["all"],
            "seeds": [0, 1],
        }
    ],
}


@pytest.fixture
def folder(tmp_path) -> Path:
    return prepare(tmp_path / "killed")


def prepare(folder: Path) -> Path:
    """A working directory with a study of two trainings of some seconds each."""
    folder.mkdir()
    recipe = yaml.safe_load((ROOT / "config/recipes/digits.yaml").read_text())
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe | {"name": "killed", "epochs": 24}))
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY))
    return folder


def command(*arguments: str) -> list[str]:
    base = [sys.executable, "-m", "snakemake", "-s", str(ROOT / "Snakefile"), "--cores", "2", "--until", "train"]
    return [*base, "--workflow-profile", str(ROOT / "profiles/default"), *arguments, "--config", "study=study.yaml"]


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}


def start(folder: Path) -> subprocess.Popen:
    with open(folder / "driver.log", "a") as log:
        return subprocess.Popen(
            command(), cwd=folder, stdout=log, stderr=log, env=environment(), start_new_session=True
        )


def finish(folder: Path) -> str:
    process = subprocess.run(command(), cwd=folder, capture_output=True, text=True, env=environment(), timeout=300)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout + process.stderr


def wait_for(condition, seconds: float = 120):
    """The first true value of `condition`, polled; fails after `seconds`."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.05)
    raise AssertionError("waited too long")


def states(folder: Path) -> list[Path]:
    return list(folder.glob("store/runs/*/state/step-*.state"))


def weights(folder: Path) -> dict[str, bytes]:
    return {p.parent.name: p.read_bytes() for p in folder.glob("store/runs/*/weights-*.safetensors")}


def test_driver_and_trainings_killed_then_restarted(folder, tmp_path):
    driver = start(folder)
    wait_for(lambda: len({p.parent for p in states(folder)}) == 2)
    os.kill(driver.pid, signal.SIGKILL)
    for process in psutil.process_iter():
        if process.pid != os.getpid() and belongs(process, folder):
            process.kill()
    driver.wait()
    wait_for(lambda: not any(belongs(p, folder) for p in psutil.process_iter()))
    kept = {p.parent for p in states(folder)}
    assert len(kept) == 2 and not weights(folder), "both must be killed half-way"
    finish(folder)
    logs = "\n".join(p.read_text() for p in folder.glob("logs/train/*.log"))
    assert logs.count("resumes at step") == 2
    assert not list(folder.glob("store/runs/*/state"))

    whole = prepare(tmp_path / "whole")
    finish(whole)
    assert weights(folder).keys() == weights(whole).keys() and len(weights(whole)) == 2
    assert weights(folder) == weights(whole)


def belongs(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.cwd() == str(folder) and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def test_one_training_killed_is_reported_and_the_rest_is_kept(folder):
    driver = start(folder)
    wait_for(lambda: len({p.parent for p in states(folder)}) == 2)
    victim = wait_for(
        lambda: [p for p in psutil.process_iter() if belongs(p, folder) and p.pid != driver.pid and is_training(p)]
    )[0]
    victim.kill()
    assert driver.wait(timeout=300) != 0
    done = weights(folder)
    assert len(done) == 1, "the other training must have ended as usual"
    times = {p: p.stat().st_mtime_ns for p in folder.glob("store/runs/*/weights-*")}
    finish(folder)
    assert len(weights(folder)) == 2
    assert times.items() <= {p: p.stat().st_mtime_ns for p in folder.glob("store/runs/*/weights-*")}.items()
    shutil.rmtree(folder)


def is_training(process: psutil.Process) -> bool:
    try:
        line = " ".join(process.cmdline())
    except psutil.Error:
        return False
    return "train.py" in line and "snakemake -s" not in line
