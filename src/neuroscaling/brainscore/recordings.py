"""Recordings in netCDF are read as plain arrays, and neuroids that don't vary are left out.

Nothing of Brain-Score is imported; netCDF4 is imported when a file is read.

Nothing can be predicted of them: their correlation is undefined, and a median over neuroids would pass over them
without a word. (Brain-Score's official files are taken as Brain-Score takes them.)
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.files import reading
from neuroscaling.core.netcdf import without_locks
from neuroscaling.regression.scores import varies
from neuroscaling.stimuli.stimulus_table import ID, OLD_ID

DIMS = ("presentation", "neuroid", "time_bin")


@dataclass(frozen=True)
class Recordings:
    """The recordings of a file.

    values: responses, along `dims` (of DIMS), missing ones NaN; coords: dimension and values of each coordinate by
    name, text as str; in_bytes: names of coordinates whose text is stored as bytes.
    """

    path: Path
    dims: tuple[str, ...]
    values: np.ndarray
    coords: dict[str, tuple[str, np.ndarray]]
    in_bytes: tuple[str, ...] = ()

    def coord(self, name: str) -> np.ndarray:
        """Values of a coordinate."""
        return self.coords[name][1]


def read_recordings(path: str | Path) -> Recordings:
    """The recordings in a netCDF file. Raises DataError for another file, and for one with several arrays of responses.

    The responses are the array along `presentation` (and `neuroid`, `time_bin`) that is no coordinate. Those of
    behaviour are text along `presentation` alone.
    """
    path = Path(path)
    with _opened(path) as dataset:
        arrays = {name: _array(variable) for name, variable in dataset.variables.items()}
        listed = {name for v in dataset.variables.values() for name in getattr(v, "coordinates", "").split()}
    responses = {name: entry for name, entry in arrays.items() if len(entry[0]) > 1 and name not in listed}
    if not responses:  # of behaviour: the array that is not named as a coordinate
        responses = {name: entry for name, entry in arrays.items() if entry[0] and listed and name not in listed}
    if len(responses) != 1:
        found = listing([f"{name} along {listing(entry[0])}" for name, entry in (responses or arrays).items()])
        raise DataError(
            Problem(
                what="not one array of responses", where=str(path), value=found, allowed=f"one along {listing(DIMS)}"
            )
        )
    ((name, (dims, values, _)),) = responses.items()
    own = {other: entry for other, entry in arrays.items() if other not in (name, *dims) and len(entry[0]) == 1}
    coords = {other: (along[0], entry) for other, (along, entry, _) in own.items()}
    return Recordings(path, dims, values, coords, tuple(other for other in own if own[other][2]))


def has_text_ids(path: str | Path) -> bool:
    """Whether the stimulus ids of a netCDF file are text and no numbers. Raises DataError for another file."""
    with _opened(Path(path)) as dataset:
        found = [dataset[name] for name in (ID, OLD_ID) if name in dataset.variables]
        return bool(found) and (found[0].dtype is str or found[0].dtype.kind not in "iuf")


def text(values: np.ndarray) -> np.ndarray:
    """Values with bytes read as UTF-8; numbers as they are. Raises UnicodeDecodeError."""
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8")
    if values.dtype.kind == "O":
        decoded = [value.decode() if isinstance(value, bytes) else value for value in values.ravel()]
        return np.array(decoded, object).reshape(values.shape)
    return values


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The file; whatever is raised while it is read becomes a DataError that names it."""
    without_locks()
    import netCDF4

    with reading(path, "an assembly of recordings"), netCDF4.Dataset(path) as dataset:
        yield dataset


def _array(variable: Any) -> tuple[tuple[str, ...], np.ndarray, bool]:
    """Dimensions, values and whether these are text in bytes."""
    import netCDF4

    variable.set_auto_maskandscale(True)
    dims, values = variable.dimensions, variable[...]
    in_bytes = values.dtype.kind == "S"
    if np.ma.is_masked(values) and values.dtype.kind in "iuf":
        values = values.astype(np.result_type(values.dtype, np.float32)).filled(np.nan)
    values = np.ma.getdata(values)
    if in_bytes and values.ndim == len(dims):  # characters one by one along a dimension of their own
        values = netCDF4.chartostring(values, encoding="utf-8")
    return dims[: values.ndim], text(values), in_bytes


logger = logging.getLogger("neuroscaling")


def without_constant(recorded: Any, path: Path) -> tuple[np.ndarray, list[str]]:
    """Positions of the neuroids that vary over presentations (in some time bin), and the ids of the others.

    recorded: an assembly with the dimensions presentation and neuroid, from the file `path`; gaps (NaN) don't count.
    What is left out is logged. Raises DataError where no neuroid varies.
    """
    values = recorded.transpose("presentation", "neuroid", ...).values
    varying = np.any(varies(values).reshape(values.shape[1], -1), axis=1)
    left_out = [str(name) for name in recorded["neuroid_id"].values[~varying]]
    if not varying.any():
        what = f"all {len(varying)} neuroids answer equally to every stimulus"
        raise DataError(
            Problem(what=what, where=str(path), value=listing(left_out, 8), fix="nothing can be predicted of them")
        )
    if left_out:
        what = "%s: %d of %d neuroids answer equally to every stimulus and are left out: %s"
        logger.warning(what, path, len(left_out), len(varying), listing(left_out, 8))
    return np.flatnonzero(varying), left_out
