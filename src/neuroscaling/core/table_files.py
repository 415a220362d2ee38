"""Readers return tables of Parquet files, and of the CSV files that users write.

Spreadsheets write them with a byte-order mark, with semicolons or tabs for commas, and in other encodings than UTF-8.
Text tables need Python's own library alone; pandas and pyarrow are imported where a table of theirs is read.
"""

import codecs
import csv
import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.files import COPY_AGAIN, DELETE_AND_RERUN, reading
from neuroscaling.core.row_filters import filter_expression

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa


DELIMITERS = ",;\t"
LINES_SHOWN = 5


@dataclass(frozen=True)
class TextTable:
    """Rows of a table: the text of each cell by the name of its column, and the line of the file that each row is on.

    A column without a name is called `Unnamed: <its number from 0>`, as pandas does; empty ones at the end don't count.
    """

    path: Path
    columns: list[str]
    rows: list[dict[str, str]]
    lines: list[int]

    def column(self, name: str) -> list[str]:
        """The cells of a column."""
        return [row[name] for row in self.rows]

    def named_lines(self, rows: Sequence[int]) -> str:
        """Lines of the file of some rows, for messages."""
        return listing([f"line {self.lines[row]}" for row in rows], LINES_SHOWN)


def read_text_table(path: str | Path, required: Sequence[str] = ()) -> TextTable:
    """The table in a CSV file in UTF-8, with or without a byte-order mark; empty lines are left out.

    required: columns that it must have. The delimiter is the comma, semicolon or tab by which the header has most of
    them (else most columns). Raises DataError, with line and column, for a file that is missing or not UTF-8, and for
    columns that are missing or there twice, and rows of another length than the header.
    """
    path = Path(path)
    text = _utf8_text(path)
    delimiter = csv_delimiter(text, required)
    cells = _cells(text, delimiter, path)
    if not cells:
        raise DataError(Problem(what="the table is empty", where=str(path), allowed="a header and rows"))
    (_, header), *body = cells
    in_use = [i for i, name in enumerate(header) if name.strip() or any(row[i : i + 1] != [""] for _, row in body)]
    width = in_use[-1] + 1 if in_use else 0
    columns = [name.strip() or f"Unnamed: {i}" for i, name in enumerate(header[:width])]
    problems = [*_header_problems(columns, required, path), *_length_problems(body, columns, path)]
    if problems:
        raise DataError(problems)
    rows = [dict(zip(columns, row, strict=False)) for _, row in body]
    return TextTable(path, columns, rows, [line for line, _ in body])


def read_any_table(path: str | Path, required: Sequence[str] = ()) -> TextTable:
    """The table in a CSV or parquet file, every cell as text: missing ones are empty, lines are rows from 1 of parquet.

    Raises DataError as `read_text_table`, and for a damaged parquet file.
    """
    path = Path(path)
    if path.suffix != ".parquet":
        return read_text_table(path, required)
    table = read_parquet(path, fix=COPY_AGAIN)
    columns = [name for name in table.column_names if not name.startswith(PANDAS_INDEX)]
    if problems := list(_header_problems(columns, required, path)):
        raise DataError(problems)
    cells = [[_cell(value) for value in table[name].to_pylist()] for name in columns]
    rows = [dict(zip(columns, row, strict=True)) for row in zip(*cells, strict=True)]
    return TextTable(path, columns, rows, list(range(1, len(rows) + 1)))


PANDAS_INDEX = "__index_level_"


def _cell(value: Any) -> str:
    if value is None or value != value:  # NaN is no number, not even itself
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def text_table_frame(table: TextTable, text: Sequence[str] = (), gaps: bool = False) -> Any:
    """The table as pandas' DataFrame: a column whose cells all are numbers becomes numbers, any other stays text.

    text: columns that stay as they are written; gaps: empty cells count as missing numbers and not as text.
    """
    import pandas as pd

    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerow(table.columns)
    writer.writerows([row[column] for column in table.columns] for row in table.rows)
    written.seek(0)
    missing = {"keep_default_na": False, "na_values": [""]} if gaps else {"na_filter": False}
    return pd.read_csv(written, dtype=dict.fromkeys(text, str), **missing)


def _utf8_text(path: Path) -> str:
    with reading(path, "a table"):
        content = path.read_bytes()
    fix = "save the table as CSV in UTF-8"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        what = "not UTF-8: this is UTF-16, Excel's `Unicode text`"
        raise DataError(Problem(what=what, where=str(path), allowed="UTF-8", fix=fix))
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        where, value = _foreign_cell(content, path)
        problem = Problem(what="not UTF-8", where=where, value=value, allowed="UTF-8", fix=fix)
        raise DataError(problem) from error
    if "\0" in text:
        raise DataError(
            Problem(what="not a table: it holds zero bytes", where=str(path), allowed="CSV in UTF-8", fix=fix)
        )
    return text


def _foreign_cell(content: bytes, path: Path) -> tuple[str, str]:
    """Place and content, read as Latin-1, of the first cell that is not UTF-8."""
    text = content.decode("latin-1")
    header: list[str] = []
    for line, row in _cells(text, csv_delimiter(text), path):
        for i, cell in enumerate(row):
            try:
                cell.encode("latin-1").decode("utf-8")
            except UnicodeDecodeError:
                column = header[i] if i < len(header) else f"column {i + 1}"
                return f"{path}: line {line}, {column}", cell
        header = header or row
    return str(path), ""


