"""What studies want of a store, by the list that each leaves in its results, and what none of them wants."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from neuroscaling.core.records import read_record
from neuroscaling.errors import DataError, Problem
from neuroscaling.store.contents import MANIFEST, RUN_RECORD, Artefact, Contents

FILE, FORMAT = "artefacts.json", "artefacts/1"
PATTERN = f"results/*/{FILE}"
NAMED = (
    "subsets", "runs", "weights", "simulated", "stimuli", "activations", "commitments", "scores", "recordings",
)  # fmt: skip
"""Stages whose artefacts studies name. The others are downloads and caches, which belong to nobody."""
START = "start the study once (`snakemake -n` suffices), or name the folder that its `results/` is in"


@dataclass(frozen=True)
class StudyNames:
    """A study and the names, below the store, of all artefacts that it wants; folder: where it was started."""

    study: str
    folder: Path
    names: frozenset[str] = field(repr=False)

    def wants(self, artefact: Artefact) -> bool:
        """Whether the study names an artefact."""
        return not self.names.isdisjoint(_names_of(artefact))


def studies_of(places: Sequence[Path]) -> list[StudyNames]:
    """The studies that were started in the folders `places`, and those of the study files among `places`.

    Raises DataError for a folder that no study was started in: nothing would be wanted, and all of a store unused.
    """
    found, problems = [], []
    for place in places:
        own = [_of_file(place)] if place.is_file() else [_read(file) for file in sorted(place.glob(PATTERN))]
        found += own
        if not own:
            what = "no study was started here" if place.is_dir() else "no such folder or study file"
            problems.append(Problem(what, str(place), allowed=f"a folder with {PATTERN}, or a study file", fix=START))
    if problems:
        raise DataError(problems)
    return found


def unused(contents: Contents, studies: Sequence[StudyNames]) -> list[Artefact]:
    """What is in the store, of the stages whose artefacts studies name, and is named by none of `studies`."""
    wanted = frozenset().union(*(study.names for study in studies))
    return [artefact for artefact in contents.of(NAMED) if wanted.isdisjoint(_names_of(artefact))]


def _read(file: Path) -> StudyNames:
    record = read_record(file, FORMAT, again=START)
    return StudyNames(file.parent.name, file.parents[2], frozenset(record["names"]))


def _of_file(file: Path) -> StudyNames:
    from neuroscaling.store.artefacts import wanted_names
    from neuroscaling.study import load_study

    study = load_study(file)
    return StudyNames(study.config.study, file.parent, frozenset(wanted_names(study)))


def _names_of(artefact: Artefact) -> Iterator[str]:
    """Every path below the store that an artefact may be named by: its own, and that of its record."""
    yield artefact.name
    yield f"{artefact.name}/{RUN_RECORD}"
    yield f"{artefact.name}/{MANIFEST}"
