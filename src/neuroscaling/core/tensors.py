"""Files of tensors: safetensors, and what torch.save writes. Nothing but tensors and plain data is unpickled."""

import io
import json
import pickle
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.core.reading import reading, require_file
from neuroscaling.errors import DataError, Problem

if TYPE_CHECKING:
    import torch

METADATA = "__metadata__"  # beside the tensors of a safetensors header
LONGEST_HEADER = 100_000_000  # safetensors' own limit
DEEPEST = 32
"""Dictionaries and lists within each other that a checkpoint may have; more is a loop, or a trap."""
SAFETENSORS = "a safetensors file"
SAVED = "a file of tensors alone"
STATE = "save the state dictionary alone: torch.save(network.state_dict(), file)"
UNSAFE = "only files that torch.load reads with weights_only are loaded: others can run any code"


def read_safetensors(path: str | Path) -> tuple[dict[str, "torch.Tensor"], dict[str, str]]:
    """All tensors and the metadata. Raises DataError for a missing or damaged file."""
    from safetensors import safe_open

    with reading(path, SAFETENSORS), safe_open(path, framework="pt") as file:
        return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118


def safetensors_header(path: str | Path) -> dict[str, Any]:
    """Names, types, shapes, offsets and `__metadata__`, not the tensors. Raises DataError for a damaged file."""
    require_file(path)
    size = Path(path).stat().st_size
    with reading(path, SAFETENSORS):
        with open(path, "rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            text = opened.read(length) if length <= min(size, LONGEST_HEADER) else b""
        header = json.loads(text)
        header[METADATA] = dict(header.get(METADATA, {}))
        entries = [entry for name, entry in header.items() if name != METADATA]
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

    with reading(path, SAVED, UNSAFE):
        source = path if content is None else io.BytesIO(content)
        try:
            loaded = torch.load(source, map_location="cpu", weights_only=True)
        except pickle.UnpicklingError as error:
            if not (named := re.search(r"GLOBAL ([\w.]+)", str(error))):
                raise
            what = "not a file of tensors alone: it holds a Python object, whose code loading it would run"
            raise DataError(Problem(what, str(path), named[1], "tensors and plain data", fix=STATE)) from error
    _require_shallow(loaded, str(path))
    return loaded


def _require_shallow(value: Any, where: str) -> None:
    """Raise DataError for containers that hold themselves, or are nested deeper than DEEPEST."""
    level = [value]
    for _ in range(DEEPEST):
        level = [part for inner in level for part in _parts(inner)]
        # Each container once: a list may stand in several places, or in itself.
        level = list({id(part): part for part in level}.values())
        if not level:
            return
    raise DataError(Problem("containers that hold themselves, or are nested too deeply", where, fix=STATE))


def _parts(value: Any) -> list[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return [part for part in inner if isinstance(part, dict | list | tuple)]
