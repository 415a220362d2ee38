"""An extraction runs one network or baseline over a stimulus set, in few passes for all of its layers."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from neuroscaling.activations import passes
from neuroscaling.activations.baselines import baseline_batches
from neuroscaling.activations.layout import ACTIVATIONS_FORMAT, Layout, group_path
from neuroscaling.activations.manifest import StoredLayer, write_manifest
from neuroscaling.activations.passes import Partial, making
from neuroscaling.activations.stimulus_images import StimulusImages, stimulus_images
from neuroscaling.activations.zarr_writing import (
    Batch,
    check_ids,
    check_layer,
    complete_group,
    metadata_sha256,
    write_store,
)
from neuroscaling.core.counting import Tally
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import full_disk_named, is_full_disk
from neuroscaling.core.hashing import content_hash
from neuroscaling.core.images import ImageFile
from neuroscaling.core.leases import Lease, LeaseLost
from neuroscaling.core.provenance import provenance
from neuroscaling.core.records import DEFINITION, RUN_RECORD, read_run
from neuroscaling.core.watching import Watch, watched_lease
from neuroscaling.study.extraction_job import ExtractionJob, FeatureSpec
from neuroscaling.study.sections.extraction import ExtractionOptions, FeatureOptions

if TYPE_CHECKING:
    from neuroscaling.activations.networks import Extractor


log = logging.getLogger(__name__)
PACKAGES = ("numpy", "torch", "timm", "torchvision", "zarr", "pillow")
# Manifests state them where they are not by default alone: stores of before there was such an option still count.
SWITCHES = ("normalise", "crop")
Part = tuple[int, int]
"""(i, parts): the i-th of `parts` slices of the shards, counted from 0."""


def extract(
    job: ExtractionJob, options: ExtractionOptions, part: Part | None = None, device: str | None = None
) -> None:
    """Write the activations of a run to a stimulus set, unless they are there.

    part: to write one slice of the shards alone; several processes may write slices of one set, and `finish` completes
    it. device: torch's name; by default CUDA where there is one. Of several processes one makes the output, and the
    others wait for it; an extraction that was cut short goes on at the first missing shard. Memory is that of one
    batch, and with Gram matrices also of one such matrix. Raises DataError for missing images, weights that are not
    those of the run's record or of another network, unknown layers, and NaN activations.
    """
    with full_disk_named(job.output):
        if (one := _extraction(job, options, device)) is not None:
            one.extract(part)


def finish(job: ExtractionJob, options: ExtractionOptions, device: str | None = None) -> None:
    """Complete activations whose slices `extract(..., part)` wrote: Gram matrices and manifest.

    Raises DataError, naming the shards, where slices are missing.
    """
    with full_disk_named(job.output):
        if (one := _extraction(job, options, device)) is not None:
            one.finish()


@dataclass
class _BaselineExtraction:
    """Features of images that no network computes. facts: of the manifest."""

    job: ExtractionJob
    options: ExtractionOptions
    images: StimulusImages
    facts: dict[str, Any]

    def extract(self, part: Part | None) -> None:
        """Make the output unless it is there; slices are left to `finish`, so little work it is."""
        if part is None:
            self.finish()

    def finish(self) -> None:
        """Make the output unless it is there."""
        with making(self.job.output, None) as lease:
            start = time.perf_counter()
            if lease is None:
                _log_found(self.job)
                return
            write_store(
                self.job.output,
                self.images.stimulus_ids,
                self._batches(self.images.files),
                reduction=self.facts["reduction"],
                facts={**self.facts, "preprocessing": BASELINE_PREPROCESSING},
                provenance=lambda: provenance(PACKAGES, time.perf_counter() - start, device="cpu"),
                codec=self.options.codec,
                keep=self.job.features.options.keep,
                lease=lease,
            )

    def _batches(self, files: Sequence[ImageFile]) -> Iterator[Batch]:
        return baseline_batches(self.job.run.arch, files)


_kept: list[dict[str, "Extractor"]] = []


@contextmanager
def network_kept() -> Iterator[None]:
    """Keep the network that was read last, for the length of the block: a job extracts all stimulus sets of a run."""
    _kept.append({})
    try:
        yield
    finally:
        _kept.pop()


def _extractor(job: ExtractionJob, device: str | None) -> "Extractor":
    # It imports torch, and the Brain-Score environment's readers of this room do without.
    from neuroscaling.activations.networks import extractor_of

    known: dict[str, Extractor] = _kept[-1] if _kept else {}
    weights = sorted(_weights(job).values())
    key = content_hash([str(job.folder), weights, job.features.settings(), device], 16)
    if key not in known:
        known.clear()  # before the next one is read, so that one is in memory at a time
        known[key] = extractor_of(job.run, job.folder, job.features, device)
    return known[key]


BASELINE_PREPROCESSING = {"colour": "grey", "resize": "bilinear, antialiased", "range": [0, 1]}


@dataclass
class _NetworkExtraction:
    """Layers of a network. facts: of the manifest; start: of the work, behind any wait for a lease."""

    job: ExtractionJob
    options: ExtractionOptions
    images: StimulusImages
    facts: dict[str, Any]
    device: str | None
    start: float = 0.0

    @cached_property
    def extractor(self) -> "Extractor":
        """The network with its layers, built when the work begins: a process that waits in vain imports no torch."""
        return _extractor(self.job, self.device)

    def extract(self, part: Part | None) -> None:
        """Make the output, or a slice of its shards, unless it is there."""
        with making(self.job.output, part) as lease:
            self.start = time.perf_counter()
            if lease is None:
                _log_found(self.job)
            else:
                with self._watched(lease) as (watch, tally):
                    self._extract(lease, part, watch, tally)

    def finish(self) -> None:
        """Complete the output of slices that are there."""
        with making(self.job.output, None) as lease:
            self.start = time.perf_counter()
            if lease is None:
                _log_found(self.job)
            else:
                with self._watched(lease) as (watch, tally):
                    steps, partial = self._begin(lease, False)
                    tally.total = tally.done = len(self.images.files)  # as the slices, each for itself, found
                    self._complete(partial, [self._layers(partial, step, watch) for step in steps])

    @contextmanager
    def _watched(self, lease: Lease) -> Iterator[tuple[Watch, Tally]]:
        tally = Tally("extraction", "images")
        with watched_lease(lease, f"{self.job.run.run} on {self.job.output.stem}", tally) as watch:
            yield watch, tally

    def _extract(self, lease: Lease, part: Part | None, watch: Watch, tally: Tally) -> None:
        steps, partial = self._begin(lease, part is None)
        output = self.job.output
        if part is not None and len(steps) > 1:
            what, fix = "features take more room than `scratch_gb`, and slices can't take turns", "raise `scratch_gb`"
            raise DataError(Problem(what=what, where=str(output), value=self.options.scratch_gb, fix=fix))
        try:
            if part is not None:
                self._write_slice(partial, steps[0], part, watch, tally)
            else:
                tally.total = len(steps) * len(self.images.files)
                self._complete(partial, [self._layers(partial, step, watch, tally) for step in steps])
        except LeaseLost:
            raise
        except DataError as error:
            if part is None and not is_full_disk(error, output):
                partial.drop()  # it would be the same again; what a signal ends stays
            raise

    def _begin(self, lease: Lease, alone: bool) -> tuple[list[passes.Pass], Partial]:
        extractor, asked = self.extractor, self.job.features.options
        check_ids(self.images.stimulus_ids, self.job.output)
        layouts = layouts_of(extractor.widths(), len(self.images.files), asked, self.options)
        steps = passes.plan_passes(layouts, self.options.scratch_gb * 1e9 if asked.keep == "gram" else None)
        facts = {
            **self.facts,
            **extractor.facts(),
            "all_options": asked.determining() | self.options.laying(),
            "layers": [[layer, *layout.shape] for step in steps for layer, layout in step.layouts.items()],
            "format": ACTIVATIONS_FORMAT,
        }
        return steps, Partial.begin(self.job.output, facts, lease, alone)

    def _write_slice(self, partial: Partial, step: passes.Pass, part: Part, watch: Watch, tally: Tally) -> None:
        (i, parts), layout = part, next(iter(step.layouts.values()))
        chosen = range(i * layout.shards // parts, (i + 1) * layout.shards // parts)
        tally.total = layout.count_rows(chosen)
        passes.write_missing(self.extractor, partial, step, self.images.files, chosen, self.options, watch, tally)
        log.info("slice %d of %d of %s: %d shards", i + 1, parts, self.job.output, len(chosen))

    def _layers(
        self, partial: Partial, step: passes.Pass, watch: Watch, tally: Tally | None = None
    ) -> list[StoredLayer]:
        """Return what is stored of the layers of one pass; with a tally of images, what is not there yet is made."""
        keep, extractor = self.job.features.options.keep, self.extractor
        if made := passes.finished_grams(partial, step):
            if tally is not None:
                tally.done += len(self.images.files)
            return made
        if tally is not None:
            shards = range(next(iter(step.layouts.values())).shards)
            passes.write_missing(extractor, partial, step, self.images.files, shards, self.options, watch, tally)
        layers = passes.written_layers(partial, step)
        if keep == "features":
            return layers
        with watch.expecting(self.options.patience):
            return passes.add_grams(partial, step, layers, keep, extractor.layers[-1], str(extractor.device))

    def _complete(self, partial: Partial, by_pass: list[list[StoredLayer]]) -> None:
        layers, output = [layer for one in by_pass for layer in one], self.job.output
        ids, reduction = self.images.stimulus_ids, self.facts["reduction"]
        complete_group(partial.group, ids, layers, reduction)
        partial.publish()
        facts = {**self.facts, **self.extractor.facts(), "passes": len(by_pass)}
        made = provenance(PACKAGES, time.perf_counter() - self.start, device=str(self.extractor.device))
        write_manifest(output, ids, layers, metadata_sha256(group_path(output)), reduction, facts, made)
        partial.drop()
        seconds = time.perf_counter() - self.start
        log.info("%d stimuli written to %s in %.2f s", len(self.images.files), output, seconds)


def layouts_of(widths: dict[str, int], n: int, asked: FeatureOptions, options: ExtractionOptions) -> dict[str, Layout]:
    """Return how the features of each layer lie on the disk; features that are not kept are not compressed."""
    codec = "none" if asked.keep == "gram" else options.codec
    for layer, width in widths.items():
        check_layer(layer, (n, width))
    return {layer: Layout.of(n, width, asked.dtype, options.batch, codec) for layer, width in widths.items()}


def _log_found(job: ExtractionJob) -> None:
    log.info("%s is there, made by another process", job.output)


def _extraction(
    job: ExtractionJob, options: ExtractionOptions, device: str | None
) -> _BaselineExtraction | _NetworkExtraction | None:
    """Return what makes the output; None where it is there: that asks for neither the run nor its weights."""
    if job.output.exists():
        log.info("the activations of %s are there: %s", job.run.run, job.output)
        return None
    weights = _weights(job)
    images = stimulus_images(job.stimuli)
    facts = {
        "run": job.run.run,
        "kind": job.run.kind,
        "arch": job.run.arch,
        "weights_sha256": next(iter(weights.values()), None),
        **images.facts,
        **_stated(job.features),
        DEFINITION: job.definition,
        "made_from": {**weights, **images.made_from},
    }
    if job.run.kind == "baseline":
        return _BaselineExtraction(job, options, images, facts)
    return _NetworkExtraction(job, options, images, facts, device)


def free_weights(job: ExtractionJob) -> None:
    """Delete the weights of a run that a study doesn't keep, once all activations that it wants of it are there.

    Its record and history stay; where something needs the weights again, the next start makes the run again.
    """
    if not job.freed_by or not all(path.exists() for path in job.freed_by):
        return
    for file in read_run(job.folder / RUN_RECORD).weights_files:
        (job.folder / file.name).unlink(missing_ok=True)
    log.info("%s: its weights are deleted, since its activations are there and `keep: false` stands", job.run.run)


def _stated(features: FeatureSpec) -> dict[str, Any]:
    """Return what the manifest states of the features that were asked for."""
    options, usual = features.options.determining(), FeatureOptions()
    stated = {key: value for key, value in options.items() if key not in SWITCHES or value != getattr(usual, key)}
    return {
        "reduction": features.reduction.ascending().settings(),
        "layers_asked": features.layers.settings() or None,
        # Of the format since its beginning: the layers of networks for which none are asked are those by default.
        "options": stated | {"candidates": "default"},
    }


def _weights(job: ExtractionJob) -> dict[str, str]:
    """Return the sha256 of the run's final weights, by their name in the store; empty for a baseline."""
    if job.run.kind == "baseline":
        return {}
    final = next(iter(read_run(job.folder / RUN_RECORD).weights_files), None)
    if final is None:
        raise DataError(
            Problem(what="the run has no weights", where=str(job.folder / RUN_RECORD), fix="train the run again")
        )
    # When they are loaded, the weights are compared with this sum.
    return {f"runs/{job.run.run}/{final.name}": final.sha256}
