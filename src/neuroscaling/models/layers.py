"""Which layers of a network are extracted, and which one stands for which region of the ventral stream."""

import re
from collections.abc import Iterable

import torch
from torch import nn

from neuroscaling.errors import DataError, Problem, listing, nearest
from neuroscaling.models.build import skeleton
from neuroscaling.models.names import architecture

# How timm's families call their blocks; the first pattern that finds two or more modules is taken.
BLOCKS = (
    r"layer\d+\.\d+",
    r"stages\.\d+\.blocks\.\d+",
    r"layers\.\d+\.blocks\.\d+",
    r"stages\.\d+\.\d+",
    r"blocks\.\d+\.\d+",
    r"blocks\.\d+",
)


def candidate_layers(arch: str, model: nn.Module | None = None) -> list[str]:
    """Layers of `arch` that are extracted, early to late: those of the zoo, or the blocks of any other timm model.

    model: the network, where it is built already.
    """
    listed = architecture(arch).layers
    if listed:
        return list(listed)
    model = model or skeleton(arch)
    names = [name for name, _ in model.named_modules()]
    for pattern in BLOCKS:
        blocks = [name for name in names if re.fullmatch(pattern, name)]
        if len(blocks) > 1:
            return blocks
    return [stage["module"] for stage in model.feature_info]


def readout_layer(arch: str, model: nn.Module | None = None) -> str:
    """The layer that gives one vector an image, just ahead of the classifier; its output is (images, features).

    model: the network, where it is built already; otherwise it is built on the meta device. Raises DataError when
    there is no such layer.
    """
    definition = architecture(arch)
    if definition.readout:
        return definition.readout
    name = _before_classifier(model or skeleton(arch), definition.input_size)
    if not name:
        raise DataError(
            Problem("no layer ahead of the classifier gives a vector", arch, fix="name `readout:` in `layers:`")
        )
    return name


def check_layers(arch: str, wanted: Iterable[str], model: nn.Module | None = None) -> list[Problem]:
    """A Problem for each of `wanted` that the network doesn't have, with the nearest of its layers."""
    allowed = [name for name, _ in (model or skeleton(arch)).named_modules() if name]
    return [
        Problem("unknown layer", arch, layer, listing(allowed), nearest(layer, allowed))
        for layer in wanted
        if layer not in allowed
    ]


@torch.no_grad()
def _before_classifier(model: nn.Module, input_size: int) -> str:
    """Name of the last module that ran ahead of the classifier and gave a matrix."""
    classifier = model.get_classifier()
    outputs: list[str] = []
    found: list[str] = []

    def after(name: str):
        def hook(module: nn.Module, inputs: tuple, output: object) -> None:
            if module is not classifier and isinstance(output, torch.Tensor) and output.ndim == 2:
                outputs.append(name)

        return hook

    handles = [module.register_forward_hook(after(name)) for name, module in model.named_modules()]
    handles.append(classifier.register_forward_pre_hook(lambda *_: found.append(outputs[-1] if outputs else "")))
    try:
        reference = next(model.parameters())
        model(torch.empty(2, 3, input_size, input_size, device=reference.device, dtype=reference.dtype))
    finally:
        for handle in handles:
            handle.remove()
    return found[0] if found else ""
