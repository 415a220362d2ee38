"""Accuracy files of (run, subject) jobs, read into arrays: `<run>.accuracy.parquet` beside each score file."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.score_files import DELETE_SCORE, ScoreFile, checked_file, file_beside, read_score
from neuroscaling.core.table_files import parquet_columns, read_parquet_columns
from neuroscaling.encoding.accuracy import ALL_IMAGES, MEASURES

Key = tuple[str, str, str, str]
ACCURACY = "accuracy.parquet"
COLUMNS = ("metric", "test_set", "region", "hemisphere", "n_mapping", "draw", "n_vertices", *MEASURES)


@dataclass(frozen=True)
class SubjectAccuracy:
    """One run on one subject by one metric on one test set ("" where there is one alone).

    groups: (region, hemisphere); sizes: numbers of mapping images, ascending; values (sizes, 1 + draws, groups,
    MEASURES), NaN where there is none; n_vertices (groups,).
    """

    run: str
    data: str
    source: str
    subject: str
    metric: str
    test_set: str
    simulated: bool
    groups: list[tuple[str, str]]
    sizes: list[int]
    values: np.ndarray
    n_vertices: np.ndarray

    def of(self, hemisphere: str) -> "SubjectAccuracy":
        """The groups of one hemisphere alone."""
        kept = [place for place, (_, side) in enumerate(self.groups) if side == hemisphere]
        groups = [self.groups[place] for place in kept]
        return replace(self, groups=groups, values=self.values[:, :, kept], n_vertices=self.n_vertices[kept])


def listed(score_files: Iterable[Path]) -> dict[Key, Path]:
    """The files by run, data, source and subject, sorted; of the accuracies beside them only the header is read.

    Raises DataError with every file that is missing, lacks a column, or has more than one subject; and for a subject
    that is given twice.
    """
    found, problems = [], []
    for path in map(Path, score_files):
        try:
            content = read_score(path)
            found.append((_key(path, content), path))
            problems += _header_problems(file_beside(path, ACCURACY))
        except DataError as error:
            problems += error.problems
    keys = [key for key, _ in found]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        problems.append(Problem(what="a subject is given twice", where=" ".join(key), fix="list each score file once"))
    if problems:
        raise DataError(problems)
    return dict(sorted(found))


def read_accuracy(score_file: str | Path) -> list[SubjectAccuracy]:
    """Of one run and subject, for each metric of single targets and each test set. Raises DataError for what is
    missing."""
    score_file = Path(score_file)
    content = read_score(score_file)
    run, data, source, subject = _key(score_file, content)
    table = read_parquet_columns(checked_file(score_file, content.files, ACCURACY), COLUMNS, DELETE_SCORE)
    kinds, kind = _numbered(zip(table["metric"], table["test_set"], strict=True))
    found = []
    for number, (metric, test_set) in enumerate(kinds):
        mine = {name: np.asarray(values)[kind == number] for name, values in table.items()}
        whose = (run, data, source, subject, metric, test_set, content.simulated)
        found.append(SubjectAccuracy(*whose, *_values(mine)))
    return found


def _values(table: Mapping[str, Any]) -> tuple[list[tuple[str, str]], list[int], np.ndarray, np.ndarray]:
    """Groups, sizes, values and n_vertices of a `SubjectAccuracy`."""
    groups, group = _numbered(zip(table["region"], table["hemisphere"], strict=True))
    sizes, size = np.unique(np.array(table["n_mapping"], dtype=np.int64), return_inverse=True)
    draw = np.array(table["draw"], dtype=np.int64) - ALL_IMAGES
    values = np.full((len(sizes), int(draw.max(initial=0)) + 1, len(groups), len(MEASURES)), np.nan)
    for number, measure in enumerate(MEASURES):
        values[size, draw, group, number] = table[measure]
    n_vertices = np.zeros(len(groups), np.int64)
    n_vertices[group] = table["n_vertices"]
    return groups, sizes.tolist(), values, n_vertices


def subject_of(score_file: Path, content: ScoreFile) -> str:
    """The one subject of a score file. Raises DataError where it has none or several."""
    subjects = sorted({str(row.get("subject")) for row in content.rows})
    if len(subjects) != 1:
        raise DataError(
            Problem(
                what="not the score file of one subject",
                where=str(score_file),
                value=listing(subjects) or "no row",
                allowed="one subject",
            )
        )
    return subjects[0]


def _key(score_file: Path, content: ScoreFile) -> Key:
    """Run, data, source and subject; a session that is a benchmark by itself is of the source that its data are."""
    subject = subject_of(score_file, content)
    source = content.data if content.benchmark == subject else content.benchmark.removesuffix(f"-{subject}")
    return content.run, content.data, source, subject


def _header_problems(path: Path, columns: Sequence[str] = COLUMNS) -> list[Problem]:
    """What of a parquet file is missing."""
    try:
        names = parquet_columns(path, DELETE_SCORE)
    except DataError as error:
        return error.problems
    absent = [name for name in columns if name not in names]
    return [
        Problem(what="column is missing", where=str(path), value=name, allowed=listing(names, 20), fix=DELETE_SCORE)
        for name in absent
    ]


def _numbered(labels: Iterable[tuple[str, str]]) -> tuple[list[tuple[str, str]], np.ndarray]:
    """Distinct labels in the order of first appearance, and the number of each one's label."""
    numbers: dict[tuple[str, str], int] = {}
    number = np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.int64)
    return list(numbers), number
