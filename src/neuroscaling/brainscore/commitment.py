"""The job of choosing sweeps layers of runs on benchmarks, and commits one to each region.

Imports of Brain-Score, and of modules that import it, stand in functions: `environment.prepare_environment` must have
been called.
"""

import logging
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.activations.zarr_reading import Activations, open_store
from neuroscaling.brainscore import environment
from neuroscaling.brainscore.job_files import ChoiceJob, ChoiceOutput, ChosenSet
from neuroscaling.brainscore.own_benchmarks import check_definitions
from neuroscaling.brainscore.scoring_job import BenchmarkData, region_layers, split_layers
from neuroscaling.core.commitments import Commitment, FewImagesChoice, LayerChoice, write_commitment
from neuroscaling.core.counting import Tally, counted
from neuroscaling.core.errors import Problem, StudyError, listing
from neuroscaling.core.leases import Lease
from neuroscaling.core.logs import Pieces
from neuroscaling.core.provenance import provenance
from neuroscaling.core.score_files import making_score, stored_name
from neuroscaling.regression.cross_validation import choose_in_order, near_ties
from neuroscaling.regression.mapping_images import SampleSize
from neuroscaling.study.benchmarks import Benchmark

log = logging.getLogger("neuroscaling")
PACKAGES = ("brainscore_vision", "numpy", "scikit-learn", "zarr")


@dataclass(frozen=True)
class Asked:
    """A benchmark to choose a layer for: its recordings, the name of their data, and its stimulus set."""

    recordings: BenchmarkData
    stimuli: str
    folder: Path
    data: str

    @property
    def entry(self) -> Benchmark:
        """The benchmark."""
        return self.recordings.benchmark


def choose_layers(options: ChoiceJob) -> None:
    """Choose the layers of the outputs that are not there; one file each.

    Raises DataError and StudyError as scoring does.
    """
    left = [out for out in options.outputs if not out.path.exists()]
    if not left:
        return
    asked = {own.entry.benchmark: own for chosen in options.sets for own in _asked(chosen, options.definitions)}
    runs = list(dict.fromkeys(out.run for out in left))
    pieces = Pieces(len(runs) == 1)
    tally = Tally("brainscore", "choices", sum(out.run in runs for out in options.outputs))
    with environment.prepared():
        from neuroscaling.brainscore.local_files import register_benchmark

        for own in asked.values():
            if own.entry.benchmark not in own.recordings.definitions:
                register_benchmark(own.folder, own.entry)
        for run in runs:
            outputs = {out.benchmark: out for out in options.outputs if out.run == run}
            with pieces.piece(f"layers of {run}"):
                stored = {path: open_store(path) for path in {out.activations for out in outputs.values()}}
                for together in _together(run, outputs, asked, options):
                    _choose(together, stored, asked, options, tally)
    pieces.end()


def _asked(chosen: ChosenSet, definitions: dict[str, Any]) -> Iterator[Asked]:
    defined = check_definitions(definitions, chosen.folder)
    for name in chosen.benchmarks:
        yield Asked(BenchmarkData.of(chosen.folder, name, defined), chosen.stimuli, chosen.folder, chosen.data)


def _together(
    run: str, outputs: dict[str, ChoiceOutput], asked: dict[str, Asked], options: ChoiceJob
) -> list[list[ChoiceOutput]]:
    """The outputs of a run that choose together: all of them with a hierarchy, else each alone.

    Raises StudyError for a benchmark that is not asked for, and with a hierarchy for one that has no output.
    """
    strangers = sorted(set(outputs) - set(asked))
    missing = sorted(set(asked) - set(outputs)) if options.choice.hierarchy else []
    for what, names, allowed in (
        ("an output of a benchmark that is not asked for", strangers, asked),
        ("no output for this benchmark, and with a hierarchy all choose together", missing, outputs),
    ):
        if names:
            raise StudyError(
                Problem(what=what, where=f"outputs of {run}", value=listing(names), allowed=listing(sorted(allowed)))
            )
    return [list(outputs.values())] if options.choice.hierarchy else [[out] for out in outputs.values()]


def _choose(
    outputs: Sequence[ChoiceOutput],
    stored: dict[Path, Activations],
    asked: dict[str, Asked],
    options: ChoiceJob,
    tally: Tally,
) -> None:
    before = tally.done
    with ExitStack() as stack:
        # In one order, so that no two processes wait for each other.
        left: list[tuple[ChoiceOutput, Lease]] = []
        for out in sorted(outputs, key=lambda out: out.path):
            name = f"choice of layers of {out.run} for {out.benchmark}"
            # One of those that choose together tells of all.
            own = None if left else tally
            lease = stack.enter_context(making_score(out.path, name, tally=own, patience=options.patience))
            left += [(out, lease)] if lease else []
        if left:
            _choose_together(outputs, left, stored, asked, options)
    tally.done = before + len(outputs)


