"""Readers return arrays and tensors of NumPy, HDF5, MATLAB, safetensors and torch files.

NumPy, h5py, SciPy and torch are imported where a file of theirs is read: a study is parsed without them.
"""

import io
import json
import pickle
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import COPY_AGAIN, reading, require_file

if TYPE_CHECKING:
    import numpy as np
    import torch


NUMPY_FILE = "a NumPy file"
NUMBER_KINDS = "biuf"
UNPACKED = "write it again, compressed by gzip or not at all"
AS_NUMBERS = "save it as numbers, array.astype('float32')"
ALLOWED_NUMBERS = "numbers: bool, whole ones, float32 or float64"


def read_npy(path: str | Path, mapped: bool = False, fix: str = COPY_AGAIN) -> "np.ndarray":
    """The array of numbers in a .npy file; mapped: read from the disk when it is used, and not to be written to.

    Raises DataError for a missing or damaged file, for one with several arrays (.npz), and for text, objects, complex
    numbers and float16, in which responses and masks are rounded to three digits.
    """
    import numpy as np

    path = Path(path)
    with reading(path, NUMPY_FILE, fix):
        array = _mapped_npy(path)
        if array.dtype.kind in NUMBER_KINDS and array.dtype != np.float16:
            return array if mapped else np.array(array, order="K", subok=False)
    raise DataError(
        Problem(
            what="wrong type of numbers",
            where=str(path),
            value=str(array.dtype),
            allowed=ALLOWED_NUMBERS,
            fix=AS_NUMBERS,
        )
    )


def npy_shape(path: str | Path) -> tuple[int, ...]:
    """Shape of the array in a .npy file. Raises DataError as `read_npy`."""
    return read_npy(path, mapped=True).shape


def read_npz(path: str | Path, fix: str = COPY_AGAIN) -> dict[str, "np.ndarray"]:
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


def _mapped_npy(path: Path) -> "np.ndarray":
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


HDF5_LOCKING = "HDF5_USE_FILE_LOCKING"
HDF5_FILE = "an HDF5 file"


def open_hdf5(path: str | Path, fix: str = COPY_AGAIN) -> Any:
    """An open h5py.File. Raises DataError for a missing, damaged or locked file."""
    import h5py

    require_file(path)
    with reading(path, HDF5_FILE, fix):
        try:
            return h5py.File(path, "r", locking=False)
        except OSError as error:
            if not re.search(r"\b(un)?lock", str(error).lower()):  # HDF5 speaks of superblocks too
                raise
            # The variable stands above what a program asks for.
            how = f"set {HDF5_LOCKING}=FALSE in the environment, or unset it: {HDF5_LOCKING} makes HDF5 ask for locks"
            raise DataError(Problem(what="file can't be locked", where=str(path), value=str(error), fix=how)) from error


def opened_dataset(opened: Any, name: str, path: str | Path, fix: str = COPY_AGAIN) -> Any:
    """The array `name` of an open file. Raises DataError where it has none, or something else of this name."""
    with reading(path, HDF5_FILE, fix):
        if name not in opened or not hasattr(opened[name], "dtype"):
            raise DataError(
                Problem(what="no such data in the file", where=str(path), value=name, allowed=", ".join(opened))
            )
        check_compression(opened[name], f"{path}: {name}")
        return opened[name]


def check_compression(dataset: Any, where: str, fix: str = UNPACKED) -> None:
    """Raise DataError where an h5py.Dataset is compressed in a way that this HDF5 has no filter for (PyTables' blosc).

    Without this, reading fails with words on a missing folder of plugins.
    """
    import h5py

    properties = dataset.id.get_create_plist()
    filters = [properties.get_filter(i) for i in range(properties.get_nfilters())]
    unknown = [name.decode() or str(code) for code, _, _, name in filters if not h5py.h5z.filter_avail(code)]
    if unknown:
        what, allowed = "compressed in a way that can't be read here", "gzip (zlib), lzf, or none"
        raise DataError(Problem(what=what, where=where, value=", ".join(unknown), allowed=allowed, fix=fix))


