"""Columns of a user's table become numbers, texts, or true and false, and every cell that can't is found.

A cell without a value is null, never 0. Of a column of texts, numbers are what JSON would take for one, with the
decimal point; infinite numbers are found, for no law can stand on them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuroscaling.score_tables.mapping import Source

if TYPE_CHECKING:
    import pyarrow as pa


NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
INFINITE = r"^[+-]?inf(inity)?$"
IDENTIFIER = r"^[+-]?0[0-9]"
"""Digits behind a zero: 007 is a name, and no number."""
EXACT = 1e15
"""Whole numbers below it are written with all their digits."""
NO_NUMBER = ("", "na", "n/a", "nan", "null", "none")
FLAGS = {"true": True, "false": False, "1": True, "0": False}
NOT_NUMBER, IS_INFINITE, NOT_FLAG, NOT_WHOLE = (
    "not a number",
    "an infinite number",
    "neither true nor false",
    "not whole",
)
Rows = NDArray[np.intp]


@dataclass(frozen=True)
class Converted:
    """Values of a block, and rows of it (from 0) that are faulty, by what is wrong with them."""

    values: pa.Array
    faults: dict[str, Rows] = field(default_factory=dict)


def numbers(values: pa.Array) -> Converted:
    """float64 numbers; cells that are none, or infinite, are null and among the faults."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = _plain(values)
    if pa.types.is_null(values.type):
        return Converted(values.cast(pa.float64()))
    if pa.types.is_string(values.type):
        text = pc.utf8_trim_whitespace(values)
        is_number, is_infinite, missing = _kinds_of(text)
        wrong = _rows(pc.and_not(pc.invert(pc.or_(is_number, is_infinite)), missing))
        found = pc.if_else(is_number, text, pa.scalar(None, pa.string())).cast(pa.float64())
        return Converted(found, _named({NOT_NUMBER: wrong, IS_INFINITE: _rows(is_infinite)}))
    is_known = pa.types.is_integer(values.type) or pa.types.is_floating(values.type) or pa.types.is_decimal(values.type)
    if not (is_known or pa.types.is_boolean(values.type)):
        return Converted(pa.nulls(len(values), pa.float64()), _named({NOT_NUMBER: _rows(pc.is_valid(values))}))
    if pa.types.is_boolean(values.type):
        values = values.cast(pa.int8())
    found = values.cast(pa.float64(), safe=False)
    infinite = pc.is_inf(found)
    return Converted(_only_finite(found), _named({IS_INFINITE: _rows(infinite)}))


def computed(source: Source, columns: dict[str, pa.Array]) -> tuple[Converted, dict[str, Converted]]:
    """The numbers of a source that multiplies and divides, and those of each column that it reads, with its faults."""
    import pyarrow.compute as pc

    read = {name: numbers(columns[name]) for name in source.columns}
    assert source.column is not None
    values = read[source.column].values
    for factor in source.times:
        values = pc.multiply(values, read[factor].values if isinstance(factor, str) else float(factor))
    for divisor in source.divide_by:
        values = pc.divide(values, read[divisor].values if isinstance(divisor, str) else float(divisor))
    infinite = pc.is_inf(values)
    return Converted(_only_finite(values), _named({IS_INFINITE: _rows(infinite)})), read


def whole(found: Converted) -> Converted:
    """Whole numbers, 0 where there is none: as the score table has `seed` and `samples_per_class`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = pc.fill_null(found.values, 0.0)
    broken = pc.not_equal(values, pc.round(values))
    values = pc.if_else(broken, 0.0, values).cast(pa.int64())
    return Converted(values, found.faults | _named({NOT_WHOLE: _rows(broken)}))


def texts(values: pa.Array) -> Converted:
    """Texts, null where they are empty; whole numbers without a point."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = _plain(values)
    if pa.types.is_floating(values.type):
        values = pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
        is_whole = pc.and_(pc.equal(values, pc.round(values)), pc.less(pc.abs(values), EXACT))
        digits = pc.if_else(is_whole, values, 0.0).cast(pa.int64()).cast(pa.string())
        text = pc.if_else(is_whole, digits, values.cast(pa.string()))
    else:
        text = values.cast(pa.string())
    return Converted(pc.if_else(pc.equal(text, ""), pa.scalar(None, pa.string()), text))


