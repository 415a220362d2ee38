"""A mapping says where each column of the score table comes from in a table of one's own.

It is looked at when the Snakefile is parsed: the header of a table tells what can be wrong with its columns. Light.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any

from neuroscaling.core.errors import Location, Problem, listing, nearest
from neuroscaling.core.score_scales import LOSS
from neuroscaling.core.score_table import COLUMNS

Scalar = bool | int | float | str
MEASURED = ("score", "raw", "ceiling", "error", "reason")
"""Columns that are measured: they do not tell one row from another."""
ALIKE = 0.8
"""From this likeness on (difflib's ratio) a new name is taken for a slip in the name of a known column."""


@dataclass(frozen=True)
class Source:
    """Where the values of a column come from.

    column: of the user's table, None for a constant; times, divide_by: numbers and names of columns that its numbers
    are multiplied with and divided by; words: what some of its words stand for; value: the constant.
    """

    column: str | None = None
    times: tuple[float | str, ...] = ()
    divide_by: tuple[float | str, ...] = ()
    words: tuple[tuple[str, Scalar], ...] = ()
    value: Scalar | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the user's table that it reads."""
        own = (self.column,) if self.column is not None else ()
        return (*own, *(one for one in (*self.times, *self.divide_by) if isinstance(one, str)))

    @property
    def is_number(self) -> bool:
        """Whether it computes: whatever the column holds must be numbers then."""
        return bool(self.times or self.divide_by)


@dataclass(frozen=True)
class Spread:
    """Columns that each hold a score, so that one row of the user's table has several of the score table.

    name: the column that says which of them a row is, such as `metric` or `region`.
    """

    columns: tuple[str, ...]
    name: str


@dataclass(frozen=True)
class TableMapping:
    """What a study says of a table of scores.

    columns: sources by the names of the score table's columns; spread: where scores stand in several columns; keep: the
    further columns to keep, None for all; key: columns that tell rows apart, empty for the default; filters: of rows,
    by the names of the score table's columns.
    """

    columns: dict[str, Source] = field(default_factory=dict)
    spread: Spread | None = None
    keep: tuple[str, ...] | None = None
    key: tuple[str, ...] = ()
    filters: dict[str, Any] = field(default_factory=dict)

    @property
    def is_loss(self) -> bool:
        """Whether every row is said to be a loss, of which less is better."""
        scale = self.columns.get("scale")
        return scale is not None and scale.value == LOSS

    def sources(self, header: Sequence[str]) -> dict[str, Source]:
        """The source of each column that a table with this header gives: mapped ones, those that have the score
        table's own names, and further ones that are kept."""
        found = dict(self.columns)
        if self.spread and self.spread.name not in found:
            found[self.spread.name] = Source(self.spread.name)
        used = self.used
        for name in header:
            if name in found or not name:
                continue
            own = name in COLUMNS and not (name == "score" and self.spread)
            further = name not in used if self.keep is None else name in self.keep
            if own or (further and name not in COLUMNS):
                found[name] = Source(name)
        order = [*(name for name in COLUMNS if name in found), *(name for name in found if name not in COLUMNS)]
        return {name: found[name] for name in order}

    @property
    def used(self) -> tuple[str, ...]:
        """The columns of the user's table that the mapping names."""
        named = [column for source in self.columns.values() for column in source.columns]
        spread = self.spread.columns if self.spread else ()
        made = {self.spread.name} if self.spread else set()
        return tuple(dict.fromkeys(column for column in (*spread, *named) if column not in made))

    def key_of(self, columns: Iterable[str]) -> tuple[str, ...]:
        """The columns that tell rows apart, of those that the table gives.

        By default all but the measured ones. Without names of runs, rows are the same where all of them agree.
        """
        if self.key:
            return self.key
        given = list(columns)
        return tuple(name for name in given if name not in MEASURED) if "run" in given else tuple(given)


def mapping_problems(mapping: TableMapping) -> Iterator[tuple[Location, Problem]]:
    """What is wrong with the names of a mapping, whatever table it is for, with its place below `scores`."""
    for name in mapping.columns:
        slip = get_close_matches(name, COLUMNS, n=1, cutoff=ALIKE) if name not in COLUMNS else []
        if slip:
            fix = "correct it, or give a further column a name that is less like this"
            yield (
                ("columns", name),
                Problem(
                    what="unknown column", value=name, allowed=listing(list(COLUMNS), 50), nearest=slip[0], fix=fix
                ),
            )


def header_problems(mapping: TableMapping, header: Sequence[str], file: str) -> Iterator[tuple[Location, Problem]]:
    """What a table with this header lacks, with the place below `scores` that asks for it. file: for messages."""
    asked: list[tuple[Location, tuple[str, ...]]] = []
    asked += [(("columns", name), source.columns) for name, source in mapping.columns.items()]
    asked += [(("keep",), mapping.keep or ())]
    asked += [(("columns", "score"), mapping.spread.columns)] if mapping.spread else []
    made = {mapping.spread.name} if mapping.spread else set()
    for place, columns in asked:
        for column in columns:
            if column not in header and column not in made:
                yield place, _missing(column, header, file)
    given = mapping.sources(header)
    if "score" not in given and not mapping.spread:
        fix = "name the column of the numbers: `columns: {score: ...}`"
        yield (
            ("columns",),
            Problem(what="no column gives `score`", value=file, allowed=listing(list(header), 40), fix=fix),
        )
    if "scale" not in given:
        fix = (
            "say what the numbers are, e.g. `columns: {scale: {value: loss}}`; `r`, `r2`, `none` and others are scores"
        )
        yield ("columns",), Problem(what="no column gives `scale`", value=file, fix=fix)
    named: list[tuple[Location, tuple[str, ...]]] = [(("key",), mapping.key), (("filters",), tuple(mapping.filters))]
    for place, columns in named:
        for column in columns:
            if column not in (*given, *COLUMNS):
                allowed = list(dict.fromkeys((*given, *COLUMNS)))
                yield (
                    place,
                    Problem(
                        what="unknown column",
                        value=column,
                        allowed=listing(allowed, 60),
                        nearest=nearest(column, allowed),
                    ),
                )


def _missing(column: str, header: Sequence[str], file: str) -> Problem:
    return Problem(
        what=f"{file} has no such column",
        value=column,
        allowed=listing(list(header), 60),
        nearest=nearest(column, header),
    )
