"""Files of torch.save are read as data: tensors and plain values, without torch.load and without running anything.

There are two forms. Since torch 1.6 the file is a zip: `data.pkl` describes the content, `data/<key>` holds the bytes
of each storage. Before it was a row of pickles, followed by the storages. Both are described by torch's source
(`torch/serialization.py`). Only the bytes of those tensors that are asked for are read: a trainer's state is mostly its
optimiser.
"""

import math
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any, cast

import torch

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import COPY_AGAIN, reading
from neuroscaling.core.inert_pickle import NOT_KNOWN, LimitedFile, Named, read_pickle

TORCH_FILE = "a file of torch.save"
ZIP_START, PICKLE_START = b"PK\x03\x04", b"\x80"
MAGIC = 0x1950A86A20F9469CFC6C
"""The first pickle of a file from before torch 1.6."""
LONGEST_DESCRIPTION = 2**28
"""Bytes of the pickle that describes the content; that of a large trainer's state has some megabytes."""
REBUILT = ("torch._utils._rebuild_tensor", "torch._utils._rebuild_tensor_v2", "torch._utils._rebuild_tensor_v3")
PARAMETERS = ("torch._utils._rebuild_parameter", "torch._utils._rebuild_parameter_with_state")
SUBCLASSED = "torch._tensor._rebuild_from_type_v2"
DTYPES = {
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "BFloat16": torch.bfloat16,
    "Long": torch.int64,
    "Int": torch.int32,
    "Short": torch.int16,
    "Char": torch.int8,
    "Byte": torch.uint8,
    "Bool": torch.bool,
    "ComplexFloat": torch.complex64,
    "ComplexDouble": torch.complex128,
}
"""Types of numbers by the first part of the name of their storage, such as FloatStorage."""


@dataclass(frozen=True)
class StoredBytes:
    """A storage in a file: its key, the type of its numbers, the number that it begins with.

    dtype: None for plain bytes, and for numbers that are quantised, which no weights are made of here.
    """

    key: str
    dtype: torch.dtype | None
    first: int = 0


@dataclass(frozen=True, eq=False)
class StoredTensor:
    """A tensor that a file describes: where its numbers are in which storage. offset and strides are in numbers."""

    storage: StoredBytes
    dtype: torch.dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    @property
    def numbers(self) -> int:
        """How many numbers it has."""
        return math.prod(self.shape)

    @property
    def end(self) -> int:
        """The place behind its last number in the storage."""
        first = self.storage.first + self.offset
        return first + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True)) + 1


@dataclass
class TorchFile(AbstractContextManager["TorchFile"]):
    """An open file of torch.save. form: how it is written; content: what it holds, with a StoredTensor for a tensor."""

    path: Path
    form: str
    content: Any
    _file: IO[bytes]
    _places: dict[str, tuple[int, int]] = field(default_factory=dict)
    """Where the bytes of each storage are, and how many."""
    _members: dict[str, zipfile.ZipInfo] = field(default_factory=dict)
    _zip: zipfile.ZipFile | None = None

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def tensors(self, stored: Mapping[str, StoredTensor]) -> dict[str, torch.Tensor]:
        """Read tensors by name. Those that share a storage share their memory.

        Raises DataError, naming the tensor, where the file has fewer numbers than it states, or other bytes than
        their checksum says.
        """
        for name, tensor in stored.items():
            self._require_numbers(name, tensor)
        read: dict[str, bytearray] = {}
        found = {}
        for name, tensor in stored.items():
            key = tensor.storage.key
            with reading(self.path, TORCH_FILE, where=f"{self.path}: {name}"):
                if key not in read:
                    read[key] = self._bytes_of(key)
                found[name] = _tensor(read[key], tensor)
        return found

    def _require_numbers(self, name: str, tensor: StoredTensor) -> None:
        """A tensor repeats no number: what a file states takes no more memory than the file has bytes."""
        have = self._size_of(tensor.storage.key) // tensor.dtype.itemsize
        if tensor.numbers and (tensor.end > have or tensor.numbers > have):
            wanted = max(tensor.end, tensor.numbers)
            what = "a tensor has more numbers than the file"
            raise DataError(
                Problem(
                    what=what,
                    where=f"{self.path}: {name}",
                    value=f"{wanted} numbers are stated",
                    allowed=f"up to {have}",
                    fix=COPY_AGAIN,
                )
            )

    def _size_of(self, key: str) -> int:
        with reading(self.path, TORCH_FILE):
            return self._places[key][1] if self._zip is None else self._members[key].file_size

    def _bytes_of(self, key: str) -> bytearray:
        content = bytearray(self._size_of(key))
        if self._zip is None:
            self._file.seek(self._places[key][0])
            _fill(self._file, content)
        else:
            with self._zip.open(self._members[key]) as member:
                _fill(member, content)
                member.read(1)  # at the end the checksum is compared
        return content


