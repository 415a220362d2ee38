"""Why jobs wait in Slurm's queue, told when it matters: at once for what never ends, else after a long silence."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

from neuroscaling.core.errors import listing
from neuroscaling.study.slurm_queue import Job, reason_in_words, waits_for_ever

QUIET = 600.0
"""Seconds without a job that runs, or began or ended, after which the driver says why the others wait."""
AGAIN = 3600.0
"""Seconds until it says so again."""
SHOWN = 3


@dataclass
class WaitingNotes:
    """What a driver says of the jobs that wait. started: when it began, in seconds of a clock that only goes on."""

    started: float
    _told_ever: set[tuple[str, str]] = field(default_factory=set)
    _moved: float = 0.0
    _told: float = float("-inf")

    def __post_init__(self) -> None:
        self._moved = self.started

    def notes(self, jobs: Sequence[Job], now: float) -> list[str]:
        """What to say after a look at the queue that saw `jobs` of this driver; nothing most of the time."""
        waiting = [job for job in jobs if job.waits]
        notes = self._for_ever([job for job in waiting if waits_for_ever(job.reason)])
        if not waiting or len(waiting) < len(jobs):
            self._moved = now
        elif now - self._moved >= QUIET and now - self._told >= AGAIN:
            self._told = now
            minutes = int((now - self._moved) // 60)
            heading = f"No job has run for {minutes} min: {len(waiting)} wait in Slurm's queue."
            notes.append("\n".join([heading, *_by_reason(waiting)]))
        return notes

    def _for_ever(self, jobs: Sequence[Job]) -> list[str]:
        new = [job for job in jobs if (job.id, job.reason) not in self._told_ever]
        self._told_ever |= {(job.id, job.reason) for job in new}
        if not new:
            return []
        heading = f"{len(new)} job(s) wait in Slurm's queue for something that does not come by itself."
        return ["\n".join([heading, *_by_reason(new)])]


def _by_reason(jobs: Sequence[Job]) -> list[str]:
    grouped = defaultdict(list)
    for job in jobs:
        grouped[job.reason].append(f"{job.id} ({job.what})")
    ordered = sorted(grouped.items(), key=lambda item: -len(item[1]))
    return [f"  {len(names)}: {reason_in_words(reason)}: {listing(names, SHOWN)}" for reason, names in ordered]
