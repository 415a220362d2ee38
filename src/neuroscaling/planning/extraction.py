"""Bytes and seconds of an extraction follow from shapes, before weights or numbers are there."""

import json
from functools import cache
from typing import Any

from torch import nn

from neuroscaling.activations.baselines import baseline_width
from neuroscaling.activations.extraction import layouts_of
from neuroscaling.activations.layout import split_entry
from neuroscaling.activations.networks import network_extractor
from neuroscaling.activations.passes import feature_bytes, plan_passes
from neuroscaling.models.build import skeleton, with_shapes
from neuroscaling.models.state import network_device
from neuroscaling.planning.machine_throughput import Rates
from neuroscaling.planning.workload import cost_of
from neuroscaling.study.extraction_job import FeatureSpec
from neuroscaling.study.extraction_sections import ExtractionOptions


def planned_layers(
    arch: str,
    features: FeatureSpec,
    n_stimuli: int,
    options: ExtractionOptions | None = None,
    kind: str = "trained",
) -> list[dict[str, Any]]:
    """One dictionary an entry: `layer, features, bytes, gram_bytes, scratch_bytes, pass`, early to late.

    layer: the entry's name, `<layer>@<size>` where there are several grids; bytes: of the features that are kept,
    before compression; gram_bytes: of the Gram matrix and row sums; scratch_bytes: of features that are deleted once
    their Gram matrix is made; pass: number of the forward pass. kind: of the run. Raises StudyError for an unknown
    architecture, DataError for unknown layers.
    """
    keep, options = features.options.keep, options or ExtractionOptions()
    widths, readout = _widths(arch, features, kind)
    scratch = options.scratch_gb * 1e9 if keep == "gram" else None
    steps = plan_passes(layouts_of(widths, n_stimuli, features.options, options), scratch)
    gram = 0 if keep == "features" else 8 * n_stimuli * (n_stimuli + 1)
    return [
        {
            "layer": entry,
            "features": layout.shape[1],
            "bytes": feature_bytes(layout) if keep != "gram" or split_entry(entry)[0] == readout else 0,
            "gram_bytes": gram,
            "scratch_bytes": feature_bytes(layout) if keep == "gram" and split_entry(entry)[0] != readout else 0,
            "pass": step.number,
        }
        for step in steps
        for entry, layout in step.layouts.items()
    ]


def peak_scratch(rows: list[dict[str, Any]]) -> int:
    """Bytes of scratch of the pass that needs most, of what `planned` gave."""
    passes = {row["pass"] for row in rows}
    return max((sum(row["scratch_bytes"] for row in rows if row["pass"] == one) for one in passes), default=0)


def _widths(arch: str, features: FeatureSpec, kind: str) -> tuple[dict[str, int], str]:
    if kind == "baseline":
        return {arch: baseline_width(arch)}, ""
    return _widths_of(arch, json.dumps(features.settings()), kind)


@cache
def _widths_of(arch: str, features: str, kind: str) -> tuple[dict[str, int], str]:
    """A pass of shapes through a network of a billion parameters takes seconds: once for all stimulus sets."""
    asked = FeatureSpec.of(json.loads(features))

    def looked_at(model: nn.Module) -> tuple[dict[str, int], str]:
        extractor = network_extractor(model, arch, kind, asked, network_device(model))
        return extractor.widths(), extractor.layers[-1]

    return with_shapes(arch, looked_at)


def extraction_seconds(
    arch: str, n_stimuli: int, rows: list[dict[str, Any]], autocast: str, rates: Rates
) -> dict[str, float]:
    """Seconds of one network of `arch` over `n_stimuli` images, by kind of work: `forward, decode, write, gram`.

    rows: as of `planned_layers`; autocast: the type that the network computes in. The first three go on side by side,
    so that the longest of them counts; inner products come after.
    """
    passes = len({row["pass"] for row in rows})
    written = sum(row["bytes"] + row["scratch_bytes"] + row["gram_bytes"] for row in rows)
    products = sum(2 * n_stimuli**2 * row["features"] for row in rows if row["gram_bytes"])
    return {
        "forward": passes * n_stimuli * forward_operations(arch) / rates.of_network(network_kind(arch), autocast),
        "decode": passes * n_stimuli / rates.decode,
        "write": written / rates.write,
        "gram": products / rates.products64,
    }


def total_seconds(parts: dict[str, float]) -> float:
    """Seconds of an extraction from those of its parts."""
    return max(parts["forward"], parts["decode"], parts["write"]) + parts["gram"]


def forward_operations(arch: str) -> int:
    """Operations of the forward pass of an image: two for each multiplication with an addition."""
    return 2 * cost_of(arch).macs


@cache
def network_kind(arch: str) -> str:
    """`tokens` for networks with attention, `convolutions` for others."""
    return "tokens" if any("attn" in name for name, _ in skeleton(arch).named_modules()) else "convolutions"
