"""What the axes of an array of responses are, and which of its rows and columns an image and a unit have.

By the study, by the names that the file has for them, or by their lengths where these leave no doubt.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import permutations
from typing import get_args

import numpy as np

from neuroscaling.core.array_formats import COLUMN_NAMES, OpenArray, opened_array
from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.table_files import LINES_SHOWN
from neuroscaling.study.own_arrays import Axis, OwnArrays, OwnStimuli, OwnUnits

AXES: tuple[Axis, ...] = get_args(Axis)
DIMENSIONS: dict[str, Axis] = {
    "image": "images", "images": "images", "stimulus": "images", "stimuli": "images", "stimulus_id": "images",
    "filename": "images", "presentation": "images", "unit": "units", "units": "units", "neuroid": "units",
    "neuron": "units", "neurons": "units", "voxel": "units", "voxels": "units", "site": "units", "sites": "units",
    "channel": "units", "electrode": "units", "vertex": "units", "unit_id": "units", "neuroid_id": "units",
    "repetition": "repetitions", "repetitions": "repetitions", "repeat": "repetitions", "repeats": "repetitions",
    "trial": "repetitions", "trials": "repetitions",
}  # fmt: skip
"""Names that files have for the axes."""
IMAGE_LABELS = ("stimulus_id", "filename")
UNIT_LABELS = ("id", "unit_id", "neuroid_id", COLUMN_NAMES)
NAME_THEM = "say what they are: `axes: [images, units]`, or with `repetitions`, in the order of the file"


@dataclass(frozen=True)
class Layout:
    """axes: what each axis of the array is; rows: of the array, of each image; columns (units,): of each unit."""

    axes: tuple[Axis, ...]
    rows: list[list[int]]
    columns: np.ndarray

    def number(self, axis: Axis) -> int | None:
        """The number of an axis, from 0; None where the array has none of it."""
        return self.axes.index(axis) if axis in self.axes else None


@contextmanager
def opened_responses(arrays: OwnArrays) -> Iterator[OpenArray]:
    """The array of responses, open. Raises DataError as `opened_array`."""
    with opened_array(arrays.responses, arrays.variable, (*IMAGE_LABELS, *UNIT_LABELS)) as array:
        yield array


def layout_of(arrays: OwnArrays, array: OpenArray, stimuli: OwnStimuli, units: OwnUnits) -> Layout:
    """How an array is meant, by its header.

    Rows that the file has ids for are those of the table by their ids, several of one id are its repetitions; so are
    columns, where the table of units has ids. Raises DataError for axes in doubt or of another order than is said,
    lengths that differ from those of the tables, and ids that the file or a table lacks.
    """
    of_images, of_units = _labels(array, IMAGE_LABELS), _labels(array, UNIT_LABELS)
    by_id = of_units is not None and units.ids is not None
    n_rows = stimuli.n_rows if of_images is None else len(of_images)
    n_columns = len(of_units) if of_units is not None and by_id else len(units.subjects)
    axes = _axes(arrays, array, n_rows, n_columns)
    rows, columns, problems = stimuli.rows, np.arange(n_columns), []
    if of_images is not None:
        # Of an id, or of a file where the file's labels are those.
        wanted = stimuli.ids if set(of_images) & set(stimuli.ids) else stimuli.files
        problems += _label_problems(array.place, "image", of_images, wanted)
        rows = _positions(of_images, wanted)
    if of_units is not None and units.ids is not None:
        problems += _label_problems(array.place, "unit", of_units, units.ids)
        found = _positions(of_units, units.ids)
        if twice := [one for one, places in zip(units.ids, found, strict=True) if len(places) > 1]:
            value = listing(twice, LINES_SHOWN)
            problems.append(Problem(what="several columns have one id", where=array.place, value=value))
        columns = np.array([places[0] for places in found if places], np.intp)
    if problems:
        raise DataError(problems)
    return Layout(axes, rows, columns)


def _labels(array: OpenArray, names: Sequence[str]) -> list[str] | None:
    return next((array.labels[name] for name in names if name in array.labels), None)


def _positions(labels: Sequence[str], wanted: Sequence[str]) -> list[list[int]]:
    found: dict[str, list[int]] = {}
    for i, label in enumerate(labels):
        found.setdefault(label, []).append(i)
    return [found.get(one, []) for one in wanted]


def _label_problems(place: str, what: str, labels: Sequence[str], wanted: Sequence[str]) -> list[Problem]:
    """Ids of a table that the file lacks, and of the file that the table lacks."""
    there, asked = set(labels), set(wanted)
    absent, more = [one for one in wanted if one not in there], [one for one in labels if one not in asked]
    if not absent and not more:
        return []
    if shift := _shift(there, asked):
        first, other = (1, 0) if shift > 0 else (0, 1)
        text = f"ids of {what}s are off by one: the file counts from {first} where the table counts from {other}"
        value = f"{min(map(int, there))} to {max(map(int, there))}"
        allowed = f"{min(map(int, asked))} to {max(map(int, asked))}"
        return [Problem(what=text, where=place, value=value, allowed=allowed, fix="use the same ids in both")]
    found = []
    if absent:
        text = f"{len(absent)} {what}s of the table are not in the file of responses"
        found.append(Problem(what=text, where=place, value=listing(absent, LINES_SHOWN), allowed=listing(labels, 5)))
    if more:
        text = f"{len(set(more))} {what}s of the file of responses are not in the table"
        value = listing(list(dict.fromkeys(more)), LINES_SHOWN)
        found.append(Problem(what=text, where=place, value=value, allowed=listing(wanted, 5)))
    return found


def _shift(there: set[str], asked: set[str]) -> int:
    """1 or -1 where numbered ids are those that are asked for and one more; else 0."""
    if not all(one.isascii() and one.isdigit() for one in there | asked):
        return 0
    numbers, wanted = {int(one) for one in there}, {int(one) for one in asked}
    return next((by for by in (1, -1) if numbers == {one + by for one in wanted}), 0)


def _axes(arrays: OwnArrays, array: OpenArray, n_rows: int, n_columns: int) -> tuple[Axis, ...]:
    fitting = _fitting(array.shape, n_rows, n_columns)
    named = arrays.axes or _named(array)
    if named is None:
        if len(fitting) == 1:
            return fitting[0]
        raise DataError(_doubt(array, fitting, n_rows, n_columns))
    if named in fitting:
        return named
    fix = f"these fit: {_several(fitting)}" if fitting else _off_by_one(array.shape, named, n_rows, n_columns)
    raise DataError(
        Problem(
            what="axes of other lengths than the tables",
            where=array.place,
            value=f"{_words(named)} of lengths {list(array.shape)}",
            allowed=_lengths(n_rows, n_columns),
            fix=fix,
        )
    )


def _named(array: OpenArray) -> tuple[Axis, ...] | None:
    """What the file calls the axes; None where it has no names for them, or others."""
    names = [DIMENSIONS.get(name.lower()) for name in array.dimensions or ()]
    found = tuple(name for name in names if name is not None)
    return found if len(found) == len(array.shape) and len(set(found)) == len(found) else None


def _fitting(shape: tuple[int, ...], n_rows: int, n_columns: int) -> list[tuple[Axis, ...]]:
    """The orders of the axes whose lengths are those of the tables."""
    if len(shape) not in (2, 3):
        return []
    lengths = {"images": n_rows, "units": n_columns}
    orders = permutations(AXES[: len(shape)])
    return [order for order in orders if all(lengths.get(one, n) == n for one, n in zip(order, shape, strict=True))]


def _doubt(array: OpenArray, fitting: list[tuple[Axis, ...]], n_rows: int, n_columns: int) -> Problem:
    value, allowed = f"lengths {list(array.shape)}", _lengths(n_rows, n_columns)
    if fitting:
        what = "the lengths of the axes leave a doubt"
        return Problem(what=what, where=array.place, value=value, allowed=_several(fitting), fix=NAME_THEM)
    fix = _off_by_one(array.shape, AXES[: len(array.shape)], n_rows, n_columns)
    what = "axes of other lengths than the tables"
    return Problem(what=what, where=array.place, value=value, allowed=allowed, fix=fix)


def _off_by_one(shape: tuple[int, ...], axes: tuple[Axis, ...], n_rows: int, n_columns: int) -> str:
    if len(shape) not in (2, 3) or len(axes) != len(shape):
        return "save two axes, images and units, or three, with repetitions"
    lengths: tuple[tuple[Axis, int], ...] = (("images", n_rows), ("units", n_columns))
    for what, length in lengths:
        other = n_columns if what == "images" else n_rows
        if abs(length - shape[axes.index(what)]) == 1 and other in shape:
            return f"one row too many or too few in the table of {what}: is its header, or the first row, amiss?"
    return "a table has a row for each image, or unit, of the responses"


def _lengths(n_rows: int, n_columns: int) -> str:
    return f"{n_rows} images (rows of their table, or ids), {n_columns} units"


def _words(axes: Sequence[str]) -> str:
    return f"[{', '.join(axes)}]"


def _several(orders: list[tuple[Axis, ...]]) -> str:
    return " or ".join(f"axes: {_words(order)}" for order in orders)
