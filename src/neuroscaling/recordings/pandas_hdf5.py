"""Numbers of a data frame that pandas wrote to HDF5 (`DataFrame.to_hdf`), in blocks of rows and without pandas.

pandas keeps columns of one type together, `fixed` as arrays block0_values (rows, columns) with block0_items (names of
the columns), `table` as fields values_block_0 of one array of records `table`. It pickles names that are numbers and
texts mixed, and whatever is no number. Nothing is unpickled here, since unpickling runs what a file says: names that
can't be read are None, and columns then stand in the order in which the frame had them. Source: pandas 3.0,
pandas/io/pytables.py.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.array_files import HDF5_FILE, check_compression, open_hdf5
from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.files import reading

REWRITE = (
    "write it again where PyTables is installed: pandas.read_hdf(FILE).to_hdf(NEW_FILE, key='ResponseData', "
    "format='fixed'), without `complib`"
)
BLOCK = re.compile(r"block(\d+)_values")
FIELD = re.compile(r"values_block_(\d+)")
ROWS = 1000
"""Rows that are read at once for one column: 80 MB where there are 10,000 of float64."""


@dataclass(frozen=True)
class Block:
    """Columns of one type. values: array on the disk (rows, columns), or of records with `field`; names: of the
    columns, None where they were pickled."""

    file: Path
    values: Any
    field: str | None
    width: int
    kind: str
    names: tuple[str, ...] | None

    @property
    def rows(self) -> int:
        """Rows of the frame."""
        return int(self.values.shape[0])

    def read(self, start: int, stop: int) -> np.ndarray:
        """Rows `start` to `stop`, (stop - start, width). Raises DataError where they can't be read."""
        with reading(self.file, HDF5_FILE, REWRITE):
            values = self.values[start:stop] if self.field is None else self.values.fields(self.field)[start:stop]
        return np.asarray(values).reshape(stop - start, self.width)

    def column(self, number: int) -> np.ndarray:
        """One column (rows,)."""
        parts = [self.read(i, min(i + ROWS, self.rows))[:, number] for i in range(0, self.rows, ROWS)]
        return np.concatenate(parts) if parts else np.empty(0)


@contextmanager
def opened_frame(path: Path, fix: str) -> Iterator[list[Block]]:
    """The blocks of numbers of the only frame in a file, while the block runs.

    Raises DataError for a file without a frame, with several, or with one that holds no numbers.
    """
    with open_hdf5(path, fix) as opened:
        with reading(path, HDF5_FILE, fix):
            groups = [name for name, group in opened.items() if _is_frame(group)]
            if len(groups) != 1:
                what = "no data frame of pandas in the file" if not groups else "several data frames in the file"
                value, allowed = listing(groups or list(opened)), "one, as DataFrame.to_hdf writes it"
                raise DataError(Problem(what=what, where=str(path), value=value, allowed=allowed, fix=fix))
            blocks = list(_blocks(path, opened[groups[0]]))
        if not blocks:
            what = "the data frame holds no numbers, or only pickled ones"
            raise DataError(Problem(what=what, where=f"{path}: {groups[0]}", fix=REWRITE))
        yield blocks


def _is_frame(group: Any) -> bool:
    return hasattr(group, "items") and ("block0_values" in group or "table" in group)


def _blocks(path: Path, group: Any) -> Iterator[Block]:
    for name in sorted(name for name in group if BLOCK.fullmatch(name)):
        values = group[name]
        check_compression(values, f"{path}: {values.name}", REWRITE)
        # An array of objects is one row of pickled bytes.
        if values.dtype.kind in "biuf" and values.ndim == 2:
            names = _names(group.get(name.replace("_values", "_items")))
            yield Block(path, values, None, int(values.shape[1]), values.dtype.kind, names)
    records = group.get("table")
    if records is not None:
        check_compression(records, f"{path}: {records.name}", REWRITE)
    for name in getattr(records, "dtype", np.dtype([])).names or ():
        base, shape = _base(records.dtype[name])
        if name != "index" and base.kind in "biuf":
            names = None if FIELD.fullmatch(name) else (name,)
            yield Block(path, records, name, int(np.prod(shape, dtype=int)), base.kind, names)


def _base(dtype: np.dtype) -> tuple[np.dtype, tuple[int, ...]]:
    return dtype.subdtype if dtype.subdtype is not None else (dtype, ())


def _names(items: Any) -> tuple[str, ...] | None:
    """Names of columns that stand in the file as numbers or as texts of a fixed length."""
    if items is None or items.dtype.kind not in "iuS" or items.ndim != 1:
        return None
    return tuple(value.decode() if isinstance(value, bytes) else str(value) for value in items[()].tolist())
