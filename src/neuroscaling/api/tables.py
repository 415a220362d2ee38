"""Tables of pandas are shown as text and as HTML, and read from what users have."""

import html
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.core.errors import Problem, StudyError
from neuroscaling.core.files import COPY_AGAIN
from neuroscaling.core.score_table import read_score_table
from neuroscaling.core.table_files import read_parquet_frame, read_text_table, text_table_frame

if TYPE_CHECKING:
    import pandas as pd

DIGITS = 3
MOST_ROWS = 60


def table_text(table: "pd.DataFrame") -> str:
    """A table as text, numbers with three digits."""
    return str(table.to_string(index=False, float_format=_number, max_rows=MOST_ROWS))


def table_html(title: str, table: "pd.DataFrame", notes: Sequence[str] = ()) -> str:
    """A table as HTML for notebooks, below its title, with `notes` beneath."""
    shown = table.to_html(index=False, float_format=_number, max_rows=MOST_ROWS, border=0)
    beneath = "".join(f"<p><small>{html.escape(note)}</small></p>" for note in notes)
    return f"<div><p><strong>{html.escape(title)}</strong></p>{shown}{beneath}</div>"


def _number(value: float) -> str:
    return f"{value:.{DIGITS}g}"


def table_of(given: Any, where: str) -> "pd.DataFrame":
    """A table of pandas or polars, or of pyarrow, or the CSV or parquet file at a path, as pandas has it.

    Raises StudyError for anything else, DataError for a file that is missing or damaged.
    """
    import pandas as pd

    if isinstance(given, pd.DataFrame):
        return given
    if isinstance(given, str | os.PathLike):
        path = Path(given)
        if path.suffix == ".parquet":
            return read_parquet_frame(path, fix=COPY_AGAIN)
        frame: pd.DataFrame = text_table_frame(read_text_table(path), gaps=True)
        return frame
    # Polars and pyarrow both have it; neither is imported for that.
    if hasattr(given, "to_pandas"):
        found = given.to_pandas()
        if isinstance(found, pd.DataFrame):
            return found
    allowed = "a table of pandas or polars, or the path of a CSV or parquet file"
    raise StudyError(Problem(what="not a table", where=where, value=type(given).__name__, allowed=allowed))


def scores_of(given: Any, where: str) -> tuple["pd.DataFrame", Sequence[Any]]:
    """A table as `table_of` reads it, and the runs that failed, of which a study's own parquet file knows."""
    if isinstance(given, str | Path) and Path(given).suffix == ".parquet":
        read = read_score_table(given)
        return read.scores, read.failed
    return table_of(given, where), ()
