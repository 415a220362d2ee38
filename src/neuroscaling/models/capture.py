"""Hooks capture the outputs of named modules during a forward pass.

A layer is the name of a module. Where a module runs several times in a pass (torchvision's residual blocks share one
ReLU), its name means the last time, as in Brain-Score; `name:1` is the first time, `name:2` the second. `name:input` is
what the module was given, for vectors that no module puts out (the class token ahead of torchvision's ViT head).

A module may put out a tuple, a list or a dictionary: its output is the one tensor in there with a row an image.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import torch
from torch import nn

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.models.state import network_device

INPUT = "input"
IMAGES = 2  # of a trace
Keys = tuple[Any, ...]  # keys that lead to a tensor inside what a module puts out; () where it is the tensor itself


@dataclass(frozen=True)
class Output:
    """What a layer gives for two images: shape; how often its module runs; `last`: when, among all layers' outputs.

    path: where the tensor lies in what the module puts out.
    """

    shape: tuple[int, ...]
    calls: int
    last: int
    path: Keys = ()


@dataclass(frozen=True)
class Seen:
    """What a module was given or put out once: `what` in words, when, and its one tensor: shape (None: none), path."""

    shape: tuple[int, ...] | None
    when: int
    what: str
    path: Keys = ()


@dataclass(frozen=True)
class Trace:
    """What a module was given and put out, each time that it ran."""

    inputs: list[Seen] = field(default_factory=list)
    outputs: list[Seen] = field(default_factory=list)


def module_of(layer: str) -> str:
    """Return the name of the module that a layer belongs to."""
    return layer.partition(":")[0]


@torch.no_grad()
def trace(model: nn.Module, modules: Iterable[str], input_size: int) -> dict[str, Trace]:
    """Return traces of `modules` for two images, in one forward pass; works on the meta device, without numbers."""
    traces, clock = {name: Trace() for name in modules}, count()
    handles = []
    for name, one in traces.items():
        module = model.get_submodule(name)
        handles.append(module.register_forward_pre_hook(_note(one.inputs, clock, lambda given: _first(given[0]))))
        handles.append(module.register_forward_hook(_note(one.outputs, clock, lambda given: given[1])))
    try:
        run(model, torch.zeros(IMAGES, 3, input_size, input_size, device=network_device(model)))
    finally:
        for handle in handles:
            handle.remove()
    return traces


def run(model: nn.Module, images: torch.Tensor) -> Any:
    """Return what `model` gives for `images` in evaluation mode; it is left in the mode that it was in."""
    training = [module for module in model.modules() if module.training]
    try:
        return model.eval()(images)
    finally:
        for module in training:
            module.training = True


def probe(model: nn.Module, layers: Iterable[str], input_size: int) -> dict[str, Output]:
    """Return outputs of `layers` for two images, in the order in which they come; `trace` says how.

    Layers that the pass doesn't reach, or that give no tensor with a row an image, are left out.
    """
    layers = list(layers)
    return found_in(trace(model, dict.fromkeys(map(module_of, layers)), input_size), layers)


def found_in(traces: dict[str, Trace], layers: Iterable[str]) -> dict[str, Output]:
    """Return outputs of `layers`, as `probe` gives them, from the traces of their modules."""
    found = {layer: _resolve(traces[module_of(layer)], layer.partition(":")[2]) for layer in layers}
    outputs = {
        layer: Output(seen.shape, len(traces[module_of(layer)].outputs), seen.when, seen.path)
        for layer, seen in found.items()
        if seen and seen.shape is not None and len(seen.shape) > 1 and seen.shape[0] == IMAGES
    }
    return dict(sorted(outputs.items(), key=lambda item: item[1].last))


@contextmanager
def capturing(
    model: nn.Module,
    layers: Iterable[str],
    calls: dict[str, int],
    deliver: Callable[[str, torch.Tensor], None],
    paths: Mapping[str, Keys] | None = None,
) -> Iterator[Callable[[], list[str]]]:
    """Call `deliver(layer, output)` as each of `layers` is computed; calls: how often each module runs in a pass.

    paths: where the tensors lie, of layers that put out more than a tensor. The output may be altered by the modules
    that follow: `deliver` takes a copy of what it keeps. What is yielded gives the layers whose module has not run as
    often as it should, or put out no tensor in its place.
    """
    handles, delivered, ran = [], set(), dict.fromkeys(calls, 0)

    def hand_over(layer: str, output: Any) -> None:
        tensor = _at((paths or {}).get(layer, ()), output)
        if isinstance(tensor, torch.Tensor):
            delivered.add(layer)
            deliver(layer, tensor)

    layers = list(layers)
    for layer in layers:
        name, which = module_of(layer), layer.partition(":")[2]
        module = model.get_submodule(name)
        if which == INPUT:
            handles.append(module.register_forward_pre_hook(_input_hook(layer, hand_over)))
        else:
            number = int(which) if which else calls[name]
            handles.append(module.register_forward_hook(_output_hook(layer, number, hand_over, ran, name)))
    try:
        yield lambda: [
            layer for layer in layers if layer not in delivered or (":" not in layer and ran[layer] != calls[layer])
        ]
    finally:
        for handle in handles:
            handle.remove()


def check_names(arch: str, layers: Iterable[str], calls: dict[str, int]) -> list[Problem]:
    """Return a Problem for each layer whose part after the colon its module doesn't have."""
    problems = []
    for layer in layers:
        name, colon, which = layer.partition(":")
        if colon and which != INPUT and not (which.isdigit() and 1 <= int(which) <= calls.get(name, 0)):
            allowed = f"{name}, {name}:{INPUT}" + "".join(f", {name}:{k + 1}" for k in range(calls.get(name, 0)))
            problems.append(Problem(what="no such layer", where=arch, value=layer, allowed=allowed))
    return problems


