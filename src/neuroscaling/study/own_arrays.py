"""Recordings of one's own: the files that a study names, and what its two tables say.

A table of stimuli has a row for each row of the responses, a table of units a row for each unit (docs/own-recordings.md
lists their columns). Images without a table are those of a folder, in the order of their names.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.table_files import LINES_SHOWN, TextTable, read_any_table
from neuroscaling.study.sections.encoding import ArraysEncoding
from neuroscaling.study.sections.recordings import ColumnSplit, DrawnSplit

Axis = Literal["images", "units", "repetitions"]
STIMULUS, FILE, SHA1, INDEX = "stimulus_id", "filename", "sha1", "index"
SUBJECT, REGION, UNIT, RELIABILITY, CEILING = "subject", "region", "id", "reliability", "ceiling"
STIMULUS_COLUMNS = (STIMULUS, FILE, SHA1, INDEX)
UNIT_COLUMNS = (SUBJECT, REGION, UNIT, RELIABILITY, CEILING)
TRAINING = "training"
TRAINING_WORDS = ("train", "training")
JOINT = "|"
"""Between the regions of a unit that belongs to several."""
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,79}")
NAME_IN_WORDS = "letters, digits and `-`"
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm")
ALIKE = 0.75
HELP = "docs/own-recordings.md shows the three files"


@dataclass(frozen=True, kw_only=True)
class OwnImages:
    """The images of recordings of one's own.

    images: their folder; stimuli: their table, or None; column: of this table, with the split of each; share, seed: of
    images that are drawn as the test set without a column (0: none, where folds of all images are evaluated); ordered:
    whether the order of the images tells which row of the responses is which.
    """

    images: Path
    stimuli: Path | None
    column: str | None = None
    share: float = 0.0
    seed: int = 0
    ordered: bool = True


@dataclass(frozen=True, kw_only=True)
class OwnArrays(OwnImages):
    """Where arrays of one's own lie, and how they are meant.

    responses: file of the responses, and `variable` the name of the array in it, or None; axes: what its axes are, or
    None; units: their table.
    """

    name: str
    responses: Path
    variable: str | None
    axes: tuple[Axis, ...] | None
    units: Path
    simulated: bool

    @classmethod
    def of(cls, entry: ArraysEncoding) -> "OwnArrays":
        """From an entry of `encoding:`; its files lie in the folder of the data."""
        root, split = entry.data.local, entry.split
        return cls(
            name=entry.name,
            images=root / entry.images,
            stimuli=root / entry.stimuli if entry.stimuli else None,
            responses=root / entry.responses,
            variable=entry.variable,
            axes=tuple(entry.axes) if entry.axes else None,
            units=root / entry.units,
            column=split.column if isinstance(split, ColumnSplit) else None,
            share=split.test if isinstance(split, DrawnSplit) and entry.evaluate != "folds" else 0.0,
            seed=split.seed if isinstance(split, DrawnSplit) else 0,
            simulated=entry.simulated,
        )


@dataclass(frozen=True)
class OwnStimuli:
    """The images, each once. files: names in the folder; sha1: of each file, or None; splits: the split of each;
    rows: those of the table, from 0, that show it; n_rows: their number."""

    ids: list[str]
    files: list[str]
    sha1: list[str] | None
    splits: list[str]
    rows: list[list[int]]
    n_rows: int

    def test_sets(self) -> list[str]:
        """Names of the test sets, in the order of the table; `test` is the first."""
        names = [name for name in dict.fromkeys(self.splits) if name != TRAINING]
        return sorted(names, key=lambda name: name != "test")

    def of_split(self, split: str) -> list[int]:
        """Positions of the images of a split."""
        return [i for i, name in enumerate(self.splits) if name == split]


@dataclass(frozen=True)
class OwnUnits:
    """What is known of each unit. ids: or None; regions: of each, one or several; ceilings (units,): share of the
    variance of its average responses that can be explained, in 0..1, or None."""

    subjects: list[str]
    regions: list[tuple[str, ...]]
    ids: list[str] | None
    ceilings: np.ndarray | None

    @cached_property
    def names(self) -> list[str]:
        """Names of the subjects, in the order of the table."""
        return list(dict.fromkeys(self.subjects))

    def of_subject(self, subject: str) -> np.ndarray:
        """Positions of a subject's units."""
        return np.flatnonzero(np.array(self.subjects) == subject)

    def region_names(self, units: Sequence[int] | np.ndarray) -> list[str]:
        """Regions of some units, in the order of the table."""
        return list(dict.fromkeys(region for unit in units for region in self.regions[unit]))


