"""Outputs of named modules during a forward pass.

A layer is the name of a module. Where a module runs several times in a pass (torchvision's residual blocks share one
ReLU), its name means the last time, as in Brain-Score; `name:1` is the first time, `name:2` the second. `name:input` is
what the module was given, for vectors that no module puts out (the class token ahead of torchvision's ViT head).
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
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


@torch.no_grad()
def probe(model: nn.Module, layers: Iterable[str], input_size: int) -> dict[str, Output]:
    """Outputs of `layers` for two images, in one forward pass; works on the meta device, without numbers.

    Layers that the pass doesn't reach, or that give no tensor with a row an image, are left out.
    """
    layers, found, calls = list(layers), {}, dict.fromkeys(map(module_of, layers), 0)

    def count(name: str) -> Callable:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            calls[name] += 1

        return hook

    handles = [model.get_submodule(name).register_forward_hook(count(name)) for name in calls]
    reference = next(model.parameters())
    images = torch.zeros(2, 3, input_size, input_size, device=reference.device, dtype=reference.dtype)
    training = model.training
    try:
        model.eval()(images)
        for handle in handles:
            handle.remove()

        def keep(layer: str, output: torch.Tensor) -> None:
            found[layer] = (tuple(output.shape), len(found))

        with capturing(model, layers, calls, keep):
            model(images)
    finally:
        model.train(training)
    return {
        layer: Output(shape, calls[module_of(layer)], last)
        for layer, (shape, last) in found.items()
        if len(shape) > 1 and shape[0] == 2
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
