"""Typed objects as JSON text, for a process that can't be handed them: a job of a cluster.

What JSON knows stays as it is; all else is an object with one key that says what it is, such as `{"path": "a/b"}`.
Dataclasses and pydantic models are made again by their own constructors, of this package alone: no pickle, so nothing
in a file can run. The code runs in both environments, of which one has no pydantic.
"""

import importlib
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path, PurePath
from typing import Any

from neuroscaling.core.errors import DataError, Problem

PACKAGE = __name__.partition(".")[0]
AGAIN = "start the study again"


def to_text(value: Any) -> str:
    """`value` as one line of JSON. Raises TypeError for an object that is no dataclass, model or collection."""
    return json.dumps(_encoded(value), separators=(",", ":"), allow_nan=False)


def from_text(text: str) -> Any:
    """The value that `to_text` wrote. Raises DataError for text that it did not write, or of another version."""
    try:
        return _decoded(json.loads(text))
    except (ValueError, TypeError, AttributeError, KeyError, ImportError) as error:
        what = f"this was written by another version ({error})"
        raise DataError(Problem(what=what, where="a recorded job", value=text, fix=AGAIN)) from error


class Recorded:
    """A value that is made where it is unpickled: a script gets the typed object, and nobody on the way imports it.

    It looks as the value did.
    """

    def __init__(self, text: str, looks: str):
        self.text = text
        self.looks = looks

    def __repr__(self) -> str:
        return self.looks

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return from_text, (self.text,)


def is_plain(value: Any) -> bool:
    """Whether a value is made of what this module needs no class for, so that it is no trouble to make at once."""
    if isinstance(value, Mapping):
        return all(map(is_plain, value.values()))
    if isinstance(value, list | tuple):
        return all(map(is_plain, value))
    return value is None or isinstance(value, str | int | float | PurePath)


def _encoded(value: Any) -> Any:
    if value is None or type(value) in (str, int, bool):
        return value
    if isinstance(value, float):
        return {"float": repr(float(value))} if value != value or value in (float("inf"), float("-inf")) else value
    if isinstance(value, PurePath):
        return {"path": str(value)}
    if isinstance(value, list):
        return [_encoded(part) for part in value]
    if isinstance(value, tuple):
        return {"tuple": [_encoded(part) for part in value]}
    if isinstance(value, Mapping):
        # In pairs: the order of keys is seen where a value is shown, and keys may be numbers.
        return {"dict": [[_encoded(key), _encoded(part)] for key, part in value.items()]}
    if isinstance(value, set | frozenset):
        return {type(value).__name__: [_encoded(part) for part in sorted(value)]}
    if isinstance(value, str):
        return str(value)
    return {_named(type(value)): _fields(value)}


def _fields(value: Any) -> dict[str, Any]:
    if is_dataclass(value):
        return {own.name: _encoded(getattr(value, own.name)) for own in fields(value) if own.init}
    if hasattr(value, "model_fields_set"):
        return {name: _encoded(getattr(value, name)) for name in sorted(value.model_fields_set)}
    raise TypeError(f"{type(value).__qualname__} is no dataclass, and can't be recorded: {value!r}")


def _named(kind: type) -> str:
    return f"{kind.__module__}:{kind.__qualname__}"


def _decoded(content: Any) -> Any:
    if isinstance(content, list):
        return [_decoded(part) for part in content]
    if not isinstance(content, dict):
        return content
    ((tag, inner),) = content.items()
    if tag == "dict":
        return {_decoded(key): _decoded(part) for key, part in inner}
    if tag in MAKERS:
        return MAKERS[tag](_decoded(inner))
    kind = _kind(tag)
    values = {name: _decoded(part) for name, part in inner.items()}
    return kind.model_construct(**values) if hasattr(kind, "model_construct") else kind(**values)


MAKERS: dict[str, Any] = {"path": Path, "tuple": tuple, "set": set, "frozenset": frozenset, "float": float}


def _kind(name: str) -> Any:
    module, _, qualified = name.partition(":")
    if module.partition(".")[0] != PACKAGE:
        raise ValueError(f"`{name}` is no class of {PACKAGE}")
    found: Any = importlib.import_module(module)
    for part in qualified.split("."):
        found = getattr(found, part)
    if not (isinstance(found, type) and (is_dataclass(found) or hasattr(found, "model_construct"))):
        raise ValueError(f"`{name}` is no dataclass")
    return found