def read_own_stimuli(arrays: OwnImages) -> OwnStimuli:
    """The images of a table, or of a folder. Raises DataError with everything that is wrong with the table, files that
    the folder lacks, and names whose order is in doubt."""
    if arrays.stimuli is None:
        files = _pictures(arrays)
        found = OwnStimuli(files, files, None, [TRAINING] * len(files), [[i] for i in range(len(files))], len(files))
    else:
        found = _of_table(arrays, read_any_table(arrays.stimuli, (FILE,)))
    if problem := _lacking(arrays, found):
        raise DataError(problem)
    return _drawn(found, arrays) if arrays.share else found


def _of_table(arrays: OwnImages, table: TextTable) -> OwnStimuli:
    by = STIMULUS if STIMULUS in table.columns else FILE
    known = [*STIMULUS_COLUMNS, *([arrays.column] if arrays.column else [])]
    problems = [*_misspelt(table, known), *_empty(table, [by, FILE, *_there(table, (SHA1, INDEX))])]
    if arrays.column is not None:
        problems += _split_problems(table, arrays.column)
    positions: dict[str, list[int]] = {}
    for i, stimulus in enumerate(table.column(by)):
        positions.setdefault(stimulus, []).append(i)
    problems += _unlike(table, by, positions, _there(table, [FILE, SHA1, *([arrays.column] if arrays.column else [])]))
    order, of_index = _row_order(table)
    if found := [*problems, *of_index]:
        raise DataError(found)
    firsts = [rows[0] for rows in positions.values()]
    splits = [_split_name(table.rows[i][arrays.column]) if arrays.column else TRAINING for i in firsts]
    return OwnStimuli(
        ids=list(positions),
        files=[table.rows[i][FILE] for i in firsts],
        sha1=[table.rows[i][SHA1].lower() for i in firsts] if SHA1 in table.columns else None,
        splits=splits,
        rows=[[order[i] for i in rows] for rows in positions.values()],
        n_rows=len(table.rows),
    )


def _row_order(table: TextTable) -> tuple[list[int], list[Problem]]:
    """Row of the responses for each row of the table: its own, or what the column `index` says."""
    n = len(table.rows)
    if INDEX not in table.columns:
        return list(range(n)), []
    where, cells = f"{table.path}: {INDEX}", table.column(INDEX)
    foreign = [i for i, cell in enumerate(cells) if cell and not re.fullmatch(r"\d{1,12}", cell)]
    if foreign:
        value = f"{cells[foreign[0]]!r} ({table.named_lines(foreign)})"
        return [], [Problem(what="not a row of the responses", where=where, value=value, allowed=f"0 to {n - 1}")]
    order = [int(cell) for cell in cells if cell]
    if sorted(order) == list(range(n)) or len(order) < n:
        return order, []
    if sorted(order) == list(range(1, n + 1)):
        fix = "subtract 1: the first row of the responses is 0"
        value, allowed = f"1 to {n}", f"0 to {n - 1}"
        return [], [Problem(what="rows are counted from 1", where=where, value=value, allowed=allowed, fix=fix)]
    twice = sorted({row for row in order if order.count(row) > 1}) if n < 10_000 else []
    what = "rows of the responses that are named twice, or not there"
    value = listing(twice or [row for row in sorted(order) if row >= n], LINES_SHOWN)
    return [], [Problem(what=what, where=where, value=value, allowed=f"each of 0 to {n - 1} once")]


def _split_problems(table: TextTable, column: str) -> Iterator[Problem]:
    if column not in table.columns:
        near = nearest(column, table.columns)
        where, found = f"{table.path}: line 1", listing(table.columns)
        yield Problem(what="the column of the split is missing", where=where, value=found, allowed=column, nearest=near)
        return
    yield from _empty(table, [column])
    names = dict.fromkeys(map(_split_name, filter(None, table.column(column))))
    where = f"{table.path}: {column}"
    if TRAINING not in names:
        found, near = listing(list(names)), nearest("train", names)
        fix = f"write `train` for the images that mappings are fitted on ({HELP})"
        yield Problem(what="no training image", where=where, value=found, allowed="train", nearest=near, fix=fix)
    if len(names) < 2:
        yield Problem(what="no test image", where=where, value=listing(list(names)), allowed="train, test, ...")
    if unusable := [name for name in names if not NAME.fullmatch(name)]:
        what = "not a name of a test set"
        yield Problem(what=what, where=where, value=listing(unusable, LINES_SHOWN), allowed=NAME_IN_WORDS)


