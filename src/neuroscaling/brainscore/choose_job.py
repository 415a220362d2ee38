"""Layers of one or several runs, chosen on Brain-Score's benchmarks: what the script of the `layers` rule calls."""

import logging
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroscaling.activations.store import Activations, open_store
from neuroscaling.brainscore import environment
from neuroscaling.brainscore.definitions import Definition, benchmark, check_definitions
from neuroscaling.brainscore.ids import Benchmark
from neuroscaling.brainscore.job import data_hash, is_done, split_layers
from neuroscaling.brainscore.job_files import ChoiceJob, ChosenSet
from neuroscaling.errors import Problem, StudyError, listing
from neuroscaling.failures import failure_of, write_failure
from neuroscaling.files import write_json
from neuroscaling.hashing import content_hash
from neuroscaling.provenance import provenance

log = logging.getLogger("neuroscaling")
PACKAGES = ("brainscore_vision", "numpy", "scikit-learn", "zarr")


@dataclass(frozen=True)
class Asked:
    """A benchmark to choose a layer for: where its recordings lie, their name and hash, and its stimulus set."""

    entry: Benchmark
    stimuli: str
    folder: Path
    data: str
    data_hash: str
    definitions: dict[str, Definition]


def choose_all(options: ChoiceJob) -> None:
    """Choose the layers of each run of `options.activations` for all benchmarks of `options.sets`; one file each.

    Files that were made from the same inputs are kept. Raises DataError and StudyError as scoring does.
    """
    asked = [own for chosen in options.sets for own in _asked(chosen, options.definitions)]
    with tempfile.TemporaryDirectory(prefix="neuroscaling-layers-") as scratch:
        environment.prepare(Path(scratch))
        from neuroscaling.brainscore.local import register_benchmark

        for own in asked:
            if own.entry.benchmark not in own.definitions:
                register_benchmark(own.folder, own.entry)
        for run in dict.fromkeys(path.parent.name for path in options.activations):
            manifests = {path.stem: path for path in options.activations if path.parent.name == run}
            _choose(run, manifests, asked, options)


def _asked(chosen: ChosenSet, definitions: dict[str, Any]) -> list[Asked]:
    folder, defined = chosen.folder, check_definitions(definitions, chosen.folder)
    entries = [benchmark(name, defined) for name in chosen.benchmarks]
    hashes = [data_hash(folder, entry, defined) for entry in entries]
    return [Asked(e, chosen.stimuli, folder, chosen.data, h, defined) for e, h in zip(entries, hashes, strict=True)]


def _choose(run: str, manifests: dict[str, Path], asked: Sequence[Asked], options: ChoiceJob) -> None:
    from neuroscaling.brainscore.commitment import FORMAT, Swept, commitments

    outputs = {own.entry.benchmark: _output(run, own, options.outputs) for own in asked}
    if reason := next(filter(None, map(failure_of, manifests.values())), None):
        for path in outputs.values():
            write_failure(path, run, reason)
        return
    stored = {name: open_store(path) for name, path in manifests.items()}
    inputs = {own.entry.benchmark: _inputs(own, stored[own.stimuli], options) for own in asked}
    left = [own for own in asked if not is_done(outputs[own.entry.benchmark], inputs[own.entry.benchmark])]
    if not left:
        log.info("%s: kept, its layers were chosen before from the same inputs", run)
        return
    started = time.perf_counter()
    # With a hierarchy the regions choose together, so a missing one makes all be chosen again.
    left = list(asked) if options.choice["hierarchy"] else left
    candidates = split_layers(stored[left[0].stimuli])[0]
    swept = [
        Swept(own.entry.benchmark, own.entry.region, _sweep(own, stored[own.stimuli], candidates, options))
        for own in left
    ]
    found = commitments(swept, candidates, options.choice["hierarchy"])
    made = provenance(PACKAGES, time.perf_counter() - started)
    for name, content in found.items():
        facts = {"format": FORMAT, "run": run, "inputs": inputs[name], "provenance": made, **options.choice}
        write_json(outputs[name], content | facts)
        log.info("%s, %s: %s (near-ties: %s)", run, name, content["layer"], listing(list(content["near_ties"])) or "-")


def _sweep(own: Asked, stored: Activations, candidates: list[str], options: ChoiceJob) -> list[Any]:
    from neuroscaling.brainscore.local import load
    from neuroscaling.brainscore.sweep import nested_scores, reported_scores

    entry, choice = own.entry, options.choice
    if choice["way"] == "nested":
        return nested_scores(load(entry.benchmark, own.definitions), stored, candidates, choice["inner_splits"])
    return [reported_scores(_loaded(own, options), stored, candidates, entry.region, entry.degrees)]


def _loaded(own: Asked, options: ChoiceJob) -> Any:
    """Brain-Score's benchmark, with the ceiling that scoring keeps: computing it costs more than a score."""
    from neuroscaling.brainscore.ceilings import keep_ceilings
    from neuroscaling.brainscore.local import load
    from neuroscaling.brainscore.scoring import ceiling_key

    name = own.entry.benchmark
    loaded = load(name, own.definitions)
    folder = options.ceilings / own.data if options.ceilings else None
    keep_ceilings(loaded, folder, ceiling_key(own.entry, own.data_hash))
    return loaded


def _inputs(own: Asked, stored: Activations, options: ChoiceJob) -> str:
    """Hash of everything that determines the choice."""
    values = [entry for entry in stored.manifest["layers"] if entry["name"] in split_layers(stored)[0]]
    facts = [values, stored.manifest.get("stimulus_ids_sha256"), own.data_hash, options.choice, options.code]
    return content_hash([own.entry.benchmark, *facts], 16)


def _output(run: str, own: Asked, outputs: Sequence[Path]) -> Path:
    """The output of a run and benchmark: `<run>/<data>/<benchmark>-<choice>.json`. Raises StudyError for none."""
    for path in outputs:
        is_own = path.parents[1].name == run and path.parent.name == own.data
        if is_own and path.stem.rpartition("-")[0] == own.entry.benchmark:
            return path
    allowed = listing([str(path) for path in outputs], 4)
    raise StudyError(Problem("no output for this benchmark", f"outputs of {run}", own.entry.benchmark, allowed))
