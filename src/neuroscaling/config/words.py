"""What may stand at a key, in words: for messages and for config/README.md, both from the one definition of the key."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from neuroscaling.config.base import NAME, NAME_IN_WORDS, SESSION
from neuroscaling.errors import Location

PATTERNS = {NAME: f"a name ({NAME_IN_WORDS})", SESSION: "a text of letters and digits"}
WORDS = ("format", "source")
"""Keys whose word says which section a mapping is."""


@dataclass(frozen=True)
class Kind:
    """One kind of value that may stand at a key. type: of Python or `typing`; bounds: such as {"ge": 1}."""

    type: Any
    bounds: dict[str, Any]

    @property
    def is_list(self) -> bool:
        """Whether it is written as a list."""
        return (get_origin(self.type) or self.type) in (list, tuple)

    @property
    def is_mapping(self) -> bool:
        """Whether it is written as `key: value`."""
        return self.model is not None or (get_origin(self.type) or self.type) is dict

    @property
    def model(self) -> type[BaseModel] | None:
        """The section that it is, if it is one."""
        return self.type if isinstance(self.type, type) and issubclass(self.type, BaseModel) else None

    @property
    def choices(self) -> list[Any]:
        """The values of a `Literal`."""
        return list(get_args(self.type)) if get_origin(self.type) is Literal else []


def kinds(annotation: Any, bounds: dict[str, Any] | None = None) -> list[Kind]:
    """The kinds of values that an annotation allows."""
    if isinstance(annotation, FieldInfo):
        return kinds(annotation.annotation, _bounds(annotation.metadata))
    origin = get_origin(annotation)
    if origin is Annotated:
        inner, *metadata = get_args(annotation)
        return kinds(inner, (bounds or {}) | _bounds(metadata))
    if origin in (Union, UnionType):
        return [kind for part in get_args(annotation) for kind in kinds(part, bounds)]
    return [Kind(annotation, bounds or {})]


def kinds_at(annotation: Any, location: Location, content: Any = None) -> list[Kind]:
    """The kinds of values that may stand at `location` below a section; content: what was read there, which tells one
    branch of a union from another."""
    found = kinds(annotation)
    for i, part in enumerate(location):
        here = _content_at(content, location[:i])
        found = [below for kind in _likely(found, here) for below in _below(kind, part)]
    return _likely(found, _content_at(content, location)) if location else found


def keys(found: list[Kind]) -> list[str]:
    """The keys that may stand in a mapping of one of these kinds."""
    return sorted({key for kind in found if kind.model for key in kind.model.model_fields})


def in_words(found: list[Kind], sections: bool = False) -> str:
    """`a whole number from 1 to 16 or `all`` and the like; sections: whether mappings are called by their sections."""
    return " or ".join(dict.fromkeys(_words(kind, sections) for kind in found)) or "nothing"


def _words(kind: Kind, sections: bool) -> str:
    origin, arguments = get_origin(kind.type) or kind.type, get_args(kind.type)
    if kind.choices:
        return " or ".join(f"`{choice}`" if isinstance(choice, str) else str(choice).lower() for choice in kind.choices)
    if kind.model:
        return kind.model.__name__ if sections else "a mapping"
    if origin is list:
        least = kind.bounds.get("min_length", 0)
        return f"a list{f' of at least {least}' if least > 1 else ''} of {_plural(arguments, sections)}"
    if origin is tuple:
        return f"a list [{', '.join(in_words(kinds(argument)) for argument in arguments)}]"
    if origin is dict:
        return f"a mapping (name: {in_words(kinds(arguments[1]), sections)})"
    if origin is str and kind.bounds.get("pattern") in PATTERNS:
        return PATTERNS[kind.bounds["pattern"]]
    plain = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", NoneType: "null"}
    words = plain.get(origin) or ("a path" if isinstance(origin, type) and issubclass(origin, Path) else "a value")
    return " ".join(filter(None, [words, _range(kind.bounds) if origin in (int, float) else ""]))


def _plural(arguments: tuple[Any, ...], sections: bool) -> str:
    words = in_words(kinds(arguments[0]), sections) if arguments else "values"
    for one, several in (("a whole number", "whole numbers"), ("a number", "numbers"), ("a text", "texts"),
                         ("a path", "paths"), ("a mapping", "mappings"), ("a value", "values")):  # fmt: skip
        words = words.replace(one, several)
    return words


def _range(bounds: dict[str, Any]) -> str:
    ge, gt, le, lt = (bounds.get(key) for key in ("ge", "gt", "le", "lt"))
    low = f"of at least {ge:,}" if ge is not None else f"above {gt:,}" if gt is not None else ""
    high = f"at most {le:,}" if le is not None else f"below {lt:,}" if lt is not None else ""
    if ge is not None and le is not None:
        return f"from {ge:,} to {le:,}"
    return " and ".join(filter(None, [low, high]))


def _bounds(metadata: Any) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for item in metadata:
        if isinstance(item, FieldInfo):
            found |= _bounds(item.metadata)
        for key in ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern"):
            value = getattr(item, key, None)
            if value is not None and not callable(value):
                found[key] = value
    return found


def _below(kind: Kind, part: str | int) -> Iterator[Kind]:
    origin, arguments = get_origin(kind.type) or kind.type, get_args(kind.type)
    if kind.model:
        field = kind.model.model_fields.get(str(part))
        yield from kinds(field) if field else ()
    elif origin is list:
        yield from kinds(arguments[0])
    elif origin is tuple and isinstance(part, int) and part < len(arguments):
        yield from kinds(arguments[part])
    elif origin is dict:
        yield from kinds(arguments[1])


def _likely(found: list[Kind], content: Any) -> list[Kind]:
    """Of several sections, those whose own words or required keys the content has; else all."""
    if not isinstance(content, dict) or sum(kind.model is not None for kind in found) < 2:
        return found
    marked = [kind for kind in found if kind.model and _marked(kind.model, content)]
    return marked or found


def _marked(model: type[BaseModel], content: dict[Any, Any]) -> bool:
    """Whether a mapping has a section's own word (`format: digits`), or, without such words, its first key."""
    for name, field in model.model_fields.items():
        if get_origin(field.annotation) is Literal and field.is_required():
            return name in content and (content[name] in get_args(field.annotation) or name not in WORDS)
    return next(iter(model.model_fields)) in content


def _content_at(content: Any, location: Location) -> Any:
    for part in location:
        try:
            content = content[part]
        except (KeyError, IndexError, TypeError):
            return None
    return content
