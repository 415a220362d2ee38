"""The state of a network is the tensors of its state dictionary and the buffers outside it."""

from collections.abc import Iterable, Mapping
from itertools import chain

import torch
from torch import nn

from neuroscaling.core.errors import DataError, Problem, StudyError, listing

COUNTERS = "num_batches_tracked"  # of batch normalisations, since torch 0.4.1; older files don't have them


def tensors_of(model: nn.Module) -> dict[str, torch.Tensor]:
    """All tensors of `model` by name: of its state dictionary, then its other buffers. Shared ones are one object.

    Raises DataError for a state that is no tensor (`get_extra_state`).
    """
    state = model.state_dict(keep_vars=True)
    strange = [name for name, value in state.items() if not isinstance(value, torch.Tensor)]
    if strange:
        what, fix = "state that is no tensor can't be kept with the weights", "make it a buffer of the module"
        raise DataError(
            Problem(what=what, where=type(model).__name__, value=listing(strange), allowed="tensors", fix=fix)
        )
    return {**state, **hidden_buffers(model)}


def hidden_buffers(model: nn.Module) -> dict[str, torch.Tensor]:
    """Return the buffers that are no part of the state dictionary (`persistent=False`), by name."""
    state = model.state_dict(keep_vars=True)
    named = model.named_buffers(remove_duplicate=False)
    return {name: buffer for name, buffer in named if name not in state}


def copy_hidden(source: nn.Module, target: nn.Module) -> None:
    """Give `target`, a network of the same architecture, the buffers of `source` that no state dictionary has."""
    set_hidden(target, hidden_buffers(source))


@torch.no_grad()
def set_hidden(model: nn.Module, buffers: Mapping[str, torch.Tensor]) -> None:
    """Write `buffers` into the model's own; where it has none yet, or of another shape, a copy takes the place."""
    for name, value in buffers.items():
        path, _, leaf = name.rpartition(".")
        module = model.get_submodule(path)
        before = module._buffers[leaf]
        if before is not None and before.shape == value.shape:
            before.copy_(value)
        else:
            module._buffers[leaf] = value.detach().clone().to(network_device(model))


def network_device(model: nn.Module) -> torch.device:
    """Return the device of a network's tensors; the CPU where it has none."""
    first = next(chain(model.parameters(), model.buffers()), None)
    return torch.device("cpu") if first is None else first.device


def places_of_buffers(model: nn.Module) -> set[str]:
    """Return names of all buffers that `model` has a place for, those included that hold nothing yet."""
    modules = model.named_modules(remove_duplicate=False)
    return {f"{path}.{name}" if path else name for path, module in modules for name in module._buffers}


def aliases(tensors: Mapping[str, torch.Tensor]) -> dict[str, str]:
    """Return names that stand for the same numbers in memory as an earlier one, and that earlier name."""
    first: dict[object, str] = {}
    found = {}
    for name, tensor in tensors.items():
        owner = first.setdefault(_place(tensor), name)
        if owner != name:
            found[name] = owner
    return found


def refuse_empty(model: nn.Module, arch: str) -> None:
    """Raise StudyError that names the tensors of a network which are on the device `meta`, without numbers."""
    if empty := [name for name, tensor in _named(model).items() if tensor.is_meta]:
        fix = "make them on the CPU"
        raise StudyError(
            Problem(what="tensors without numbers, on the device `meta`", where=arch, value=listing(empty), fix=fix)
        )


def refuse_unfilled(model: nn.Module, arch: str) -> None:
    """Raise StudyError that names the tensors of a network just built which hold no numbers, or NaN.

    Memory that nothing was written to holds NaN where torch's deterministic algorithms are on (`build` sees to it).
    """
    refuse_empty(model, arch)
    if unfilled := [name for name, tensor in _named(model).items() if _has_nan(tensor)]:
        what = "memory that nothing was written to, or NaN, in the network as it is built"
        fix = "fill it where it is made, e.g. torch.zeros in place of torch.empty"
        raise StudyError(Problem(what=what, where=arch, value=listing(unfilled), fix=fix))


def not_loaded(model: nn.Module) -> list[str]:
    """Return parameters that are in no state dictionary: loading weights leaves them as they were."""
    state = model.state_dict(keep_vars=True)
    kept = {id(value) for value in state.values()}
    return [name for name, parameter in model.named_parameters() if id(parameter) not in kept]


def shapes(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    """Return shapes by name."""
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def without_counters(names: Iterable[str]) -> set[str]:
    """Return `names` but for the counters of batch normalisations."""
    return {name for name in names if name.rpartition(".")[2] != COUNTERS}


def _named(model: nn.Module) -> dict[str, torch.Tensor]:
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def _place(tensor: torch.Tensor) -> object:
    if tensor.is_meta or not tensor.numel() or tensor.layout != torch.strided:
        return id(tensor)
    storage = tensor.untyped_storage().data_ptr()
    return storage, tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype


def _has_nan(tensor: torch.Tensor) -> bool:
    return (tensor.is_floating_point() or tensor.is_complex()) and bool(tensor.isnan().any())
