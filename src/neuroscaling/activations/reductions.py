"""A layer's output is kept whole, as some tokens, as grids of places, or as a random projection.

Entries are 0 but for a share 1 / sqrt(p) of them, which are +-sqrt(sqrt(p) / k): as scikit-learn's
SparseRandomProjection with its default density, equal in distribution. They are drawn on the CPU from Philox, a
counter-based generator, whose key is the seed and whose counter is the feature: a feature's entries depend on the seed,
on p and on k alone, whatever computes them and in whichever order.
"""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import isqrt, log1p, sqrt
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from neuroscaling.activations.layout import entry_name
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.study.sections.extraction import Reduction

BLOCK = 4096  # features whose entries are drawn together
LARGEST = 2**53


@lru_cache(maxsize=64)
def entries(features: int, components: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the entries that are not 0 of a matrix (features, components): feature, component, and +1 or -1."""
    density = 1 / sqrt(features)
    drawn = [
        _block(first, min(BLOCK, features - first), components, density, seed) for first in range(0, features, BLOCK)
    ]
    feature, component, sign = (np.concatenate(parts) for parts in zip(*drawn, strict=True))
    return feature, component, sign


class Projection:
    """A projection of `features` to `components` on a device; `project` keeps what is not wider than `components`."""

    def __init__(self, features: int, components: int, seed: int, device: torch.device):
        feature, component, sign = entries(features, components, seed)
        order = np.lexsort((feature, component))
        rows = np.searchsorted(component[order], np.arange(components + 1))
        scale = sqrt(sqrt(features) / components)
        values = torch.from_numpy((sign[order] * scale).astype(np.float32))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            self._matrix = torch.sparse_csr_tensor(
                torch.from_numpy(rows),
                torch.from_numpy(feature[order]),
                values,
                size=(components, features),
                device=device,
                check_invariants=True,
            )

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """(b, features) -> float32 (b, components)."""
        with torch.autocast(values.device.type, enabled=False):  # which the network's forward pass is in
            return (self._matrix @ values.float().T.contiguous()).T


def _block(first: int, rows: int, components: int, density: float, seed: int) -> tuple[np.ndarray, ...]:
    """Return entries of features `first` to `first + rows`: steps between them in reading order are geometric."""
    generator = np.random.Philox(key=seed, counter=[0, 0, 0, first])
    cells, found, last = rows * components, [], -1
    while last < cells:
        # Raw numbers, since a generator's distributions may change with numpy's version; the lowest bit is the sign.
        raw = generator.random_raw(int(cells * density * 1.1) + 64)
        uniform = ((raw >> np.uint64(11)).astype(np.float64) + 0.5) / LARGEST
        steps = np.minimum(np.floor(np.log(uniform) / log1p(-density)), cells).astype(np.int64) + 1
        places = last + np.cumsum(steps)
        found.append((places, (raw & np.uint64(1)).astype(np.int8) * 2 - 1))
        last = int(places[-1])
    places, signs = (np.concatenate(parts) for parts in zip(*found, strict=True))
    inside = places < cells
    places = places[inside]
    return first + places // components, places % components, signs[inside]


TOKENS = ("all", "class", "patch", "mean")
Pool = Callable[[torch.Tensor, int], torch.Tensor]
POOLS: dict[str, Pool] = {"grid": functional.adaptive_avg_pool2d, "max": functional.adaptive_max_pool2d}


@dataclass(frozen=True)
class Reducer:
    """Reduces outputs of `model`'s layers to matrices; `whole` names layers that are kept whole (the readout)."""

    model: nn.Module
    reduction: Reduction
    tokens: str = "all"
    whole: tuple[str, ...] = ()
    _projections: dict[Any, Projection] = field(default_factory=dict, compare=False)

    def __call__(self, layer: str, output: torch.Tensor) -> torch.Tensor:
        """(b, ...) -> (b, features), on the same device; not a copy where nothing is reduced."""
        output = self._selected(output)
        if layer in self.whole:
            return output.flatten(1)
        if self.reduction.kind == "projection":
            return self._project(output.flatten(1))
        return reduce(output, self.model, self.reduction).flatten(1)

    def entries(self, layer: str, output: torch.Tensor) -> dict[str, torch.Tensor]:
        """(b, ...) -> what the store has of a layer, by name, each (b, features).

        One entry with the layer's name; or, where the reduction has `sizes`, one a size, `<layer>@<size>`, without
        sizes above the map's. A vector is one entry in any case.
        """
        selected = self._selected(output)
        if not self.reduction.sizes or selected.ndim < 3:
            return {layer: self(layer, output)}
        grids = pooled(selected, self.model, self.reduction.kind, self.reduction.sizes)
        return {entry_name(layer, size): grid.flatten(1) for size, grid in grids.items()}

    def _selected(self, output: torch.Tensor) -> torch.Tensor:
        """A grid takes class and register tokens out by itself, and would take patches for them a second time."""
        patches = self.tokens == "patch" and self.reduction.is_grid
        return output if patches else select_tokens(output, self.model, self.tokens)

    def _project(self, values: torch.Tensor) -> torch.Tensor:
        features, components = values.shape[1], self.reduction.components
        if features <= components:
            return values
        if values.is_meta:
            return values[:, :components]
        key = (features, values.device)
        if key not in self._projections:
            self._projections[key] = Projection(features, components, self.reduction.seed, values.device)
        return self._projections[key](values)


def select_tokens(output: torch.Tensor, model: nn.Module, tokens: str) -> torch.Tensor:
    """Of tokens (b, tokens, channels) all, the class token, those of patches, or the mean of those; maps stay."""
    if tokens == "all" or output.ndim != 3:
        return output
    prefix = _prefix_tokens(output, model)
    if tokens == "class":
        if not prefix:
            raise DataError(
                Problem(
                    what="there is no class token",
                    where="tokens: class",
                    value=list(output.shape),
                    allowed="patch or mean",
                )
            )
        return output[:, 0]
    return output[:, prefix:] if tokens == "patch" else output[:, prefix:].mean(1)


def reduce(output: torch.Tensor, model: nn.Module, reduction: Reduction) -> torch.Tensor:
    """Keep of an output (b, ...) what `reduction` says: everything, or means or maxima on a grid of k x k places.

    Tokens (b, tokens, channels) become a map of patches, without class and register tokens; vectors pass as they are.
    A map smaller than the grid is kept whole.
    """
    if reduction.kind == "none" or output.ndim < 3:
        return output
    features = _as_map(output, model)
    size = min(reduction.size, *features.shape[2:])
    return POOLS[reduction.kind](features.float(), size)


def pooled(output: torch.Tensor, model: nn.Module, kind: str, sizes: Sequence[int]) -> dict[int, torch.Tensor]:
    """Return tokens or a map, (b, ...), on each grid of `sizes` cells along a side: (b, channels, size, size) by size.

    kind: `grid` for means, `max` for maxima, both over torch's adaptive cells. Sizes above the map's are left out.
    """
    features = _as_map(output, model).float()
    return {size: POOLS[kind](features, size) for size in sizes if size <= min(features.shape[2:])}


def _as_map(output: torch.Tensor, model: nn.Module) -> torch.Tensor:
    if output.ndim == 4:
        return output.permute(0, 3, 1, 2) if _channels_last(output, model) else output
    patches = output[:, _prefix_tokens(output, model) :] if output.ndim == 3 else output
    side = isqrt(patches.shape[1])
    if output.ndim != 3 or side * side != patches.shape[1]:
        raise DataError(
            Problem(what="no square map", where="reduction: grid", value=list(output.shape), fix="choose other layers")
        )
    return patches.transpose(1, 2).reshape(len(output), -1, side, side)


def _channels_last(output: torch.Tensor, model: nn.Module) -> bool:
    """timm says how its maps lie; torchvision's Swin has channels last, whose maps are square in the middle."""
    if hasattr(model, "output_fmt"):
        return model.output_fmt == "NHWC"
    return output.shape[1] == output.shape[2] != output.shape[3]


def _prefix_tokens(output: torch.Tensor, model: nn.Module) -> int:
    """Return tokens that are no patches; where the model doesn't say, what is more than a square."""
    return getattr(model, "num_prefix_tokens", output.shape[1] - isqrt(output.shape[1]) ** 2)
