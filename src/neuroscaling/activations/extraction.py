"""An extraction runs one network or baseline over all stimulus sets, one pass a set for all layers."""

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.activations import passes
from neuroscaling.activations.baselines import baseline_batches
from neuroscaling.activations.layout import ACTIVATIONS_FORMAT, Layout
from neuroscaling.activations.options import Request
from neuroscaling.activations.passes import Partial, making
from neuroscaling.activations.stimulus_images import StimulusImages, stimulus_images
from neuroscaling.activations.zarr_writing import (
    Batch,
    check_ids,
    check_layer,
    complete_group,
    write_manifest,
    write_store,
)
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import full_disk_named, is_full_disk
from neuroscaling.core.images import ImageFile
from neuroscaling.core.leases import Lease, LeaseLost
from neuroscaling.core.provenance import provenance
from neuroscaling.core.records import DEFINITION, RUN_RECORD, read_run

if TYPE_CHECKING:
    from neuroscaling.activations.networks import Extractor


@dataclass(frozen=True)
class Baseline:
    """Image features that no network computes."""

    name: str

    def batches(self, files: Sequence[ImageFile]) -> Iterator[Batch]:
        """Features of the images in `files`, batch by batch."""
        return baseline_batches(self.name, files)

    def facts(self) -> dict[str, Any]:
        """What was done to the images, for the manifest."""
        return {"preprocessing": {"colour": "grey", "resize": "bilinear, antialiased", "range": [0, 1]}}


@dataclass(frozen=True)
class Network:
    """A network, built when the first set needs it: a process that finds all sets done imports no torch."""

    run: dict[str, Any]
    run_dir: Path
    request: Request
    wanted_device: str | None

    @cached_property
    def extractor(self) -> "Extractor":
        """The network with its layers."""
        from neuroscaling.activations.networks import extractor_of

        return extractor_of(self.run, self.run_dir, self.request, self.wanted_device)


log = logging.getLogger(__name__)
PACKAGES = ("numpy", "torch", "timm", "torchvision", "zarr", "pillow")


def extract(
    run: dict[str, Any],
    run_dir: Path,
    stimulus_sets: Sequence[Path],
    outputs: Sequence[Path],
    layers: dict[str, Any] | Sequence[str] | None = None,
    reduction: dict[str, Any] | None = None,
    device: str | None = None,
    definitions: Sequence[Mapping[str, Any]] | None = None,
    options: dict[str, Any] | None = None,
    part: tuple[int, int] | None = None,
) -> None:
    """Write the activations of `run` to each of `stimulus_sets` (their manifest.json) as `outputs` (store manifests).

    run: the run's settings; run_dir: its folder with run.json and weights. layers: names, or the study's section
    {"candidates", "regions", "readout"}; empty for what `options["candidates"]` finds and the readout. reduction:
    {"kind": "none"}, {"kind": "grid" or "max", "size": k} or {..., "sizes": [k, ...]}, one entry a size, or
    {"kind": "projection", "components": k, "seed": s}.
    device: torch's name; CUDA where there is one. definitions: one for each output, what its name is a hash of, where
    they are such names. options: see `options.DEFAULTS`. part: (i, parts), to write only the i-th slice of the shards,
    from 0; several processes may write slices of one set, and `finish` completes it. Outputs that are there are left
    as they are. Of several processes one makes an output, and the others wait for it; an extraction that was cut short
    goes on at the first missing shard. Memory is that of one batch, and with Gram matrices also of one such matrix.
    Raises DataError for missing images, weights that are not those of the run's record or of another network, unknown
    layers, and NaN activations.
    """
    request = Request.of(layers, reduction, options)
    for job in _jobs(run, Path(run_dir), stimulus_sets, outputs, request, device, definitions):
        with full_disk_named(job.output):
            job.extract(part)


