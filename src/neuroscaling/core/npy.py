"""NumPy files. No pickled object is ever loaded, and no memory is asked for before the file is known to fill it."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.core.reading import AGAIN, reading
from neuroscaling.errors import DataError, Problem

if TYPE_CHECKING:
    import numpy as np

KIND = "a NumPy file"
NUMBERS = "biuf"
AS_NUMBERS = "save it as numbers, array.astype('float32')"
ALLOWED = "numbers: bool, whole ones, float32 or float64"


def read_npy(path: str | Path, mapped: bool = False, fix: str = AGAIN) -> "np.ndarray":
    """The array of numbers in a .npy file; mapped: read from the disk when it is used, and not to be written to.

    Raises DataError for a missing or damaged file, for one with several arrays (.npz), and for text, objects, complex
    numbers and float16, in which responses and masks are rounded to three digits.
    """
    import numpy as np

    path = Path(path)
    with reading(path, KIND, fix):
        array = _mapped(path)
        if array.dtype.kind in NUMBERS and array.dtype != np.float16:
            return array if mapped else np.array(array, order="K", subok=False)
    raise DataError(Problem("wrong type of numbers", str(path), str(array.dtype), ALLOWED, fix=AS_NUMBERS))


def npy_shape(path: str | Path) -> tuple[int, ...]:
    """Shape of the array in a .npy file. Raises DataError as `read_npy`."""
    return read_npy(path, mapped=True).shape


def read_npz(path: str | Path, fix: str = AGAIN) -> dict[str, "np.ndarray"]:
    """All arrays of an .npz file by name. Raises DataError for a missing or damaged file, and for objects in it."""
    import numpy as np

    with reading(path, "a NumPy archive", fix), np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def npy_header(file: Any) -> tuple[tuple[int, ...], bool, "np.dtype"]:
    """Shape, whether columns come first, and dtype of the .npy file that is open at its start (as a zip's member)."""
    import numpy as np

    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    return read(file)


def _mapped(path: Path) -> "np.ndarray":
    """Mapping compares the header with the size of the file, and refuses objects."""
    import numpy as np

    with open(path, "rb") as file:
        if file.read(4) == b"PK\x03\x04":
            raise ValueError("a zip archive, as np.savez writes it")
        file.seek(0)
        shape, _, dtype = npy_header(file)
    if 0 in shape and not dtype.hasobject:
        return np.empty(shape, dtype)  # there is nothing to map
    return np.lib.format.open_memmap(path, mode="r")