def _split_name(cell: str) -> str:
    return TRAINING if cell.lower() in TRAINING_WORDS else cell


def _drawn(stimuli: OwnStimuli, arrays: OwnImages) -> OwnStimuli:
    """With a share of the images as the test set, drawn by the seed."""
    n = len(stimuli.ids)
    n_test = round(arrays.share * n)
    if not 0 < n_test < n:
        value = f"{arrays.share:g} of {n} images"
        raise DataError(Problem(what="no test image, or no training image", where=str(arrays.images), value=value))
    chosen = set(np.random.default_rng([arrays.seed, n]).permutation(n)[:n_test].tolist())
    splits = ["test" if i in chosen else TRAINING for i in range(n)]
    return OwnStimuli(stimuli.ids, stimuli.files, stimuli.sha1, splits, stimuli.rows, stimuli.n_rows)


def _pictures(shown: OwnImages) -> list[str]:
    """Names of the images of a folder; where their order counts, it is the same by letters and by the numbers in
    them."""
    folder = shown.images
    try:
        names = [name for name in os.listdir(folder) if Path(name).suffix.lower() in PICTURES]
    except OSError as error:
        what = f"not a folder of images: {error.strerror}"
        raise DataError(Problem(what=what, where=str(folder), fix=HELP)) from error
    names = sorted(name for name in names if not name.startswith("."))
    if not names:
        raise DataError(Problem(what="no image in this folder", where=str(folder), allowed=", ".join(PICTURES)))
    by_number = sorted(names, key=_numbers)
    if by_number == names or not shown.ordered:
        return names
    first = next(i for i, (a, b) in enumerate(zip(names, by_number, strict=True)) if a != b)
    what = "the order of these names is in doubt"
    value = f"image {first} is {names[first]} by letters, {by_number[first]} by numbers"
    fix = "name a table with the order of the responses: `stimuli: FILE`, with a column `filename`"
    raise DataError(Problem(what=what, where=str(folder), value=value, fix=fix))


def _numbers(name: str) -> list[tuple[int, int, str]]:
    """What sorts image2 before image10."""
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in re.split(r"(\d+)", name)]


def _lacking(arrays: OwnImages, stimuli: OwnStimuli) -> Problem | None:
    try:
        there = set(os.listdir(arrays.images))
    except OSError as error:
        return Problem(what=f"not a folder of images: {error.strerror}", where=str(arrays.images), fix=HELP)
    absent = [name for name in stimuli.files if name not in there and not (arrays.images / name).is_file()]
    if not absent:
        return None
    what = f"{len(absent)} images of {arrays.stimuli and arrays.stimuli.name} are missing"
    near, fix = nearest(absent[0], sorted(there)[:10_000]), "copy them there, or correct the table"
    return Problem(what=what, where=str(arrays.images), value=listing(absent, LINES_SHOWN), nearest=near, fix=fix)


