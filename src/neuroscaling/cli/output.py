"""Rows as a table, CSV or JSON."""

import csv
import json
import sys
from collections.abc import Sequence
from typing import Any

FORMATS = ("table", "csv", "json")


def show(rows: Sequence[dict[str, Any]], form: str) -> None:
    """Print rows that have the same keys, in `form`: table, csv or json."""
    if form == "json":
        print(json.dumps(list(rows), indent=1))
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    else:
        _table(rows)


def _table(rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        print("nothing")
        return
    cells = [list(rows[0])] + [["" if value is None else str(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
