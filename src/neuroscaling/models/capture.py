"""Outputs of named modules during a forward pass.

A layer is the name of a module. Where a module runs several times in a pass (torchvision's residual blocks share one
ReLU), its name means the last time, as in Brain-Score; `name:1` is the first time, `name:2` the second. `name:input` is
what the module was given, for vectors that no module puts out (the class token ahead of torchvision's ViT head).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

import torch
from torch import nn

from neuroscaling.errors import DataError, Problem

INPUT = "input"


@dataclass(frozen=True)
class Output:
    """What a layer gives for two images: shape; how often its module runs; `last`: when, among all layers' outputs."""

    shape: tuple[int, ...]
    calls: int
    last: int


def module_of(layer: str) -> str:
    """Name of the module that a layer belongs to."""
    return layer.partition(":")[0]


@dataclass(frozen=True)
class Trace:
    """What a module was given and put out, each time that it ran: shape (None for no tensor) and when."""

    inputs: list[tuple[tuple[int, ...] | None, int]]
    outputs: list[tuple[tuple[int, ...] | None, int]]


@torch.no_grad()
def trace(model: nn.Module, modules: Iterable[str], input_size: int) -> dict[str, Trace]:
    """Traces of `modules` for two images, in one forward pass; works on the meta device, without numbers."""
    traces, clock = {name: Trace([], []) for name in modules}, count()
    handles = []
    for name, one in traces.items():
        module = model.get_submodule(name)
        handles.append(module.register_forward_pre_hook(_note(one.inputs, clock, lambda given: given[0])))
        handles.append(module.register_forward_hook(_note(one.outputs, clock, lambda given: given[1])))
    reference = next(model.parameters())
    images = torch.zeros(2, 3, input_size, input_size, device=reference.device, dtype=reference.dtype)
    training = model.training
    try:
        model.eval()(images)
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return traces


def probe(model: nn.Module, layers: Iterable[str], input_size: int) -> dict[str, Output]:
    """Outputs of `layers` for two images, in the order in which they come; `trace` says how.

    Layers that the pass doesn't reach, or that give no tensor with a row an image, are left out.
    """
    layers = list(layers)
    return found_in(trace(model, dict.fromkeys(map(module_of, layers)), input_size), layers)


def found_in(traces: dict[str, Trace], layers: Iterable[str]) -> dict[str, Output]:
    """Outputs of `layers`, as `probe` gives them, from the traces of their modules."""
    found = {layer: _resolve(traces[module_of(layer)], layer.partition(":")[2]) for layer in layers}
    reached = [(layer, *one, len(traces[module_of(layer)].outputs)) for layer, one in found.items() if one]
    return {
        layer: Output(shape, calls, when)
        for layer, shape, when, calls in sorted(reached, key=lambda one: one[2])
        if shape is not None and len(shape) > 1 and shape[0] == 2
    }


@contextmanager
def capturing(
    model: nn.Module, layers: Iterable[str], calls: dict[str, int], deliver: Callable[[str, torch.Tensor], None]
) -> Iterator[None]:
    """Call `deliver(layer, output)` as each of `layers` is computed; calls: how often each module runs in a pass.

    The output may be altered by the modules that follow: `deliver` takes a copy of what it keeps.
    """
    handles = []
    for layer in layers:
        module = model.get_submodule(module_of(layer))
        which = layer.partition(":")[2]
        if which == INPUT:
            handles.append(module.register_forward_pre_hook(_input_hook(layer, deliver)))
        else:
            number = int(which) if which else calls[module_of(layer)]
            handles.append(module.register_forward_hook(_output_hook(layer, number, deliver)))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def check_names(arch: str, layers: Iterable[str], calls: dict[str, int]) -> list[Problem]:
    """A Problem for each layer whose part after the colon its module doesn't have."""
    problems = []
    for layer in layers:
        name, colon, which = layer.partition(":")
        if colon and which != INPUT and not (which.isdigit() and 1 <= int(which) <= calls.get(name, 0)):
            allowed = f"{name}, {name}:{INPUT}" + "".join(f", {name}:{k + 1}" for k in range(calls.get(name, 0)))
            problems.append(Problem("no such layer", arch, layer, allowed))
    return problems


def refuse_unreached(layers: Iterable[str], reached: dict[str, Output]) -> None:
    """Raise DataError for layers that `probe` left out."""
    missing = [layer for layer in layers if layer not in reached]
    if missing:
        what = "layers that a forward pass doesn't reach, or that give no tensor with a row an image"
        raise DataError(Problem(what, "layers", ", ".join(missing)))


def _output_hook(layer: str, number: int, deliver: Callable) -> Callable:
    seen = 0

    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        nonlocal seen
        seen += 1
        if seen == number:
            output = output[0] if isinstance(output, tuple | list) else output
            if isinstance(output, torch.Tensor):
                deliver(layer, output)

    return hook


def _input_hook(layer: str, deliver: Callable) -> Callable:
    def hook(module: nn.Module, inputs: Any) -> None:
        if inputs and isinstance(inputs[0], torch.Tensor):
            deliver(layer, inputs[0])

    return hook


def _note(found: list, clock: Iterator[int], pick: Callable) -> Callable:
    """A hook that appends the shape of what `pick` finds among what the module was given and, later, put out."""

    def hook(module: nn.Module, *given: Any) -> None:
        value = pick(given)
        value = value[0] if isinstance(value, tuple | list) and value else value
        found.append((tuple(value.shape) if isinstance(value, torch.Tensor) else None, next(clock)))

    return hook


def _resolve(one: Trace, which: str) -> tuple[tuple[int, ...] | None, int] | None:
    if which == INPUT:
        return one.inputs[-1] if one.inputs else None
    number = int(which) if which.isdigit() else len(one.outputs)
    return one.outputs[number - 1] if 1 <= number <= len(one.outputs) else None
