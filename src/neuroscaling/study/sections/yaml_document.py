"""YAML files that people write are read as YAML 1.2, with the line of every value for messages.

ruamel.yaml reads the syntax. What it finds is made into plain values here, each with the line that it stands in, so
that every message about a value can name it. Light: the Snakefile imports it.
"""

import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML, nodes
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from neuroscaling.core.errors import Fault, Location, Place, Problem, StudyError, nearest
from neuroscaling.core.installation import PIPELINE

DEPTH = 40  # mappings and lists inside each other; a study has six
VALUES = 50_000  # an alias counts with all that it stands for
TOO_MANY = f"more than {VALUES:,} values, aliases (`*name`) counted out"
DIGITS = 40  # of a number
TAGS = "tag:yaml.org,2002:"
WHOLE = re.compile(r"[-+]?[0-9]+")
OTHER_WHOLE = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
REAL = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
INFINITE = re.compile(r"([-+]?)\.(inf|Inf|INF)")
WORDS = dict.fromkeys(("true", "True", "TRUE"), True) | dict.fromkeys(("false", "False", "FALSE"), False)
NOTHING = ("", "~", "null", "Null", "NULL")
NOT_A_NUMBER = (".nan", ".NaN", ".NAN")
UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")

Replaced = tuple[str, list[Problem]]
"""A text with its variables replaced, and those that are not set."""


class YamlSyntaxError(Exception):
    """A text that is no YAML. what: the fault; line: from 1, or None where it isn't known."""

    def __init__(self, what: str, line: int | None):
        super().__init__(what)
        self.what, self.line = what, line


@dataclass
class YamlText:
    """The value of a text, the lines of all that is in it (from 1), and what is wrong beside its syntax."""

    value: Any = None
    lines: dict[Location, int] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)


def load_yaml(text: str, replace: Callable[[str], Replaced] | None = None) -> YamlText:
    """The content of a YAML text.

    replace: replaces variables in every text that is a value (not in keys). A value without quotes is read once more
    after that: `cpus: $CPUS` is a number where CPUS is one.

    Raises YamlSyntaxError for what is no YAML, and for content without a bound: nested deeper than 40 levels, more
    than 50,000 values (aliases counted out), an alias inside of what it stands for. A key that is there twice, a
    number that YAML 1.1 and 1.2 read differently, unset variables and the like are among the faults.
    """
    return _Builder(replace).built(_composed(text))


