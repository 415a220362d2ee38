"""Weights files: safetensors with the run, architecture and epoch in their metadata; equal weights, equal bytes."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import nn

from neuroscaling.core.tensors import load_torch, read_safetensors
from neuroscaling.errors import DataError, Problem, listing
from neuroscaling.files import atomic_path
from neuroscaling.models.weight_files import SAFETENSORS

INNER = ("state_dict_ema", "model_ema", "state_dict", "model", "module")  # where checkpoints keep the weights


def save_weights(model: nn.Module, path: Path, metadata: dict[str, str]) -> None:
    """Write the state of `model` (floating point as float32) with `metadata`; equal content gives equal bytes."""
    tensors = {key: _plain(value) for key, value in model.state_dict().items()}
    with atomic_path(path) as temporary:
        temporary.write_bytes(_with_metadata(save(tensors), metadata))


def load_weights(model: nn.Module, path: Path, arch: str) -> None:
    """Load the weights at `path` into `model`, a network of architecture `arch`.

    Raises DataError when the file is missing or damaged, or holds the weights of another architecture (both are
    named, with the first entries that differ).
    """
    load_tensors(model, *read_weights(path), arch, path)


def load_tensors(
    model: nn.Module, tensors: dict[str, torch.Tensor], metadata: dict[str, str], arch: str, path: Path
) -> None:
    """Load what `read_weights` gave of the file `path` into `model`. Raises DataError where it doesn't fit."""
    expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
    found = {key: tuple(value.shape) for key, value in tensors.items()}
    differing = [key for key in {**expected, **found} if expected.get(key) != found.get(key)]
    if differing or metadata.get("arch", arch) != arch:
        lines = [f"{key}: {_shape(found.get(key))} instead of {_shape(expected.get(key))}" for key in differing]
        raise DataError(
            Problem(
                "weights of another architecture",
                str(path),
                metadata.get("arch", "an architecture that the file doesn't name"),
                f"{arch}; {len(differing)} of {len(expected)} entries differ"
                + (f": {listing(lines, 3)}" if lines else ""),
                fix="check which weights belong to this architecture (and its number of classes)",
            )
        )
    model.load_state_dict(tensors)


def read_weights(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """All tensors of a safetensors file and its metadata; or those of a file of torch.save, which has none.

    Of the latter nothing but tensors is unpickled. Raises DataError when the file is missing, damaged or of another
    kind.
    """
    path = Path(path)
    if path.suffix != SAFETENSORS and path.is_file():
        return _saved_by_torch(path), {}
    if not path.exists():
        raise DataError(Problem("weights are missing", str(path)))
    return read_safetensors(path)


def _saved_by_torch(path: Path) -> dict[str, torch.Tensor]:
    content = load_torch(path)
    while isinstance(content, dict) and (inner := next((key for key in INNER if key in content), None)):
        content = content[inner]
    if not isinstance(content, dict) or not any(isinstance(value, torch.Tensor) for value in content.values()):
        raise DataError(Problem("no tensors in this file", str(path), type(content).__name__, "a state dictionary"))
    return {str(key): value for key, value in content.items() if isinstance(value, torch.Tensor)}


def _plain(value: torch.Tensor) -> torch.Tensor:
    value = value.detach().cpu().contiguous()
    return value.float() if value.is_floating_point() else value


def _with_metadata(content: bytes, metadata: dict[str, str]) -> bytes:
    # The library writes metadata in an order that changes from call to call; here it is sorted.
    length = int.from_bytes(content[:8], "little")
    header: dict[str, Any] = {"__metadata__": dict(sorted(metadata.items())), **json.loads(content[8 : 8 + length])}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def _shape(shape: tuple[int, ...] | None) -> str:
    return "nothing" if shape is None else "x".join(map(str, shape)) or "scalar"
