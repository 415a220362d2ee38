"""These functions choose the layers that are extracted, and the one that the classifier reads out."""

import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from math import inf
from typing import Any

import torch
from torch import nn

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.models.build import with_shapes
from neuroscaling.models.capture import IMAGES, INPUT, check_names, found_in, module_of, probe, run, trace
from neuroscaling.models.heads import head_names
from neuroscaling.models.state import network_device
from neuroscaling.study.architectures import architecture

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
    r"serial_blocks\d+\.\d+",
)
INNER = r".+\.(blocks|layers?)\.\d+"  # blocks inside others, or inside an encoder
# Layers that published commitments chose from, by family: names of modules, of timm or torchvision.
FAMILY = {
    "ViT": r".*\.(norm1|norm2|ln_1|ln_2|mlp\.act|mlp\.1|attn\.proj)",
    "ConvNeXt": r"stages\.\d+\.(blocks\.\d+(\.conv_dw)?|downsample(\.\d+)?)|features\.\d+(\.\d+(\.block\.0)?)?",
}
PATTERNS = ("default", "block", "conv", "norm", "relu", "all", "family")


def candidate_layers(arch: str, model: nn.Module | None = None, pattern: str = "default") -> list[str]:
    """Return layers of `arch` that are extracted, early to late.

    model: the network, where it is built already. pattern: `default`: those of the zoo, or the blocks of any other
    model; `block`; `conv`: convolutions; `norm`: normalisations; `relu`: activation functions of any kind; `family`:
    the kinds that published commitments chose from (conv, norm and relu; of ViTs the norms, attn.proj and
    mlp.act; of ConvNeXts blocks and their first convolutions); `all`: every module but containers and those that pass
    on what they are given. A module that runs several times in a pass is a layer for each time (`capture`).
    Raises DataError for another pattern, and where no block gives one tensor with a row an image.
    """
    if pattern not in PATTERNS:
        allowed = ", ".join(PATTERNS)
        raise DataError(
            Problem(
                what="no such pattern",
                where="candidates",
                value=pattern,
                allowed=allowed,
                nearest=nearest(pattern, PATTERNS),
            )
        )
    listed = architecture(arch).layers
    if listed and pattern == "default":
        return list(listed)
    if model is None:
        return with_shapes(arch, lambda model: candidate_layers(arch, model, pattern))
    size = architecture(arch).input_size
    if pattern in ("default", "block"):
        return _blocks(arch, model, size)
    chosen = _chooser(architecture(arch).family.removesuffix("Flex"), pattern)
    named = [name for name, module in model.named_modules() if name and chosen(name, module)]
    return _in_order(model, named, size)


def readout_layer(arch: str, model: nn.Module | None = None) -> str:
    """Return the layer that gives one vector an image, just ahead of the classifier; its output is (images, features).

    Of several classifiers it is the first that runs; a network without any has its last vector. model: the network,
    where it is built already; otherwise it is built on the meta device. Raises DataError when there is no such layer.
    """
    definition = architecture(arch)
    if definition.readout:
        return definition.readout
    if model is None:
        return with_shapes(arch, lambda model: readout_layer(arch, model))
    name = before_classifier(arch, model)
    if not name:
        raise DataError(
            Problem(
                what="no layer ahead of the classifier gives a vector", where=arch, fix="name `readout:` in `layers:`"
            )
        )
    return name


def check_layers(arch: str, wanted: Iterable[str], model: nn.Module | None = None) -> list[Problem]:
    """Return a Problem for each of `wanted` that the network doesn't have, with the nearest of its layers."""
    wanted = list(wanted)
    if model is None:
        return with_shapes(arch, lambda model: check_layers(arch, wanted, model))
    allowed = [name for name, _ in model.named_modules() if name]
    problems = [
        Problem(
            what="unknown layer", where=arch, value=layer, allowed=listing(allowed), nearest=nearest(layer, allowed)
        )
        for layer in wanted
        if module_of(layer) not in allowed
    ]
    numbered = [layer for layer in wanted if ":" in layer and module_of(layer) in allowed]
    if numbered:
        reached = probe(model, {module_of(layer) for layer in numbered}, architecture(arch).input_size)
        problems += check_names(arch, numbered, {name: output.calls for name, output in reached.items()})
    return problems