@contextmanager
def hdf5_dataset(path: str | Path, name: str, fix: str = COPY_AGAIN) -> Iterator[Any]:
    """The array `name` of a file, which is closed at the end. Raises DataError as `open_hdf5` and `dataset`."""
    with open_hdf5(path, fix) as opened:
        yield opened_dataset(opened, name, path, fix)


def read_mat(path: str | Path, variables: Sequence[str]) -> dict[str, Any]:
    """`variables` of a file by name. Raises DataError for a damaged file and for variables that it lacks."""
    from scipy.io import loadmat

    with reading(path, "a MATLAB file", "see docs/nsd.md"):
        content = loadmat(path, variable_names=list(variables))
    if missing := [name for name in variables if name not in content]:
        raise DataError(
            Problem(
                what="variables are missing", where=str(path), value=", ".join(missing), allowed=", ".join(variables)
            )
        )
    return content


SAFETENSORS_METADATA = "__metadata__"  # beside the tensors of a safetensors header
LONGEST_HEADER = 100_000_000  # safetensors' own limit
DEEPEST = 32
"""Dictionaries and lists within each other that a checkpoint may have; more is a loop, or a trap."""
SAFETENSORS_FILE = "a safetensors file"
TORCH_FILE = "a file of tensors alone"
SAVE_STATE_ALONE = "save the state dictionary alone: torch.save(network.state_dict(), file)"
WEIGHTS_ONLY = "only files that torch.load reads with weights_only are loaded: others can run any code"


def read_safetensors(path: str | Path) -> tuple[dict[str, "torch.Tensor"], dict[str, str]]:
    """All tensors and the metadata. Raises DataError for a missing or damaged file."""
    from safetensors import safe_open

    with reading(path, SAFETENSORS_FILE), safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118


def safetensors_header(path: str | Path) -> dict[str, Any]:
    """Names, types, shapes, offsets and `__metadata__`, not the tensors. Raises DataError for a damaged file."""
    require_file(path)
    size = Path(path).stat().st_size
    with reading(path, SAFETENSORS_FILE):
        with open(path, "rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            text = opened.read(length) if length <= min(size, LONGEST_HEADER) else b""
        header = json.loads(text)
        header[SAFETENSORS_METADATA] = dict(header.get(SAFETENSORS_METADATA, {}))
        entries = [entry for name, entry in header.items() if name != SAFETENSORS_METADATA]
        for entry in entries:
            entry["dtype"], [int(n) for n in entry["shape"]]
        ends = [int(end) for entry in entries for _, end in [entry["data_offsets"]]]
        if not ends or 8 + length + max(ends) > size:
            raise ValueError(f"{size} bytes")
        return header


def load_torch(path: str | Path, content: bytes | memoryview | None = None) -> Any:
    """What torch.save wrote: tensors and plain data. content: the bytes, where they were read before.

    Raises DataError for a missing, empty or damaged file, for one that holds anything else (a whole module, whose
    unpickling would run its code), and for dictionaries and lists that hold themselves.
    """
    import torch

    with reading(path, TORCH_FILE, WEIGHTS_ONLY):
        source = path if content is None else io.BytesIO(content)
        try:
            loaded = torch.load(source, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            if not (named := re.search(r"GLOBAL ([\w.]+)", str(error))):
                raise
            what = "not a file of tensors alone: it holds a Python object, whose code loading it would run"
            raise DataError(
                Problem(
                    what=what, where=str(path), value=named[1], allowed="tensors and plain data", fix=SAVE_STATE_ALONE
                )
            ) from error
    _require_shallow(loaded, str(path))
    return loaded


def _require_shallow(value: Any, where: str) -> None:
    """Raise DataError for containers that hold themselves, or are nested deeper than DEEPEST."""
    level = [value]
    for _ in range(DEEPEST):
        level = [part for inner in level for part in _inner_containers(inner)]
        # Each container once: a list may stand in several places, or in itself.
        level = list({id(part): part for part in level}.values())
        if not level:
            return
    raise DataError(
        Problem(what="containers that hold themselves, or are nested too deeply", where=where, fix=SAVE_STATE_ALONE)
    )


def _inner_containers(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [part for part in inner if isinstance(part, dict | list | tuple)]
