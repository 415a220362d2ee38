"""Images of THINGS that TVSD and THINGS-fMRI showed, by the names that both have for them: one set serves both."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.array_files import HDF5_FILE, open_hdf5
from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.files import reading
from neuroscaling.core.table_files import read_text_table
from neuroscaling.study.stimulus_sources import ThingsImages
from neuroscaling.study.things_tree import (
    THINGS_FIX,
    Monkey,
    Person,
    fmri_subjects,
    things_file,
    things_folder,
    things_id,
    tvsd_monkeys,
)

SPLITS = {"train": "training", "test": "test"}
"""What the authors call a split, and what it is called here."""


@dataclass(frozen=True)
class Trials:
    """Trials of a subject of THINGS-fMRI. stimulus_ids, kinds (`train`, `test` or others, such as `catch`) and sessions
    of each."""

    stimulus_ids: list[str]
    kinds: list[str]
    sessions: list[str]

    def of(self, kind: str) -> np.ndarray:
        """Numbers (from 0) of the trials of a kind."""
        return np.array([i for i, found in enumerate(self.kinds) if found == kind], dtype=int)


def read_tvsd_images(monkey: Monkey) -> dict[str, list[str]]:
    """Stimulus ids of the rows of `training` and `test`. Raises DataError for a log without them."""
    with open_hdf5(monkey.images, THINGS_FIX) as opened:
        return {ours: _paths(opened, f"{theirs}_imgs", monkey.images) for theirs, ours in SPLITS.items()}


def _paths(opened: Any, group: str, file: Path) -> list[str]:
    name = f"{group}/things_path"
    with reading(file, HDF5_FILE, THINGS_FIX):
        if name not in opened:
            raise DataError(Problem(what="no list of images in the log", where=str(file), value=name, fix=THINGS_FIX))
        cells = opened[name]
        # A cell array of MATLAB is an array of references, each to the characters of a text as numbers.
        texts = ("".join(map(chr, np.asarray(opened[cell]).ravel())) for cell in np.ravel(cells[()]))
        return [things_id(text) for text in texts]


def read_fmri_trials(person: Person) -> Trials:
    """The trials of a subject, in the order of the columns of the responses.

    Raises DataError for a table without the columns, and for rows without an image.
    """
    table = read_text_table(person.images, ("trial_type", "session", "stimulus"))
    names, kinds = ([cell.strip() for cell in table.column(name)] for name in ("stimulus", "trial_type"))
    if empty := [i for i, name in enumerate(names) if kinds[i] in SPLITS and not name]:
        what, where = f"{len(empty)} trials without an image", f"{person.images}: stimulus"
        raise DataError(Problem(what=what, where=where, value=table.named_lines(empty)))
    return Trials([things_id(name) if name else "" for name in names], kinds, table.column("session"))


def shown_ids(source: ThingsImages) -> list[str]:
    """Stimulus ids of all images that the recordings of the source showed, sorted. Raises DataError as the readers."""
    ids: set[str] = set()
    monkeys = [Monkey(source.tvsd, name) for name in tvsd_monkeys(source.tvsd)] if source.tvsd else []
    people = [Person(source.fmri, name) for name in fmri_subjects(source.fmri)] if source.fmri else []
    for monkey in monkeys:
        for rows in read_tvsd_images(monkey).values():
            ids.update(rows)
    for person in people:
        trials = read_fmri_trials(person)
        ids.update(trials.stimulus_ids[i] for kind in SPLITS for i in trials.of(kind))
    return sorted(ids)


def things_images(source: ThingsImages) -> Iterator[tuple[str, Path]]:
    """Id and file of each image. Raises DataError with the number of images that are missing, and some of them."""
    files = {stimulus: things_file(source.root, stimulus) for stimulus in shown_ids(source)}
    if problem := missing_images(source.root, list(files)):
        raise DataError(problem)
    yield from ((stimulus, file) for stimulus, file in files.items() if file)


def missing_images(root: Path, stimulus_ids: list[str]) -> Problem | None:
    """What is said of images that a folder of THINGS lacks; None where it has them all."""
    missing = [stimulus for stimulus in stimulus_ids if things_file(root, stimulus) is None]
    if not missing:
        return None
    return Problem(
        what=f"{len(missing)} of {len(stimulus_ids)} images are missing",
        where=str(things_folder(root)),
        value=listing(missing, 5),
        allowed="<concept>/<file>.jpg, or all files in one folder",
        fix="unpack images_THINGS.zip with its password (docs/things.md)",
    )
