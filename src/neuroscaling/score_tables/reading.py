"""Tables of scores are read block by block, CSV as text and parquet by its own types.

pyarrow is imported where rows are read: the header of a CSV file needs Python's own library alone.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.files import COPY_AGAIN, reading, require_file
from neuroscaling.core.table_files import csv_delimiter, parquet_columns, read_text_table

if TYPE_CHECKING:
    import pyarrow as pa


PARQUET = ".parquet"
SUFFIXES = (".csv", ".tsv", PARQUET)
BLOCK_ROWS, BLOCK_BYTES = 131_072, 2**25
HEADER_BYTES = 2**20
TABLE = "a table"


def table_files(path: Path) -> list[Path]:
    """The files of a table: itself, or the tables in a folder by their names.

    Raises DataError for a folder without any, and for a file that is missing or has another ending than SUFFIXES.
    """
    allowed = f"files that end in {', '.join(SUFFIXES)}"
    if path.is_dir():
        found = sorted(one for one in path.iterdir() if one.suffix.lower() in SUFFIXES and one.is_file())
        if not found:
            names = sorted(one.name for one in path.iterdir())
            raise DataError(
                Problem(what="no table is in this folder", where=str(path), value=listing(names), allowed=allowed)
            )
        return found
    require_file(path, "correct the path under `scores: {file: ...}`")
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(Problem(what="not a table by its name", where=str(path), value=path.suffix, allowed=allowed))
    return [path]


def header_of(path: Path) -> list[str]:
    """Names of the columns, from the beginning of a CSV file or the end of a parquet file; empty for nameless ones.

    Raises DataError for a file that can't be read, has no header, or two columns of one name.
    """
    if path.suffix.lower() == PARQUET:
        names = parquet_columns(path, COPY_AGAIN)
    else:
        # What is not UTF-8 behind the header is told with its line when the rows are read.
        with reading(path, TABLE), open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
            text = file.read(HEADER_BYTES)
            rows = csv.reader([*text.splitlines(keepends=True), ""], delimiter=csv_delimiter(text))
            names = [name.strip() for name in next(rows)]
    if any("\ufffd" in name for name in names):
        read_text_table(path)  # says in which cell
    if not any(names):
        raise DataError(Problem(what="the table is empty", where=str(path), allowed="a header and rows"))
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        what, allowed = "columns of one name", "a name of its own for each"
        raise DataError(Problem(what=what, where=str(path), value=listing(twice), allowed=allowed))
    return names


def blocks(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """The rows of a table block by block, with `columns` of it: texts of a CSV file, and the types of a parquet file.

    Raises DataError for a damaged file, with lines where rows of a CSV file are at fault.
    """
    if path.suffix.lower() == PARQUET:
        yield from _parquet_blocks(path, columns)
    else:
        yield from _text_blocks(path, columns)


def _parquet_blocks(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow.parquet

    with reading(path, "a readable parquet file"), pyarrow.parquet.ParquetFile(path) as file:
        yield from file.iter_batches(BLOCK_ROWS, columns=list(columns))


def _text_blocks(path: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.csv

    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        delimiter = csv_delimiter(file.read(HEADER_BYTES))
    names = header_of(path)
    places = [f"column {i}" for i in range(len(names))]
    taken = [places[names.index(column)] for column in columns]
    options = {
        # Names are given, so that spaces around those of the header are of no matter.
        "read_options": pyarrow.csv.ReadOptions(block_size=BLOCK_BYTES, column_names=places, skip_rows_after_names=1),
        "parse_options": pyarrow.csv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        "convert_options": pyarrow.csv.ConvertOptions(
            column_types=dict.fromkeys(places, pa.string()), include_columns=taken, strings_can_be_null=False
        ),
    }
    try:
        with pyarrow.csv.open_csv(path, **options) as reader:
            for block in reader:
                yield block.rename_columns(list(columns))
    except pa.ArrowInvalid as error:
        if "Empty CSV" in str(error):
            return  # a header alone
        read_text_table(path)  # says in which line what is wrong
        with reading(path, TABLE):
            raise


def row_names(path: Path, rows: Collection[int]) -> dict[int, str]:
    """What rows (from 0) of a table are called in messages: lines of a CSV file, rows from 1 of a parquet file."""
    if path.suffix.lower() == PARQUET:
        return {row: f"row {row + 1}" for row in rows}
    wanted, found, number = set(rows), {}, -1
    with open(path, encoding="utf-8-sig", errors="replace", newline="") as file:
        delimiter = csv_delimiter(file.read(HEADER_BYTES))
        file.seek(0)
        reader, start = csv.reader(file, delimiter=delimiter), 1
        for row in reader:
            if row:  # pyarrow leaves out lines without anything
                if number in wanted:
                    found[number] = f"line {start}"
                number += 1
            start = reader.line_num + 1
            if len(found) == len(wanted):
                break
    return found
