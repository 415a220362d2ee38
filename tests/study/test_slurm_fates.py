"""What a job's state means for the driver, what its log says, and when the driver tells why jobs wait."""

import pytest

from neuroscaling.study.slurm_fates import Fate, fate_of, fate_of_vanished
from neuroscaling.study.slurm_logs import end_of_log, tells_of_memory
from neuroscaling.study.slurm_queue import Job
from neuroscaling.study.slurm_waiting import AGAIN, QUIET, WaitingNotes


@pytest.mark.parametrize(
    ("state", "reason", "looks", "fate"),
    [
        ("PENDING", "Priority", 1, Fate.GOES_ON),
        ("COMPLETING", "None", 1, Fate.GOES_ON),
        ("REQUEUE_HOLD", "None", 9, Fate.GOES_ON),
        ("COMPLETED", "None", 1, Fate.DONE),
        ("PREEMPTED", "None", 1, Fate.GOES_ON),
        ("PREEMPTED", "None", 2, Fate.LOST),
        ("NODE_FAIL", "NodeDown", 2, Fate.LOST),
        ("BOOT_FAIL", "None", 2, Fate.LOST),
        ("CANCELLED", "None", 1, Fate.LOST),
        ("CANCELLED by 0", "", 1, Fate.LOST),
        ("OUT_OF_MEMORY", "OutOfMemory", 1, Fate.FAILED),
        ("TIMEOUT", "TimeLimit", 1, Fate.FAILED),
        ("FAILED", "NonZeroExitCode", 1, Fate.FAILED),
        ("FAILED", "NodeDown", 1, Fate.LOST),
    ],
)
def test_the_fate_of_a_job_by_its_state(state, reason, looks, fate):
    assert fate_of(state, reason, looks).fate is fate


def test_a_failed_launch_is_believed_only_of_a_job_that_wrote_nothing():
    assert fate_of("FAILED", "JobLaunchFailure", has_begun=False).fate is Fate.LOST
    assert fate_of("FAILED", "JobLaunchFailure", has_begun=True).fate is Fate.FAILED


@pytest.mark.parametrize(
    ("ended", "is_made", "looks", "fate"),
    [
        ("", True, 1, Fate.GOES_ON),
        ("", True, 2, Fate.DONE),
        ("FAILED", True, 2, Fate.DONE),
        ("", False, 2, Fate.LOST),
        ("COMPLETED", False, 2, Fate.LOST),
        ("TIMEOUT", False, 2, Fate.FAILED),
        ("CANCELLED by 1000", False, 2, Fate.LOST),
    ],
)
def test_a_job_that_the_queue_forgot_is_known_by_what_it_made_and_by_accounting(ended, is_made, looks, fate):
    assert fate_of_vanished(ended, is_made, looks).fate is fate


LOG = """\
Using profile profiles/default for setting default command line arguments.
host: gpu17
Building DAG of jobs...
Using shell: /usr/bin/bash
Provided cores: 8
Rules claiming more threads will be scaled down.
Select jobs to execute...
Execute 1 jobs...

[Sun Nov 29 17:51:02 2026]
rule train:
    output: .snakemake/neuroscaling/x/made/train/a
    jobid: 0
    reason: Forced execution
    resources: mem_mb=4000
slurmstepd-gpu17: error: Detected 1 oom_kill event in StepId=29.batch. Some of the step tasks have been OOM Killed.
slurmstepd-gpu17: error: Detected 1 oom_kill event in StepId=29.batch. Some of the step tasks have been OOM Killed.
RuleException:
CalledProcessError in file "/home/x/workflow/rules/train.smk", line 60:
Command 'set -euo pipefail;  python train.py' returned non-zero exit status 1.
[Sun Nov 29 17:51:09 2026]
Error in rule train:
    jobid: 0
    output: .snakemake/neuroscaling/x/made/train/a
OSError: [Errno 116] Stale file handle: '/lab/store'
Shutting down, this might take some time.
Exiting because a job execution failed. Look below for error messages
"""


def test_of_a_log_what_helps_is_kept(tmp_path):
    log = tmp_path / "29.log"
    log.write_text(LOG)
    end = end_of_log(log)
    assert len(end) == 2 and tells_of_memory(end) and end[1].startswith("OSError: [Errno 116]")
    assert end_of_log(tmp_path / "none.log") == [] and not tells_of_memory(["my own memory limit"])


def waiting(number: str, reason: str) -> Job:
    return Job(number, "PENDING", f"train net{number}", reason)


def test_after_a_long_silence_the_reasons_of_waiting_jobs_are_told_and_not_again_soon():
    notes = WaitingNotes(started=1000.0)
    jobs = [waiting("1", "Resources"), waiting("2", "Resources"), waiting("3", "Priority")]
    assert notes.notes(jobs, 1000 + QUIET - 1) == []
    (told,) = notes.notes(jobs, 1000 + QUIET)
    assert told.startswith("No job has run for 10 min: 3 wait") and "2: for free nodes" in told
    assert notes.notes(jobs, 1000 + QUIET + 60) == []
    assert len(notes.notes(jobs, 1000 + QUIET + AGAIN)) == 1


def test_a_job_that_runs_ends_the_silence():
    notes = WaitingNotes(started=0.0)
    running = Job("9", "RUNNING", "train net9")
    assert notes.notes([waiting("1", "Priority"), running], 5 * QUIET) == []
    assert notes.notes([waiting("1", "Priority")], 5 * QUIET + 1) == []
    assert len(notes.notes([waiting("1", "Priority")], 6 * QUIET)) == 1


def test_what_never_ends_by_itself_is_told_at_once_and_once():
    notes = WaitingNotes(started=0.0)
    jobs = [waiting("1", "PartitionTimeLimit"), waiting("2", "Resources")]
    (told,) = notes.notes(jobs, 1)
    assert (
        "1 job(s) wait" in told and "more time than the partition allows (PartitionTimeLimit): 1 (train net1)" in told
    )
    assert notes.notes(jobs, 2) == []
