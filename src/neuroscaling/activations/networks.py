"""Hooks hand over the activations of a network's layers while the forward pass goes on."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from neuroscaling.activations.layout import entry_name, split_entry
from neuroscaling.activations.reductions import Reducer
from neuroscaling.activations.stimulus_images import Preprocessing, preprocessing
from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.records import checked_weights
from neuroscaling.models.batch_independence import company_problems, exact, hooked, never_one
from neuroscaling.models.capture import Output, probe, refuse_unreached
from neuroscaling.models.checkpoints import build_with
from neuroscaling.models.layers import PATTERNS, candidate_layers, check_layers, readout_layer
from neuroscaling.study.extraction_job import FeatureSpec
from neuroscaling.study.run_table import Run
from neuroscaling.study.sections.extraction import Layers

log = logging.getLogger(__name__)

DTYPES = {"float32": torch.float32, "float16": torch.float16}
AUTOCAST = {"none": None, "bf16": torch.bfloat16, "fp16": torch.float16}
# What a sink is given: layer, number of bytes, and a function that waits for the values, (b, features).
Sink = Callable[[str, int, Callable[[], np.ndarray]], None]


@dataclass(frozen=True)
class Extractor:
    """A network in evaluation mode with the layers to read.

    outputs: shape of each layer's output and how often its module runs; dtype: of the values that are handed over;
    autocast: `none`, or the type that the network computes in.
    """

    model: nn.Module
    outputs: dict[str, Output]
    reducer: Reducer
    preprocess: Preprocessing
    device: torch.device
    dtype: torch.dtype = torch.float32
    autocast: str = "none"

    @property
    def layers(self) -> list[str]:
        """The layers, early to late, the readout last."""
        return list(self.outputs)

    def widths(self) -> dict[str, int]:
        """Return features of each entry of the store: of each layer after reduction, on each of its grids."""
        widths: dict[str, int] = {}
        for layer, output in self.outputs.items():
            widths |= reduced_widths(layer, output, self.reducer)
        return widths

    def forward(self, images: np.ndarray, entries: Sequence[str], sink: Sink) -> None:
        """Run uint8 images (b, size, size, 3) through the network; each of `entries` goes to `sink` as it is ready.

        entries: of `widths`; all grids of a layer come from one output of it.

        The values are a copy, in `dtype`: later modules may compute in place. On a GPU they are on their way when
        `sink` is called, and the function that it is given waits for them. The network never gets a single image,
        whose dimension some of them squeeze away. Raises DataError where a layer is not reached as it should be.
        """
        wanted, n = set(entries), len(images)
        layers = list(dict.fromkeys(split_entry(entry)[0] for entry in entries))

        def deliver(layer: str, output: torch.Tensor) -> None:
            for entry, reduced in self.reducer.entries(layer, output[:n]).items():
                if entry in wanted:
                    sink(entry, reduced.numel() * self.dtype.itemsize, to_host(reduced, self.dtype))

        pixels = normalise(images, self.device, self.preprocess)
        with exact_and_fast(self.device, self.autocast), hooked(self.model, self.outputs, layers, deliver) as missed:
            self.model(never_one(pixels))
            if missed():
                what = "modules that run another number of times for some images than for others"
                fix = "name layers whose modules run equally often"
                raise DataError(Problem(what=what, where="layers", value=listing(missed()), fix=fix))

    def facts(self) -> dict[str, Any]:
        """Return what was done to the images, for the manifest."""
        return {"preprocessing": self.preprocess.facts(), "readout": self.layers[-1]}

    def in_parts(self) -> "InParts":
        """The same network for batches that a GPU may have no room for."""
        return InParts(self)


class InParts:
    """Passes batches through a network in parts, which are halved each time that a GPU's memory does not suffice.

    Sinks get the same rows in the same order; the values are those of a smaller batch.
    """

    def __init__(self, extractor: Extractor):
        self._extractor, self._most = extractor, 0
        """Images that go through at once; 0: all."""

    def forward(self, images: np.ndarray, entries: Sequence[str], sink: Sink) -> None:
        """As `Extractor.forward`. Raises DataError where there is no room for the smallest part."""
        step = self._most or len(images)
        for start in range(0, len(images), step):
            self._part(images[start : start + step], entries, sink)

    def _part(self, images: np.ndarray, entries: Sequence[str], sink: Sink) -> None:
        delivered: set[str] = set()

        def put(entry: str, size: int, ready: Callable[[], np.ndarray]) -> None:
            sink(entry, size, ready)
            delivered.add(entry)

        if self._fits(images, entries, put):
            return
        half = max(len(images) // 2, SMALLEST)
        device = self._extractor.device
        if len(images) <= SMALLEST:
            what, fix = f"the memory of {device} does not suffice for {SMALLEST} images at once", "use a larger GPU"
            raise DataError(Problem(what=what, where="extraction", value=f"{len(images)} images", fix=fix))
        log.warning("the memory of %s does not suffice for %d images at once: %d go through", device, len(images), half)
        self._most = half
        # What early layers gave of the whole part is on its way already.
        rest = [entry for entry in entries if entry not in delivered]
        for part in (images[:half], images[half:]):
            self.forward(part, rest, sink)

    def _fits(self, images: np.ndarray, entries: Sequence[str], put: Sink) -> bool:
        try:
            self._extractor.forward(images, entries, put)
        except torch.OutOfMemoryError:
            pass  # what the pass made is freed behind this block
        else:
            return True
        torch.cuda.empty_cache()
        return False


SMALLEST = 2
"""Images that go through at once, at least: a single one goes through twice."""


def extractor_of(run: Run, folder: Path, features: FeatureSpec, device: str | None) -> Extractor:
    """Return the network of a run with the weights that run.json in its `folder` names.

    Raises DataError when there are no weights, when they are not those of the record or of another network, for layers
    that it doesn't have, and for features of an image that depend on the other images of its batch.
    """
    model = build_with(run.arch, checked_weights(folder))
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    share = run.checkpoint.crop if run.checkpoint else 1.0
    extractor = network_extractor(model, run.arch, run.kind, features, place, share)
    if problems := company_problems(run.arch, extractor.model, extractor.outputs, extractor.preprocess.size):
        raise DataError(problems)
    return extractor


def network_extractor(
    model: nn.Module, arch: str, kind: str, features: FeatureSpec, device: torch.device, share: float = 1.0
) -> Extractor:
    """Return an extractor of a network that is built already; also for the meta device, to know shapes beforehand.

    kind: of the run, such as `trained`; share: of an image that it is shown. Raises DataError for layers that the
    network doesn't have or doesn't reach.
    """
    options = features.options
    preprocess = preprocessing(arch, kind, options.normalise, options.crop, share)
    wanted, readout = wanted_layers(arch, features.layers, model)
    problems = check_layers(arch, wanted, model)
    if problems:
        raise DataError(problems)
    model = model.eval().to(device)
    outputs = probe(model, wanted, preprocess.size)
    refuse_unreached(wanted, outputs)
    whole = (readout,) if features.reduction.kind == "projection" else ()
    reducer = Reducer(model, features.reduction.ascending(), options.tokens, whole)
    ordered = {layer: outputs[layer] for layer in wanted}
    dtype = DTYPES[options.dtype]
    extractor = Extractor(model, ordered, reducer, preprocess, device, dtype, options.autocast)
    _refuse_bare_layers(extractor)
    return extractor


def _refuse_bare_layers(extractor: Extractor) -> None:
    """Log the grids that are finer than a layer's map. Raises DataError where a layer has no grid at all."""
    sizes, entries = extractor.reducer.reduction.sizes, extractor.widths()
    missing = [
        entry_name(layer, size)
        for layer in extractor.layers
        for size in sizes
        if layer not in entries and entry_name(layer, size) not in entries
    ]
    bare = sorted(set(extractor.layers) - {split_entry(entry)[0] for entry in entries})
    if bare:
        what = "every grid is finer than the layer's map"
        raise DataError(
            Problem(what=what, where="reduction: sizes", value=sizes, fix=f"add a smaller size for {listing(bare)}")
        )
    if missing:
        log.info("left out, finer than the layer's map: %s", listing(missing))


