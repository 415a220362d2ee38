"""Blocks of a user's table become blocks of the score table, and what is wrong with their rows is collected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.core.errors import Problem, listing, nearest
from neuroscaling.core.row_filters import row_filter
from neuroscaling.core.score_scales import SCALES, has_ceiling, is_correlation
from neuroscaling.core.score_table import COLUMNS
from neuroscaling.score_tables import conversion
from neuroscaling.score_tables.conversion import Converted, Rows
from neuroscaling.score_tables.mapping import Source, TableMapping
from neuroscaling.score_tables.reading import blocks, header_of, row_names

if TYPE_CHECKING:
    import pyarrow as pa


SHOWN_ROWS = 5
EMPTY_SCORE = "the table has no number"
OUTSIDE = "a correlation beyond 1"
UNKNOWN_SCALE = "unknown scale of a score"
NO_SCALE = "a score without a scale"
WORDS = {
    conversion.NOT_NUMBER: (
        "a number with a decimal point, or an empty cell",
        "correct it, or map the column otherwise",
    ),
    conversion.IS_INFINITE: ("finite numbers", "empty the cell where the number is not known"),
    conversion.NOT_FLAG: ("true or false", "correct it"),
    conversion.NOT_WHOLE: ("a whole number", "correct it"),
    OUTSIDE: ("from -1 to 1", "of per cent: `columns: {score: {column: ..., times: 0.01}}`; else name another `scale`"),
    UNKNOWN_SCALE: (listing(list(SCALES)), "`columns: {scale: {column: ..., words: {...}}}` translates words"),
    NO_SCALE: (listing(list(SCALES)), "fill the cell, or `columns: {scale: {value: ...}}` for all rows"),
}
"""What is allowed, and the next step, for each thing that can be wrong with a row."""
ARROW = {"string": "string", "float64": "float64", "int64": "int64", "bool": "bool_"}


@dataclass(frozen=True)
class Plan:
    """How the rows of several files become rows of the score table.

    headers: columns of each file; kinds: what each column of the score table holds, in the table's order; data: what
    the rows' `data` is where no column gives it.
    """

    mapping: TableMapping
    headers: Mapping[Path, Sequence[str]]
    kinds: Mapping[str, str]
    data: str

    @property
    def given(self) -> list[str]:
        """The columns that the files give, in the table's order."""
        found = {name for header in self.headers.values() for name in self.mapping.sources(header)}
        return [name for name in self.kinds if name in found or (name == "score" and self.mapping.spread)]

    @property
    def key(self) -> tuple[str, ...]:
        """The columns that tell rows apart."""
        return self.mapping.key_of(self.given)


@dataclass
class Findings:
    """What is wrong with rows, by what it is, file and column: how often, and the first rows with their values."""

    found: dict[tuple[str, Path, str], list[tuple[int, Any]]] = field(default_factory=dict)
    counts: dict[tuple[str, Path, str], int] = field(default_factory=dict)

    def add(self, what: str, file: Path, column: str, rows: Sequence[int], values: Sequence[Any]) -> None:
        """Rows (of the file, from 0) at fault, and what stands there."""
        key = (what, file, column)
        self.counts[key] = self.counts.get(key, 0) + len(rows)
        kept = self.found.setdefault(key, [])
        kept += list(zip(rows, values, strict=True))[: SHOWN_ROWS - len(kept)]

    def problems(self) -> list[Problem]:
        """One problem for each kind of fault in each column, with the lines of the first."""
        return [self._problem(key) for key in self.found]

    def _problem(self, key: tuple[str, Path, str]) -> Problem:
        (what, file, column), kept = key, self.found[key]
        names = row_names(file, {row for row, _ in kept})
        shown = [f"{names.get(row, f'row {row + 1}')}: {value!r}" for row, value in kept]
        rest = self.counts[key] - len(kept)
        allowed, fix = WORDS[what]
        near = nearest(kept[0][1], SCALES) if what == UNKNOWN_SCALE else ""
        return Problem(
            what=f"{what} ({self.counts[key]:,} rows)" if self.counts[key] > 1 else what,
            where=f"{file}: column {column}",
            value="; ".join(shown) + (f" ... and {rest:,} more" if rest else ""),
            allowed=allowed,
            nearest=near,
            fix=fix,
        )


@dataclass(frozen=True)
class ScoreRows:
    """A block of the score table; rows: where each of its rows stands in the file, from 0."""

    block: pa.RecordBatch
    file: Path
    rows: Rows