def _blocks(arch: str, model: nn.Module, size: int) -> list[str]:
    """Return the blocks of a network, of the first pattern by which all those that run give a tensor.

    Raises DataError, naming the blocks, where there is no such pattern.
    """
    refused: dict[str, str] = {}
    heads = head_names(arch, model)
    for blocks in _kinds_of_blocks(heads, model):
        traces = trace(model, [*blocks, *heads], size)
        before = min((seen.when for head in heads for seen in traces[head].inputs), default=inf)
        found = {name: output for name, output in found_in(traces, blocks).items() if output.last < before}
        ran = {name: traces[name].outputs[-1] for name in blocks if traces[name].outputs}
        without = {name: seen.what for name, seen in ran.items() if seen.when < before and name not in found}
        if found and not without:
            return [name for name in blocks if name in found]
        refused = refused or without
    what = "no candidate layers: the blocks of this network give no one tensor with a row an image"
    given = listing([f"{name} gives {output}" for name, output in refused.items()], 4) or "no block that runs"
    fix = f"`layers: {{{arch!r}: {{candidates: [...]}}}}` with layers that do (or `relu`, `conv`, `norm`)"
    raise DataError(
        Problem(what=what, where=arch, value=given, allowed="a tensor, or a tuple or dictionary with one", fix=fix)
    )


def _kinds_of_blocks(heads: list[str], model: nn.Module) -> Iterator[list[str]]:
    """Yield names of modules that may be taken for the blocks of a network, the best guess first."""
    names = [name for name, _ in model.named_modules() if name]
    found = [[name for name in names if re.fullmatch(pattern, name)] for pattern in BLOCKS]
    found = [blocks for blocks in found if len(blocks) > 1]
    inner = [name for name in names if re.fullmatch(INNER, name)]
    stages = [stage["module"] for stage in getattr(model, "feature_info", None) or []]
    stages = [] if found else [stage for stage in stages if stage in names]
    found += [blocks for blocks in (stages, inner) if len(blocks) > 1]
    if found:
        yield from found
        return
    activations = [name for name, module in model.named_modules() if name and _is_activation(module)]
    yield activations or [name for name, _ in model.named_children() if name not in heads]


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


Time = tuple[str, int]  # name of a module, and the how many-eth time that it runs in a pass, from 1
RECENT = 32  # outputs of modules that are looked at: what a classifier is given left one of the last few


@torch.no_grad()
def before_classifier(arch: str, model: nn.Module) -> str:
    """Return the last layer whose output is what the first classifier is given, or else `<classifier>:input`.

    Where a network has no classifier it is the last layer that gives a vector. An empty string where there is none.
    Works on the meta device.
    """
    heads, watch = head_names(arch, model), _Watch()
    inside = tuple(f"{head}." for head in heads)
    handles = []
    for name, module in model.named_modules():
        if name in heads:
            handles.append(module.register_forward_pre_hook(watch.given(name)))
        elif name and not name.startswith(inside):
            handles.append(module.register_forward_hook(watch.put_out(name)))
    size = architecture(arch).input_size
    try:
        run(model, torch.zeros(IMAGES, 3, size, size, device=network_device(model)))
    finally:
        for handle in handles:
            handle.remove()
    return watch.layer(watch.answer or (("", 0) if heads else watch.last_vector))


class _Watch:
    """Remembers what modules put out, until the first classifier is given something."""

    def __init__(self) -> None:
        self.answer: Time | None = None
        self.last_vector: Time = ("", 0)
        self._recent: deque[tuple[Time, torch.Tensor]] = deque(maxlen=RECENT)
        self._ran: Counter[str] = Counter()

    def layer(self, time: Time) -> str:
        """Return the layer of one time that a module ran; its last has no number."""
        name, number = time
        return name if number in (0, self._ran[name]) else f"{name}:{number}"

    def put_out(self, name: str) -> Any:
        """Return a hook that remembers the output of the module `name`."""

        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            self._ran[name] += 1
            if isinstance(output, torch.Tensor) and not self.answer and output.shape[:1] == (IMAGES,):
                self._recent.append(((name, self._ran[name]), output))
                self.last_vector = (name, self._ran[name]) if output.ndim == 2 else self.last_vector

        return hook

    def given(self, name: str) -> Any:
        """Return a hook that finds which layer put out what the classifier `name` is given."""

        def hook(module: nn.Module, inputs: Any) -> None:
            if self.answer or not inputs or not isinstance(inputs[0], torch.Tensor):
                return
            same = [time for time, output in self._recent if _are_one(output, inputs[0])]
            self.answer = same[-1] if same else (f"{name}:{INPUT}", 0)
            self._recent.clear()

        return hook


def _are_one(output: torch.Tensor, given: torch.Tensor) -> bool:
    """Are these the same numbers in memory, up to their shape? The storage of `output` is alive, so not reused."""
    one, other = (tensor.untyped_storage()._cdata for tensor in (output, given))
    return one == other and output.numel() == given.numel()