def open_torch_file(path: str | Path) -> TorchFile:
    """Open a file of torch.save of either form; it is to be closed (`with`).

    Raises DataError for a missing or damaged file, for one of another kind, for a scripted network, and for one with
    packed members, whose size nobody knows before they are unpacked.
    """
    path = Path(path)
    with reading(path, TORCH_FILE):
        file = open(path, "rb")  # noqa: SIM115
        try:
            start = file.read(len(ZIP_START))
            file.seek(0)
            if start == ZIP_START:
                return _opened_zip(path, file)
            if start[:1] == PICKLE_START:
                return _opened_row(path, file)
            raise ValueError(f"it begins with {start!r}")
        except BaseException:
            file.close()
            raise


def stored_tensors(content: Any, deepest: int) -> dict[str, StoredTensor]:
    """The tensors in `content`, and in the dictionaries inside, under names with dots: `teacher.backbone.conv1.weight`.

    Raises ValueError for dictionaries that are nested deeper than `deepest`, or hold themselves.
    """
    if not isinstance(content, dict):
        return {}
    if not deepest:
        raise ValueError("dictionaries that hold themselves, or are nested too deeply")
    found = {}
    for key, value in content.items():
        if isinstance(value, StoredTensor):
            found[str(key)] = value
        elif isinstance(value, dict):
            found.update({f"{key}.{name}": inner for name, inner in stored_tensors(value, deepest - 1).items()})
    return found


def _fill(source: IO[bytes], content: bytearray) -> None:
    view, done = memoryview(content), 0
    while done < len(content):
        n = cast(Any, source).readinto(view[done : done + 2**24])
        if not n:
            raise ValueError("it ends before its numbers do")
        done += n


def _tensor(content: bytearray, stored: StoredTensor) -> torch.Tensor:
    if not stored.numbers:
        return torch.empty(stored.shape, dtype=stored.dtype)
    size = len(content) // stored.dtype.itemsize
    numbers = torch.frombuffer(content, dtype=stored.dtype, count=size)
    return numbers.as_strided(stored.shape, stored.strides, stored.storage.first + stored.offset)


def _opened_zip(path: Path, file: IO[bytes]) -> TorchFile:
    opened = zipfile.ZipFile(file)
    members = {info.filename.partition("/")[2]: info for info in opened.infolist()}
    packed = [info.filename for info in opened.infolist() if info.compress_type != zipfile.ZIP_STORED]
    if "constants.pkl" in members:
        fix = "save the state dictionary alone: torch.save(network.state_dict(), file)"
        raise DataError(Problem(what="a scripted network, not a file of tensors", where=str(path), fix=fix))
    if packed or "data.pkl" not in members:
        raise ValueError(f"{packed[0]} is packed" if packed else "it has no data.pkl")
    if sum(info.file_size for info in opened.infolist()) > path.stat().st_size:
        raise ValueError("its members lie in one another")
    if members.get("byteorder") and opened.read(members["byteorder"]) != b"little":
        raise ValueError("its numbers are big-endian")
    described = members["data.pkl"]
    if described.file_size > LONGEST_DESCRIPTION:
        raise ValueError(f"its description has {described.file_size} bytes, more than {LONGEST_DESCRIPTION}")
    with opened.open(described) as member:
        content = read_pickle(cast(IO[bytes], LimitedFile(member, described.file_size)), _called, _storage)
    storages = {name.removeprefix("data/"): info for name, info in members.items() if name.startswith("data/")}
    return TorchFile(path, "zip", content, file, _members=storages, _zip=opened)