def finish(
    run: dict[str, Any],
    run_dir: Path,
    stimulus_sets: Sequence[Path],
    outputs: Sequence[Path],
    layers: dict[str, Any] | Sequence[str] | None = None,
    reduction: dict[str, Any] | None = None,
    device: str | None = None,
    definitions: Sequence[Mapping[str, Any]] | None = None,
    options: dict[str, Any] | None = None,
) -> None:
    """Complete sets whose slices `extract(..., part=...)` wrote, with the same arguments: Gram matrices and manifest.

    Raises DataError, naming the shards, where slices are missing.
    """
    request = Request.of(layers, reduction, options)
    for job in _jobs(run, Path(run_dir), stimulus_sets, outputs, request, device, definitions):
        with full_disk_named(job.output):
            job.finish()


@dataclass
class _Job:
    """One stimulus set of one run. facts: of the manifest; start: of the work, behind any wait for a lease."""

    source: Baseline | Network
    images: StimulusImages
    output: Path
    facts: dict[str, Any]
    options: dict[str, Any]
    start: float = 0.0

    def extract(self, part: tuple[int, int] | None) -> None:
        """Make the output, or a slice of its shards, unless it is there."""
        if part is not None and isinstance(self.source, Baseline):
            return  # so little work that the slices leave it to `finish`
        with making(self.output, part) as lease:
            self.start = time.perf_counter()
            if lease is None:
                log.info("%s is there, made by another process", self.output)
            elif isinstance(self.source, Baseline):
                self._write_baseline(lease)
            else:
                self._extract(lease, part)

    def finish(self) -> None:
        """Complete the output of slices that are there."""
        with making(self.output, None) as lease:
            self.start = time.perf_counter()
            if lease is None:
                log.info("%s is there, made by another process", self.output)
            elif isinstance(self.source, Baseline):
                self._write_baseline(lease)
            else:
                steps, partial = self._begin(lease, False)
                self._complete(partial, [self._entries(partial, step, write=False) for step in steps])

    def _extract(self, lease: Lease, part: tuple[int, int] | None) -> None:
        steps, partial = self._begin(lease, part is None)
        if part is not None and len(steps) > 1:
            what, fix = "features take more room than `scratch_gb`, and slices can't take turns", "raise `scratch_gb`"
            raise DataError(Problem(what=what, where=str(self.output), value=self.options["scratch_gb"], fix=fix))
        try:
            if part is not None:
                self._write_slice(partial, steps[0], part)
            else:
                self._complete(partial, [self._entries(partial, step, write=True) for step in steps])
        except LeaseLost:
            raise
        except DataError as error:
            if part is None and not is_full_disk(error, self.output):
                partial.drop()  # it would be the same again; what a signal ends stays
            raise

    def _write_baseline(self, lease: Lease) -> None:
        write_store(
            self.output,
            self.images.stimulus_ids,
            self.source.batches(self.images.files),
            reduction=self.facts["reduction"],
            facts=self.facts | self.source.facts(),
            provenance=lambda: self._provenance("cpu"),
            codec=self.options["codec"],
            keep=self.options["keep"],
            lease=lease,
        )

    def _begin(self, lease: Lease, alone: bool) -> tuple[list[passes.Pass], Partial]:
        extractor, options = self.source.extractor, self.options
        check_ids(self.images.stimulus_ids, self.output)
        steps = passes.plan_passes(
            layouts_of(extractor.widths(), len(self.images.files), options),
            options["scratch_gb"] * 1e9 if options["keep"] == "gram" else None,
        )
        shapes = [[layer, *layout.shape] for step in steps for layer, layout in step.layouts.items()]
        facts = {
            **self.facts,
            **extractor.facts(),
            "all_options": options,
            "layers": shapes,
            "format": ACTIVATIONS_FORMAT,
        }
        return steps, Partial.begin(self.output, facts, lease, alone)

    def _write_slice(self, partial: Partial, step: passes.Pass, part: tuple[int, int]) -> None:
        (i, parts), shards = part, next(iter(step.layouts.values())).shards
        chosen = range(i * shards // parts, (i + 1) * shards // parts)
        passes.write_missing(self.source.extractor, partial, step, self.images.files, chosen, self.options)
        log.info("slice %d of %d of %s: %d shards", i + 1, parts, self.output, len(chosen))

    def _entries(self, partial: Partial, step: passes.Pass, write: bool) -> list[dict[str, Any]]:
        """Manifest entries of the layers of one pass, which is made where `write` and nothing is there yet."""
        keep, extractor = self.options["keep"], self.source.extractor
        if made := passes.finished_grams(partial, step):
            return made
        if write:
            shards = range(next(iter(step.layouts.values())).shards)
            passes.write_missing(extractor, partial, step, self.images.files, shards, self.options)
        entries = passes.layer_entries(partial, step)
        if keep == "features":
            return entries
        return passes.gram_entries(partial, step, entries, keep, extractor.layers[-1], str(extractor.device))

    def _complete(self, partial: Partial, entries: list[list[dict[str, Any]]]) -> None:
        flat, extractor = [entry for one in entries for entry in one], self.source.extractor
        complete_group(partial.group, self.images.stimulus_ids, flat, self.facts["reduction"])
        partial.publish()
        facts = {**self.facts, **extractor.facts(), "passes": len(entries)}
        made = self._provenance(str(extractor.device))
        write_manifest(self.output, self.images.stimulus_ids, flat, self.facts["reduction"], facts, made)
        partial.drop()
        seconds = time.perf_counter() - self.start
        log.info("%d stimuli written to %s in %.2f s", len(self.images.files), self.output, seconds)

    def _provenance(self, device: str) -> dict[str, Any]:
        return provenance(PACKAGES, time.perf_counter() - self.start, device=device)


def layouts_of(widths: dict[str, int], n: int, options: dict[str, Any]) -> dict[str, Layout]:
    """How the features of each layer lie on the disk; features that are not kept are not compressed."""
    codec = "none" if options["keep"] == "gram" else options["codec"]
    for layer, width in widths.items():
        check_layer(layer, (n, width))
    return {layer: Layout.of(n, width, options["dtype"], options["batch"], codec) for layer, width in widths.items()}


def _jobs(
    run: dict,
    run_dir: Path,
    sets: Sequence,
    outputs: Sequence,
    request: Request,
    device: str | None,
    definitions: Sequence[Mapping[str, Any]] | None,
) -> list[_Job]:
    """The sets that are not stored yet. What is stored asks for neither the run nor its weights."""
    wanted = list(zip(sets, map(Path, outputs), definitions or [None] * len(outputs), strict=True))
    absent = [(one, output, definition) for one, output, definition in wanted if not output.exists()]
    if not absent:
        log.info("all activations of %s that are asked for are there", run["run"])
        return []
    source, run_facts, weights = _source(run, run_dir, request, device)
    jobs = []
    for one, output, definition in absent:
        images = stimulus_images(one)
        facts = {
            **run_facts,
            **images.facts,
            **request.facts(),
            DEFINITION: None if definition is None else dict(definition),
            "made_from": {**weights, **images.made_from},
        }
        jobs.append(_Job(source, images, output, facts, request.options))
    return jobs


def _source(
    run: dict, run_dir: Path, request: Request, device: str | None
) -> tuple[Baseline | Network, dict[str, Any], dict[str, str]]:
    """Where activations come from, what the manifest says of it, and the checksum of its weights by their name."""
    facts = {"run": run["run"], "kind": run["kind"], "arch": run["arch"], "weights_sha256": None}
    if run["kind"] == "baseline":
        return Baseline(run["arch"]), facts, {}
    final = next(iter(read_run(run_dir / RUN_RECORD).weights_files), None)
    if final is None:
        raise DataError(
            Problem(what="the run has no weights", where=str(run_dir / RUN_RECORD), fix="train the run again")
        )
    # When they are loaded, the weights are compared with this sum.
    facts["weights_sha256"] = final.sha256
    return Network(run, run_dir, request, device), facts, {f"runs/{run['run']}/{final.name}": final.sha256}
