"""A study of a table of one's own: which files it is, what its columns mean, and what its headers tell of faults."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import Fault, Location, NeuroscalingError, Problem, StudyError, dotted, nearest
from neuroscaling.core.hashing import kept_sha256
from neuroscaling.core.score_scales import SCALES
from neuroscaling.core.score_table import COLUMNS
from neuroscaling.score_tables.mapping import TableMapping, header_problems, mapping_problems
from neuroscaling.score_tables.reading import header_of, table_files
from neuroscaling.study.paths import Store, find_file
from neuroscaling.study.sections.own_scores import ColumnFile, OwnScores, column_faults
from neuroscaling.study.sections.validation import validated
from neuroscaling.study.sections.whole_study import Study
from neuroscaling.study.sections.yaml_document import read_document

PLACE = "scores"
CHECKED_AT_ONCE = 50_000_000
"""Bytes of tables whose rows are looked at before a study starts; of larger ones the job does it."""


@dataclass(frozen=True)
class OwnTable:
    """The tables of a study and what their columns mean. data: what the rows' `data` is where no column gives it."""

    files: tuple[Path, ...]
    mapping: TableMapping
    data: str

    def sha256(self, store: Store) -> list[str]:
        """sha256 of each file, kept while size and dates are the same."""
        return [kept_sha256(file, store.cache()) for file in self.files]

    @property
    def is_small(self) -> bool:
        """Whether its rows can be looked at before the study starts."""
        return sum(file.stat().st_size for file in self.files) <= CHECKED_AT_ONCE

    @property
    def columns(self) -> frozenset[str]:
        """Columns that its rows have, those of every score table among them."""
        return frozenset(COLUMNS).union(*(self.mapping.sources(header_of(file)) for file in self.files))

    @property
    def is_loss(self) -> bool:
        """Whether every row is said to be a loss."""
        return self.mapping.is_loss


def own_table(study: Study, file: Path) -> OwnTable | None:
    """The table of a study without networks; None for others. file: of the study, from whose folder files are found.

    Raises NeuroscalingError for files that are missing, and for a faulty file of columns.
    """
    if study.scores is None:
        return None
    named = [find_file(path, file) for path in study.scores.files]
    files = tuple(found for path in named for found in table_files(path))
    return OwnTable(files, study.scores.mapping(_columns(study.scores, file)), named[0].stem)


def own_columns(study: Study | None, file: Path) -> frozenset[str] | None:
    """The columns that fits of this study may name beside those of every table; None where nobody knows."""
    if study is None or study.scores is None:
        return frozenset()
    try:
        table = own_table(study, file)
        return table.columns if table else frozenset()
    except NeuroscalingError:
        return None  # told by `table_faults`


def table_faults(study: Study, file: Path) -> Iterator[Fault]:
    """Everything that is wrong with the table of a study and can be seen in its headers."""
    if study.scores is None:
        return
    files: list[Path] = []
    for i, path in enumerate(study.scores.files):
        place: Location = (PLACE, "file", i) if isinstance(study.scores.file, list) else (PLACE, "file")
        try:
            files += table_files(find_file(path, file))
        except NeuroscalingError as error:
            yield from (Fault(place, problem) for problem in error.problems)
    try:
        columns = _columns(study.scores, file)
    except NeuroscalingError as error:
        yield from (Fault((PLACE, "columns"), problem) for problem in error.problems)
        return
    is_file = isinstance(study.scores.columns, Path)
    inner: Location
    for inner, what, value in column_faults(columns):
        allowed = list(SCALES) if "scale" in inner else []
        problem = Problem(what=what, value=value, allowed=", ".join(allowed), nearest=nearest(value, allowed))
        yield _placed(("columns", *inner), problem, is_file)
    mapping = study.scores.mapping(columns)
    for inner, problem in mapping_problems(mapping):
        yield _placed(inner, problem, is_file)
    told: set[tuple[Location, Any]] = set()
    for path in files:
        try:
            found = list(header_problems(mapping, header_of(path), str(path)))
        except NeuroscalingError as error:
            yield from (Fault((PLACE, "file"), problem) for problem in error.problems)
            continue
        for inner, problem in found:
            if (inner, problem.value) not in told:
                yield _placed(inner, problem, is_file)
            told.add((inner, problem.value))


def _placed(inner: Location, problem: Problem, is_file: bool) -> Fault:
    """A fault of a column at its place in the study; in a file of columns at the key that names this file."""
    if is_file and inner[0] == "columns":
        what = f"{dotted(inner)}: {problem.what}" if len(inner) > 1 else problem.what
        return Fault((PLACE, "columns"), replace(problem, what=what))
    return Fault((PLACE, *inner), problem)


def _columns(scores: OwnScores, file: Path) -> dict[str, Any]:
    """The columns of the section, or of the file that it names. Raises StudyError for a faulty file."""
    if not isinstance(scores.columns, Path):
        return dict(scores.columns)
    fix = "correct the path under `scores: {columns: ...}`"
    document = read_document(find_file(scores.columns, file), "file of columns", fix)
    found, left, faults = validated(ColumnFile, document)
    if faults or found is None:
        raise StudyError(left.problems(faults))
    return dict(found.columns)
