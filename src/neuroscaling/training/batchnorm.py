"""Batch normalisation where a micro batch is split over processes: statistics are those of the whole of it."""

import functools

import torch
from timm.layers import convert_sync_batchnorm
from torch import nn

from neuroscaling.training.distributed import unit_size, unit_sum


def share_batch_norm(module: nn.Module, device: torch.device) -> nn.Module:
    """`module` with batch normalisations that take their statistics over the processes of a micro batch.

    On a GPU torch's own, which is fast and not for CPUs; there, the forward of each layer is replaced. Names of
    parameters stay as they are.
    """
    if device.type == "cuda":
        return convert_sync_batchnorm(module)
    for layer in module.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            layer.forward = functools.partial(_forward, layer)
    return module


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
    return layer.act(layer.drop(y)) if hasattr(layer, "act") else y


def _remember(layer: nn.modules.batchnorm._BatchNorm, mean: torch.Tensor, variance: torch.Tensor) -> None:
    """Update the running statistics, as torch does."""
    if not layer.track_running_stats:
        return
    layer.num_batches_tracked.add_(1)
    share = layer.momentum if layer.momentum is not None else 1 / float(layer.num_batches_tracked)
    layer.running_mean.lerp_(mean, share)
    layer.running_var.lerp_(variance, share)
