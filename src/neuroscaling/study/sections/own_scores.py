"""The section of a study about scores of one's own, in place of networks: which table, and what its columns mean."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import Discriminator, Field, Tag

from neuroscaling.core.score_scales import SCALES
from neuroscaling.core.score_table import COLUMNS
from neuroscaling.score_tables.mapping import Source, Spread, TableMapping
from neuroscaling.study.sections.key_types import DistinctNames, NamedPath, Section, Text, keys_of, once
from neuroscaling.study.sections.row_filters import Filter

Factor = Annotated[float, Field(gt=0)] | Text
Factors = Factor | Annotated[list[Factor], Field(min_length=1, max_length=10)]
Scalar = bool | int | float | Text
CONSTANTS: dict[str, tuple[tuple[type, ...], str]] = {
    "string": ((str,), "a text"),
    "bool": ((bool,), "true or false"),
    "int64": ((int,), "a whole number"),
    "float64": ((int, float), "a number"),
}
"""What a constant must be, by what its column holds."""


class ColumnOfTable(Section):
    """A column of the table in another unit, or with other words."""

    example: ClassVar[str] = "{column: tokens, times: 1e9}"

    column: Text = Field(description="Column of the table.")
    times: Factors | None = Field(
        None,
        description="What its numbers are multiplied with: a number, a column, or a list of these, e.g. 1e9 of "
        "billions, or 0.01 of per cent.",
    )
    divide_by: Factors | None = Field(
        None, description="What its numbers are divided by, e.g. [Params, 6]: tokens = FLOPs / (6 parameters)."
    )
    words: dict[Text, Scalar] = Field(
        {}, description="What some of its words stand for, e.g. {v1: V1}. Others stay as they are."
    )

    def contradictions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Words and numbers at once."""
        if self.words and (self.times is not None or self.divide_by is not None):
            yield ("words",), "`words` are of texts, `times` and `divide_by` of numbers: drop one"

    def source(self) -> Source:
        """What the reader of tables is told."""
        return Source(
            self.column, _factors(self.times), _factors(self.divide_by), tuple((k, v) for k, v in self.words.items())
        )


class ConstantColumn(Section):
    """A column that is the same in every row."""

    example: ClassVar[str] = "{value: loss}"

    value: Scalar = Field(description="What every row has.")

    def source(self) -> Source:
        """What the reader of tables is told."""
        return Source(value=self.value)


class SpreadColumns(Section):
    """Columns that each hold a score: every row of the table becomes as many rows."""

    example: ClassVar[str] = "{each: [V1, V4, IT], into: region}"

    each: DistinctNames = Field(description="Columns of the table, e.g. [V1, V4, IT].")
    into: Text = Field(description="Column of the score table that says which of them a row is: `region`.")


def _kind_of_column(value: Any) -> str | None:
    """The branch of the union: a text is a column's name, a mapping is known by its keys."""
    if isinstance(value, str):
        return "<name>"
    keys = keys_of(value)
    if keys is None:
        return None
    return "<constant>" if "value" in keys else "<each>" if "each" in keys else "<column>"


OwnColumn = Annotated[
    Annotated[Text, Tag("<name>")]
    | Annotated[ColumnOfTable, Tag("<column>")]
    | Annotated[ConstantColumn, Tag("<constant>")]
    | Annotated[SpreadColumns, Tag("<each>")],
    Discriminator(_kind_of_column),
]
OwnColumns = Annotated[dict[Annotated[str, Field(min_length=1, max_length=100)], OwnColumn], Field(min_length=1)]


class ColumnFile(Section):
    """What the columns of a kind of table mean, for several studies (config/columns/)."""

    columns: OwnColumns = Field(description="As `columns` of `scores`.")


class OwnScores(Section):
    """A table of scores or losses of one's own, in place of networks (docs/score-tables.md)."""

    example: ClassVar[str] = "{file: table.csv, columns: {score: loss, scale: {value: loss}}}"

    file: NamedPath | Annotated[list[NamedPath], Field(min_length=1), once] = Field(
        description="CSV, TSV or parquet; a folder of such files; or a list of these, one after the other."
    )
    columns: OwnColumns | NamedPath = Field(
        {},
        description="The score table's columns by those of the file: `n_params: Params`, {column: tokens, times: 1e9}, "
        "{value: loss} for all rows, or `score: {each: [V1, IT], into: region}`; or a file of them (config/columns/). "
        "Columns that have the score table's own names need none.",
    )
    keep: Annotated[list[Text], once] | None = Field(
        None, description="Further columns to keep, for filters, `group_by` and `cluster` of fits; all without it."
    )
    key: DistinctNames | None = Field(
        None,
        description="Columns that tell rows apart, each combination of which is there once. Without it: all but "
        "`score`, `raw`, `ceiling`, `error` and `reason`; where no column gives `run`, all.",
    )
    filters: dict[Text, Filter] = Field(
        {}, description="Rows to keep, by column of the score table, as in a file of fits."
    )

    @property
    def files(self) -> list[Path]:
        """The files and folders, as they are written."""
        return self.file if isinstance(self.file, list) else [self.file]

    def mapping(self, columns: dict[str, Any]) -> TableMapping:
        """What the reader of tables is told. columns: those of the section, or of the file that it names."""
        spread = next((one for one in columns.values() if isinstance(one, SpreadColumns)), None)
        sources = {
            name: Source(one) if isinstance(one, str) else one.source()
            for name, one in columns.items()
            if not isinstance(one, SpreadColumns)
        }
        return TableMapping(
            sources,
            Spread(tuple(spread.each), spread.into) if spread else None,
            None if self.keep is None else tuple(self.keep),
            tuple(self.key or ()),
            dict(self.filters),
        )


def column_faults(columns: dict[str, Any]) -> Iterator[tuple[tuple[str, ...], str, Any]]:
    """Columns that can't be as they are written: place below `columns`, what is wrong, and the value."""
    for name, one in columns.items():
        if isinstance(one, SpreadColumns) and name != "score":
            yield (name,), "`each` is for `score` alone", None
        if isinstance(one, ConstantColumn):
            kinds, words = CONSTANTS[COLUMNS.get(name, "string")]
            is_wrong = not isinstance(one.value, kinds) or (bool not in kinds and isinstance(one.value, bool))
            if name in COLUMNS and is_wrong:
                yield (name, "value"), f"this column holds {words}", one.value
            if name == "scale" and isinstance(one.value, str) and one.value not in SCALES:
                yield (name, "value"), "unknown scale", one.value


def _factors(given: Any) -> tuple[float | str, ...]:
    if given is None:
        return ()
    return tuple(one if isinstance(one, str) else float(one) for one in (given if isinstance(given, list) else [given]))
