"""SIGKILL of the driver and of a training job: after a restart nothing is lost and the weights are the same."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from neuroscaling.core.leases import holder_in, lock_of
from tests.support import waiting_network
from tests.support.processes import LIMIT, kill_all, wait_for

ROOT = Path(__file__).parents[2]
pytestmark = [pytest.mark.workflow, pytest.mark.slow]
STUDY = {
    "study": "killed",
    "datasets": {"digits": {"format": "digits"}},
    "runs": [
        {
            "archs": ["waiting_network:network@32"],
            "datasets": ["digits"],
            "recipe": "recipe.yaml",
            "samples_per_class": ["all"],
            "seeds": [0, 1],
        }
    ],
    "layers": {"waiting_network:network@32": {"candidates": ["2"], "readout": "5"}},
    "training": {"checkpoint_seconds": 0.001},
}


def prepare(folder: Path, **training: int) -> Path:
    """A working directory with a study of two trainings, which wait half-way while its file `wait` is there."""
    folder.mkdir()
    shutil.copy(waiting_network.__file__, folder)
    recipe = yaml.safe_load((ROOT / "config/recipes/digits.yaml").read_text())
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe | {"name": "killed", "epochs": 12}))
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY | {"training": STUDY["training"] | training}))
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
    process = subprocess.run(command(), cwd=folder, capture_output=True, text=True, env=environment(), timeout=LIMIT)
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout + process.stderr


def half_way(driver: subprocess.Popen, folder: Path, log: str = "") -> dict[Path, int]:
    """Wait until both trainings have saved a state, or written `log`; their folders and processes."""

    def both() -> dict[Path, int]:
        assert driver.poll() is None, (folder / "driver.log").read_text()
        found = {}
        for run in folder.glob("store/runs/*"):
            logs = [path.read_text() for path in folder.glob(f"logs/train/*{run.name}*.log")]
            begun = any(log in text for text in logs) if log else any(run.glob("state/step-*.state"))
            if begun and (holder := holder_in(lock_of(run))):
                found[run] = holder.pid
        return found if len(found) == 2 else {}

    found = wait_for(both)
    assert not weights(folder), "both must be half-way"
    return found


def weights(folder: Path) -> dict[str, bytes]:
    return {p.parent.name: p.read_bytes() for p in folder.glob("store/runs/*/weights-*.safetensors")}


@pytest.fixture
def folder(tmp_path):
    """A working directory; whatever still runs there at the end is killed."""
    yield prepare(tmp_path / "killed")
    kill_all(tmp_path / "killed")


def test_driver_and_trainings_killed_then_one_training_then_restarted(folder, tmp_path):
    (folder / waiting_network.FILE).write_text("0")
    driver = start(folder)
    half_way(driver, folder)
    driver.kill()
    kill_all(folder)
    driver.wait()

    driver = start(folder)
    (victim, its_process), (other, _) = half_way(driver, folder, "resumes at step").items()
    os.kill(its_process, signal.SIGKILL)
    (folder / waiting_network.FILE).unlink()
    assert driver.wait(LIMIT) != 0
    assert weights(folder).keys() == {other.name}, "the other training must have ended as usual"
    (kept,) = other.glob("weights-*")
    made = kept.stat().st_mtime_ns

    finish(folder)
    assert kept.stat().st_mtime_ns == made and weights(folder).keys() == {other.name, victim.name}
    (log,) = folder.glob(f"logs/train/*{victim.name}*.log")
    assert log.read_text().count("resumes at step") == 1
    assert not list(folder.glob("store/runs/*/state"))

    whole = prepare(tmp_path / "whole", runs_per_job=2)
    finish(whole)
    assert weights(folder) == weights(whole)