def refuse_unreached(layers: Iterable[str], reached: dict[str, Output]) -> None:
    """Raise DataError for layers that `probe` left out."""
    missing = [layer for layer in layers if layer not in reached]
    if missing:
        what = "layers that a forward pass doesn't reach, or that give no one tensor with a row an image"
        raise DataError(Problem(what=what, where="layers", value=", ".join(missing)))


def _output_hook(layer: str, number: int, deliver: Callable, ran: dict[str, int], name: str) -> Callable:
    seen = 0

    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal seen
        seen += 1
        ran[name] = seen
        if seen == number:
            deliver(layer, output)

    return hook


def _input_hook(layer: str, deliver: Callable) -> Callable:
    def hook(module: nn.Module, inputs: Any) -> None:
        deliver(layer, _first(inputs))

    return hook


def _first(inputs: tuple[Any, ...]) -> Any:
    return inputs[0] if inputs else None


def _note(found: list[Seen], clock: Iterator[int], pick: Callable) -> Callable:
    """Return a hook that appends what it finds in what the module was given and, later, put out."""

    def hook(module: nn.Module, *given: Any) -> None:
        value = pick(given)
        path, tensor = _one_tensor(value) or ((), None)
        found.append(Seen(None if tensor is None else tuple(tensor.shape), next(clock), _words(value), path))

    return hook


def _one_tensor(value: Any) -> tuple[Keys, torch.Tensor] | None:
    """The tensor that `value` is; or the one of floating point with a row an image in a tuple, list or dictionary."""
    if isinstance(value, torch.Tensor):
        return (), value
    tensors = [(path, one) for path, one in _tensors(value) if one.is_floating_point() and one.shape[:1] == (IMAGES,)]
    different = {id(one) for _, one in tensors}
    return tensors[0] if len(different) == 1 else None


def _tensors(value: Any, path: Keys = ()) -> Iterator[tuple[Keys, torch.Tensor]]:
    if isinstance(value, torch.Tensor):
        yield path, value
    elif isinstance(value, Mapping | tuple | list) and len(path) < 3:
        items = value.items() if isinstance(value, Mapping) else enumerate(value)
        for key, one in items:
            yield from _tensors(one, (*path, key))


def _at(path: Keys, value: Any) -> Any:
    """Return what lies at `path` in `value`; None where there is nothing."""
    for key in path:
        try:
            value = value[key]
        except (LookupError, TypeError):
            return None
    return value


def _words(value: Any) -> str:
    """Return a module's output in words, for messages: `dict of 2 tensors`."""
    if isinstance(value, torch.Tensor):
        return f"a tensor {'x'.join(map(str, value.shape))}"
    return f"a {type(value).__name__} of {len(list(_tensors(value)))} tensors"


def _resolve(one: Trace, which: str) -> Seen | None:
    if which == INPUT:
        return one.inputs[-1] if one.inputs else None
    number = int(which) if which.isdigit() else len(one.outputs)
    return one.outputs[number - 1] if 1 <= number <= len(one.outputs) else None
