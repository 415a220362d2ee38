"""Bytes of an extraction follow from shapes, before weights or numbers are there."""

import json
from functools import cache
from typing import Any

from torch import nn

from neuroscaling.activations.baselines import baseline_width
from neuroscaling.activations.extraction import layouts_of
from neuroscaling.activations.layout import split_entry
from neuroscaling.activations.networks import network_extractor
from neuroscaling.activations.passes import feature_bytes, plan_passes
from neuroscaling.models.build import with_shapes
from neuroscaling.models.state import network_device
from neuroscaling.study.extraction_job import FeatureSpec
from neuroscaling.study.layer_choice import extracted_layers
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.run_table import Run
from neuroscaling.study.sections.extraction import ExtractionOptions, Layers


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


def layers_of_run(study: LoadedStudy, run: Run, n_stimuli: int) -> list[dict[str, Any]]:
    """The layers that the study extracts of a run from so many stimuli, as `planned_layers` has them."""
    settings = study.config
    layers = Layers.model_validate(extracted_layers(settings, run))
    asked = FeatureSpec(layers, settings.reduction, settings.extraction)
    return planned_layers(run.arch, asked, n_stimuli, settings.extraction, run.kind)


def peak_scratch(rows: list[dict[str, Any]]) -> int:
    """Bytes of scratch of the pass that needs most, of what `planned_layers` gave."""
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