def flags(values: pa.Array) -> Converted:
    """True and false, also written as 1 and 0; null where a cell is empty."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = _plain(values)
    if pa.types.is_boolean(values.type):
        return Converted(values)
    text = pc.utf8_lower(pc.utf8_trim_whitespace(texts(values).values))
    found = _looked_up(text, list(FLAGS), list(FLAGS.values()), pa.bool_())
    return Converted(found, _named({NOT_FLAG: _rows(pc.and_(pc.is_null(found), pc.is_valid(text)))}))


def translated(source: Source, values: pa.Array) -> pa.Array:
    """Texts with some words replaced by what they stand for; words that the source does not name stay."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = texts(values).values
    if not source.words:
        return text
    known, meant = [word for word, _ in source.words], [_as_text(value) for _, value in source.words]
    return pc.coalesce(_looked_up(text, known, meant, pa.string()), text)


def kind_of(values: pa.Array) -> str:
    """What a column without a kind of its own holds: `float64`, `bool` or `string`; empty where all cells are."""
    import pyarrow as pa
    import pyarrow.compute as pc

    values = _plain(values)
    if pa.types.is_null(values.type):
        return ""
    if not pa.types.is_string(values.type):
        is_text = not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type))
        return "bool" if pa.types.is_boolean(values.type) else "string" if is_text else "float64"
    text = pc.drop_null(pc.utf8_trim_whitespace(values))
    is_number, is_infinite, missing = _kinds_of(text)
    if pc.all(missing, min_count=0).as_py():
        return "" if pc.all(pc.equal(text, ""), min_count=0).as_py() else "float64"
    identifier = pc.any(pc.match_substring_regex(text, IDENTIFIER)).as_py()
    if pc.all(pc.or_(pc.or_(is_number, is_infinite), missing)).as_py() and not identifier:
        return "float64"
    is_flag = pc.is_in(pc.utf8_lower(text), pa.array(["true", "false", ""]))
    return "bool" if pc.all(is_flag).as_py() else "string"


def common_kind(kinds: set[str]) -> str:
    """One kind for a column whose blocks have these: texts where they differ."""
    known = kinds - {""}
    return next(iter(known)) if len(known) == 1 else "string"


def _plain(values: pa.Array) -> pa.Array:
    """Values without dictionaries, and texts of one type."""
    import pyarrow as pa

    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    is_other_text = pa.types.is_large_string(values.type) or pa.types.is_string_view(values.type)
    return values.cast(pa.string()) if is_other_text else values


def _kinds_of(text: pa.Array) -> tuple[pa.Array, pa.Array, pa.Array]:
    """Which of some texts are numbers, infinite ones, and none at all; nulls are none."""
    import pyarrow as pa
    import pyarrow.compute as pc

    lower = pc.utf8_lower(text)
    number, infinite = pc.match_substring_regex(text, NUMBER), pc.match_substring_regex(lower, INFINITE)
    missing = pc.or_(pc.is_null(text), pc.is_in(lower, pa.array(NO_NUMBER)))
    return pc.fill_null(number, False), pc.fill_null(infinite, False), missing


def _looked_up(text: pa.Array, words: list[str], values: list[Any], kind: pa.DataType) -> pa.Array:
    """What each of `words` stands for, null for others."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.take(pa.array(values, kind), pc.index_in(text, pa.array(words, pa.string())))


def _only_finite(values: pa.Array) -> pa.Array:
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.if_else(pc.is_finite(values), values, pa.scalar(None, pa.float64()))


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _rows(mask: pa.Array) -> Rows:
    return np.flatnonzero(mask.to_numpy(zero_copy_only=False))


def _named(faults: dict[str, Rows]) -> dict[str, Rows]:
    return {what: rows for what, rows in faults.items() if rows.size}