def wanted_layers(arch: str, layers: Layers, model: nn.Module) -> tuple[list[str], str]:
    """Return layers to extract, early to late, each once, the readout last; and the readout.

    Candidates that are not named are what the architecture has by default, and so is the readout.
    """
    candidates = layers.candidates or "default"
    patterns = [candidates] if isinstance(candidates, str) else candidates
    named = [layer for item in patterns for layer in _expanded(arch, model, item, layers)]
    named += layers.regions.values()
    readout = layers.readout or readout_layer(arch, model)
    return [*(layer for layer in dict.fromkeys(named) if layer != readout), readout], readout


def reduced_widths(layer: str, output: Output, reducer: Reducer) -> dict[str, int]:
    """Return features of each entry of a layer after reduction, from its shape alone."""
    reduced = reducer.entries(layer, torch.empty(output.shape, device="meta"))
    return {entry: values.shape[1] for entry, values in reduced.items()}


def to_host(values: torch.Tensor, dtype: torch.dtype) -> Callable[[], np.ndarray]:
    """Begin to copy `values` to the CPU's memory as `dtype`; the function returned waits for them."""
    if values.device.type != "cuda":
        copied = torch.empty(values.shape, dtype=dtype).copy_(values)
        return lambda: copied.numpy()
    waiting = torch.empty(values.shape, dtype=dtype, pin_memory=True)
    waiting.copy_(values.to(dtype), non_blocking=True)
    arrived = torch.cuda.Event()
    arrived.record()

    def ready() -> np.ndarray:
        arrived.synchronize()
        return waiting.numpy()

    return ready


def normalise(images: np.ndarray, device: torch.device, preprocess: Preprocessing | None = None) -> torch.Tensor:
    """uint8 (b, h, w, 3) to float32 (b, 3, h, w), scaled to 0..1, with the mean and standard deviation taken out."""
    preprocess = preprocess or Preprocessing(images.shape[1])
    pixels = torch.from_numpy(images)
    pixels = pixels.pin_memory() if device.type == "cuda" else pixels
    pixels = pixels.to(device, non_blocking=True).permute(0, 3, 1, 2).float() / 255
    mean, std = (torch.tensor(value, device=device).view(3, 1, 1) for value in (preprocess.mean, preprocess.std))
    return (pixels - mean) / std


@contextmanager
def exact_and_fast(device: torch.device, autocast: str) -> Iterator[None]:
    """No gradients, and no TF32, so that a GPU gives what a CPU gives to float32 rounding; mixed precision if asked."""
    kind = AUTOCAST[autocast]
    mixed = torch.autocast(device.type, dtype=kind) if kind else nullcontext()
    with exact(), mixed:
        yield


def _expanded(arch: str, model: nn.Module, item: str, layers: Layers) -> list[str]:
    """Layers of a pattern, or the layer `item` itself. Where the study names layers of regions, none need be found."""
    try:
        return candidate_layers(arch, model, item) if item in PATTERNS else [item]
    except DataError:
        if layers.candidates or not layers.regions:
            raise
        return []
