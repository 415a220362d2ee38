"""The design of the Natural Scenes Dataset says which image each trial showed, counted from 0."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from neuroscaling.core.array_files import read_mat
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import reading

PLANNED_SESSIONS = 40
VARIABLES = ("masterordering", "subjectim", "sharedix")


@dataclass(frozen=True)
class Design:
    """ordering (trials,): position of each trial's image in a row of `images`; images (subjects, images): NSD ids;
    shared: ids of the images that everybody saw. NSD ids count from 0, up to 72999."""

    ordering: np.ndarray
    images: np.ndarray
    shared: np.ndarray

    @property
    def trials(self) -> int:
        """Trials of a scan session (750)."""
        return len(self.ordering) // PLANNED_SESSIONS

    def shown(self, subject: str, sessions: Sequence[int]) -> np.ndarray:
        """Return NSD ids (sessions, trials) that a subject (`subj01`, ...) saw in scan sessions (from 1)."""
        row = self.images[int(subject.removeprefix("subj")) - 1]
        starts = (np.asarray(sessions, int) - 1) * self.trials
        return row[self.ordering[starts[:, None] + np.arange(self.trials)]]


def design_file(root: Path) -> Path:
    """Return the file of the design in a tree."""
    return Path(root) / "nsddata" / "experiments" / "nsd" / "nsd_expdesign.mat"


def read_design(root: Path) -> Design:
    """Read the design. Raises DataError with all that is wrong with the file."""
    path = design_file(root)
    content = read_mat(path, VARIABLES)
    with reading(path, "NSD's design"):
        ordering, images, shared = (np.asarray(content[name], dtype=np.int64) for name in VARIABLES)
    problems = list(_problems(str(path), ordering.ravel(), images, shared.ravel()))
    if problems:
        raise DataError(problems)
    return Design(ordering.ravel() - 1, images - 1, np.sort(shared.ravel() - 1))


def _problems(where: str, ordering: np.ndarray, images: np.ndarray, shared: np.ndarray) -> Iterator[Problem]:
    """Yield `ordering`, `images` and `shared` as the file has them, counting from 1."""
    if images.ndim != 2 or not ordering.size or not images.size:
        yield Problem(
            what="subjectim is no table, or a variable is empty",
            where=where,
            value=images.shape,
            allowed="(subjects, images)",
        )
        return
    if len(ordering) % PLANNED_SESSIONS:
        what = f"masterordering has {len(ordering)} trials, which {PLANNED_SESSIONS} scan sessions can't share equally"
        yield Problem(what=what, where=where)
    n = images.shape[1]
    if ordering.min() != 1 or ordering.max() != n:
        found = f"{ordering.min()} to {ordering.max()}"
        yield Problem(
            what="masterordering doesn't count the images of a subject from 1",
            where=where,
            value=found,
            allowed=f"1 to {n}",
        )
    for name, ids in (("subjectim", images), ("sharedix", shared)):
        if ids.min() < 1:
            yield Problem(
                what=f"{name} doesn't count images from 1", where=where, value=int(ids.min()), allowed="1 or more"
            )
    strangers = [s + 1 for s in range(len(images)) if not np.isin(shared, images[s]).all()]
    if strangers:
        what = (
            "sharedix names images that some subjects have not: do sharedix and subjectim count from the same number?"
        )
        yield Problem(what=what, where=where, value=", ".join(f"subj{s:02d}" for s in strangers))
