"""Weights files: safetensors with the run, architecture and epoch in their metadata; equal weights, equal bytes."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import nn

from neuroscaling.errors import DataError, Problem, listing
from neuroscaling.files import atomic_path


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
    tensors, metadata = read_weights(path)
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
    """All tensors of a safetensors file and its metadata. Raises DataError when it is missing or damaged."""
    try:
        with safe_open(path, framework="pt") as file:
            return {key: file.get_tensor(key) for key in file.keys()}, file.metadata() or {}  # noqa: SIM118
    except FileNotFoundError as error:
        raise DataError(Problem("weights are missing", str(path))) from error
    except (SafetensorError, OSError) as error:
        raise DataError(Problem(f"not a safetensors file, or cut short: {error}", str(path))) from error


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
