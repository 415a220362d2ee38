"""Arrays of numbers in the formats that laboratories save them in, opened alike and read in blocks.

.npy                      one array, mapped from the disk
.parquet                  a row an image, a column of numbers a unit; the columns' names label the second axis
.zarr                     an array, or one of a group
.nc                       a variable of netCDF, classic or netCDF-4, with its fill values and scale
.h5, .hdf5                a data set
.mat                      a variable of MATLAB 7.3, with its axes as MATLAB shows them: HDF5 has them reversed

The library of a format is imported where a file of it is opened.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.array_files import (
    ALLOWED_NUMBERS,
    AS_NUMBERS,
    HDF5_FILE,
    NUMBER_KINDS,
    npy_header,
    open_hdf5,
    read_npy,
)
from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.files import COPY_AGAIN, reading, require_file
from neuroscaling.core.table_files import PANDAS_INDEX, PARQUET_FILE

PICKLE = "pickle"
"""What Zarr calls the codec of Python objects, whose reading would run their code."""
CLASSIC_NETCDF = b"CDF"


@dataclass(frozen=True)
class OpenArray:
    """An array in an open file.

    place: the file, and the variable in it; shape, dtype: as `read` gives it; dimensions: names of the axes where the
    file has them; labels: texts along an axis, by the name that the file has for them; chunk: lengths of the blocks
    that the file is stored in, or None; read(axis, start, stop): that stretch of one axis and all of the others.
    """

    place: str
    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[int, int, int], np.ndarray]
    dimensions: tuple[str, ...] | None = None
    labels: Mapping[str, list[str]] = field(default_factory=dict)
    chunk: tuple[int, ...] | None = None


@contextmanager
def opened_array(path: str | Path, variable: str | None = None, labels: Sequence[str] = ()) -> Iterator[OpenArray]:
    """An array in a file, which is closed at the end.

    variable: its name, or path, where the file can hold several; without it the only one with two axes or more. labels:
    names of variables (of parquet: columns) that hold ids and no responses. Raises DataError for another format, a
    missing or damaged file, a variable that isn't there, and for anything else than numbers: nothing is unpickled.
    """
    path = Path(path)
    if path.suffix not in OPENERS:
        known = list(OPENERS)
        what = "no array can be read from a file of this ending"
        raise DataError(Problem(what=what, where=str(path), value=path.suffix, allowed=listing(known)))
    with OPENERS[path.suffix](path, variable, labels) as array:
        if array.dtype.kind not in NUMBER_KINDS:
            raise DataError(
                Problem(
                    what="not numbers",
                    where=array.place,
                    value=str(array.dtype),
                    allowed=ALLOWED_NUMBERS,
                    fix=AS_NUMBERS,
                )
            )
        yield array


@contextmanager
def _npy(path: Path, variable: str | None, labels: Sequence[str]) -> Iterator[OpenArray]:
    _require_one_array(path, variable)
    with reading(path, "a NumPy file"), open(path, "rb") as file:
        if npy_header(file)[2].hasobject:
            raise DataError(_pickled(str(path)))
    mapped = read_npy(path, mapped=True)
    yield OpenArray(str(path), mapped.shape, mapped.dtype, lambda *stretch: np.array(mapped[_key(mapped, *stretch)]))


@contextmanager
def _parquet(path: Path, variable: str | None, labels: Sequence[str]) -> Iterator[OpenArray]:
    import pyarrow.parquet

    _require_one_array(path, variable)
    with reading(path, PARQUET_FILE):
        file = pyarrow.parquet.ParquetFile(path, memory_map=True)
        columns = [one for one in file.schema_arrow if not one.name.startswith(PANDAS_INDEX)]
        found = {one.name: _texts(_column(file, one.name)) for one in columns if one.name in labels}
    units = [one.name for one in columns if one.name not in labels]
    foreign = [f"{one.name} ({one.type})" for one in columns if one.name in units and not _is_number(one.type)]
    if foreign:
        what, fix = "columns that hold no numbers", f"drop them; ids stand in one of: {listing(list(labels))}"
        raise DataError(Problem(what=what, where=str(path), value=listing(foreign), fix=fix))
    n_rows = file.metadata.num_rows

    def read(axis: int, start: int, stop: int) -> np.ndarray:
        names = units[start:stop] if axis else units
        with reading(path, PARQUET_FILE):
            table = file.read(columns=names)
            values = [table[name].to_numpy().astype(np.float64) for name in names]
        block = np.stack(values, axis=1) if values else np.empty((n_rows, 0))
        return block if axis else block[start:stop]

    try:
        shape = (n_rows, len(units))
        yield OpenArray(
            str(path), shape, np.dtype(np.float64), read, ("images", "units"), {**found, COLUMN_NAMES: units}
        )
    finally:
        file.close()


COLUMN_NAMES = "column names"
"""The labels that the names of a table's columns are."""


