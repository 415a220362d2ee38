"""Activations of a network: forward hooks on all layers, one forward pass."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import isqrt
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from neuroscaling.activations.images import BATCH, batches
from neuroscaling.activations.store import Batch
from neuroscaling.errors import DataError, Problem
from neuroscaling.files import read_json
from neuroscaling.models.build import build, classes_in, load_weights
from neuroscaling.models.layers import candidate_layers, check_layers, readout_layer
from neuroscaling.models.names import architecture

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Extractor:
    """A network in evaluation mode with the layers to read; `batches` gives their reduced activations."""

    model: nn.Module
    layers: list[str]
    input_size: int
    reduction: dict[str, Any]
    device: torch.device

    def batches(self, paths: Sequence[Path]) -> Iterator[Batch]:
        """Activations {layer: float32 (b, features)} to the images at `paths`."""
        for images in batches(paths, self.input_size, batch=BATCH):
            outputs = forward(self.model, normalise(images, self.device), self.layers)
            yield {layer: self._reduced(outputs[layer]) for layer in self.layers}

    def facts(self) -> dict[str, Any]:
        """What was done to the images, for the manifest."""
        resize = {"size": self.input_size, "interpolation": "bilinear, antialiased"}
        return {"preprocessing": {"colour": "RGB", **resize, "mean": IMAGENET_MEAN, "std": IMAGENET_STD}}

    def _reduced(self, output: torch.Tensor) -> Any:
        return reduce(output, self.model, self.reduction).flatten(1).float().cpu().numpy()


def extractor_of(
    run: dict[str, Any], run_dir: Path, layers: Any, reduction: dict[str, Any], device: str | None
) -> Extractor:
    """The network of `run` with the weights that `run_dir`/run.json names.

    Raises DataError when there are no weights, when they are of another network, and for layers that it doesn't have.
    """
    record, arch = read_json(run_dir / "run.json"), run["arch"]
    if not record.get("weights"):
        raise DataError(Problem("the run has no weights", str(run_dir / "run.json"), fix="train the run again"))
    path = run_dir / record["weights"]
    model = build(arch, classes_in(path, arch), seed=0)
    load_weights(model, path, arch)
    wanted = _wanted(arch, layers, model)
    problems = check_layers(arch, wanted, model)
    if problems:
        raise DataError(problems)
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    return Extractor(model.eval().to(place), wanted, architecture(arch).input_size, reduction, place)


def forward(model: nn.Module, images: torch.Tensor, layers: Sequence[str]) -> dict[str, torch.Tensor]:
    """Outputs of `layers` for a batch of images, in one forward pass; of several outputs of a module the first."""
    outputs: dict[str, torch.Tensor] = {}

    def keep(layer: str) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            outputs[layer] = output[0] if isinstance(output, tuple | list) else output

        return hook

    handles = [model.get_submodule(layer).register_forward_hook(keep(layer)) for layer in layers]
    try:
        # Without TF32, so that a GPU gives what a CPU gives to float32 rounding.
        exact = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
        with torch.inference_mode(), exact:
            model(images)
    finally:
        for handle in handles:
            handle.remove()
    missing = [layer for layer in layers if layer not in outputs]
    if missing:
        raise DataError(Problem("layers that a forward pass doesn't reach", "layers", ", ".join(missing)))
    return outputs


def reduce(output: torch.Tensor, model: nn.Module, reduction: dict[str, Any]) -> torch.Tensor:
    """Keep of an output (b, ...) what `reduction` says: everything, or averages on a grid of k x k places.

    Tokens (b, tokens, channels) become a map of patches, without class and register tokens; vectors pass as they are.
    A map smaller than the grid is kept whole.
    """
    if reduction["kind"] == "none" or output.ndim < 3:
        return output
    features = _as_map(output, model)
    size = min(reduction["size"], *features.shape[2:])
    return functional.adaptive_avg_pool2d(features.float(), size)


def normalise(images: Any, device: torch.device) -> torch.Tensor:
    """uint8 (b, h, w, 3) to float32 (b, 3, h, w) with ImageNet's mean and standard deviation."""
    pixels = torch.from_numpy(images).to(device).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(value, device=device).view(3, 1, 1) for value in (IMAGENET_MEAN, IMAGENET_STD))
    return (pixels - mean) / std


def _as_map(output: torch.Tensor, model: nn.Module) -> torch.Tensor:
    if output.ndim == 4:
        return output.permute(0, 3, 1, 2) if getattr(model, "output_fmt", "NCHW") == "NHWC" else output
    prefix = getattr(model, "num_prefix_tokens", output.shape[1] - isqrt(output.shape[1]) ** 2)
    patches = output[:, prefix:]
    side = isqrt(patches.shape[1])
    if output.ndim != 3 or side * side != patches.shape[1]:
        raise DataError(Problem("no square map", "reduction: grid", list(output.shape), fix="choose other layers"))
    return patches.transpose(1, 2).reshape(len(output), -1, side, side)


def _wanted(arch: str, layers: Any, model: nn.Module) -> list[str]:
    """Layers to extract, early to late, each once: those asked for, or the architecture's candidates and readout."""
    if isinstance(layers, dict):
        candidates = layers.get("candidates") or candidate_layers(arch, model)
        regions = (layers.get("regions") or {}).values()
        readout = layers.get("readout") or readout_layer(arch, model)
        return list(dict.fromkeys([*candidates, *regions, readout]))
    return list(layers or [*candidate_layers(arch, model), readout_layer(arch, model)])
