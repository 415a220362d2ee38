"""What can be wrong with recordings of one's own, by their tables and the header of the array, before anything runs."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from neuroscaling.core.errors import DataError, Location, Problem, listing, nearest
from neuroscaling.study.array_layout import Layout, layout_of, opened_responses
from neuroscaling.study.own_arrays import OwnArrays, OwnStimuli, OwnUnits, read_own_stimuli, read_own_units
from neuroscaling.study.sections.encoding import ArraysEncoding

Found = Iterator[tuple[Location, Problem]]
Read = TypeVar("Read")


def array_problems(entry: ArraysEncoding) -> Found:
    """Faulty tables, images that are missing, an array that doesn't fit them, and subjects and regions that no unit
    has. Responses themselves aren't read: `neuroscaling data check arrays STUDY` does."""
    arrays = OwnArrays.of(entry)
    stimuli, of_stimuli = _tried(lambda: read_own_stimuli(arrays))
    units, of_units = _tried(lambda: read_own_units(arrays))
    yield from (((("stimuli",) if entry.stimuli else ("images",)), problem) for problem in of_stimuli)
    yield from ((("units",), problem) for problem in of_units)
    if units is not None:
        yield from _unknown(entry, units)
    if stimuli is not None and units is not None:
        _, of_array = _tried(lambda: _layout(arrays, stimuli, units))
    else:
        _, of_array = _tried(lambda: _opened(arrays))
    yield from ((("responses",), problem) for problem in of_array)


def array_training_images(entry: ArraysEncoding) -> dict[str, int]:
    """Training images by subject, as far as the tables tell. Raises DataError for faulty tables."""
    arrays = OwnArrays.of(entry)
    n_training = len(read_own_stimuli(arrays).of_split("training"))
    names = read_own_units(arrays).names
    return {name: n_training for name in names if entry.subjects == "all" or name in entry.subjects}


def _unknown(entry: ArraysEncoding, units: OwnUnits) -> Found:
    regions = units.region_names(range(len(units.subjects)))
    asked = (("subjects", "subject", entry.subjects, units.names), ("regions", "region", entry.regions, regions))
    for key, what, names, there in asked:
        for i, name in enumerate(names if names != "all" else []):
            if name not in there:
                text = f"no unit of this {what} in the table"
                near = nearest(name, there)
                yield (key, i), Problem(what=text, where="", value=name, allowed=listing(there), nearest=near)


def _layout(arrays: OwnArrays, stimuli: OwnStimuli, units: OwnUnits) -> Layout:
    with opened_responses(arrays) as array:
        return layout_of(arrays, array, stimuli, units)


def _opened(arrays: OwnArrays) -> None:
    with opened_responses(arrays):
        pass


def _tried(read: Callable[[], Read]) -> tuple[Read | None, list[Problem]]:
    try:
        return read(), []
    except DataError as error:
        return None, error.problems
