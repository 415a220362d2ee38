"""Parquet files."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.core.reading import reading
from neuroscaling.errors import DataError, Problem, listing

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import pyarrow as pa

KIND = "a readable parquet file"
FIX = "delete the file and run again"


def column_names(path: str | Path, fix: str = FIX) -> list[str]:
    """Names of the columns, from the end of the file alone. Raises DataError for a missing or damaged file."""
    import pyarrow.parquet

    with reading(path, KIND, fix):
        return pyarrow.parquet.read_schema(path).names


def read_parquet(path: str | Path, columns: Sequence[str] | None = None, fix: str = FIX) -> "pa.Table":
    """The table, or `columns` of it. Raises DataError for a missing or damaged file and for columns that it lacks."""
    import pyarrow.parquet

    _require_columns(path, columns, fix)
    with reading(path, KIND, fix):
        table = pyarrow.parquet.read_table(path, columns=columns and list(columns))
        table.validate(full=True)
        return table


def read_columns(path: str | Path, columns: Sequence[str] | None = None, fix: str = FIX) -> dict[str, "np.ndarray"]:
    """Columns as arrays by name, all without `columns`. Raises DataError as `read_parquet`."""
    table = read_parquet(path, columns, fix)
    with reading(path, KIND, fix):
        return {name: table[name].to_numpy() for name in table.column_names}


def read_frame(path: str | Path, columns: Sequence[str] | None = None, fix: str = FIX) -> "pd.DataFrame":
    """The table of pandas. Raises DataError as `read_parquet`."""
    import pandas as pd

    _require_columns(path, columns, fix)
    with reading(path, KIND, fix):
        return pd.read_parquet(path, columns=columns and list(columns))


def metadata(table: "pa.Table", key: bytes, path: str | Path) -> Any:
    """The JSON that a table keeps under `key`. Raises DataError where there is none."""
    import json

    with reading(path, KIND, FIX):
        return json.loads((table.schema.metadata or {})[key])


def _require_columns(path: str | Path, columns: Sequence[str] | None, fix: str) -> None:
    if columns is None:
        return
    there = column_names(path, fix)
    if absent := [name for name in columns if name not in there]:
        names = listing(there, 20)
        raise DataError([Problem("column is missing", str(path), name, names, fix=fix) for name in absent])