def csv_delimiter(text: str, required: Sequence[str] = ()) -> str:
    """The comma, semicolon or tab by which the header has most of the `required` columns, else most columns.

    text: the beginning of a CSV file.
    """
    header = text.split("\n", 1)[0].split("\r", 1)[0]

    def fits(delimiter: str) -> tuple[int, int]:
        names = [name.strip().strip('"') for name in header.split(delimiter)]
        return sum(name in names for name in required), len(names)

    return max(DELIMITERS, key=fits)


def _cells(text: str, delimiter: str, path: Path) -> list[tuple[int, list[str]]]:
    """Rows that are not empty, each with its line."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found, start = [], 1
    try:
        for row in reader:
            if any(row):
                found.append((start, row))
            start = reader.line_num + 1
    except csv.Error as error:
        what, fix = f"not a table: {error}", "close quotation marks, and double those inside a cell"
        raise DataError(Problem(what=what, where=f"{path}: line {start}", fix=fix)) from error
    return found


def _header_problems(columns: list[str], required: Sequence[str], path: Path) -> list[Problem]:
    problems = []
    for name in (name for name in required if name not in columns):
        what = "column is missing"
        problems.append(
            Problem(
                what=what, where=f"{path}: line 1", value=listing(columns), allowed=name, nearest=nearest(name, columns)
            )
        )
    twice = [name for name, count in Counter(columns).items() if count > 1]
    if twice:
        problems.append(
            Problem(
                what="columns of one name",
                where=f"{path}: line 1",
                value=listing(twice),
                allowed="a name of its own for each",
            )
        )
    return problems


def _length_problems(body: list[tuple[int, list[str]]], columns: list[str], path: Path) -> list[Problem]:
    """Rows that lack cells, or have more than the header names (empty ones at the end count for nothing)."""
    wrong = [(line, len(row)) for line, row in body if len(row) < len(columns) or any(row[len(columns) :])]
    if not wrong:
        return []
    found = listing([f"line {line}: {cells} cells" for line, cells in wrong], LINES_SHOWN)
    what = f"{len(wrong)} rows of another length than the header"
    fix = "put cells that hold the delimiter into quotation marks"
    return [Problem(what=what, where=str(path), value=found, allowed=f"{len(columns)} cells", fix=fix)]


PARQUET_FILE = "a readable parquet file"


def parquet_columns(path: str | Path, fix: str = DELETE_AND_RERUN) -> list[str]:
    """Names of the columns, from the end of the file alone. Raises DataError for a missing or damaged file."""
    import pyarrow.parquet

    with reading(path, PARQUET_FILE, fix):
        return pyarrow.parquet.read_schema(path).names


def parquet_rows(path: str | Path, fix: str = DELETE_AND_RERUN) -> int:
    """How many rows a file has, from its end alone. Raises DataError for a missing or damaged file."""
    import pyarrow.parquet

    with reading(path, PARQUET_FILE, fix):
        return int(pyarrow.parquet.read_metadata(path).num_rows)


def read_parquet(path: str | Path, columns: Sequence[str] | None = None, fix: str = DELETE_AND_RERUN) -> "pa.Table":
    """The table, or `columns` of it. Raises DataError for a missing or damaged file and for columns that it lacks."""
    import pyarrow.parquet

    _require_columns(path, columns, fix)
    with reading(path, PARQUET_FILE, fix):
        table = pyarrow.parquet.read_table(path, columns=columns and list(columns))
        table.validate(full=True)
        return table


def read_parquet_columns(
    path: str | Path, columns: Sequence[str] | None = None, fix: str = DELETE_AND_RERUN
) -> dict[str, "np.ndarray"]:
    """Columns as arrays by name, all without `columns`. Raises DataError as `read_parquet`."""
    table = read_parquet(path, columns, fix)
    with reading(path, PARQUET_FILE, fix):
        return {name: table[name].to_numpy() for name in table.column_names}


def read_parquet_frame(
    path: str | Path,
    columns: Sequence[str] | None = None,
    filters: Mapping[str, Any] | None = None,
    fix: str = DELETE_AND_RERUN,
) -> "pd.DataFrame":
    """The table of pandas. filters: of rows, by column (`core.row_filters`). Raises DataError as `read_parquet`."""
    import pandas as pd
    import pyarrow.parquet

    _require_columns(path, columns, fix)
    with reading(path, PARQUET_FILE, fix):
        expression = filter_expression(pyarrow.parquet.read_schema(path), filters) if filters else None
        return pd.read_parquet(path, columns=columns and list(columns), filters=expression)


def parquet_metadata(table: "pa.Table", key: bytes, path: str | Path) -> Any:
    """The JSON that a table keeps under `key`. Raises DataError where there is none."""
    with reading(path, PARQUET_FILE, DELETE_AND_RERUN):
        return json.loads((table.schema.metadata or {})[key])


def _require_columns(path: str | Path, columns: Sequence[str] | None, fix: str) -> None:
    if columns is None:
        return
    there = parquet_columns(path, fix)
    if absent := [name for name in columns if name not in there]:
        names = listing(there, 20)
        raise DataError(
            [Problem(what="column is missing", where=str(path), value=name, allowed=names, fix=fix) for name in absent]
        )
