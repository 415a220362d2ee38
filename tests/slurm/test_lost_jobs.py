"""Jobs that Slurm takes away, and a controller that does not answer, on a real Slurm: nothing is lost or sent twice.

One run of the driver: three jobs are preempted, by a partition that cancels, by one that requeues a job that may not be
requeued, and by one that requeues. While they are submitted again the controller hangs, so that sbatch gives up on
submissions that then arrive all the same.
"""

import os
import re
import shutil
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.processes import wait_for

from .lab import Job, slurm

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
AGAIN = ("scrap", "spare")
# It stands before Slurm's own command: waits while a file is there, and notes down what waited and what was given up.
GATE = """#!/bin/sh
[ ! -e hold ] || echo >>waited
while [ -e hold ]; do sleep 0.1; done
{sbatch} "$@"
status=$?
[ $status = 0 ] || echo >>unanswered
exit $status
"""


@dataclass
class Taken:
    """A run whose jobs were taken away: its folder, its jobs at the end, what the driver said."""

    folder: Path
    jobs: list[Job]
    output: str

    def of(self, wildcards: str) -> list[Job]:
        """The submissions of one job."""
        return [job for job in self.jobs if job.wildcards == wildcards]

    def begun(self, name: str) -> int:
        """How often a job began its work."""
        return len((self.folder / f"{name}.notes").read_text().splitlines())


@pytest.fixture(scope="module")
def taken(start, cluster, tmp_path_factory) -> Taken:
    folder = tmp_path_factory.mktemp("taken")
    gate, waited, unanswered = folder / "commands/sbatch", folder / "waited", folder / "unanswered"
    waited.touch(), unanswered.touch()
    gate.parent.mkdir()
    gate.write_text(GATE.format(sbatch=shutil.which("sbatch")))
    gate.chmod(0o755)
    driver = start(folder, "scrap.spot", "spare.spot", "back_spare.spot", "kept.score", path=str(gate.parent))
    driver.wait_for(3, "spot")
    wait_for(lambda: len(list(folder.glob("*.notes"))) == 4, driver.describe)
    (folder / "hold").touch()
    urgent = slurm(
        "sbatch", "--parsable", "--partition=cpu", "--mem=60000", "--output=/dev/null", "--wrap", "sleep 3600"
    ).strip()
    driver.wait_for(2, "spot", "PREEMPTED")
    wait_for(lambda: driver.text.count("it is submitted again") >= 2, driver.describe)
    wait_for(lambda: waited.stat().st_size >= 2, driver.describe)
    controller = int((cluster / "run/slurmctld.pid").read_text())
    os.kill(controller, signal.SIGSTOP)
    (folder / "hold").unlink()
    try:
        wait_for(lambda: "controller does not answer" in driver.text, driver.output.read_text)
        wait_for(lambda: unanswered.stat().st_size >= 2, driver.output.read_text)
        time.sleep(3)  # until the driver has heard of the second one too
    finally:
        os.kill(controller, signal.SIGCONT)
    slurm("scancel", urgent)
    (back,) = (job for job in driver.jobs("spot") if job.wildcards == "back_spare")
    slurm("scontrol", "update", f"jobid={back.id}", "StartTime=now")
    driver.wait_for(3, "spot")
    (folder / "release").touch()
    output = driver.finish()
    return Taken(folder, driver.jobs(), output)


def test_preempted_jobs_are_submitted_again_as_they_were_and_once(taken):
    for name in AGAIN:
        assert [job.state for job in taken.of(name)] == ["PREEMPTED", "COMPLETED"]
        assert {job.memory for job in taken.of(name)} == {"20000M"}
        assert taken.begun(name) == 2
    assert taken.output.count("was preempted: it is submitted again, as it was") == 2


def test_a_job_that_slurm_starts_again_is_waited_for(taken):
    assert [job.state for job in taken.of("back_spare")] == ["COMPLETED"]
    assert taken.begun("back_spare") == 2


def test_a_controller_that_hangs_costs_no_try_and_is_told_once(taken):
    assert [job.state for job in taken.of("kept")] == ["COMPLETED"] and taken.begun("kept") == 1
    assert taken.output.count("controller does not answer") == 1
    assert "controller answers again" in taken.output
    assert "Error in rule" not in taken.output and "Trying to restart" not in taken.output


def test_what_no_partition_can_take_is_refused_before_anything_is_submitted(start, tmp_path):
    driver = start(tmp_path, "a.score", "b.score", "c.train", "--set-resources", "score:mem_mb=900000", "train:gpu=3")
    assert driver.ended() != 0 and not driver.jobs()
    told = driver.text
    assert re.search("score: 2 jobs such as [ab]: 900000 MB, 1 CPU\n    memory: at most 64000, in cpu\n", told)
    assert "train: 1 job such as c: 800 MB, 1 CPU, 3 GPUs\n    GPUs of a node: at most 2, in gpu\n" in told
    assert "gpu (2 nodes with up to 4 CPUs, 32000 MB, 2 GPUs; 2 days)" in told
