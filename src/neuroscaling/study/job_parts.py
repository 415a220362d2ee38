"""What one job of extraction or scoring takes of a group of runs: all of it, or a part.

Starting a process and reading a network costs more than most scores, so a job takes all stimulus sets of a study, all
recordings of Brain-Score, or all subjects and sessions, one after another. Where that takes too long for a site,
`sets_per_job:` splits it. A part is of what the study wants, present or not, so it has the same name at each start.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from neuroscaling.study.brainscore_jobs import BrainScoreJob
from neuroscaling.study.recordings import EncodingJob
from neuroscaling.study.sections.encoding import EncodingSource
from neuroscaling.study.wanted import Targets

Item = TypeVar("Item")
WHOLE = "all"
"""Name of the part that is all of it."""
PART = rf"{WHOLE}|\d+-of-\d+"
"""Pattern of the name of a part."""


@dataclass(frozen=True)
class Parts:
    """The parts of a study's jobs by name.

    sets: names of stimulus sets to extract; brainscore: benchmarks that share recordings; subjects: of all sources.
    """

    sets: dict[str, tuple[str, ...]]
    brainscore: dict[str, tuple[BrainScoreJob, ...]]
    subjects: dict[str, tuple[EncodingJob, ...]]

    @classmethod
    def of(cls, targets: Targets) -> "Parts":
        """The parts of the jobs that a study's artefacts are made by, as its `sets_per_job` splits them."""
        size, names = targets.study.config.sets_per_job, targets.names
        return cls(parted(list(targets.sets), size), parted(names.jobs, size), parted(names.subjects, size))

    @cached_property
    def part_of(self) -> dict[str, str]:
        """The part that each stimulus set is extracted in."""
        return {one: part for part, sets in self.sets.items() for one in sets}

    def sources(self, part: str) -> dict[str, EncodingSource]:
        """What the study asks of each source of recordings in a part, by the name of the recordings in the store."""
        return {one.data: one.entry for one in self.subjects[part]}

    def simulated(self, part: str) -> list[str]:
        """Names of the recordings of Brain-Score in a part that come from a simulated brain."""
        return [one.data for one in self.brainscore[part] if one.simulated]


def parted(items: Sequence[Item], size: int | None) -> dict[str, tuple[Item, ...]]:
    """`items` in parts of at most `size`, by name; one part without a size, none without items."""
    if not items:
        return {}
    if size is None or len(items) <= size:
        return {WHOLE: tuple(items)}
    found = [tuple(items[i : i + size]) for i in range(0, len(items), size)]
    return {f"{number}-of-{len(found)}": part for number, part in enumerate(found, 1)}
