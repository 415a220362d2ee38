"""Commands print rows as a table, CSV, JSON or Markdown, sizes in units, and how far they are."""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from neuroscaling.core.errors import number_of
from neuroscaling.laws.number_words import LARGEST_SIZE, bounded, tells
from neuroscaling.store.contents import STAGES, Artefact
from neuroscaling.store.verify import Checked

MARKDOWN = "markdown"
FORMATS = ("table", "csv", "json", MARKDOWN)
FOR_PEOPLE = ("table", MARKDOWN)
"""Formats with numbers that are rounded, and sizes in units."""
EMPTY = ("", "–")


def show(rows: Sequence[dict[str, Any]], form: str) -> None:
    """Print rows that have the same keys, in `form`, one of `FORMATS`."""
    if form == "json":
        print(json.dumps(list(rows), indent=1))
    elif form == "csv":
        writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    elif form == MARKDOWN:
        print("\n".join(_markdown_table(rows)))
    else:
        _print_table(rows)


def _markdown_table(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The rows as the lines of a table in Markdown, without columns that are empty everywhere."""
    cells = [
        {key: "" if value is None else str(value).replace("|", "\\|") for key, value in row.items()} for row in rows
    ]
    head = [key for key in (cells[0] if cells else ()) if any(row[key] not in EMPTY for row in cells)]
    if not head:
        return ["nothing"]
    lines = [head, ["---"] * len(head), *([row[key] for key in head] for row in cells)]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _print_table(rows: Sequence[dict[str, Any]]) -> None:
    if not rows:
        print("nothing")
        return
    cells = [list(rows[0])] + [["" if value is None else str(value) for value in row.values()] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
SIZES = ("bytes", "weights", "activations", "scores", "other", "alone")
"""Columns that a table for people shows in units."""
GIGA, HOUR = 1e9, 3600
DIGITS = 3
"""Digits of an estimate that are shown."""
TERMINAL_SECONDS, LOG_SECONDS = 0.5, 30.0


def rounded(estimate: float) -> float:
    """An estimate to three digits."""
    return float(f"{estimate:.{DIGITS}g}")


def with_digits(rows: Sequence[dict[str, Any]], digits: str) -> list[dict[str, Any]]:
    """The rows for a table that people read: real numbers as text in the format `digits`, such as `.4g`, or in words
    where they tell nothing.
    """
    return [
        {key: _text(value, digits) if isinstance(value, float) else value for key, value in row.items()} for row in rows
    ]


def _text(value: float, digits: str) -> str:
    return f"{value:{digits}}" if tells(value, LARGEST_SIZE) else bounded(value, LARGEST_SIZE)


def artefact_row(artefact: Artefact, **more: Any) -> dict[str, Any]:
    """An artefact as a row, with `more` columns; the date is in UTC."""
    written = datetime.fromtimestamp(artefact.modified, UTC).strftime("%Y-%m-%d %H:%M") if artefact.files else None
    row = {"stage": artefact.stage, "name": artefact.name, "run": artefact.run}
    return row | {"files": artefact.files, "bytes": artefact.bytes, "modified": written} | more


def verified_rows(found: Sequence[Checked]) -> list[dict[str, Any]]:
    """A row for each stage that was verified: artefacts, bytes, faulty ones, and those that nothing is known of."""
    rows = []
    for stage in STAGES:
        own = [checked for checked in found if checked.artefact.stage == stage]
        if own:
            size = sum(checked.artefact.bytes for checked in own)
            row = {"stage": stage, "artefacts": len(own), "bytes": size}
            faulty, unknown = sum(bool(c.problems) for c in own), sum(not c.known for c in own)
            rows.append(row | {"faulty": faulty, "no_checksum_known": unknown})
    return rows


def show_sizes(rows: Sequence[dict[str, Any]], form: str) -> None:
    """Print rows: with bytes in units for people, and without the run where the name says it; else as they are."""
    if form in FOR_PEOPLE:
        keys = [key for key in (rows[0] if rows else ()) if key != "run" or "name" not in rows[0]]
        rows = [{key: in_units(row[key]) if key in SIZES else row[key] for key in keys} for row in rows]
    show(rows, form)


def tell_sum(artefacts: Sequence[Artefact], what: str = "") -> None:
    """Say on standard error how many artefacts there are, and their bytes."""
    count = number_of(len(artefacts), "artefact")
    size = in_units(sum(artefact.bytes for artefact in artefacts))
    print(f"{count}, {size}{': ' if what else ''}{what}", file=sys.stderr)


def tell(notes: Sequence[object]) -> None:
    """Print lines to standard error."""
    for note in notes:
        print(note, file=sys.stderr)


def in_units(size: float) -> str:
    """A number of bytes for people: `1.2 GB`, of 10^9 bytes."""
    value, unit = float(size), 0
    while value >= 999.5 and unit < len(UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.3g} {UNITS[unit]}"


@dataclass
class Progress:
    """Tells on standard error how far a look through `artefacts` is: on one line of a terminal, else now and then."""

    artefacts: Sequence[Artefact]
    began: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)
    files: int = 0
    bytes: int = 0

    def add(self, artefact: Artefact) -> None:
        """Another artefact was looked at."""
        self.files, self.bytes = self.files + artefact.files, self.bytes + artefact.bytes
        now, terminal = time.monotonic(), sys.stderr.isatty()
        if now - self.told >= (TERMINAL_SECONDS if terminal else LOG_SECONDS):
            self.told = now
            print(
                f"\r\033[K{self}" if terminal else str(self), end="" if terminal else "\n", file=sys.stderr, flush=True
            )

    def end(self) -> None:
        """Say how far it came."""
        print(f"\r\033[K{self}" if sys.stderr.isatty() else str(self), file=sys.stderr)

    def __str__(self) -> str:
        files, total = (sum(getattr(artefact, key) for artefact in self.artefacts) for key in ("files", "bytes"))
        rate = self.bytes / max(time.monotonic() - self.began, 1e-3)
        return f"{self.files} of {files} files, {in_units(self.bytes)} of {in_units(total)}, {in_units(rate)}/s"
