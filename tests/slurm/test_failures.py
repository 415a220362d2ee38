"""What profiles/slurm does when jobs are cancelled, run out of memory or lose their node, on a real Slurm.

The jobs are small ones that ask for resources as the workflow's do (trials/Snakefile); the profile is the one that
users have, with the entries of profile/ for this cluster laid over it. All of it happens in one run of Snakemake:
six jobs want four GPUs, one job is cancelled, one needs more memory than it asked for, and a node dies.
"""

import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.processes import LIMIT, wait_for

from .lab import ROOT, Job, command_lines, most_at_once, slurm, user_environment

pytestmark = [pytest.mark.slurm, pytest.mark.slow]


@dataclass
class Storm:
    """A run in which much goes wrong: where it was, its jobs at the end, those that were lost, its output."""

    folder: Path
    jobs: list[Job]
    lost: list[Job]
    output: str
    snakemakes: list[str]
    """The processes of Snakemake in the two jobs on the node that was to die."""

    def of(self, wildcards: str) -> list[Job]:
        """The attempts at one job."""
        return [job for job in self.jobs if job.wildcards == wildcards]

    def notes(self, name: str) -> list[str]:
        """What the attempts at a job noted down."""
        return (self.folder / f"{name}.notes").read_text().splitlines()


@pytest.fixture(scope="module")
def storm(start, kill, tmp_path_factory) -> Storm:
    folder = tmp_path_factory.mktemp("storm")
    driver = start(folder, "memory.big", *(f"{name}.train" for name in "abcdef"), "cancelled.score", "calm.score")
    running = driver.wait_for(4, "train")
    driver.wait_for(2, "train", "PENDING")
    cancelled = next(job for job in driver.wait_for(2, "score") if job.wildcards == "cancelled")
    # Slurm calls a job running before its work has begun.
    wait_for(lambda: len(list(folder.glob("*.notes"))) == 7, driver.describe)
    wait_for(lambda: "ran out of memory." in driver.text, driver.describe)
    snakemakes = [line for line in command_lines("gpu1") if " -m snakemake " in line]
    slurm("scancel", str(cancelled.id))
    kill("gpu1")
    driver.wait_for(2, "train", "NODE_FAIL")
    (folder / "release").touch()
    output = driver.finish()
    return Storm(folder, driver.jobs(), [job for job in running if job.node == "gpu1"], output, snakemakes)


def test_all_of_it_ends_well(storm):
    made = {path.name for path in storm.folder.glob("*.*") if path.suffix in (".train", ".score", ".big")}
    assert made == {f"{name}.train" for name in "abcdef"} | {"cancelled.score", "calm.score", "memory.big"}


def test_jobs_go_where_their_resources_are(storm):
    gpu, cpu = ([job for job in storm.jobs if (job.rule == "train") == wanted] for wanted in (True, False))
    assert {(job.partition, job.gpus) for job in gpu} == {("gpu", 1)}
    assert {job.node for job in gpu} == {"gpu1", "gpu2"}
    assert {(job.partition, job.node, job.gpus) for job in cpu} == {("cpu", "cpu1", 0)}


def test_no_more_jobs_at_once_than_gpus(storm):
    assert most_at_once([job for job in storm.jobs if job.rule == "train"]) == 4
    devices = {line.split()[1] for name in "abcdef" for line in storm.notes(name)}
    assert devices == {"0", "1"}, "each job sees one of the two GPUs of its node"


def test_each_job_starts_one_snakemake(storm):
    assert len(storm.snakemakes) == 2


def test_a_cancelled_job_is_submitted_again_as_it_was(storm):
    assert [job.state for job in storm.of("cancelled")] == ["CANCELLED", "COMPLETED"]
    assert {job.memory for job in storm.of("cancelled")} == {"800M"}
    assert len(storm.notes("cancelled")) == 2
    assert "(score cancelled) was cancelled: it is submitted again, as it was (1 of at most 2" in storm.output


def test_a_job_out_of_memory_gets_more_and_passes(storm):
    first, second = storm.of("memory")
    assert first.state in ("FAILED", "OUT_OF_MEMORY") and second.state == "COMPLETED"
    assert (first.memory, second.memory) == ("600M", "1200M")
    assert storm.notes("memory") == ["600", "1200"]


def test_the_end_of_slurms_log_is_shown_without_what_every_job_prints(storm):
    _, *shown = storm.output.split("The end of Slurm's log:")
    ends = [text.partition("Slurm's log: ")[0] for text in shown]
    end = next(end for end in ends if "Exceeded job memory limit" in end)
    assert "ran out of memory." in storm.output and len(end.splitlines()) < 12
    assert not any(noise in end for noise in ("Building DAG", "Select jobs", "jobid:", "Job stats"))


def test_a_dead_node_costs_its_own_jobs_only(storm):
    lost = {job.wildcards for job in storm.lost}
    assert len(lost) == 2
    for name in "abcdef":
        attempts = storm.of(name)
        states = ["NODE_FAIL", "COMPLETED"] if name in lost else ["COMPLETED"]
        assert [job.state for job in attempts] == states
        assert {job.memory for job in attempts} == {"800M"}, "a lost node is no fault of the job"
        assert len(storm.notes(name)) == len(states)
        assert attempts[-1].node == "gpu2"
    assert [job.state for job in storm.of("calm")] == ["COMPLETED"]


def test_after_a_dead_driver_the_documented_steps_finish_the_work(start, tmp_path):
    driver = start(tmp_path, "a.score", "b.score")
    driver.wait_for(2, "score")
    driver.kill()
    assert len(driver.jobs("score", "RUNNING")) == 2, "jobs outlive their driver"

    locked = start(tmp_path, "a.score", "b.score")
    assert locked.ended() != 0 and "--unlock" in locked.text

    documented = [line for line in (ROOT / "docs/slurm.md").read_text().splitlines() if line.startswith("squeue --me")]
    subprocess.run(documented[0], shell=True, check=True, timeout=LIMIT, env=user_environment() | {"USER": "root"})
    assert start(tmp_path, "--unlock").ended() == 0
    (tmp_path / "release").touch()
    again = start(tmp_path, "a.score", "b.score")
    again.finish()
    assert [job.state for job in again.jobs("score")] == ["COMPLETED", "COMPLETED"]
    driver.ended()
    assert {job.state for job in driver.jobs("score")} == {"CANCELLED"}
