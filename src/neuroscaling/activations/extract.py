"""Extraction: one process and one network for all stimulus sets, one forward pass a set for all layers."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neuroscaling.activations.images import StimulusImages, stimulus_images
from neuroscaling.activations.sources import Baseline, Network, Source
from neuroscaling.activations.store import is_stored, write_store
from neuroscaling.errors import DataError, Problem
from neuroscaling.files import read_json
from neuroscaling.provenance import provenance

log = logging.getLogger(__name__)
PACKAGES = ("numpy", "torch", "timm", "zarr", "pillow")


def extract(
    run: dict[str, Any],
    run_dir: Path,
    stimulus_sets: Sequence[Path],
    outputs: Sequence[Path],
    layers: dict[str, Any] | Sequence[str] | None = None,
    reduction: dict[str, Any] | None = None,
    device: str | None = None,
    code: str | None = None,
) -> None:
    """Write the activations of `run` to each of `stimulus_sets` (their manifest.json) as `outputs` (store manifests).

    run: the run's settings; run_dir: its folder with run.json and weights. layers: names, or the study's section
    {"candidates", "regions", "readout"}; empty for the architecture's own candidates and readout. reduction:
    {"kind": "none"} or {"kind": "grid", "size": k}. device: torch's name; CUDA where there is one. code: fingerprint of
    the code. Sets whose output is sound and of the same weights, images, layers, reduction and code are kept. Memory is
    that of one batch.
    Raises DataError for missing images, weights of another network, unknown layers, and NaN activations.
    """
    reduction = _checked(reduction or {"kind": "none"})
    images = [stimulus_images(manifest) for manifest in stimulus_sets]
    source, facts = _source(run, Path(run_dir), layers, reduction, device)
    for one, output in zip(images, outputs, strict=True):
        wanted = {**facts, **one.facts, "reduction": reduction, "layers_asked": layers or None, "code": code}
        if is_stored(output, wanted):
            log.info("%s is kept: same weights, images, layers and reduction", output)
        else:
            _extract_set(source, one, Path(output), wanted)


def _source(run: dict, run_dir: Path, layers: Any, reduction: dict, device: str | None) -> tuple[Source, dict]:
    facts = {"run": run["run"], "kind": run["kind"], "arch": run["arch"], "weights_sha256": None}
    if run["kind"] == "baseline":
        return Baseline(run["arch"]), facts
    facts["weights_sha256"] = read_json(run_dir / "run.json")["weights_sha256"]
    return Network(run, run_dir, layers, reduction, device), facts


def _extract_set(source: Source, images: StimulusImages, output: Path, wanted: dict[str, Any]) -> None:
    start = time.perf_counter()
    write_store(
        output,
        images.stimulus_ids,
        source.batches(images.paths),
        reduction=wanted["reduction"],
        facts=wanted | source.facts(),
        provenance=lambda: provenance(PACKAGES, time.perf_counter() - start, device=source.device()),
    )
    log.info("%d stimuli written to %s in %.2f s", len(images.paths), output, time.perf_counter() - start)


def _checked(reduction: dict[str, Any]) -> dict[str, Any]:
    kind, size = reduction.get("kind"), reduction.get("size")
    if kind == "none":
        return {"kind": "none"}
    if kind == "grid" and isinstance(size, int) and size >= 1:
        return {"kind": "grid", "size": size}
    allowed = '{"kind": "none"} or {"kind": "grid", "size": cells along each side}'
    raise DataError(Problem("no such reduction", "reduction", reduction, allowed))
