"""Which layers of a network are extracted, and which one stands for which region of the ventral stream."""

import re
from collections.abc import Callable, Iterable

import torch
from torch import nn

from neuroscaling.errors import DataError, Problem, listing, nearest
from neuroscaling.models.build import classifier_name, skeleton
from neuroscaling.models.capture import INPUT, check_names, found_in, module_of, probe, trace
from neuroscaling.models.names import architecture

# How timm's and torchvision's families call their blocks; the first pattern that finds two or more modules is taken.
BLOCKS = (
    r"layer\d+\.\d+",
    r"stages\.\d+\.blocks\.\d+",
    r"layers\.\d+\.blocks\.\d+",
    r"stages\.\d+\.\d+",
    r"blocks\.\d+\.\d+",
    r"blocks\.\d+",
    r"encoder\.layers\.encoder_layer_\d+",
    r"features\.[1-9]\.\d+",
    r"features\.denseblock\d+\.denselayer\d+",
)
# Layers that published commitments chose from, by family: names of modules, of timm or torchvision.
FAMILY = {
    "ViT": r".*\.(norm1|norm2|ln_1|ln_2|mlp\.act|mlp\.1|attn\.proj)",
    "ConvNeXt": r"stages\.\d+\.(blocks\.\d+(\.conv_dw)?|downsample(\.\d+)?)|features\.\d+(\.\d+(\.block\.0)?)?",
}
PATTERNS = ("default", "block", "conv", "norm", "relu", "all", "family")


def candidate_layers(arch: str, model: nn.Module | None = None, pattern: str = "default") -> list[str]:
    """Layers of `arch` that are extracted, early to late.

    model: the network, where it is built already. pattern: `default`: those of the zoo, or the blocks of any other
    model; `block`; `conv`: convolutions; `norm`: normalisations; `relu`: activation functions of any kind; `family`:
    the kinds that published commitments chose from (conv, norm and relu; of ViTs the norms, attn.proj and
    mlp.act; of ConvNeXts blocks and their first convolutions); `all`: every module but containers and those that pass
    on what they are given. A module that runs several times in a pass is a layer for each time (`capture`).
    Raises DataError for another pattern.
    """
    if pattern not in PATTERNS:
        allowed = ", ".join(PATTERNS)
        raise DataError(Problem("no such pattern", "candidates", pattern, allowed, nearest(pattern, PATTERNS)))
    listed = architecture(arch).layers
    if listed and pattern == "default":
        return list(listed)
    model = model or skeleton(arch)
    size = architecture(arch).input_size
    if pattern in ("default", "block"):
        blocks = _blocks(model)
        reached = probe(model, blocks, size)
        return [name for name in blocks if name in reached]
    chosen = _chooser(architecture(arch).family.removesuffix("Flex"), pattern)
    named = [name for name, module in model.named_modules() if name and chosen(name, module)]
    return _in_order(model, named, size)


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
    model, wanted = model or skeleton(arch), list(wanted)
    allowed = [name for name, _ in model.named_modules() if name]
    problems = [
        Problem("unknown layer", arch, layer, listing(allowed), nearest(layer, allowed))
        for layer in wanted
        if module_of(layer) not in allowed
    ]
    numbered = [layer for layer in wanted if ":" in layer and module_of(layer) in allowed]
    if numbered:
        reached = probe(model, {module_of(layer) for layer in numbered}, architecture(arch).input_size)
        problems += check_names(arch, numbered, {name: output.calls for name, output in reached.items()})
    return problems


def _blocks(model: nn.Module) -> list[str]:
    names = [name for name, _ in model.named_modules()]
    for pattern in BLOCKS:
        blocks = [name for name in names if re.fullmatch(pattern, name)]
        if len(blocks) > 1:
            return blocks
    if hasattr(model, "feature_info"):
        return [stage["module"] for stage in model.feature_info]
    activations = [name for name, module in model.named_modules() if _is_activation(module)]
    return activations or [name for name, _ in model.named_children()]


def _chooser(family: str, pattern: str) -> Callable[[str, nn.Module], bool]:
    kinds = {"conv": _is_convolution, "norm": _is_norm, "relu": _is_activation, "all": _computes}
    if pattern in kinds:
        return lambda name, module: kinds[pattern](module)
    if family in FAMILY:
        return lambda name, module: re.fullmatch(FAMILY[family], name) is not None
    return lambda name, module: _is_convolution(module) or _is_norm(module) or _is_activation(module)


def _in_order(model: nn.Module, named: list[str], input_size: int) -> list[str]:
    """`named` in the order in which they run, each time that they run; without those that a pass doesn't reach."""
    traces = trace(model, named, input_size)
    calls = {name: len(one.outputs) for name, one in traces.items()}
    times = [f"{name}:{k + 1}" for name in calls for k in range(calls[name] - 1)]
    return list(found_in(traces, [*times, *calls]))


def _is_convolution(module: nn.Module) -> bool:
    return isinstance(module, nn.Conv1d | nn.Conv2d | nn.Conv3d)


def _is_norm(module: nn.Module) -> bool:
    return re.fullmatch(r".*Norm(Act)?(\dd|\d)?", type(module).__name__) is not None


def _is_activation(module: nn.Module) -> bool:
    place = type(module).__module__
    own = place.startswith("torch.nn.modules.activation") and not isinstance(module, nn.MultiheadAttention | nn.Softmax)
    return own or place.startswith("timm.layers.activations")


def _computes(module: nn.Module) -> bool:
    return not isinstance(module, nn.Sequential | nn.ModuleList | nn.Identity | nn.Dropout)


@torch.no_grad()
def _before_classifier(model: nn.Module, input_size: int) -> str:
    """The last layer ahead of the classifier that gives one vector an image; the classifier's input where none does."""
    head = classifier_name(model)
    names = [name for name, _ in model.named_modules() if name and name != head and not name.startswith(f"{head}.")]
    reached = probe(model, [*names, *([f"{head}:{INPUT}"] if head else [])], input_size)
    given = reached.pop(f"{head}:{INPUT}", None)
    if given is None:
        return ""
    before = [name for name, output in reached.items() if output.last < given.last]
    before.sort(key=lambda name: reached[name].last)
    vectors = [name for name in before if len(reached[name].shape) == 2]
    if vectors:
        return vectors[-1]
    flat = [name for name in before if _size(reached[name].shape) == given.shape[1] == reached[name].shape[1]]
    return flat[-1] if flat else f"{head}:{INPUT}" if len(given.shape) == 2 else ""


def _size(shape: tuple[int, ...]) -> int:
    return torch.Size(shape[1:]).numel()
