"""A network must give an image the same features whatever is in a batch beside it."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

import torch
from torch import nn

from neuroscaling.core.errors import Problem, listing
from neuroscaling.models.capture import Output, capturing, module_of, run
from neuroscaling.models.state import network_device

TOLERANCE = 1e-3
"""Difference of an image's features in two batches, of their size (both as Euclidean norms), that is no rounding.

In float32 other orders of summation make some 1e-6 of it, and 1e-5 after a hundred layers.
"""
FIRST, OTHER = ("a", "b"), ("c", "a", "d")  # two batches with one image, `a`, in common


def never_one(images: torch.Tensor) -> torch.Tensor:
    """`images` (b, ...), or a single image twice: networks that squeeze their maps would take its dimension away."""
    return images if len(images) != 1 else images.repeat(2, *[1] * (images.ndim - 1))


@contextmanager
def exact() -> Iterator[None]:
    """No gradients, and no TF32, so that a GPU gives what a CPU gives to float32 rounding."""
    flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
    with torch.inference_mode(), flags:
        yield


def hooked(
    model: nn.Module, outputs: dict[str, Output], layers: Sequence[str], deliver: Callable[[str, torch.Tensor], None]
) -> AbstractContextManager[Callable[[], list[str]]]:
    """`capturing` of `layers` as the `outputs` of a probe say where they are."""
    calls = {module_of(layer): output.calls for layer, output in outputs.items()}
    return capturing(model, layers, calls, deliver, {layer: output.path for layer, output in outputs.items()})


def company_problems(arch: str, model: nn.Module, outputs: dict[str, Output], size: int) -> list[Problem]:
    """What is wrong with a network whose features of an image depend on the others of its batch; nothing for most.

    An image of noise goes through `model` twice, in float32, with one image after it, and between two others. outputs:
    of the layers that are compared, as `capture.probe` gives them. Raises what the network raises.
    """
    images = _noise(size, network_device(model))
    here, there = _features(model, outputs, images, FIRST), _features(model, outputs, images, OTHER)
    layers = [layer for layer in outputs if _differ(here.get(layer), there.get(layer))]
    if not layers:
        return []
    again = _features(model, outputs, images, FIRST)
    if any(_differ(here.get(layer), again.get(layer)) for layer in layers):
        what = "two passes over the same images give different features"
        fix = "it may draw random numbers in evaluation mode, which must do nothing there"
    else:
        what = "the features of an image depend on the other images of its batch"
        fix = "normalise by running statistics (`track_running_stats=True`), or within each image"
    return [
        Problem(
            what=what,
            where=arch,
            value=f"layers {listing(layers, 6)}",
            allowed=f"differences up to {TOLERANCE:g} of the norm",
            fix=fix,
        )
    ]


@torch.no_grad()
def _features(
    model: nn.Module, outputs: dict[str, Output], images: dict[str, torch.Tensor], batch: Sequence[str]
) -> dict[str, torch.Tensor]:
    """Return each layer's output for the image `a` in a batch."""
    found = {}
    row = batch.index("a")

    def keep(layer: str, output: torch.Tensor) -> None:
        if len(output) == len(batch):
            found[layer] = output[row].detach().double().flatten()

    with exact(), hooked(model, outputs, list(outputs), keep):
        run(model, torch.stack([images[name] for name in batch]))
    return found


def _differ(one: torch.Tensor | None, other: torch.Tensor | None) -> bool:
    if one is None or other is None or one.shape != other.shape:
        return True
    if not torch.equal(one.isfinite(), other.isfinite()):
        return True
    one, other = (values.nan_to_num(0, 0, 0) for values in (one, other))  # writing refuses what isn't finite
    size = torch.maximum(one.norm(), other.norm())
    return not bool((one - other).norm() <= TOLERANCE * size)


def _noise(size: int, device: torch.device) -> dict[str, torch.Tensor]:
    """Return images (3, size, size) of normalised pixels, `a` to `d`, always the same."""
    drawn = torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(0))
    return dict(zip("abcd", drawn.to(device), strict=True))
