"""Weights files hold tensors as safetensors with their run, architecture and epoch."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save, save_file
from torch import nn

from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.files import as_new_file, atomic_path
from neuroscaling.models.checkpoint_files import read_checkpoint
from neuroscaling.models.state import (
    aliases,
    hidden_buffers,
    places_of_buffers,
    set_hidden,
    shapes,
    tensors_of,
    without_counters,
)
from neuroscaling.study.architectures import without_size

ALIASES = "aliases"


def save_weights(model: nn.Module, path: Path, metadata: dict[str, str]) -> None:
    """Write the tensors of `model` (floating point as float32) with `metadata`; equal content gives equal bytes.

    Beside those of the state dictionary there are the buffers that it leaves out. Tensors that are one in memory are
    written once, under their first name; `aliases` in the metadata (JSON) gives the first name for each other one.
    """
    named = tensors_of(model)
    again = aliases(named)
    tensors = {name: _plain(value) for name, value in named.items() if name not in again}
    shared = {ALIASES: json.dumps(again, sort_keys=True)} if again else {}
    with atomic_path(path) as temporary:
        # From the tensors' own memory: a copy of all bytes, and another to put a header before them, is what a network
        # of billions of parameters has no room for.
        save_file(tensors, temporary, metadata | shared)
        if not _sorted_in_place(temporary):
            temporary.write_bytes(_with_metadata(save(tensors), metadata | shared))
        as_new_file(temporary)


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
    check_tensors(model, tensors, metadata, arch, path)
    found = _every_name(model, tensors, metadata)
    state = model.state_dict()
    model.load_state_dict({name: found.get(name, value) for name, value in state.items()})
    set_hidden(model, {name: value for name, value in found.items() if name not in state})


def check_tensors(
    model: nn.Module, tensors: dict[str, torch.Tensor], metadata: dict[str, str], arch: str, path: Path
) -> None:
    """Raise DataError, with the entries that differ, where tensors of the file `path` don't fit `model`.

    Buffers that are no part of a state dictionary may be missing, and so may the counters of batch normalisations:
    files from elsewhere have neither.
    """
    differing = differences(model, tensors, metadata)
    if not differing and of_architecture(metadata, arch):
        return
    expected, found = shapes(tensors_of(model)), shapes(_every_name(model, tensors, metadata))
    lines = [f"{key}: {_shape(found.get(key))} instead of {_shape(expected.get(key))}" for key in differing]
    allowed = f"{arch}; {len(differing)} of {len(expected)} entries differ" + (
        f": {listing(lines, 3)}" if lines else ""
    )
    raise DataError(
        Problem(
            what="weights of another architecture",
            where=str(path),
            value=metadata.get("arch", "an architecture that the file doesn't name"),
            allowed=allowed,
            fix="check which weights belong to this architecture (and its number of classes)",
        )
    )


def of_architecture(metadata: dict[str, str], arch: str) -> bool:
    """Are these weights of `arch` by the file's own word? They are the same for images of every size."""
    return without_size(metadata.get("arch", arch)) == without_size(arch)


def differences(model: nn.Module, tensors: dict[str, torch.Tensor], metadata: dict[str, str]) -> list[str]:
    """Return names of tensors that a file and `model` don't both have, in the same shape, though they should."""
    own, found = shapes(tensors_of(model)), shapes(_every_name(model, tensors, metadata))
    places, hidden = places_of_buffers(model), set(hidden_buffers(model))
    optional = hidden | (set(own) - without_counters(own))
    differing = [key for key in own if own[key] != found.get(key) and not (key in optional and key not in found)]
    # A buffer that a forward pass made, or made anew, may be of any shape.
    differing = [key for key in differing if key not in hidden]
    return differing + [key for key in found if key not in own and key not in places]


def read_weights(path: Path, ema: bool | None = None) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Return all tensors of a safetensors file and its metadata; or those of a file of torch.save, which has none.

    ema: of a file that holds averaged weights too, which are meant (`checkpoint_files.read_checkpoint`). Nothing in the
    file is run. Raises DataError when the file is missing, damaged or of another kind.
    """
    path = Path(path)
    if not path.exists():
        raise DataError(Problem(what="weights are missing", where=str(path)))
    found = read_checkpoint(path, ema)
    return found.tensors, found.metadata


def _every_name(
    model: nn.Module, tensors: dict[str, torch.Tensor], metadata: dict[str, str]
) -> dict[str, torch.Tensor]:
    """`tensors` under all their names: those that the file keeps of shared ones, and those that `model` shares."""
    said, own = _said_aliases(metadata), aliases(tensors_of(model))
    named = {**tensors, **{name: tensors[owner] for name, owner in said.items() if owner in tensors}}
    for name, owner in own.items():  # a file from elsewhere may have kept either
        if name not in named and owner in named:
            named[name] = named[owner]
        elif owner not in named and name in named:
            named[owner] = named[name]
    return named


def _said_aliases(metadata: dict[str, str]) -> dict[str, str]:
    """Names of shared tensors, and the first name of each, as `save_weights` writes them; nothing for other files."""
    try:
        said = json.loads(metadata.get(ALIASES, "{}"))
    except ValueError:
        return {}
    return {str(name): str(owner) for name, owner in said.items()} if isinstance(said, dict) else {}


def _plain(value: torch.Tensor) -> torch.Tensor:
    value = value.detach().cpu().contiguous()
    value = value.float() if value.is_floating_point() else value
    # A part of a larger tensor: the library refuses memory that is another's too.
    return value.clone() if value.untyped_storage().nbytes() > value.nbytes else value


def _sorted_in_place(file: Path) -> bool:
    """Sort the metadata of a safetensors file, whose order the library changes from call to call.

    False where the sorted header has another length: the library writes letters beyond ASCII as they are.
    """
    with open(file, "r+b") as opened:
        length = int.from_bytes(opened.read(8), "little")
        header = json.loads(opened.read(length))
        text = _header(header, header.pop("__metadata__", {}))
        if len(text) != length:
            return False
        opened.seek(8)
        opened.write(text)
    return True


def _with_metadata(content: bytes, metadata: dict[str, str]) -> bytes:
    length = int.from_bytes(content[:8], "little")
    text = _header(json.loads(content[8 : 8 + length]), metadata)
    return len(text).to_bytes(8, "little") + text + content[8 + length :]


def _header(tensors: dict[str, Any], metadata: dict[str, str]) -> bytes:
    text = json.dumps({"__metadata__": dict(sorted(metadata.items())), **tensors}, separators=(",", ":")).encode()
    return text + b" " * (-len(text) % 8)


def _shape(shape: tuple[int, ...] | None) -> str:
    return "nothing" if shape is None else "x".join(map(str, shape)) or "scalar"
