"""HDF5 files, read without locks: a lock serves writers, and shared disks often have none to give."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neuroscaling.core.reading import AGAIN, reading, require_file
from neuroscaling.errors import DataError, Problem

LOCKING = "HDF5_USE_FILE_LOCKING"
KIND = "an HDF5 file"


def open_hdf5(path: str | Path, fix: str = AGAIN) -> Any:
    """An open h5py.File. Raises DataError for a missing, damaged or locked file."""
    import h5py

    require_file(path)
    with reading(path, KIND, fix):
        try:
            return h5py.File(path, "r", locking=False)
        except OSError as error:
            if "lock" not in str(error).lower():
                raise
            # The variable stands above what a program asks for.
            how = f"set {LOCKING}=FALSE in the environment, or unset it: {LOCKING} makes HDF5 ask for locks"
            raise DataError(Problem("file can't be locked", str(path), str(error), fix=how)) from error


def dataset(opened: Any, name: str, path: str | Path, fix: str = AGAIN) -> Any:
    """The array `name` of an open file. Raises DataError where it has none, or something else of this name."""
    with reading(path, KIND, fix):
        if name not in opened or not hasattr(opened[name], "dtype"):
            raise DataError(Problem("no such data in the file", str(path), name, ", ".join(opened)))
        return opened[name]


@contextmanager
def hdf5_dataset(path: str | Path, name: str, fix: str = AGAIN) -> Iterator[Any]:
    """The array `name` of a file, which is closed at the end. Raises DataError as `open_hdf5` and `dataset`."""
    with open_hdf5(path, fix) as opened:
        yield dataset(opened, name, path, fix)
