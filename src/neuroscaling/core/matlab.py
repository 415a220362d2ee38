"""MATLAB files, of the versions before 7.3."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neuroscaling.core.reading import reading
from neuroscaling.errors import DataError, Problem


def read_mat(path: str | Path, variables: Sequence[str]) -> dict[str, Any]:
    """`variables` of a file by name. Raises DataError for a damaged file and for variables that it lacks."""
    from scipy.io import loadmat

    with reading(path, "a MATLAB file", "see docs/nsd.md"):
        content = loadmat(path, variable_names=list(variables))
    if missing := [name for name in variables if name not in content]:
        raise DataError(Problem("variables are missing", str(path), ", ".join(missing), ", ".join(variables)))
    return content