def planned(mapping: TableMapping, files: Sequence[Path], data: str) -> Plan:
    """The plan for these files: further columns of CSV files are looked through for what they hold."""
    headers = {file: header_of(file) for file in files}
    sources = {name: None for header in headers.values() for name in mapping.sources(header)}
    further = [name for name in sources if name not in COLUMNS]
    return Plan(mapping, headers, COLUMNS | _kinds(mapping, headers, further), data)


def _kinds(mapping: TableMapping, headers: Mapping[Path, Sequence[str]], further: Sequence[str]) -> dict[str, str]:
    """What further columns hold."""
    found: dict[str, set[str]] = {name: set() for name in further}
    for file, header in headers.items():
        sources = {name: source for name, source in mapping.sources(header).items() if name in found}
        asked: dict[str, list[str]] = {}
        for name, source in sources.items():
            if mapping.spread and name == mapping.spread.name:
                found[name].add("string")
            elif source.is_number:
                found[name].add("float64")
            elif source.column is None:
                found[name].add(_kind_of_constant(source.value))
            elif source.words:
                found[name].add("string")
            else:
                asked.setdefault(source.column, []).append(name)
        for block in blocks(file, list(asked)) if asked else ():
            for column, names in asked.items():
                kind = conversion.kind_of(block.column(column))
                for name in names:
                    found[name].add(kind)
    return {name: conversion.common_kind(kinds) for name, kinds in found.items()}


def _kind_of_constant(value: Any) -> str:
    return "bool" if isinstance(value, bool) else "float64" if isinstance(value, int | float) else "string"


def score_rows(plan: Plan, findings: Findings) -> Iterator[ScoreRows]:
    """The rows that pass the filters, block by block in the order of the files; `findings` gets what is wrong."""
    for file, header in plan.headers.items():
        sources, first = plan.mapping.sources(header), 0
        spread = plan.mapping.spread
        made = {spread.name} if spread else set()
        read = {column for source in sources.values() for column in source.columns if column not in made}
        read |= set(spread.columns) if spread else set()
        for block in blocks(file, [column for column in header if column in read]):
            columns = dict(zip(block.schema.names, block.columns, strict=True))
            for part in _parts(plan.mapping, sources, columns, block.num_rows):
                yield _score_block(plan, file, first, part, findings)
            first += block.num_rows


@dataclass(frozen=True)
class _Part:
    sources: Mapping[str, Source]
    columns: dict[str, pa.Array]
    n: int


def _parts(mapping: TableMapping, sources: dict[str, Source], columns: dict[str, pa.Array], n: int) -> Iterator[_Part]:
    """The block itself, or the block once for each of the columns that its scores are spread over."""
    import pyarrow as pa

    if mapping.spread is None:
        yield _Part(sources, columns, n)
        return
    for column in mapping.spread.columns:
        made = {mapping.spread.name: pa.array([column], pa.string()).take(pa.array(np.zeros(n, np.int64)))}
        yield _Part({**sources, "score": Source(column)}, columns | made, n)


def _score_block(plan: Plan, file: Path, first: int, part: _Part, findings: Findings) -> ScoreRows:
    import pyarrow as pa

    faults: list[tuple[str, str, Rows, pa.Array]] = []
    values = {name: _converted(plan, name, part, faults, first, file) for name in plan.kinds}
    values["reason"] = _with_reasons(values["score"], values["reason"])
    faults += _score_faults(values)
    block = pa.RecordBatch.from_pydict(values)
    kept = row_filter(block, plan.mapping.filters) & ~_empty_rows(part)
    told: dict[tuple[str, str], Rows] = {}
    for what, column, rows, cells in faults:
        # A column that several read is told of once.
        rows = np.setdiff1d(rows[kept[rows]], told.get((what, column), rows[:0]))
        told[what, column] = np.union1d(rows, told.get((what, column), rows[:0]))
        if rows.size:
            shown = cells.take(pa.array(rows[:SHOWN_ROWS])).to_pylist()
            findings.add(what, file, column, (rows + first).tolist(), shown + [None] * (rows.size - len(shown)))
    return ScoreRows(block.filter(pa.array(kept)), file, np.flatnonzero(kept) + first)


def _empty_rows(part: _Part) -> np.ndarray:
    """Rows without anything, as spreadsheets leave them at the end of a table."""
    import pyarrow.compute as pc

    empty = np.full(part.n, bool(part.columns))
    for values in part.columns.values():
        text = conversion.texts(values).values if pc.is_valid(values).type else values
        empty &= pc.is_null(text).to_numpy(zero_copy_only=False)
        if not empty.any():
            break
    return empty


