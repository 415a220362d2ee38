"""What the state of a Slurm job means for the driver: it goes on, is done, was lost by no fault of its own, or failed.

A lost job is submitted again as it was, and counts as no try. A failed one is tried again with more memory and time, as
often as the profile says.
"""

from dataclasses import dataclass
from enum import Enum


class Fate(Enum):
    """What becomes of a job."""

    GOES_ON = "goes on"
    DONE = "done"
    LOST = "lost"
    FAILED = "failed"


@dataclass(frozen=True)
class Verdict:
    """A fate, and the reason in words. most: how often in a row a job may be lost so."""

    fate: Fate
    words: str = ""
    most: int = 0


MOST = 10
"""Losses in a row after which a job counts as failed."""
CANCELLED_MOST = 2
"""The same for cancelled jobs: somebody may mean it."""
LOOKS = 2
"""Looks at the queue after which a lost job does not come back by itself: Slurm requeues at once what it requeues."""
# Nothing of the job's own; Slurm may start it again by itself, under the same number.
LOST = {
    "PREEMPTED": "was preempted",
    "NODE_FAIL": "lost its node",
    "BOOT_FAIL": "got a node that did not boot",
    "REVOKED": "was moved to another cluster",
}
# Reasons of FAILED that are not the job's. Slurm also writes JobLaunchFailure where it ends the batch step itself, as
# for its memory: it means what it says only for a job that has not begun.
NOT_BEGUN = "JobLaunchFailure"
NOT_ITS_OWN = {
    NOT_BEGUN: "could not be started on its node",
    "NodeDown": "lost its node",
    "PartitionDown": "lost its partition",
    "SystemFailure": "met a failure of Slurm",
}
FAILED = {
    "FAILED": "failed",
    "OUT_OF_MEMORY": "ran out of memory",
    "TIMEOUT": "ran out of time",
    "DEADLINE": "missed its deadline",
    "ERROR": "failed",
}


def fate_of(state: str, reason: str = "", looks: int = 1, has_begun: bool = True) -> Verdict:
    """The verdict on a job by its state and reason, as `squeue --states=all` has them (`%T`, `%r`).

    looks: how many looks in a row saw it in a state of LOST, this one included; has_begun: whether its log has a line.
    """
    word = state.split()[0] if state.split() else ""
    if word == "COMPLETED":
        return Verdict(Fate.DONE)
    if word == "CANCELLED":
        return Verdict(Fate.LOST, "was cancelled", CANCELLED_MOST)
    if word in LOST:
        return Verdict(Fate.LOST, LOST[word], MOST) if looks >= LOOKS else Verdict(Fate.GOES_ON)
    if word in FAILED:
        plain = reason.strip("()")
        if plain in NOT_ITS_OWN and not (plain == NOT_BEGUN and has_begun):
            return Verdict(Fate.LOST, NOT_ITS_OWN[plain], MOST)
        return Verdict(Fate.FAILED, FAILED[word])
    return Verdict(Fate.GOES_ON)


def may_return(state: str) -> bool:
    """Whether Slurm may start a job in this state again by itself."""
    return state.split()[:1] != [] and state.split()[0] in LOST


def fate_of_vanished(ended: str, is_made: bool, looks: int) -> Verdict:
    """The verdict on a job that the queue no longer has (MinJobAge is over, or the controller lost its state).

    ended: its state by `sacct`, empty where there is no accounting; is_made: whether what it makes is there.
    """
    if looks < LOOKS:
        return Verdict(Fate.GOES_ON)
    if is_made:
        return Verdict(Fate.DONE)
    verdict = fate_of(ended, looks=LOOKS)
    if verdict.fate in (Fate.FAILED, Fate.LOST):
        return verdict
    return Verdict(Fate.LOST, "is gone from Slurm's queue, and what it makes is not there", MOST)
