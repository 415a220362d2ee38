"""Bytes that a forward pass holds and makes, and what a network's layers give, from shapes alone."""

import weakref
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from neuroscaling.models.build import with_shapes
from neuroscaling.models.capture import IMAGES, probe, run
from neuroscaling.models.layers import candidate_layers, readout_layer
from neuroscaling.models.state import network_device, tensors_of
from neuroscaling.study.architectures import architecture

TOKENS = 3
"""Dimensions of a layer's output that has tokens, (images, tokens, channels); maps have channels before places."""


@dataclass(frozen=True)
class Footprint:
    """Of one image in float32, weights apart.

    live: bytes that are held at the fullest moment of a forward pass that keeps nothing; made: of all results of all
    operations, which a training step keeps about a half of; largest: of the largest result; layers: channels and
    numbers of each layer by default, early to late, the readout last.
    """

    live: int
    made: int
    largest: int
    layers: tuple[tuple[int, int], ...]


def footprint(arch: str) -> Footprint:
    """The footprint of `arch` at its input size. Raises StudyError for an unknown architecture."""
    size = architecture(arch).input_size
    return with_shapes(arch, lambda model: _footprint(arch, model, size))


def _footprint(arch: str, model: nn.Module, size: int) -> Footprint:
    readout = readout_layer(arch, model)
    layers = [layer for layer in candidate_layers(arch, model) if layer != readout] + [readout]
    found = probe(model, layers, size)
    shapes = [found[layer].shape for layer in layers if layer in found]
    images = torch.zeros(IMAGES, 3, size, size, device=network_device(model))
    with torch.no_grad(), _Results(model) as results:
        run(model, images)
    return Footprint(
        live=results.most // IMAGES,
        made=results.made // IMAGES,
        largest=results.largest // IMAGES,
        layers=tuple((_channels(shape), _numbers(shape)) for shape in shapes),
    )


def _channels(shape: tuple[int, ...]) -> int:
    return shape[-1] if len(shape) == TOKENS else shape[1]


def _numbers(shape: tuple[int, ...]) -> int:
    return int(torch.Size(shape[1:]).numel())


class _Results(TorchDispatchMode):
    """Counts the bytes of the results of operations as they come and go. made: of all; most: at one time."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.now = self.most = self.made = self.largest = 0
        self._seen = {tensor.untyped_storage()._cdata for tensor in tensors_of(model).values()}

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Run the operation, and count what is new of its results."""
        results = function(*args, **(kwargs or {}))
        for tensor in tree_leaves(results):
            if isinstance(tensor, torch.Tensor):
                self._count(tensor.untyped_storage())
        self.most = max(self.most, self.now)
        return results

    def _count(self, storage: torch.UntypedStorage) -> None:
        place, size = storage._cdata, storage.nbytes()
        if place in self._seen:  # of a weight, or a result that was altered in place
            return
        self._seen.add(place)
        self.now, self.made, self.largest = self.now + size, self.made + size, max(self.largest, size)
        weakref.finalize(storage, self._free, place, size)

    def _free(self, place: int, size: int) -> None:
        self._seen.discard(place)
        self.now -= size