@contextmanager
def _zarr(path: Path, variable: str | None, labels: Sequence[str]) -> Iterator[OpenArray]:
    import zarr
    from zarr.errors import BaseZarrError

    if not path.is_dir():
        raise DataError(Problem(what="folder is missing", where=str(path)))
    try:
        root = zarr.open(path, mode="r")
        arrays = {"": root} if isinstance(root, zarr.Array) else dict(_zarr_arrays(root))
        array = arrays[_chosen(path, variable, {name: one.shape for name, one in arrays.items()}, labels)]
        _refuse_pickles(path, array)
        siblings = {name: one for name, one in arrays.items() if name in labels and one.ndim == 1}
        for one in siblings.values():
            _refuse_pickles(path, one)
        found = {name: _texts(one[:]) for name, one in siblings.items()}
    except (BaseZarrError, OSError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            _pickled(str(path)) if PICKLE in str(error) else _damaged(path, "a Zarr folder", error)
        ) from error

    def read(*stretch: int) -> np.ndarray:
        try:
            return np.asarray(array[_key(array, *stretch)])
        except Exception as error:  # codecs raise errors of their own
            raise DataError(_damaged(path, "a Zarr array", error)) from error

    named: Any = array.metadata.to_dict().get("dimension_names") or array.attrs.get("_ARRAY_DIMENSIONS")
    dimensions = tuple(map(str, named)) if named else None
    place = f"{path}: {array.basename}" if array.basename else str(path)
    yield OpenArray(place, array.shape, array.dtype, _decoded(read, array.attrs), dimensions, found, array.chunks)


