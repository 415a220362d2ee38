"""Filters of rows are written alike in files of fits and in tables of one's own."""

import math
from typing import Annotated, Any

from pydantic import AfterValidator

Scalar = bool | int | float | str


def checked_filter(value: Any) -> Any:
    """A value, a list of values, or a mapping with min, max (both included) and not (a value or a list)."""
    if isinstance(value, dict):
        unknown = sorted(map(str, set(value) - {"min", "max", "not"}))
        if unknown or not value:
            raise ValueError(f"a filter may hold `min`, `max` and `not`, found {', '.join(unknown) or 'nothing'}")
        if any(not _is_number(value[key]) for key in ("min", "max") if key in value):
            raise ValueError("`min` and `max` must be finite numbers")
        if "min" in value and "max" in value and value["min"] > value["max"]:
            raise ValueError("`min` is above `max`")
        return {**value, **({"not": checked_filter(value["not"])} if "not" in value else {})}
    if isinstance(value, list) and not value:
        raise ValueError("an empty list lets no row pass")
    if any(not is_scalar(item) for item in (value if isinstance(value, list) else [value])):
        raise ValueError("a filter is a value, a list of values, or {min: , max: , not: }")
    return value


def is_scalar(value: Any) -> bool:
    """Whether a cell of the table could be this: a number without an end could not."""
    return isinstance(value, Scalar) and not (isinstance(value, float) and not math.isfinite(value))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


Filter = Annotated[Any, AfterValidator(checked_filter)]
