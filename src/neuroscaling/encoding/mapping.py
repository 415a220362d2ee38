"""The challenge's `mapping_<class>.npy`: a pickled dictionary inside a NumPy file, read without running anything."""

import pickle
from pathlib import Path
from typing import Any

from neuroscaling.core.npy import npy_header
from neuroscaling.core.reading import reading

# What NumPy needs to rebuild an array that holds one dictionary of numbers and strings.
ALLOWED = {
    (f"{package}.multiarray", name) for package in ("numpy.core", "numpy._core") for name in ("_reconstruct", "scalar")
} | {("numpy", "ndarray"), ("numpy", "dtype")}


def read_mapping(path: str | Path) -> dict[int, str]:
    """{integer in the mask: name of the ROI}. Raises DataError for a file that holds anything else."""
    path = Path(path)
    with reading(path, "a mapping of ROIs {integer: name}"):
        with open(path, "rb") as file:
            npy_header(file)
            content = _Unpickler(file).load().item()
        return {int(value): _text(name) for value, name in content.items()}


def _text(name: object) -> str:
    """Names may be bytes, as Python 2 and MATLAB write them."""
    return name.decode("utf-8") if isinstance(name, bytes) else str(name)


class _Unpickler(pickle.Unpickler):
    """Rebuilds plain data in a NumPy array; any other class or function in the file is refused, not called."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return super().find_class(module, name)