def _opened_row(path: Path, file: IO[bytes]) -> TorchFile:
    """A file from before torch 1.6: magic number, version, facts of the machine, content, keys; then the storages."""
    size = path.stat().st_size
    limited = cast(IO[bytes], LimitedFile(file, size))
    magic, _, machine = (read_pickle(limited, _called, _no_storage) for _ in range(3))
    if magic != MAGIC or not isinstance(machine, dict) or machine.get("little_endian") is not True:
        raise ValueError("it does not begin as torch.save writes it")
    storages: dict[str, StoredBytes] = {}

    def storage(value: Any) -> StoredBytes:
        found = _storage(value)
        return storages.setdefault(found.key, found) if found.first == 0 else found

    content = read_pickle(limited, _called, storage)
    keys = read_pickle(limited, _called, _no_storage)
    places = {}
    for key in keys:
        numbers = int.from_bytes(limited.read(8), "little")
        dtype = storages[key].dtype
        length = numbers * (dtype.itemsize if dtype else 1)
        if length > size - file.tell():
            raise ValueError("it ends before its numbers do")
        places[str(key)] = (file.tell(), length)
        file.seek(length, 1)
    return TorchFile(path, "row of pickles", content, file, places)


def _no_storage(_: Any) -> Any:
    raise ValueError("a storage where none may be")


def _storage(value: Any) -> StoredBytes:
    """The storage that a description refers to: ("storage", type, key, device, numbers[, view])."""
    if not isinstance(value, tuple) or len(value) not in (5, 6) or value[0] != "storage":
        raise ValueError("a reference to something else than a storage")
    _, kind, key, _, _, *view = value
    if not isinstance(kind, Named):
        raise ValueError("a storage without a type")
    first = view[0][1] if view and view[0] else 0
    return StoredBytes(str(key), DTYPES.get(kind.name.rpartition(".")[2].removesuffix("Storage")), _count(first))


def _called(name: str, arguments: tuple[Any, ...]) -> Any:
    """What torch's functions for rebuilding tensors would give; NOT_KNOWN for all other names."""
    if name in PARAMETERS and arguments and isinstance(arguments[0], StoredTensor):
        return arguments[0]
    if name == SUBCLASSED and len(arguments) == 4 and isinstance(arguments[0], Named):
        return _called(arguments[0].name, arguments[2]) if isinstance(arguments[2], tuple) else NOT_KNOWN
    if name not in REBUILT or len(arguments) < 4:
        return NOT_KNOWN
    storage, offset, shape, strides = arguments[:4]
    if not isinstance(storage, StoredBytes):
        raise ValueError("a tensor without a storage")
    dtype = storage.dtype
    if name == REBUILT[2] and len(arguments) > 6 and isinstance(arguments[6], Named):
        found = getattr(torch, arguments[6].name.removeprefix("torch."), None)
        dtype = found if isinstance(found, torch.dtype) else None
    if dtype is None:
        return NOT_KNOWN
    sizes, steps = tuple(map(_count, _sequence(shape))), tuple(map(_count, _sequence(strides)))
    if len(sizes) != len(steps):
        raise ValueError("a tensor with other strides than axes")
    return StoredTensor(storage, dtype, _count(offset), sizes, steps)


def _sequence(value: Any) -> Iterable[Any]:
    if not isinstance(value, tuple | list):
        raise ValueError("a tensor without a shape")
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**62:
        raise ValueError(f"{str(value)[:40]} where a number of numbers stands")
    return value
