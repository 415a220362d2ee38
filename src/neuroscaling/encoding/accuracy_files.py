"""Accuracy files of (run, subject) jobs, read into arrays: `<stem>.accuracy.parquet` beside each score file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.encoding.accuracy import ALL_IMAGES, MEASURES
from neuroscaling.errors import DataError, Problem, listing
from neuroscaling.files import atomic_path, read_json

COLUMNS = ("region", "hemisphere", "n_mapping", "draw", "n_vertices", *MEASURES)


@dataclass(frozen=True)
class SubjectAccuracy:
    """One run on one subject. groups: (region, hemisphere); sizes: numbers of mapping images, ascending.

    values (sizes, 1 + draws, groups, MEASURES), NaN where there is none; n_vertices (groups,).
    """

    run: str
    data: str
    source: str
    subject: str
    simulated: bool
    groups: list[tuple[str, str]]
    sizes: list[int]
    values: np.ndarray
    n_vertices: np.ndarray


def accuracy_file(score_file: Path) -> Path:
    """Where the accuracies of a score file are."""
    return Path(score_file).with_name(f"{Path(score_file).stem}.accuracy.parquet")


def read_accuracies(score_files: Iterable[Path]) -> list[SubjectAccuracy]:
    """All of them, sorted by run, data, source and subject.

    Raises DataError with every file that is missing, lacks a column, or has more than one subject; and for a subject
    that is given twice.
    """
    read, problems = [], []
    for path in map(Path, score_files):
        try:
            read.append(read_accuracy(path))
        except DataError as error:
            problems += error.problems
    keys = [(one.run, one.data, one.source, one.subject) for one in read]
    for key in sorted({key for key in keys if keys.count(key) > 1}):
        problems.append(Problem("a subject is given twice", " ".join(key), fix="list each score file once"))
    if problems:
        raise DataError(problems)
    return [one for _, one in sorted(zip(keys, read, strict=True), key=lambda pair: pair[0])]


def read_accuracy(score_file: Path) -> SubjectAccuracy:
    """Of one run and subject. Raises DataError for what is missing."""
    content = read_json(score_file)
    subject = subject_of(score_file, content)
    table = read_columns(accuracy_file(score_file), COLUMNS)
    groups, group = _numbered(zip(table["region"], table["hemisphere"], strict=True))
    sizes, size = np.unique(np.array(table["n_mapping"], dtype=np.int64), return_inverse=True)
    draw = np.array(table["draw"], dtype=np.int64) - ALL_IMAGES
    values = np.full((len(sizes), int(draw.max(initial=0)) + 1, len(groups), len(MEASURES)), np.nan)
    for number, measure in enumerate(MEASURES):
        values[size, draw, group, number] = table[measure]
    n_vertices = np.zeros(len(groups), np.int64)
    n_vertices[group] = table["n_vertices"]
    source = content["benchmark"].removesuffix(f"-{subject}")
    run, data, simulated = content["run"], content["data"], content["simulated"]
    return SubjectAccuracy(run, data, source, subject, simulated, groups, sizes.tolist(), values, n_vertices)


def subject_of(score_file: Path, content: dict[str, Any]) -> str:
    """The one subject of a score file. Raises DataError where it has none or several."""
    subjects = sorted({str(row["subject"]) for row in content["rows"]})
    if len(subjects) != 1:
        raise DataError(
            Problem("not the score file of one subject", str(score_file), listing(subjects) or "no row", "one subject")
        )
    return subjects[0]


def read_columns(path: Path, columns: Sequence[str]) -> dict[str, Any]:
    """Columns of a parquet file as arrays. Raises DataError where the file or one of the columns is missing."""
    import pyarrow
    import pyarrow.parquet

    try:
        names = pyarrow.parquet.read_schema(path).names
        absent = [name for name in columns if name not in names]
        if absent:
            fix = "delete the score file beside it and run again"
            raise DataError([Problem("column is missing", str(path), name, listing(names), fix=fix) for name in absent])
        table = pyarrow.parquet.read_table(path, columns=list(columns))
    except FileNotFoundError as error:
        raise DataError(Problem("file is missing", str(path), fix="score the run on the subject again")) from error
    except pyarrow.ArrowInvalid as error:
        raise DataError(Problem(f"not a readable parquet file ({error})", str(path), fix="delete it")) from error
    return {name: table[name].to_numpy() for name in columns}


def write_columns(path: Path, columns: dict[str, Any]) -> None:
    """Write a parquet file, whole or not at all."""
    import pyarrow
    import pyarrow.parquet

    with atomic_path(path) as temporary:
        pyarrow.parquet.write_table(pyarrow.table(columns), temporary)


def _numbered(labels: Iterable[tuple[str, str]]) -> tuple[list[tuple[str, str]], np.ndarray]:
    """Distinct labels in the order of first appearance, and the number of each one's label."""
    numbers: dict[tuple[str, str], int] = {}
    number = np.array([numbers.setdefault(label, len(numbers)) for label in labels], dtype=np.int64)
    return list(numbers), number
