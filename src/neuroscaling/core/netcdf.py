"""netCDF files, tried in a process of their own: the C library ends the interpreter at some damaged ones.

    python -m neuroscaling.core.netcdf FILE

reads every variable; exit status 0 where that worked.

netCDF4 is imported by that process alone.
"""

import os
import subprocess
import sys
from pathlib import Path

from neuroscaling.core.array_files import HDF5_LOCKING
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import COPY_AGAIN, LONGEST_MESSAGE, require_file
from neuroscaling.core.installation import with_library

PATIENCE = 3600
"""Seconds; a damaged file may also keep the library busy for ever."""
NUMBERS = 16_000_000
"""Numbers that are read at once."""


def require_netcdf(path: str | Path, fix: str = COPY_AGAIN, patience: float = PATIENCE) -> None:
    """Read every variable of a netCDF file in another process. Raises DataError for a damaged file."""
    require_file(path)
    environment = with_library() | {HDF5_LOCKING: "FALSE", "PYTHONFAULTHANDLER": ""}
    command = [sys.executable, "-m", "neuroscaling.core.netcdf", str(path)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", env=environment, timeout=patience
        )
    except subprocess.TimeoutExpired as error:
        what = f"reading this netCDF file came to no end in {patience:g} s"
        raise DataError(Problem(what=what, where=str(path), fix=fix)) from error
    if done.returncode:
        last = next(iter(done.stderr.strip().splitlines()[-1:]), "")[:LONGEST_MESSAGE]
        said = last if done.returncode > 0 else "the netCDF library crashes at it"
        raise DataError(Problem(what=f"not a netCDF file, or cut short: {said}", where=str(path), fix=fix))


def without_locks() -> None:
    """Let netCDF, where it is imported afterwards, read without locks, unless the environment says otherwise."""
    os.environ.setdefault(HDF5_LOCKING, "FALSE")


def _read(path: str) -> None:
    import netCDF4

    with netCDF4.Dataset(path) as opened:
        opened.set_auto_mask(False)
        for variable in opened.variables.values():
            if not variable.ndim:
                variable[...]
                continue
            row = 1
            for length in variable.shape[1:]:
                row *= length
            step = max(1, NUMBERS // max(row, 1))
            for start in range(0, variable.shape[0], step):
                variable[start : start + step]


if __name__ == "__main__":
    _read(sys.argv[1])