@lru_cache(maxsize=32)
def _composed(text: str) -> nodes.Node | None:
    """The nodes of a text; kept, since many runs have one recipe, and a study is read where its fits are."""
    yaml = YAML(typ="safe", pure=True)
    try:
        return yaml.compose(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(str(error.problem or error.context or error).split())
        raise YamlSyntaxError(what, mark.line + 1 if mark else None) from error
    except RecursionError as error:
        raise YamlSyntaxError(f"nested deeper than {DEPTH} levels", None) from error
    except (YAMLError, ValueError, IndexError, KeyError, AttributeError, TypeError, AssertionError) as error:
        # ruamel.yaml trips over some texts that are no YAML, such as directives that are cut short.
        line = getattr(error, "line", None)
        raise YamlSyntaxError(" ".join(str(error).split()) or type(error).__name__, line) from error


class _Builder:
    """Makes values of nodes, one text after the other."""

    def __init__(self, replace: Callable[[str], Replaced] | None):
        self.replace = replace
        self.found = YamlText()
        self.open: list[int] = []
        self.values = 0

    def built(self, node: nodes.Node | None) -> YamlText:
        self.found.value = self._value(node, ()) if node is not None else None
        return self.found

    def _value(self, node: nodes.Node, place: Location) -> Any:
        line = node.start_mark.line + 1
        self.values += 1
        if self.values > VALUES:
            raise YamlSyntaxError(TOO_MANY, line)
        if len(place) > DEPTH:
            raise YamlSyntaxError(f"nested deeper than {DEPTH} levels", line)
        if id(node) in self.open:
            raise YamlSyntaxError("an alias (`*name`) inside of what it stands for", line)
        self.found.lines.setdefault(place, line)
        if isinstance(node, nodes.ScalarNode):
            return self._scalar(node, place)
        self.open.append(id(node))
        try:
            if isinstance(node, nodes.MappingNode):
                self._check_tag(node, place, "map")
                return self._mapping(node, place)
            self._check_tag(node, place, "seq")
            return [self._value(item, (*place, i)) for i, item in enumerate(node.value)]
        finally:
            self.open.pop()

    def _mapping(self, node: nodes.MappingNode, place: Location) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        own = [(key, value) for key, value in node.value if not _is_merge(key)]
        for is_own, pairs in ((True, own), (False, self._merged(node))):
            for key_node, value_node in pairs:
                key, line = self._key(key_node, place), key_node.start_mark.line + 1
                if key not in found:
                    self.found.lines[(*place, key)] = line
                    found[key] = self._value(value_node, (*place, key))
                elif is_own:
                    what = f"`{_short(key)}` is there twice, first in line {self.found.lines[(*place, key)]}"
                    problem = Problem(what=what, fix="drop or rename one of them")
                    self.found.faults.append(Fault((*place, key), problem, line))
        return found

    def _merged(self, node: nodes.MappingNode) -> list[tuple[nodes.Node, nodes.Node]]:
        """Keys and values of the mappings that `<<` names, the first of these first, their own before merged ones."""
        merged: list[tuple[nodes.Node, nodes.Node]] = []
        for key, value in node.value:
            if not _is_merge(key):
                continue
            for other in value.value if isinstance(value, nodes.SequenceNode) else [value]:
                line = key.start_mark.line + 1
                if not isinstance(other, nodes.MappingNode):
                    raise YamlSyntaxError("`<<` takes a mapping, e.g. `<<: *name`", line)
                if id(other) in self.open:
                    raise YamlSyntaxError("an alias (`*name`) inside of what it stands for", line)
                self.open.append(id(other))
                merged += [pair for pair in other.value if not _is_merge(pair[0])] + self._merged(other)
                self.open.pop()
                self.values += len(merged)
                if self.values > VALUES:
                    raise YamlSyntaxError(TOO_MANY, line)
        return merged

    def _key(self, node: nodes.Node, place: Location) -> Any:
        if not isinstance(node, nodes.ScalarNode):
            raise YamlSyntaxError("a key is a text, not a list or a mapping", node.start_mark.line + 1)
        key = self._scalar(node, place, is_key=True)
        return str(key) if key is None or isinstance(key, float | bool) else key

    def _scalar(self, node: nodes.ScalarNode, place: Location, is_key: bool = False) -> Any:
        text, plain = str(node.value), node.style is None
        tag = str(node.tag or "").removeprefix(TAGS)
        explicit = not plain and tag != "str"
        if tag not in ("str", "int", "float", "bool", "null", "timestamp", "merge", "value") or (explicit and is_key):
            self._check_tag(node, place, "str")
            return text
        if self.replace and not is_key and ("$" in text or text.startswith("~/")):
            text, unset = self.replace(text)
            for problem in unset:
                self._fault(place, problem)
            if not text:
                return text  # `${NAME:-}` is an empty text and not null
        if UNPRINTABLE.search(text):
            self._fault(place, Problem(what="a text with characters that can't be printed", value=repr(text)))
            return UNPRINTABLE.sub("", text)
        was_replaced = plain and text != node.value
        return self._plain(text, place) if explicit or was_replaced or (plain and tag != "str") else text

    def _plain(self, text: str, place: Location) -> Any:
        """What a value without quotes is in YAML 1.2."""
        if text in NOTHING:
            return None
        if text in WORDS:
            return WORDS[text]
        if (WHOLE.fullmatch(text) or OTHER_WHOLE.fullmatch(text)) and len(text) > DIGITS:
            self._fault(
                place, Problem(what=f"a number of {len(text):,} digits", value=text, allowed=f"at most {DIGITS}")
            )
            return text
        if WHOLE.fullmatch(text):
            if re.match(r"[-+]?0[0-9]", text):
                self._fault(place, _leading_zero(text))
                return text
            return int(text)
        if OTHER_WHOLE.fullmatch(text):
            return int(text, 0)
        if REAL.fullmatch(text):
            return float(text)
        if match := INFINITE.fullmatch(text):
            return float(f"{match[1]}inf")
        return float("nan") if text in NOT_A_NUMBER else text

    def _check_tag(self, node: nodes.Node, place: Location, kind: str) -> None:
        tag = str(node.tag or "")
        if tag not in ("", "!", TAGS + kind):
            shown = tag.replace(TAGS, "!!")
            self._fault(place, Problem(what="a tag that nothing here has a use for", value=shown, fix="drop it"))

    def _fault(self, place: Location, problem: Problem) -> None:
        self.found.faults.append(Fault(place, problem))


def _is_merge(node: nodes.Node) -> bool:
    return isinstance(node, nodes.ScalarNode) and node.style is None and node.value == "<<"


def _leading_zero(text: str) -> Problem:
    sign, digits = ("-" if text[0] == "-" else ""), text.lstrip("+-0") or "0"
    octal = not set(text) & {"8", "9"}
    what = "a number that begins with 0" + (
        f": {sign}{int(text.lstrip('+-'), 8)} in YAML 1.1, {sign}{digits} in YAML 1.2" if octal else ""
    )
    return Problem(what=what, value=text, fix=f"write {sign}{digits}, or '{text}' for a text")


def _short(key: Any) -> str:
    return str(key) if len(str(key)) <= 60 else f"{str(key)[:57]}..."


SHIPPED = Path("config/studies")
BYTES = 4_000_000


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

    def at(self, location: Location = (), line: int | None = None) -> Place:
        """The place of a value, or of where it is missing, in the file."""
        return Place(self.file, location, (line or self.line(location)) if location else None)

    def line(self, location: Location) -> int | None:
        """The line of a value, or of the nearest that it would be part of."""
        return next((self.lines[location[:n]] for n in range(len(location), 0, -1) if location[:n] in self.lines), None)

    def problems(self, faults: Iterable[Fault]) -> list[Problem]:
        """The problems of `faults` in the order of the file, each with its place ahead of what it says of it itself."""
        found = []
        for fault in faults:
            line = fault.line or self.line(fault.location) or 0
            at = replace(self.at(fault.location, fault.line), note=str(fault.problem.where))
            found.append((line, replace(fault.problem, where=at)))
        return list({str(problem): problem for _, problem in sorted(found, key=lambda pair: pair[0])}.values())

    def placed(self, problem: Problem) -> Problem:
        """A problem of a key of this file, or of a network that it names, with the line of that key or name.

        As it is where it is of neither.
        """
        where = problem.where if isinstance(problem.where, Place) else Place(problem.where)
        if str(where.file) == self.file:
            known = where.keys in self.lines and where.keys
            return replace(problem, where=replace(self.at(where.keys), note=where.note)) if known else problem
        named = [place for place in self.lines if str(where.file) in self._networks(place)]
        if not named:
            return problem
        place = min(named, key=lambda place: place[0] != "layers")
        return replace(problem, where=replace(self.at(place), note=str(where)))

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
            if indices is not None and isinstance(part, int) and part < len(indices):
                part = indices[part]
            found = (*found, part)
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
        where = Place(path, line=error.line)
        raise StudyError(Problem(what="not valid YAML", where=where, value=error.what)) from error
    return Document(str(path), text.value, text.lines, tuple(text.faults))


def beneath(location: Location, others: Iterable[Location]) -> Iterator[Location]:
    """Those of `others` that are at or below `location`."""
    return (other for other in others if other[: len(location)] == location)


def _text(path: Path, what: str, fix: str) -> str:
    try:
        # A pipe that nothing is written to would be waited for without an end.
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            kind = "Is a directory" if stat.S_ISDIR(mode) else "no file but a pipe, a socket or a device"
            raise StudyError(Problem(what=f"not a readable {what} ({kind})", where=str(path), fix=fix))
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise StudyError(
            Problem(what=f"{what} is missing", where=str(path), nearest=_nearest_file(path), fix=fix)
        ) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise StudyError(Problem(what=f"not a readable {what} ({reason})", where=str(path), fix=fix)) from error
    if len(content) > BYTES:
        what = f"not a readable {what} ({len(content):,} bytes; such a file has thousands)"
        raise StudyError(Problem(what=what, where=str(path), fix=fix))
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise StudyError(
            Problem(
                what=f"not a readable {what} (no text)", where=Place(path, line=line), fix="a text in UTF-8; " + fix
            )
        ) from error


def _nearest_file(path: Path) -> str:
    """The file in the same folder with the most similar name; of a name without a folder, also a shipped study."""
    if (near := nearest(str(path), _neighbours(path))) or path.parent != Path():
        return near
    shipped = {Path(file).stem: file for file in _neighbours(SHIPPED / path)}
    return shipped.get(nearest(path.stem, shipped), "")


def _neighbours(path: Path) -> list[str]:
    """YAML files in the folder where a file was looked for, here or in the pipeline."""
    found: set[str] = set()
    for folder in (path.parent, PIPELINE / path.parent):
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
