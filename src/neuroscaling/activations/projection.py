"""Sparse random projection of features (Li, Hastie and Church 2006), the same on every device.

Entries are 0 but for a share 1 / sqrt(p) of them, which are +-sqrt(sqrt(p) / k): as scikit-learn's
SparseRandomProjection with its default density, equal in distribution. They are drawn on the CPU from Philox, a
counter-based generator, whose key is the seed and whose counter is the feature: a feature's entries depend on the seed,
on p and on k alone, whatever computes them and in whichever order.
"""

import warnings
from functools import lru_cache
from math import log1p, sqrt

import numpy as np
import torch

BLOCK = 4096  # features whose entries are drawn together
LARGEST = 2**53


@lru_cache(maxsize=64)
def entries(features: int, components: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The entries that are not 0 of a matrix (features, components): feature, component, and +1 or -1."""
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
    """Entries of features `first` to `first + rows`: steps between them in reading order are geometric."""
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
