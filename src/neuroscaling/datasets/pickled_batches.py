"""Pickles from outside are read without letting them import anything but numpy's arrays.

A pickle may name any function of any module and call it. CIFAR's batches need a dictionary of texts, numbers, lists and
one array, whose few constructors are all that is allowed here.
"""

import pickle
from io import BytesIO
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import reading

ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),  # how Python 3 writes bytes for Python 2
}


def read_pickled(path: Path) -> dict[str, Any]:
    """Return the dictionary that a file of pickle holds; texts of Python 2 are read as Latin-1.

    Raises DataError when the file is missing, damaged, no dictionary, or would import anything else.
    """
    with reading(path, "a pickled batch", "fetch the archive again and unpack it"):
        found = _Restricted(BytesIO(path.read_bytes()), path).load()
    if not isinstance(found, dict):
        what, allowed = "a pickle that holds no dictionary", "a dictionary of arrays and labels"
        raise DataError(Problem(what=what, where=str(path), value=type(found).__name__, allowed=allowed))
    return {key.decode("latin1") if isinstance(key, bytes) else key: value for key, value in found.items()}


class _Restricted(pickle.Unpickler):
    def __init__(self, file: BytesIO, path: Path):
        super().__init__(file, encoding="latin1")
        self._path = path

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in ALLOWED:
            return super().find_class(module, name)
        what, allowed = "a pickle that wants to import something", "numpy's arrays alone"
        fix = "don't open it otherwise: fetch the archive from its authors"
        raise DataError(Problem(what=what, where=str(self._path), value=f"{module}.{name}", allowed=allowed, fix=fix))