def _choose_together(
    outputs: Sequence[ChoiceOutput],
    left: Sequence[tuple[ChoiceOutput, Lease]],
    stored: dict[Path, Activations],
    asked: dict[str, Asked],
    options: ChoiceJob,
) -> None:
    started = time.perf_counter()
    candidates = split_layers(stored[outputs[0].activations])[0]
    swept: dict[int | None, list[Swept]] = {}
    for out in counted(outputs, "benchmark"):
        own = asked[out.benchmark]
        for size, scores in _sweep(own, stored[out.activations], candidates, options, out.samples).items():
            swept.setdefault(size, []).append(Swept(out.benchmark, own.entry.region, scores))
    found = {size: commitments(own, candidates, options.choice.hierarchy) for size, own in swept.items()}
    made = provenance(PACKAGES, time.perf_counter() - started)
    made_from: dict[str, str] = {}
    for out in outputs:
        made_from[stored_name(out.activations)] = stored[out.activations].manifest.checksum
        own = asked[out.benchmark]
        made_from |= {f"{own.data}/{name}": checksum for name, checksum in own.recordings.files.items()}
    for out, lease in left:
        choice = found[None][out.benchmark]
        commitment = Commitment(
            **vars(choice),
            **vars(options.choice),
            run=out.run,
            definition=out.definition,
            made_from=made_from,
            provenance=made,
            few=[
                FewImagesChoice.of(size, own[out.benchmark])
                for size, own in sorted((size, own) for size, own in found.items() if size is not None)
                if out.benchmark in own
            ],
        )
        lease.check()
        write_commitment(out.path, commitment)
        ties = listing(list(choice.near_ties)) or "-"
        log.info("%s, %s: %s (near-ties: %s)", out.run, out.benchmark, choice.layer, ties)


def _sweep(
    own: Asked,
    stored: Activations,
    candidates: list[str],
    options: ChoiceJob,
    samples: Sequence[SampleSize],
) -> dict[int | None, list[np.ndarray]]:
    """Scores (candidates, folds) for each split, by the number of mapping images; None: all training images."""
    from neuroscaling.brainscore.benchmark_objects import benchmark_object
    from neuroscaling.brainscore.benchmark_sizes import mapping_sizes
    from neuroscaling.brainscore.layer_sweep import nested_scores, reported_scores

    entry, choice = own.entry, options.choice
    if choice.way == "nested":
        loaded = benchmark_object(entry.benchmark, own.recordings.definitions)
        sizes = dict.fromkeys([*mapping_sizes(loaded, entry, samples), None])
        return nested_scores(loaded, stored, candidates, choice.inner_splits, list(sizes)) or {None: []}
    return {None: [reported_scores(_loaded(own, options), stored, candidates, entry.region, entry.degrees)]}


def _loaded(own: Asked, options: ChoiceJob) -> Any:
    """Brain-Score's benchmark, with the ceiling that scoring keeps: computing it costs more than a score."""
    from neuroscaling.brainscore.benchmark_objects import benchmark_object
    from neuroscaling.brainscore.ceilings import keep_ceilings
    from neuroscaling.brainscore.scoring import ceiling_definition

    recordings = own.recordings
    loaded = benchmark_object(own.entry.benchmark, recordings.definitions)
    definition = ceiling_definition(own.entry, recordings.data_hash, options.code)
    keep_ceilings(loaded, options.ceilings, definition)
    return loaded


ORDER = ("V1", "V2", "V4", "IT")
NOTHING_FITTED = (
    "its metric fits nothing on training images and reports on all images, so no images are left to choose on: "
    "the layer stands at a fixed depth"
)


@dataclass(frozen=True)
class Swept:
    """A benchmark's region and the scores (layers, folds) of the candidates, one array for each of its splits."""

    benchmark: str
    region: str
    scores: list[np.ndarray]


def commitments(swept: Sequence[Swept], candidates: list[str], hierarchy: bool) -> dict[str, LayerChoice]:
    """For each benchmark: the layer of each split, the commonest of them, all scores, near-ties, and why.

    hierarchy: no region's layer earlier than that of the region before it, split by split; benchmarks with fewer splits
    than others repeat theirs.
    """
    found = {own.benchmark: _best(own) for own in swept if own.scores}
    if hierarchy:
        found = _in_order([own for own in swept if own.scores])
    return {own.benchmark: _content(own, candidates, found.get(own.benchmark)) for own in swept}


def _best(swept: Swept) -> list[int]:
    return [int(np.argmax(scores.mean(1))) for scores in swept.scores]


def _in_order(swept: Sequence[Swept]) -> dict[str, list[int]]:
    """Layers of each split of each benchmark, chosen together; benchmarks of one region share its layer."""
    regions = [region for region in ORDER if any(own.region == region for own in swept)]
    chosen: dict[str, list[int]] = {own.benchmark: [] for own in swept}
    for number in range(max((len(own.scores) for own in swept), default=0)):
        means = [_region_means(swept, region, number) for region in regions]
        layers = dict(zip(regions, choose_in_order(means), strict=True))
        for own in swept:
            if number < len(own.scores):
                chosen[own.benchmark].append(layers[own.region])
    return chosen


def _region_means(swept: Sequence[Swept], region: str, number: int) -> np.ndarray:
    own = [s.scores[number % len(s.scores)].mean(1) for s in swept if s.region == region]
    return np.mean(own, axis=0)


def _content(swept: Swept, candidates: list[str], chosen: list[int] | None) -> LayerChoice:
    if chosen is None:
        layer = region_layers(candidates, [swept.region])[swept.region]
        return LayerChoice(swept.benchmark, swept.region, candidates, layer, [layer], [], {}, NOTHING_FITTED)
    layers = [candidates[i] for i in chosen]
    ties = Counter(
        tie for scores, i in zip(swept.scores, chosen, strict=True) for tie in near_ties(candidates, scores, i)
    )
    return LayerChoice(
        benchmark=swept.benchmark,
        region=swept.region,
        candidates=candidates,
        layer=Counter(layers).most_common(1)[0][0],
        layers=layers,
        scores=[scores.mean(1).tolist() for scores in swept.scores],
        near_ties=dict(ties.most_common()),
        why=None,
    )
