"""A driver that is killed and started again on a real Slurm: its jobs run on, are waited for, and not sent again."""

import contextlib
import json

import pytest

from neuroscaling.core.leases import held
from neuroscaling.study.loaded_study import load_study
from tests.support.processes import wait_for
from tests.support.two_drivers import ARGUMENTS, checkout

from .lab import slurm

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
# Jobs of the dear stages that stand at the beginning: scores would add minutes, and nothing to what is asked here.
TRAINED = ["--until", "simulate", "train", *ARGUMENTS]


def test_jobs_of_a_killed_driver_are_waited_for_and_not_submitted_again(start, tmp_path, brainscore_python):
    store = tmp_path / "store"
    folder = checkout(tmp_path / "work", store, packed=False)
    with contextlib.chdir(folder):
        study = load_study("small.yaml")
    # Its job waits for this lease: it lives until the second driver has seen it.
    with held(study.store.simulated(study.simulated_name("brain")), "the simulated brain"):
        first = start(folder, *TRAINED, snakefile=folder / "Snakefile")
        first.wait_for(1, "simulate")
        first.kill()
        second = start(folder, *TRAINED, snakefile=folder / "Snakefile")
        wait_for(lambda: "left jobs" in second.text or second.process.poll() is not None, second.describe)
    text = second.finish()
    first.ended()
    assert "The lock that it left is removed" in text
    assert "An earlier start in this folder left jobs" in text and "this one plans now" in text
    assert {job.state for job in first.jobs()} == {"COMPLETED"}
    again = {(job.rule, job.wildcards) for job in second.jobs()}
    assert not again & {(job.rule, job.wildcards) for job in first.jobs()}
    records = [json.loads(path.read_text()) for path in store.glob("runs/*/run.json")]
    assert [record["status"] for record in records] == ["done", "done"]
    assert slurm("squeue", "--noheader") == ""