def read_own_units(arrays: OwnArrays) -> OwnUnits:
    """The units of a table. Raises DataError with everything that is wrong with it.

    Without a column `subject` they are one subject's, called as the recordings are. `reliability` is the correlation of
    two halves of the repetitions, which Spearman and Brown's formula steps up to the ceiling of the averages.
    """
    table = read_any_table(arrays.units, (REGION,))
    problems = [*_misspelt(table, UNIT_COLUMNS), *_empty(table, _there(table, (REGION, SUBJECT, UNIT)))]
    if not table.rows:
        problems.append(Problem(what="no unit in the table", where=str(arrays.units)))
    subjects = table.column(SUBJECT) if SUBJECT in table.columns else [arrays.name] * len(table.rows)
    if wrong := [i for i, name in enumerate(subjects) if name and not NAME.fullmatch(name)]:
        value = f"{subjects[wrong[0]]!r} ({table.named_lines(wrong)})"
        where = f"{arrays.units}: {SUBJECT}"
        problems.append(Problem(what="not a name of a subject", where=where, value=value, allowed=NAME_IN_WORDS))
    ids = table.column(UNIT) if UNIT in table.columns else None
    if ids is not None and len(set(ids)) < len(ids):
        twice = sorted({one for one in ids if ids.count(one) > 1}) if len(ids) < 10_000 else []
        where = f"{arrays.units}: {UNIT}"
        problems.append(Problem(what="several units have one id", where=where, value=listing(twice, LINES_SHOWN)))
    both = _there(table, (CEILING, RELIABILITY))
    if len(both) == 2:
        fix = "drop one: a ceiling follows from the reliability"
        problems.append(Problem(what="two columns tell of ceilings", where=str(arrays.units), value="both", fix=fix))
    values, of_values = _ceilings(table, both[0]) if len(both) == 1 else (None, [])
    if found := [*problems, *of_values]:
        raise DataError(found)
    regions = [tuple(part.strip() for part in cell.split(JOINT) if part.strip()) for cell in table.column(REGION)]
    return OwnUnits(subjects, regions, ids, values)


def _ceilings(table: TextTable, column: str) -> tuple[np.ndarray | None, list[Problem]]:
    """Ceilings of the units in 0..1, from one of the two columns, and what is wrong with it."""
    where = f"{table.path}: {column}"
    try:
        values = np.array([float(cell or "nan") for cell in table.column(column)])
    except ValueError as error:
        return None, [Problem(what=f"not a number: {error}", where=where, allowed="0 to 1")]
    lowest = 0.0 if column == CEILING else -1.0
    if absent := np.flatnonzero(~np.isfinite(values)).tolist():
        fix = "state it of every unit, or drop the column"
        return None, [Problem(what=f"{column} is missing", where=where, value=table.named_lines(absent), fix=fix)]
    outside = np.flatnonzero((values < lowest) | (values > 1)).tolist()
    if outside:
        in_percent = values.min() >= 0 and 1 < values.max() <= 100
        what = f"{column} in per cent" if in_percent else f"not a {column}"
        fix = "divide by 100" if in_percent else ""
        value = f"{values[outside[0]]:g} ({table.named_lines(outside)})"
        return None, [Problem(what=what, where=where, value=value, allowed=f"{lowest:g} to 1", fix=fix)]
    return (values if column == CEILING else np.maximum(2 * values / (1 + np.maximum(values, 0)), 0.0)), []


def _there(table: TextTable, columns: Sequence[str]) -> list[str]:
    return [column for column in columns if column in table.columns]


def _empty(table: TextTable, columns: Sequence[str]) -> Iterator[Problem]:
    for column in dict.fromkeys(columns):
        if empty := [i for i, cell in enumerate(table.column(column)) if not cell.strip()]:
            where, value = f"{table.path}: {column}", table.named_lines(empty)
            yield Problem(what=f"{len(empty)} empty cells", where=where, value=value)


def _misspelt(table: TextTable, known: Sequence[str]) -> Iterator[Problem]:
    """Columns that nothing is known of, and that are written much like a known one that isn't there."""
    from difflib import get_close_matches

    absent = {_plain(name): name for name in known if name not in table.columns}
    for column in (column for column in table.columns if column not in known):
        near = get_close_matches(_plain(column), absent, n=1, cutoff=ALIKE)
        if near:
            meant = absent[near[0]]
            fix = f"call it `{meant}`, or something less alike"
            where = f"{table.path}: line 1"
            yield Problem(
                what="unknown column", where=where, value=column, allowed=listing(known), nearest=meant, fix=fix
            )


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _unlike(table: TextTable, by: str, positions: dict[str, list[int]], columns: Sequence[str]) -> Iterator[Problem]:
    """Rows of one id that don't agree in a column."""

    def differs(rows: list[int], column: str) -> bool:
        return any(table.rows[i][column] != table.rows[rows[0]][column] for i in rows)

    for column in columns:
        unlike = {one: rows for one, rows in positions.items() if one and differs(rows, column)}
        if unlike:
            value = listing([f"{one} ({table.named_lines(rows)})" for one, rows in unlike.items()], LINES_SHOWN)
            what = f"{len(unlike)} stimuli have rows that differ in `{column}`"
            yield Problem(what=what, where=f"{table.path}: {by}", value=value, fix="give each an id of its own")
