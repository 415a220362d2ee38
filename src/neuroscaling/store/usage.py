"""Usage tells how many bytes of a store each stage, run and study takes, and what no study names."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.records import read_record
from neuroscaling.store.contents import MANIFEST, RUN_RECORD, STAGES, Artefact, Contents
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.session import ARTEFACTS, wanted_names

WANTED_LIST = "artefacts.json"
WANTED_PATTERN = f"results/*/{WANTED_LIST}"
NAMED_STAGES = (
    "subsets", "runs", "weights", "simulated", "stimuli", "activations", "commitments", "scores", "recordings",
)  # fmt: skip
"""Stages whose artefacts studies name. The others are downloads and caches, which belong to nobody."""
START_STUDY = "start the study once (`snakemake -n` suffices), or name the folder that its `results/` is in"


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

    Raises DataError for a folder that no study was started in: nothing would be wanted, and all of a store unused; and
    for a study whose optional data sets were not here: what it wants of them has other names than anybody can tell.
    """
    found, problems = [], []
    for place in places:
        own = (
            [_wanted_of_file(place)]
            if place.is_file()
            else [_read_wanted(file) for file in sorted(place.glob(WANTED_PATTERN))]
        )
        found += own
        if not own:
            what = "no study was started here" if place.is_dir() else "no such folder or study file"
            problems.append(
                Problem(
                    what=what,
                    where=str(place),
                    allowed=f"a folder with {WANTED_PATTERN}, or a study file",
                    fix=START_STUDY,
                )
            )
    if problems:
        raise DataError(problems)
    return found


def unused_artefacts(contents: Contents, studies: Sequence[StudyNames]) -> list[Artefact]:
    """What is in the store, of the stages whose artefacts studies name, and is named by none of `studies`."""
    wanted = frozenset().union(*(study.names for study in studies))
    return [artefact for artefact in contents.of(NAMED_STAGES) if wanted.isdisjoint(_names_of(artefact))]


def _read_wanted(file: Path) -> StudyNames:
    record = read_record(file, ARTEFACTS, again=START_STUDY)
    _require_whole(file, record.get("left_out", ()))
    return StudyNames(file.parent.name, file.parents[2], frozenset(record["names"]))


def _wanted_of_file(file: Path) -> StudyNames:
    study = load_study(file)
    _require_whole(file, study.left_out)
    return StudyNames(study.config.study, file.parent, frozenset(wanted_names(study)))


def _require_whole(file: Path, left_out: Sequence[str]) -> None:
    if left_out:
        what = "an optional data set was left out, so that it is not known which artefacts of it the study wants"
        fix = "start the study (`snakemake -n` suffices) where its images are"
        raise DataError(Problem(what=what, where=str(file), value=listing(left_out), fix=fix))


def _names_of(artefact: Artefact) -> Iterator[str]:
    """Every path below the store that an artefact may be named by: its own, and that of its record."""
    yield artefact.name
    yield f"{artefact.name}/{RUN_RECORD}"
    yield f"{artefact.name}/{MANIFEST}"


OF_RUNS = ("weights", "activations", "scores")
"""Stages with a column of their own in the bytes of a run."""


def bytes_by_stage(contents: Contents) -> list[dict[str, Any]]:
    """A row for each stage that has anything: artefacts, files, bytes."""
    rows = []
    for stage in STAGES:
        own = contents.of([stage])
        rows.append({"stage": stage, **_sums(own)} if own else None)
    return [row for row in rows if row]


def bytes_by_run(contents: Contents) -> list[dict[str, Any]]:
    """A row for each run, the largest first: bytes of its weights, activations and scores, of all else, and together.

    What is of no run, such as stimuli, is a row without a name.
    """
    found: dict[str | None, Counter[str]] = {}
    for artefact in contents.artefacts:
        column = artefact.stage if artefact.stage in OF_RUNS else "other"
        found.setdefault(artefact.run, Counter())[column] += artefact.bytes
    rows = [
        {"run": run, **{column: sizes[column] for column in (*OF_RUNS, "other")}, "bytes": sizes.total()}
        for run, sizes in found.items()
    ]
    return sorted(rows, key=lambda row: (row["run"] is None, -row["bytes"], row["run"] or ""))


def bytes_by_study(contents: Contents, studies: Sequence[StudyNames]) -> list[dict[str, Any]]:
    """A row for each study: what of its artefacts is there, its bytes, and the bytes that no other of them names."""
    users = [(artefact, [s for s in studies if s.wants(artefact)]) for artefact in contents.artefacts]
    rows = []
    for study in studies:
        own = [artefact for artefact, by in users if study in by]
        alone = sum(artefact.bytes for artefact, by in users if by == [study])
        rows.append({"study": study.study, "folder": str(study.folder), **_sums(own), "alone": alone})
    return rows


def _sums(artefacts: Sequence[Artefact]) -> dict[str, int]:
    return {
        "artefacts": len(artefacts),
        "files": sum(artefact.files for artefact in artefacts),
        "bytes": sum(artefact.bytes for artefact in artefacts),
    }