def _converted(
    plan: Plan, name: str, part: _Part, faults: list[tuple[str, str, Rows, pa.Array]], first: int, file: Path
) -> pa.Array:
    """The column `name` of the score table for a block; its faults are added to `faults`."""
    import pyarrow as pa

    kind, source = plan.kinds[name], part.sources.get(name)
    if source is None:
        return _default(plan, name, part.n, first, file)
    if source.column is None:
        return _constant(_of_kind(source.value, kind), kind, part.n)
    if source.is_number:
        found, read = conversion.computed(source, part.columns)
        for column, one in read.items():
            faults += [(what, column, rows, part.columns[column]) for what, rows in one.faults.items()]
        known = np.concatenate(
            [rows for one in read.values() for rows in one.faults.values()] or [np.empty(0, np.intp)]
        )
        found = replace(found, faults={what: np.setdiff1d(rows, known) for what, rows in found.faults.items()})
    else:
        values = (
            conversion.translated(source, part.columns[source.column]) if source.words else part.columns[source.column]
        )
        found = _read_as(kind, values)
    found = conversion.whole(found) if kind == "int64" else found
    faults += [(what, str(source.column), rows, part.columns[source.column]) for what, rows in found.faults.items()]
    if kind == "bool" and name in COLUMNS:
        return found.values.fill_null(False)
    return found.values.cast(getattr(pa, ARROW[kind])())


def _read_as(kind: str, values: pa.Array) -> Converted:
    if kind == "string":
        return conversion.texts(values)
    return conversion.flags(values) if kind == "bool" else conversion.numbers(values)


def _of_kind(value: Any, kind: str) -> Any:
    if kind == "string":
        return str(value).lower() if isinstance(value, bool) else str(value)
    return value if kind == "bool" else float(value) if kind == "float64" else int(value)


def _default(plan: Plan, name: str, n: int, first: int, file: Path) -> pa.Array:
    """What a column holds that the table does not give: nothing known, but names for rows and for the data."""
    import pyarrow as pa

    if name == "run":
        begin = f"{file.stem} " if len(plan.headers) > 1 else ""
        return pa.array([f"{begin}row {row + 1}" for row in range(first, first + n)], pa.string())
    if name == "data":
        return _constant(plan.data, "string", n)
    known = {"int64": 0, "bool": False} if name in COLUMNS else {}
    return _constant(known.get(plan.kinds[name]), plan.kinds[name], n)


def _constant(value: Any, kind: str, n: int) -> pa.Array:
    import pyarrow as pa

    return pa.repeat(pa.scalar(value, getattr(pa, ARROW[kind])()), n)


def _with_reasons(scores: pa.Array, reasons: pa.Array) -> pa.Array:
    """A score that is missing has a reason; one that is there has none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    missing = pc.fill_null(reasons, EMPTY_SCORE)
    return pc.if_else(pc.is_null(scores), missing, pa.scalar(None, pa.string()))


def _score_faults(values: Mapping[str, pa.Array]) -> list[tuple[str, str, Rows, pa.Array]]:
    """Scales that nobody knows, and correlations that are none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    scale, score = values["scale"], values["score"]
    there = pc.is_valid(score)
    unknown = pc.and_(pc.is_valid(scale), pc.invert(pc.is_in(scale, pa.array(SCALES))))
    bounded = pc.is_in(scale, pa.array([name for name in SCALES if is_correlation(name)]))
    outside = pc.and_(bounded, pc.fill_null(pc.greater(pc.abs(score), 1.0), False))
    found = [
        (UNKNOWN_SCALE, "scale", unknown, scale),
        (NO_SCALE, "scale", pc.and_(pc.is_null(scale), there), scale),
        (OUTSIDE, "score", outside, score),
    ]
    return [
        (what, column, np.flatnonzero(mask.to_numpy(zero_copy_only=False)), cells)
        for what, column, mask, cells in found
    ]


def ceiling_scales(block: pa.RecordBatch) -> set[tuple[str, str, str]]:
    """Data, metric and scale of the rows of a block that are divided by a ceiling."""
    import pyarrow as pa

    names = ["data", "metric", "scale"]
    rows = pa.table({name: block.column(name) for name in names}).group_by(names).aggregate([]).to_pylist()
    return {
        (str(row["data"]), str(row["metric"]), row["scale"])
        for row in rows
        if row["scale"] and has_ceiling(row["scale"])
    }
