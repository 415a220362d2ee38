"""Errors tell a user what is wrong, where, with which value, what is allowed and what to do next."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import PurePath
from typing import Any

Location = tuple[str | int, ...]
"""The keys and list indices that lead to a value of a file: ("runs", 0, "recipe")."""
SHOWN_KEY = 60
"""Characters of a key that a place shows."""


@dataclass(frozen=True)
class Place:
    """Where something stands: `Place("study.yaml") / "runs" / 0 / "recipe"`.

    file: its path; keys: what leads to the value within it; line: from 1, None where nobody knows it;
    note: what else is said of the place.
    """

    file: str | PurePath
    keys: Location = ()
    line: int | None = None
    note: str = ""

    def __truediv__(self, key: str | int) -> "Place":
        return replace(self, keys=(*self.keys, key))

    def __str__(self) -> str:
        """`study.yaml line 12: runs[0].recipe, the note`."""
        where = f"{self.file} line {self.line}" if self.line else str(self.file)
        where = f"{where}: {dotted(self.keys)}" if self.keys else where
        return f"{where}, {self.note}" if self.note else where


def dotted(location: Location) -> str:
    """A location as people write it: `runs[0].archs`."""
    place = ""
    for part in location:
        name = str(part) if len(str(part)) <= SHOWN_KEY else f"{str(part)[:SHOWN_KEY]}..."
        place += f"[{part}]" if isinstance(part, int) and place else f".{name}" if place else name
    return place


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong.

    what: the fault in a few words; where: its place, or the name of what is no file; value: what was found there;
    allowed: what may stand there; nearest: the allowed value that looks most like it; fix: the next step.
    """

    what: str
    where: Place | str = ""
    value: Any = None
    allowed: str = ""
    nearest: str = ""
    fix: str = ""

    def __str__(self) -> str:
        where = str(self.where)
        lines = [f"{where}: {self.what}" if where else self.what]
        if self.value is not None:
            lines.append(f"    found:    {_shortened(self.value)}")
        if self.allowed:
            lines.append(f"    allowed:  {self.allowed}")
        if self.nearest:
            lines.append(f"    nearest:  {self.nearest}")
        if self.fix:
            lines.append(f"    next:     {self.fix}")
        return "\n".join(lines)


@dataclass(frozen=True)
class Fault:
    """A problem of a value in a file that a user wrote; the file's `Document` says in which line that is.

    line: where the value stands, if that is not where its location leads.
    """

    location: Location
    problem: Problem
    line: int | None = None


class NeuroscalingError(Exception):
    """One or several problems, all of them shown at once."""

    def __init__(self, problems: Problem | Iterable[Problem]):
        self.problems = [problems] if isinstance(problems, Problem) else list(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class StudyError(NeuroscalingError):
    """The study file, or something that it names, can't be used."""


class DataError(NeuroscalingError):
    """Data are missing, damaged or inconsistent."""


class FullDiskError(DataError):
    """No space is left for what is to be written."""


def nearest(value: object, allowed: Iterable[object]) -> str:
    """The allowed value that is written most like `value`, or an empty string."""
    matches = get_close_matches(str(value), [str(a) for a in allowed], n=1, cutoff=0.5)
    return matches[0] if matches else ""


def number_of(number: int, what: str) -> str:
    """A number of things: `1 run`, `3,000 runs`."""
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def listing(values: Sequence[object], limit: int = 12) -> str:
    """`values` in one line, shortened after `limit` of them with a count of the rest."""
    shown = ", ".join(str(v) for v in values[:limit])
    rest = len(values) - limit
    return f"{shown} ... and {rest} more" if rest > 0 else shown


def _shortened(value: object, limit: int = 200) -> str:
    text = str(value) if isinstance(value, str | PurePath) else repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."


def percent(share: float) -> str:
    """A share in 0..1 as whole per cent; 0 % and 100 % are only said of none and of all.

    What would be rounded to them has one digit after the point: 99.8 %, or 'more than 99.9 %'.
    """
    whole = f"{100 * share:.0f}"
    if share in (0, 1) or whole not in ("0", "100"):
        return f"{whole} %"
    if 0 < share < 0.0005:
        return "less than 0.1 %"
    if 0.9995 <= share < 1:
        return "more than 99.9 %"
    return f"{100 * share:.1f} %"
