"""The heads of a network are its parts that depend on the number of classes.

Nothing is guessed from names or kinds of modules: the network is made twice, for another number of classes each time,
and what differs are the heads.
"""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from torch import nn

from neuroscaling.core.errors import NeuroscalingError
from neuroscaling.models.build import skeleton
from neuroscaling.models.state import shapes, tensors_of
from neuroscaling.study import architectures

FIRST, SECOND = 1000, 1001


def head_names(arch: str, model: nn.Module) -> list[str]:
    """Names of the modules of `model`, a network of architecture `arch`, that give logits; most networks have one.

    They are those that the network names itself (timm's `get_classifier`), otherwise those with tensors whose shapes
    depend on the number of classes. Empty for a network without a head.
    """
    return _said(model) or list(dict.fromkeys(_module(name) for name in class_axes(arch)))


def class_axes(arch: str) -> dict[str, list[tuple[int, int, int]]]:
    """Tensors whose shape depends on the number of classes: for each such axis its number, and its length for 1000 and
    for 1001 classes."""
    return _class_axes(arch, json.dumps(architectures.architecture_definition(arch), sort_keys=True))


def classes_of(arch: str, found: Mapping[str, tuple[int, ...]]) -> int | None:
    """Return the number of classes that tensors of the shapes `found` are for; 0 for a network without its head.

    None where there is no such number, so that they are of another architecture.
    """
    axes = class_axes(arch)
    numbers = {
        FIRST + (found[name][axis] - first) / (second - first)
        for name, places in axes.items()
        for axis, first, second in places
        if len(found.get(name, ())) > axis
    }
    if len(numbers) == 1 and (number := numbers.pop()).is_integer() and number >= 1:
        return int(number)
    if numbers:
        return None
    return FIRST if not axes else 0 if _headless(arch) and _headless(arch) <= set(found) else None


def takes_no_head(arch: str) -> bool:
    """Can the network be made without its head? Those of torchvision, and of one's own, can't."""
    name = architectures.architecture(arch).timm_name
    return ":" not in name and not name.startswith(architectures.TORCHVISION)


@cache
def _class_axes(arch: str, definition: str) -> dict[str, list[tuple[int, int, int]]]:
    first, second = (shapes(tensors_of(skeleton(arch, n))) for n in (FIRST, SECOND))
    return {
        name: [
            (axis, *pair) for axis, pair in enumerate(zip(first[name], second[name], strict=True)) if len({*pair}) > 1
        ]
        for name in first
        if name in second and len(first[name]) == len(second[name]) and first[name] != second[name]
    }


def _headless(arch: str) -> set[str]:
    """Return names of the tensors of the network without a head; nothing where it can't be made so."""
    if not takes_no_head(arch):
        return set()
    try:
        return set(skeleton(arch, 0).state_dict())
    except NeuroscalingError:
        raise
    except Exception:  # some of timm's networks can't be made without a head: whatever they raise
        return set()


def _said(model: nn.Module) -> list[str]:
    """Return what the network says itself; empty where it says nothing, or names what it doesn't have."""
    try:
        classifier = getattr(model, "get_classifier", None)
        said = classifier() if callable(classifier) else None
    except Exception:  # a function of somebody's network: whatever it raises
        return []
    modules = [module for one in _flat(said) for module in _flat(one)]
    found = {id(module): name for name, module in model.named_modules() if name}
    return [found[id(module)] for module in modules] if all(id(module) in found for module in modules) else []


def _flat(value: Any) -> list[nn.Module]:
    if isinstance(value, nn.ModuleList | tuple | list):
        return list(value)
    if isinstance(value, nn.ModuleDict | dict):
        return list(value.values())
    return [value] if isinstance(value, nn.Module) else []


def _module(entry: str) -> str:
    """Module that a tensor belongs to; of parametrised ones (`fc.parametrizations.weight.original0`) the outer one."""
    return entry.partition(".parametrizations.")[0] if ".parametrizations." in entry else entry.rpartition(".")[0]
