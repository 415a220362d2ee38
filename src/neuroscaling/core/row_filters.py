"""Filters of rows, as files of fits and tables of scores have them, become conditions that pyarrow can look up.

A filter is a value, a list of values, or {min, max, not}: see `laws.filters`, which applies the same to tables of
pandas. Rows without a value pass `not` alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc


def filter_expression(schema: pa.Schema, filters: Mapping[str, Any]) -> pc.Expression | None:
    """The rows of a table with this schema that pass all filters; None where there is no filter.

    Raises KeyError for a column that the table does not have.
    """
    found: pc.Expression | None = None
    for column, condition in filters.items():
        one = _passes(column, schema.field(column).type, condition)
        found = one if found is None else found & one
    return found


def row_filter(block: pa.RecordBatch, filters: Mapping[str, Any]) -> NDArray[np.bool_]:
    """Which rows (n,) of a block pass all filters."""
    import pyarrow as pa

    expression = filter_expression(block.schema, filters)
    if expression is None:
        return np.ones(block.num_rows, dtype=bool)
    numbered = pa.table({**dict(zip(block.schema.names, block.columns, strict=True)), "": np.arange(block.num_rows)})
    passes = np.zeros(block.num_rows, dtype=bool)
    passes[numbered.filter(expression)[""].to_numpy()] = True
    return passes


def _passes(column: str, kind: pa.DataType, condition: Any) -> pc.Expression:
    import pyarrow.compute as pc

    field = pc.field(column)
    if not isinstance(condition, dict):
        return _is_one_of(field, kind, condition if isinstance(condition, list) else [condition])
    found = pc.scalar(True)
    if "min" in condition:
        found = found & _bounded(field, kind, condition["min"], low=True)
    if "max" in condition:
        found = found & _bounded(field, kind, condition["max"], low=False)
    if "not" in condition:
        found = found & ~_passes(column, kind, condition["not"])
    return found


def _is_one_of(field: pc.Expression, kind: pa.DataType, values: list[Any]) -> pc.Expression:
    """Values of another kind than the column's are in no row; of numbers, true is 1, as for Python."""
    import pyarrow as pa
    import pyarrow.compute as pc

    fitting: list[Any]
    if _is_text(kind):
        fitting, listed = [value for value in values if isinstance(value, str)], kind
    elif pa.types.is_boolean(kind):
        fitting, listed = [bool(value) for value in values if value in (0, 1)], kind
    else:
        fitting, listed = [float(value) for value in values if not isinstance(value, str)], pa.float64()
        field = _number(field, kind)
    if len(fitting) == 1:
        # A comparison lets whole parts of a file be passed over; a row without a value is no match, behind `not` too.
        return (field == pa.scalar(fitting[0], listed)) & field.is_valid()
    # `is_in` says false of a row without a value.
    return field.isin(pa.array(fitting, listed)) if fitting else pc.scalar(False)


def _bounded(field: pc.Expression, kind: pa.DataType, bound: float, low: bool) -> pc.Expression:
    import pyarrow.compute as pc

    if _is_text(kind):
        return pc.scalar(False)
    value = _number(field, kind)
    inside = value >= bound if low else value <= bound
    return inside & field.is_valid()


def _is_text(kind: pa.DataType) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _number(field: pc.Expression, kind: pa.DataType) -> pc.Expression:
    """The column as float64; as it is where it is that, so that what a file states of its parts can be used."""
    import pyarrow as pa

    return field if pa.types.is_float64(kind) else field.cast(pa.float64())