def _zarr_arrays(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    for name, one in group.arrays():
        yield f"{above}{name}", one
    for name, inner in group.groups():
        yield from _zarr_arrays(inner, f"{above}{name}/")


def _refuse_pickles(path: Path, array: Any) -> None:
    if PICKLE in str(array.metadata.to_dict()):
        raise DataError(_pickled(f"{path}: {array.basename}"))


def _pickled(where: str) -> Problem:
    what = "pickled Python objects, whose reading would run their code"
    return Problem(what=what, where=where, allowed=ALLOWED_NUMBERS, fix=AS_NUMBERS)


@contextmanager
def _netcdf(path: Path, variable: str | None, labels: Sequence[str]) -> Iterator[OpenArray]:
    require_file(path)
    with open(path, "rb") as file:
        is_classic = file.read(3) == CLASSIC_NETCDF
    with (_classic if is_classic else _hdf5)(path, variable, labels) as array:
        yield array


@contextmanager
def _classic(path: Path, variable: str | None, labels: Sequence[str]) -> Iterator[OpenArray]:
    from scipy.io import netcdf_file

    with reading(path, "a netCDF file"):
        file = netcdf_file(path, mmap=True)
    try:
        # Nothing but `file` may hold a variable: its memory is the file's, which could not be closed.
        shapes = {name: tuple(one.shape) for name, one in file.variables.items()}
        name = _chosen(path, variable, shapes, labels)
        found = {label: _texts(np.array(file.variables[label][:])) for label in labels if label in shapes}
        attributes, dimensions = file.variables[name]._attributes, tuple(file.variables[name].dimensions)
        dtype = file.variables[name].data.dtype.newbyteorder("=")

        def read(*stretch: int) -> np.ndarray:
            with reading(path, "a netCDF file"):
                one = file.variables[name]
                return np.array(one[_key(one, *stretch)], dtype)

        yield OpenArray(f"{path}: {name}", shapes[name], dtype, _decoded(read, attributes), dimensions, found)
    finally:
        file.close()


@contextmanager
def _hdf5(path: Path, variable: str | None, labels: Sequence[str]) -> Iterator[OpenArray]:
    with open_hdf5(path) as file:
        with reading(path, HDF5_FILE):
            shapes = _hdf5_shapes(file)
            name = _chosen(path, variable, shapes, labels)
            array = file[name]
            beside = array.parent
            found = {one: _texts(_strings(beside[one])) for one in labels if one in beside and beside[one].ndim == 1}
            dimensions = _hdf5_dimensions(array)

        def read(*stretch: int) -> np.ndarray:
            with reading(path, HDF5_FILE):
                return array[_key(array, *stretch)]

        place = f"{path}: {name}"
        decoded = _decoded(read, array.attrs)
        yield OpenArray(place, array.shape, array.dtype, decoded, dimensions, found, array.chunks)


@contextmanager
def _matlab(path: Path, variable: str | None, labels: Sequence[str]) -> Iterator[OpenArray]:
    """MATLAB keeps the first axis together, HDF5 the last: what it calls (images, units) is (units, images) there."""
    require_file(path)
    with open(path, "rb") as file:
        if file.read(10) == b"MATLAB 5.0":
            what, fix = "a MATLAB file of before version 7.3", "save it by save(file, 'name', '-v7.3')"
            raise DataError(Problem(what=what, where=str(path), allowed="version 7.3, which is HDF5", fix=fix))
    with _hdf5(path, variable, ()) as array:

        def read(axis: int, start: int, stop: int) -> np.ndarray:
            return array.read(len(array.shape) - 1 - axis, start, stop).transpose()

        chunk = array.chunk and array.chunk[::-1]
        yield OpenArray(array.place, array.shape[::-1], array.dtype, read, None, {}, chunk)


OPENERS: dict[str, Callable[[Path, str | None, Sequence[str]], Any]] = {
    ".npy": _npy,
    ".parquet": _parquet,
    ".zarr": _zarr,
    ".nc": _netcdf,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".mat": _matlab,
}


def _key(array: Any, axis: int, start: int, stop: int) -> tuple[slice, ...]:
    key = [slice(None)] * len(array.shape)
    key[axis] = slice(start, stop)
    return tuple(key)


def _require_one_array(path: Path, variable: str | None) -> None:
    if variable is not None:
        what, fix = "a file of this format holds one array without a name", "drop `variable`"
        raise DataError(Problem(what=what, where=str(path), value=variable, fix=fix))


def _chosen(path: Path, variable: str | None, shapes: Mapping[str, tuple[int, ...]], labels: Sequence[str]) -> str:
    """The variable that is asked for, or the only one with two axes or more."""
    shown = listing([f"{name} {shape}" for name, shape in shapes.items()])
    if variable is not None:
        wanted = variable.strip("/")
        if wanted in shapes:
            return wanted
        near = nearest(wanted, shapes)
        raise DataError(
            Problem(what="no such variable in the file", where=str(path), value=variable, allowed=shown, nearest=near)
        )
    arrays = [name for name, shape in shapes.items() if len(shape) > 1 and name not in labels]
    if len(arrays) == 1:
        return arrays[0]
    what = "several variables could be meant" if arrays else "no variable with two axes in the file"
    fix = "name it: `variable: NAME`" if arrays else ""
    raise DataError(Problem(what=what, where=str(path), value=shown, allowed="one", fix=fix))


def _hdf5_shapes(file: Any) -> dict[str, tuple[int, ...]]:
    """Shapes of the data sets by path; MATLAB keeps the parts of cells under names with #."""
    found: dict[str, tuple[int, ...]] = {}

    def note(name: str, one: Any) -> None:
        if hasattr(one, "shape") and one.shape is not None and "#" not in name:
            found[name] = tuple(one.shape)

    file.visititems(note)
    return found


def _hdf5_dimensions(array: Any) -> tuple[str, ...] | None:
    """Names of the axes, as netCDF-4 and xarray attach them; None where one has none."""
    names = [axis[0].name.rpartition("/")[2] if len(axis) else axis.label for axis in array.dims]
    return tuple(names) if all(names) else None


def _strings(array: Any) -> np.ndarray:
    return array.asstr()[:] if array.dtype.kind == "O" else array[:]


def _texts(values: Any) -> list[str]:
    """Labels as texts: numbers as Python writes them, bytes as UTF-8, rows of single characters joined."""
    values = np.asarray(values)
    if values.ndim == 2 and values.dtype.kind in "SU":  # classic netCDF has no texts, but characters
        return [_text(b"".join(row) if values.dtype.kind == "S" else "".join(row)) for row in values]
    return [_text(value) for value in values.tolist()]


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
    return text.rstrip("\0")


def _column(file: Any, name: str) -> Any:
    return file.read(columns=[name])[name].to_numpy()


def _is_number(kind: Any) -> bool:
    import pyarrow

    types = pyarrow.types
    return types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)


def _decoded(read: Callable[..., np.ndarray], attributes: Mapping[str, Any]) -> Callable[..., np.ndarray]:
    """`read` by the conventions of netCDF: fill values are NaN, and stored numbers are scaled."""
    fills = [attributes[key] for key in ("_FillValue", "missing_value") if key in attributes]
    factor, offset = (attributes.get(key) for key in ("scale_factor", "add_offset"))
    numbers = [np.asarray(fill).ravel() for fill in fills if np.asarray(fill).dtype.kind in NUMBER_KINDS]
    if not numbers and factor is None and offset is None:
        return read

    def decode(*stretch: int) -> np.ndarray:
        stored = read(*stretch)
        values = stored.astype(np.float64)
        if factor is not None:
            values *= np.asarray(factor).item()
        if offset is not None:
            values += np.asarray(offset).item()
        for fill in numbers:
            values[np.isin(stored, fill)] = np.nan
        return values

    return decode


def _damaged(path: Path, kind: str, error: Exception) -> Problem:
    said = (str(error).splitlines() or [""])[0][:200]
    return Problem(what=f"not {kind}, or cut short: {said or type(error).__name__}", where=str(path), fix=COPY_AGAIN)
