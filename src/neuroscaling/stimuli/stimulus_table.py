"""A table of stimuli says which image each stimulus is, and what else is known of it.

One reader for `check`, for the preparation of images and for scoring, in both environments.
"""

import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.table_files import LINES_SHOWN, TextTable, read_text_table

ID, OLD_ID, FILE = "stimulus_id", "image_id", "filename"
"""Columns that each table has; older ones call the first `image_id`."""


def read_stimulus_table(path: str | Path, published: bool = False) -> TextTable:
    """Return the table of stimuli at `path`, each stimulus once: rows that are repeated word for word count once.

    published: a file of Brain-Score, which is taken as it is. Raises DataError as `read_text_table`, and for rows
    without an id or a file, and ids that stand for different rows, with their lines.
    """
    table = read_text_table(path, (FILE,))
    if ID not in table.columns:
        if OLD_ID not in table.columns:
            found, near = listing(table.columns), nearest(ID, table.columns)
            raise DataError(
                Problem(what="column is missing", where=f"{path}: line 1", value=found, allowed=ID, nearest=near)
            )
        rows = [row | {ID: row[OLD_ID]} for row in table.rows]
        table = replace(table, columns=[*table.columns, ID], rows=rows)
    if published:
        return table
    problems = list(_row_problems(table))
    if problems:
        raise DataError(problems)
    first: dict[str, int] = {}
    for i, stimulus in enumerate(table.column(ID)):
        first.setdefault(stimulus, i)
    kept = list(first.values())
    return replace(table, rows=[table.rows[i] for i in kept], lines=[table.lines[i] for i in kept])


def image_problems(table: TextTable, images: Path) -> list[Problem]:
    """Return images of the table that are not in the folder `images`; or what is wrong with the folder."""
    try:
        there = set(os.listdir(images))
    except OSError as error:
        what, fix = f"not a folder of images: {error.strerror}", "name the folder that holds them"
        return [Problem(what=what, where=str(images), fix=fix)]
    lacking = [i for i, name in enumerate(table.column(FILE)) if name not in there and not (images / name).is_file()]
    if not lacking:
        return []
    named = listing([f"{table.rows[i][FILE]!r} (line {table.lines[i]})" for i in lacking], LINES_SHOWN)
    near = nearest(table.rows[lacking[0]][FILE], there)
    what = f"{len(lacking)} images of {table.path.name} are missing"
    return [
        Problem(what=what, where=str(images), value=named, nearest=near, fix="copy them there, or correct the table")
    ]


def _row_problems(table: TextTable) -> Iterator[Problem]:
    for column in (ID, FILE):
        empty = [i for i, cell in enumerate(table.column(column)) if not cell]
        if empty:
            yield Problem(
                what=f"{len(empty)} empty cells", where=f"{table.path}: {column}", value=table.named_lines(empty)
            )
    rows: dict[str, list[int]] = defaultdict(list)
    for i, stimulus in enumerate(table.column(ID)):
        rows[stimulus].append(i)
    unlike = {s: which for s, which in rows.items() if s and any(table.rows[i] != table.rows[which[0]] for i in which)}
    if unlike:
        what, fix = f"{len(unlike)} ids stand for different rows", "give each stimulus an id of its own"
        found = listing([f"{stimulus} ({table.named_lines(which)})" for stimulus, which in unlike.items()], LINES_SHOWN)
        yield Problem(what=what, where=f"{table.path}: {ID}", value=found, fix=fix)
