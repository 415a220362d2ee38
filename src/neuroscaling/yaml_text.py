"""YAML that people write, as YAML 1.2 reads it: `yes` and `1:30` are texts, `1e-3` is a number.

ruamel.yaml reads the syntax. What it finds is made into plain values here, each with the line that it stands in, so
that every message about a value can name it. Light: the Snakefile imports it.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from ruamel.yaml import YAML, nodes
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from neuroscaling.errors import Fault, Location, Problem

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
            self._check_tag(node, place, "seq" if isinstance(node, nodes.SequenceNode) else "map")
            if isinstance(node, nodes.SequenceNode):
                return [self._value(item, (*place, i)) for i, item in enumerate(node.value)]
            return self._mapping(node, place)
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
                    problem = Problem(what, fix="drop or rename one of them")
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
            self._fault(place, Problem("a text with characters that can't be printed", value=repr(text)))
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
            self._fault(place, Problem(f"a number of {len(text):,} digits", value=text, allowed=f"at most {DIGITS}"))
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
            self._fault(place, Problem("a tag that nothing here has a use for", value=shown, fix="drop it"))

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
    return Problem(what, value=text, fix=f"write {sign}{digits}, or '{text}' for a text")


def _short(key: Any) -> str:
    return str(key) if len(str(key)) <= 60 else f"{str(key)[:57]}..."
