"""A network costs parameters and multiply-accumulates."""

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from neuroscaling.models.build import with_shapes
from neuroscaling.models.capture import run
from neuroscaling.models.state import network_device
from neuroscaling.study.architectures import architecture

NORM = 5  # what the published numbers count for each number that a normalisation is given


def count(arch: str, num_classes: int = 1000) -> dict[str, int]:
    """Return `n_params`, `macs` and `paper_macs` of one forward pass of one image at the architecture's input size.

    As in the published tables they are those of the network with a head of 1,000 classes, whatever the data set it is
    trained on. `macs_of` says what the other two are. Raises StudyError for an unknown architecture.
    """
    size = architecture(arch).input_size
    return with_shapes(arch, lambda model: {"n_params": parameters_of(model), **macs_of(model, size)}, num_classes)


def parameters_of(model: nn.Module) -> int:
    """Return numbers in the parameters of `model`; shared ones count once."""
    return sum(parameter.numel() for parameter in model.parameters())


@torch.no_grad()
def macs_of(model: nn.Module, size: int) -> dict[str, int]:
    """Return `macs` and `paper_macs` of one forward pass of one image of size x size pixels.

    model: on the meta device; or with numbers, where its forward pass looks at them: then it is given random ones.
    macs: by torch's flop counter, forward only (its backward count of grouped convolutions is wrong), products of
    attention included. paper_macs: as Gokce & Schrimpf 2025 count, whose numbers are met exactly: without the products
    of attention, but with 5 for each number that a normalisation is given, and 1 for each that is averaged over places.
    """
    try:
        return _macs_of(model, size, 1)
    except Exception:  # networks that squeeze their maps can't take one image, and raise what comes of it
        return {key: value // 2 for key, value in _macs_of(model, size, 2).items()}


def _macs_of(model: nn.Module, size: int, n: int) -> dict[str, int]:
    images = torch.empty(n, 3, size, size, device=network_device(model))
    images = images if images.is_meta else torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    with FlopCounterMode(display=False, custom_mapping=OTHERS) as counter, _Attention(counter) as attention:
        run(model, images)
    counts = counter.get_flop_counts()["Global"]
    others = sum(counts.pop(operation, 0) for operation in OTHERS)
    macs = sum(counts.values()) // 2
    return {"macs": macs, "paper_macs": macs - attention.flops // 2 + others}


class _Attention(TorchFunctionMode):
    """Sums what `counter` counts during scaled dot-product attention; products written out are not told apart."""

    def __init__(self, counter: FlopCounterMode):
        super().__init__()
        self.counter, self.flops = counter, 0

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = self.counter.get_total_flops()
        result = function(*args, **(kwargs or {}))
        if function is nn.functional.scaled_dot_product_attention:
            self.flops += self.counter.get_total_flops() - before
        return result


def _normalised(shape: Sequence[int], *rest: Any, **named: Any) -> int:
    return NORM * prod(shape)


def _averaged(shape: Sequence[int], places: Sequence[int] | None = None, *rest: Any, **named: Any) -> int:
    """Return a mean over the last two dimensions of four: what adaptive pooling to one place is to torch."""
    return prod(shape) if len(shape) == 4 and {place % 4 for place in places or ()} == {2, 3} else 0


def _pooled(shape: Sequence[int], *rest: Any, **named: Any) -> int:
    return prod(shape)


OTHERS: dict[Any, Callable[..., int]] = {
    torch.ops.aten.native_batch_norm: _normalised,
    torch.ops.aten._native_batch_norm_legit_no_training: _normalised,
    torch.ops.aten.native_layer_norm: _normalised,
    torch.ops.aten.native_group_norm: _normalised,
    torch.ops.aten.mean: _averaged,
    torch.ops.aten._adaptive_avg_pool2d: _pooled,
}
"""Operations that only the published numbers count."""
