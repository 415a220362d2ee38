"""Dataclasses are read from JSON: every key and every value is checked, and all faults are told at once.

The code runs in both environments, of which one has no pydantic.
"""

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar

from neuroscaling.core.errors import DataError, NeuroscalingError, Place, Problem, nearest

Record = TypeVar("Record")


def plain(value: Any) -> Any:
    """`value`, a dataclass's dict, as JSON holds it: paths are texts, tuples are lists."""
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return str(value) if isinstance(value, Path) else value


def from_json(content: Any, kind: type[Record], where: Place, named: str, fix: str = "") -> Record:
    """`content`, a JSON object, as the dataclass `kind`.

    named: what the file is called in messages ("a job file"); fix: the next step that they name. Raises DataError with
    all unknown keys, missing keys and values of another type.
    """
    if not isinstance(content, dict):
        raise DataError(Problem(what=f"not {named}", where=where, value=content, allowed="a JSON object", fix=fix))
    known = {own.name: own for own in fields(kind)}  # type: ignore[arg-type]  # a type of dataclass is asked for
    hints = typing.get_type_hints(kind)
    problems = [
        Problem(
            what=f"unknown key in {named}",
            where=where / key,
            value=None,
            allowed=", ".join(known),
            nearest=nearest(key, known),
            fix=fix,
        )
        for key in content
        if key not in known
    ]
    values = {}
    for name, own in known.items():
        if name in content:
            try:
                values[name] = _value(content[name], hints[name], where / name, named, fix)
            except NeuroscalingError as error:
                problems += error.problems
        elif own.default is MISSING and own.default_factory is MISSING:
            problems.append(Problem(what=f"key is missing in {named}", where=where / name, fix=fix))
    if problems:
        raise DataError(problems)
    return kind(**values)


def _value(value: Any, kind: Any, where: Place, named: str, fix: str) -> Any:
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is types.UnionType:
        return _value_of_any(value, inner, where, named, fix)
    if origin is list and isinstance(value, list):
        return [_value(part, inner[0], where / i, named, fix) for i, part in enumerate(value)]
    if origin is dict and isinstance(value, dict):
        return {key: _value(part, inner[1], where / key, named, fix) for key, part in value.items()}
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return value
    if kind is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if kind is Any or (kind in (str, bool, dict) and isinstance(value, kind)):
        return value
    if typing.is_typeddict(kind) and isinstance(value, dict):
        return value
    if is_dataclass(kind) and isinstance(kind, type):
        return from_json(value, kind, where, named, fix)
    allowed = getattr(kind, "__name__", kind) if origin is None else kind
    raise DataError(Problem(what=f"not allowed in {named}", where=where, value=value, allowed=f"{allowed}", fix=fix))


def _value_of_any(value: Any, kinds: tuple[Any, ...], where: Place, named: str, fix: str) -> Any:
    """`value` as the first of `kinds` that it is. Raises DataError as the last of them."""
    if value is None and types.NoneType in kinds:
        return None
    *others, last = (kind for kind in kinds if kind is not types.NoneType)
    for kind in others:
        try:
            return _value(value, kind, where, named, fix)
        except NeuroscalingError:
            continue
    return _value(value, last, where, named, fix)
