"""A law reads the rows and columns of the score table that it needs, and no others."""

from pathlib import Path
from typing import Any

from neuroscaling.core.score_table import COLUMNS, ScoreTable, read_score_table, stated_key
from neuroscaling.core.table_files import parquet_columns
from neuroscaling.laws.layer_luck import KEEP


def read_rows(path: str | Path, settings: dict[str, Any]) -> ScoreTable:
    """The rows of a score table that the filters of `settings` (of a FitJob) let pass, and the runs that failed.

    Only these are read, with the columns of every score table and those that the settings name: a table of millions of
    rows takes the memory of a law's own. Where nothing passes, or a column is missing, all rows are read, from which
    the caller tells which filter it was. Raises DataError, naming the file, where it is missing or damaged.
    """
    if settings.get("chosen_on", KEEP) != KEEP:
        return read_score_table(path)  # the luck of layers is told by other rows than the law's own
    have = parquet_columns(path)
    named = [settings["x"]] if isinstance(settings["x"], str) else settings["x"]
    keys = ("group_by", "cluster", "hierarchy", "filters")
    asked = {settings["y"], *named, *(column for key in keys for column in settings[key]), *stated_key(path)}
    asked |= {settings["compute"]} if settings["compute"] else set()
    asked |= set(settings.get("leave_out") or ())
    columns = [column for column in have if column in COLUMNS or column in asked]
    merged = {"arch_family"} if settings["merge_families"] else set()
    pushed = {key: value for key, value in settings["filters"].items() if key in have and key not in merged}
    found = read_score_table(path, columns, pushed)
    return found if len(found.scores) else read_score_table(path, columns)
