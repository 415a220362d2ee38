"""Batch normalisation takes the statistics of a micro batch that is split over processes."""

import functools

import torch
from timm.layers import BatchNormAct2d, convert_sync_batchnorm
from torch import nn

from neuroscaling.training.distributed import rank, summed, unit_size, unit_sum
from neuroscaling.training.torch_runtime import to_device


def share_batch_norm(module: nn.Module, device: torch.device) -> None:
    """Let the batch normalisations inside `module` take their statistics over the processes of a micro batch.

    On a GPU torch's own take their places, which are fast and not for CPUs; there, the forward of each layer is
    replaced. Names of parameters stay as they are.
    """
    if device.type == "cuda":
        convert_sync_batchnorm(module)
        return
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.forward = functools.partial(_forward, layer)  # type: ignore[method-assign]  # of this layer alone


class RunningStatistics:
    """Running statistics as if one process had seen all micro batches of a step, in their order.

    Processes have micro batches of their own, so each has seen some of the step's statistics s only. n updates turn r
    into (1 - m)^n r + the sum of m (1 - m)^(updates behind it) s: that sum is put together from its parts.
    """

    def __init__(self, module: nn.Module):
        self.layers = [
            layer
            for layer in module.modules()
            if isinstance(layer, nn.modules.batchnorm._BatchNorm) and layer.track_running_stats and layer.momentum
        ]
        self.values, self.updates = self._values(), self._updates()

    def merge(self, units: tuple[tuple[int, ...], ...]) -> None:
        """Give all processes the whole. units: the ranks that share each of the step's micro batches."""
        if not self.layers or len(units) == 1:  # of a micro batch that all share, all have the same already
            return
        places = [i for i, unit in enumerate(units) if rank() in unit]
        sharing = len(units[places[0]])
        updates = (self._updates() - self.updates) / len(places)  # by one micro batch, (layers,)
        keep = to_device([1 - (layer.momentum or 0.0) for layer in self.layers], updates.device)
        kept, behind = keep ** (updates * len(places)), keep ** (updates * (len(units) - 1 - places[-1]))
        pairs = zip(self._values(), self.values, strict=True)
        parts = [behind[i // 2] * (now - kept[i // 2] * before) / sharing for i, (now, before) in enumerate(pairs)]
        sums = summed(torch.cat(parts)).split([len(part) for part in parts])
        kept, updates = keep ** (updates * len(units)), (updates * len(units)).round().long()
        for i, layer in enumerate(self.layers):
            mean, variance, count = _running(layer)
            mean.copy_(kept[i] * self.values[2 * i] + sums[2 * i])
            variance.copy_(kept[i] * self.values[2 * i + 1] + sums[2 * i + 1])
            count.copy_(self.updates[i].long() + updates[i])

    def _values(self) -> list[torch.Tensor]:
        return [value.clone() for layer in self.layers for value in _running(layer)[:2]]

    def _updates(self) -> torch.Tensor:
        """Updates of each layer so far, float64 (layers,)."""
        counts = [_running(layer)[2] for layer in self.layers]
        return torch.stack(counts).double() if counts else torch.zeros(0)


def _forward(layer: nn.modules.batchnorm._BatchNorm, x: torch.Tensor) -> torch.Tensor:
    """What `layer` gives for this process's images (b, c, ...)."""
    if not layer.training or unit_size() == 1:
        return type(layer).forward(layer, x)
    axes = [axis for axis in range(x.ndim) if axis != 1]
    values = x.float()
    count = unit_sum(values.new_tensor(float(x.numel() // x.shape[1])))
    mean = unit_sum(values.sum(axes)) / count
    shape = (1, -1, *(1,) * (x.ndim - 2))
    centred = values - mean.view(shape)
    variance = unit_sum(centred.square().sum(axes)) / count
    _remember(layer, mean.detach(), (variance * count / (count - 1)).detach())
    y = centred * torch.rsqrt(variance + layer.eps).view(shape)
    if layer.affine:
        y = y * layer.weight.view(shape) + layer.bias.view(shape)
    y = y.to(x.dtype)
    # timm's normalisations end with an activation.
    return layer.act(layer.drop(y)) if isinstance(layer, BatchNormAct2d) else y


def _remember(layer: nn.modules.batchnorm._BatchNorm, mean: torch.Tensor, variance: torch.Tensor) -> None:
    """Update the running statistics, as torch does."""
    if not layer.track_running_stats:
        return
    running_mean, running_variance, updates = _running(layer)
    updates.add_(1)
    share = layer.momentum if layer.momentum is not None else 1 / float(updates)
    running_mean.lerp_(mean, share)
    running_variance.lerp_(variance, share)


def _running(layer: nn.modules.batchnorm._BatchNorm) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Mean and variance (channels,) that a layer keeps, and the number of their updates."""
    mean, variance, updates = layer.running_mean, layer.running_var, layer.num_batches_tracked
    if mean is None or variance is None or updates is None:
        raise RuntimeError("a batch normalisation without running statistics has none to update")
    return mean, variance, updates
