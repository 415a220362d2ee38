"""Layers of one or several runs, chosen on Brain-Score's benchmarks: what the script of the `layers` rule calls."""

import logging
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroscaling.activations.store import Activations, open_store
from neuroscaling.brainscore import environment
from neuroscaling.brainscore.definitions import check_definitions
from neuroscaling.brainscore.ids import Benchmark
from neuroscaling.brainscore.job import Recordings, split_layers
from neuroscaling.brainscore.job_files import ChoiceJob, ChoiceOutput, ChosenSet
from neuroscaling.core.leases import Lease
from neuroscaling.core.records import DEFINITION, write_record
from neuroscaling.core.score_files import MADE_FROM, making, stored_name
from neuroscaling.errors import Problem, StudyError, listing
from neuroscaling.provenance import provenance

log = logging.getLogger("neuroscaling")
PACKAGES = ("brainscore_vision", "numpy", "scikit-learn", "zarr")


@dataclass(frozen=True)
class Asked:
    """A benchmark to choose a layer for: its recordings, the name of their data, and its stimulus set."""

    recordings: Recordings
    stimuli: str
    folder: Path
    data: str

    @property
    def entry(self) -> Benchmark:
        """The benchmark."""
        return self.recordings.benchmark


def choose_all(options: ChoiceJob) -> None:
    """Choose the layers of the outputs that are not there; one file each.

    Raises DataError and StudyError as scoring does.
    """
    left = [out for out in options.outputs if not out.path.exists()]
    if not left:
        return
    asked = {own.entry.benchmark: own for chosen in options.sets for own in _asked(chosen, options.definitions)}
    with tempfile.TemporaryDirectory(prefix="neuroscaling-layers-") as scratch:
        environment.prepare(Path(scratch))
        from neuroscaling.brainscore.local import register_benchmark

        for own in asked.values():
            if own.entry.benchmark not in own.recordings.definitions:
                register_benchmark(own.folder, own.entry)
        for run in dict.fromkeys(out.run for out in left):
            outputs = {out.benchmark: out for out in options.outputs if out.run == run}
            stored = {path: open_store(path) for path in {out.activations for out in outputs.values()}}
            for together in _together(run, outputs, asked, options):
                _choose(together, stored, asked, options)


def _asked(chosen: ChosenSet, definitions: dict[str, Any]) -> Iterator[Asked]:
    defined = check_definitions(definitions, chosen.folder)
    for name in chosen.benchmarks:
        yield Asked(Recordings.of(chosen.folder, name, defined), chosen.stimuli, chosen.folder, chosen.data)


def _together(
    run: str, outputs: dict[str, ChoiceOutput], asked: dict[str, Asked], options: ChoiceJob
) -> list[list[ChoiceOutput]]:
    """The outputs of a run that choose together: all of them with a hierarchy, else each alone.

    Raises StudyError for a benchmark that is not asked for, and with a hierarchy for one that has no output.
    """
    strangers = sorted(set(outputs) - set(asked))
    missing = sorted(set(asked) - set(outputs)) if options.choice["hierarchy"] else []
    for what, names, allowed in (
        ("an output of a benchmark that is not asked for", strangers, asked),
        ("no output for this benchmark, and with a hierarchy all choose together", missing, outputs),
    ):
        if names:
            raise StudyError(Problem(what, f"outputs of {run}", listing(names), listing(sorted(allowed))))
    return [list(outputs.values())] if options.choice["hierarchy"] else [[out] for out in outputs.values()]


def _choose(
    outputs: Sequence[ChoiceOutput], stored: dict[Path, Activations], asked: dict[str, Asked], options: ChoiceJob
) -> None:
    with ExitStack() as stack:
        # In one order, so that no two processes wait for each other.
        left = []
        for out in sorted(outputs, key=lambda out: out.path):
            lease = stack.enter_context(making(out.path, f"choice of layers of {out.run} for {out.benchmark}"))
            left += [(out, lease)] if lease else []
        if left:
            _choose_together(outputs, left, stored, asked, options)


def _choose_together(
    outputs: Sequence[ChoiceOutput],
    left: Sequence[tuple[ChoiceOutput, Lease]],
    stored: dict[Path, Activations],
    asked: dict[str, Asked],
    options: ChoiceJob,
) -> None:
    from neuroscaling.brainscore.commitment import FORMAT, Swept, commitments

    started = time.perf_counter()
    candidates = split_layers(stored[outputs[0].activations])[0]
    swept = []
    for out in outputs:
        own = asked[out.benchmark]
        scores = _sweep(own, stored[out.activations], candidates, options)
        swept.append(Swept(out.benchmark, own.entry.region, scores))
    found = commitments(swept, candidates, options.choice["hierarchy"])
    made = provenance(PACKAGES, time.perf_counter() - started)
    made_from: dict[str, str] = {}
    for out in outputs:
        made_from[stored_name(out.activations)] = stored[out.activations].manifest["checksum"]
        own = asked[out.benchmark]
        made_from |= {f"{own.data}/{name}": checksum for name, checksum in own.recordings.files.items()}
    for out, lease in left:
        content = found[out.benchmark]
        facts = {"format": FORMAT, "run": out.run, DEFINITION: out.definition, MADE_FROM: made_from, "provenance": made}
        lease.check()
        write_record(out.path, {**content, **options.choice, **facts})
        ties = listing(list(content["near_ties"])) or "-"
        log.info("%s, %s: %s (near-ties: %s)", out.run, out.benchmark, content["layer"], ties)


def _sweep(own: Asked, stored: Activations, candidates: list[str], options: ChoiceJob) -> list[Any]:
    from neuroscaling.brainscore.local import load
    from neuroscaling.brainscore.sweep import nested_scores, reported_scores

    entry, choice = own.entry, options.choice
    if choice["way"] == "nested":
        loaded = load(entry.benchmark, own.recordings.definitions)
        return nested_scores(loaded, stored, candidates, choice["inner_splits"])
    return [reported_scores(_loaded(own, options), stored, candidates, entry.region, entry.degrees)]


def _loaded(own: Asked, options: ChoiceJob) -> Any:
    """Brain-Score's benchmark, with the ceiling that scoring keeps: computing it costs more than a score."""
    from neuroscaling.brainscore.ceilings import keep_ceilings
    from neuroscaling.brainscore.local import load
    from neuroscaling.brainscore.scoring import ceiling_definition

    recordings = own.recordings
    loaded = load(own.entry.benchmark, recordings.definitions)
    definition = ceiling_definition(own.entry, recordings.data_hash, options.code)
    keep_ceilings(loaded, options.ceilings, definition)
    return loaded
