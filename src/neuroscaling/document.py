"""A YAML file that a user wrote: its content, and the line of every value, so that messages can name it. Light."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from neuroscaling.errors import Fault, Location, Problem, StudyError, nearest
from neuroscaling.paths import REPOSITORY
from neuroscaling.yaml_text import Replaced, YamlSyntaxError, load_yaml

BYTES = 4_000_000
SHOWN_KEY = 60


@dataclass(frozen=True)
class Document:
    """Content of a file, and where it stands.

    lines: line of each value by its location; kept: where faulty items were taken out of a list, the indices in the
    file of those that are left, by the list's location; faults: what is wrong with the YAML itself;
    origin: the document that this one is a part of.
    """

    file: str
    content: Any
    lines: dict[Location, int] = field(default_factory=dict)
    faults: tuple[Fault, ...] = ()
    kept: dict[Location, list[int]] = field(default_factory=dict)
    origin: "Document | None" = None

    def at(self, location: Location = (), line: int | None = None) -> str:
        """`mine.yaml line 12: runs[0].recipe`: the place of a value, or of where it is missing, in the file."""
        line = line or self.line(location)
        where = f"{self.file} line {line}" if line and location else self.file
        return f"{where}: {shown(location)}" if location else where

    def line(self, location: Location) -> int | None:
        """The line of a value, or of the nearest that it would be part of."""
        return next((self.lines[location[:n]] for n in range(len(location), 0, -1) if location[:n] in self.lines), None)

    def problems(self, faults: Iterable[Fault]) -> list[Problem]:
        """The problems of `faults` in the order of the file, each with its place ahead of what it says of it itself."""
        found = []
        for fault in faults:
            at, own = self.at(fault.location, fault.line), fault.problem.where
            line = fault.line or self.line(fault.location) or 0
            found.append((line, replace(fault.problem, where=f"{at}, {own}" if own else at)))
        return list({str(problem): problem for _, problem in sorted(found, key=lambda pair: pair[0])}.values())

    def placed(self, problem: Problem) -> Problem:
        """A problem that says `FILE: key`, or begins with the name of a network, with the line of that key or name.

        As it is where it says neither.
        """
        key = problem.where.removeprefix(f"{self.file}: ")
        if key != problem.where:
            place = next((place for place in self.lines if place and shown(place) == key), None)
            return replace(problem, where=self.at(place)) if place else problem
        name = problem.where.partition(": ")[0]
        named = [place for place in self.lines if name in self._networks(place)]
        place = min(named, key=lambda place: place[0] != "layers", default=None)
        return replace(problem, where=f"{self.at(place)}, {problem.where}") if place else problem

    def _networks(self, place: Location) -> tuple[Any, ...]:
        """The network that a place in the file names: one of `layers:` by its key, one of `runs:` by its text."""
        if len(place) == 2 and place[0] == "layers":
            return place[1:]
        value = self.content
        for part in place if place[:1] == ("runs",) else ():
            value = value[part]
        return (value,) if isinstance(value, str) else ()

    def in_file(self, location: Location) -> Location:
        """A location in `content` as it is in the file."""
        found: Location = ()
        for part in location:
            indices = self.kept.get(found)
            is_moved = indices is not None and isinstance(part, int) and part < len(indices)
            found = (*found, indices[part] if is_moved else part)
        return found

    @property
    def whole(self) -> "Document":
        """The document with all that is in the file."""
        return self if self.origin is None else self.origin

    def without(self, locations: set[Location]) -> "Document":
        """The document without the values at `locations` (in the file)."""
        kept: dict[Location, list[int]] = {}
        whole = self.whole
        touched = {location[:n] for location in locations for n in range(len(location) + 1)}
        content = _without(whole.content, (), locations, touched, kept)
        return replace(whole, content=content, kept=kept, origin=whole)


def read_document(path: str | Path, what: str, fix: str, replaced: Callable[[str], Replaced] | None = None) -> Document:
    """Read the YAML file at `path`, called `what` in messages. Raises StudyError where it is no YAML file.

    fix: what to do about a file that isn't there or can't be read; replaced: see `load_yaml`.
    """
    path = Path(path)
    try:
        text = load_yaml(_text(path, what, fix), replaced)
    except YamlSyntaxError as error:
        where = f"{path} line {error.line}" if error.line else str(path)
        raise StudyError(Problem("not valid YAML", where, error.what)) from error
    return Document(str(path), text.value, text.lines, tuple(text.faults))


def shown(location: Location) -> str:
    """`runs[0].archs`."""
    place = ""
    for part in location:
        name = str(part) if len(str(part)) <= SHOWN_KEY else f"{str(part)[:SHOWN_KEY]}..."
        place += f"[{part}]" if isinstance(part, int) and place else f".{name}" if place else name
    return place


def beneath(location: Location, others: Iterable[Location]) -> Iterator[Location]:
    """Those of `others` that are at or below `location`."""
    return (other for other in others if other[: len(location)] == location)


def _text(path: Path, what: str, fix: str) -> str:
    try:
        # A pipe that nothing is written to would be waited for without an end.
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "Is a directory" if stat.S_ISDIR(mode) else "no file but a pipe, a socket or a device"
            raise StudyError(Problem(f"not a readable {what} ({kind})", str(path), fix=fix))
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        others = _neighbours(path)
        raise StudyError(Problem(f"{what} is missing", str(path), nearest=nearest(path, others), fix=fix)) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise StudyError(Problem(f"not a readable {what} ({reason})", str(path), fix=fix)) from error
    if len(content) > BYTES:
        what = f"not a readable {what} ({len(content):,} bytes; such a file has thousands)"
        raise StudyError(Problem(what, str(path), fix=fix))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise StudyError(
            Problem(f"not a readable {what} (no text)", f"{path} line {line}", fix="a text in UTF-8; " + fix)
        ) from error


def _neighbours(path: Path) -> list[str]:
    """YAML files in the folder where a file was looked for, here or in the repository."""
    found: set[str] = set()
    for folder in (path.parent, REPOSITORY / path.parent):
        with suppress(OSError, ValueError):
            found |= {str(path.parent / name) for name in os.listdir(folder) if name.endswith(".yaml")}
    return sorted(found)


def _without(
    value: Any, place: Location, locations: set[Location], touched: set[Location], kept: dict[Location, list[int]]
) -> Any:
    if place not in touched:
        return value
    if isinstance(value, dict):
        return {
            key: _without(item, (*place, key), locations, touched, kept)
            for key, item in value.items()
            if (*place, key) not in locations
        }
    if isinstance(value, list):
        kept[place] = [i for i in range(len(value)) if (*place, i) not in locations]
        return [_without(value[i], (*place, i), locations, touched, kept) for i in kept[place]]
    return value
