"""All benchmarks of one or several runs in one process: what the script of the `brainscore` rule calls."""

import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroscaling.activations.store import Activations, open_store
from neuroscaling.brainscore import environment, ids
from neuroscaling.brainscore.definitions import Definition, benchmark, check_definitions, require_files
from neuroscaling.brainscore.job_files import ScoringJob
from neuroscaling.brainscore.sources import find_benchmark, remote_files
from neuroscaling.brainscore.tokens import Layers
from neuroscaling.errors import DataError, Problem, StudyError, listing
from neuroscaling.failures import failure_of, write_failure
from neuroscaling.files import read_object
from neuroscaling.hashing import content_hash, file_sha256
from neuroscaling.models.depths import region_layers

logger = logging.getLogger("neuroscaling")


@dataclass(frozen=True)
class Recordings:
    """The benchmarks of a job by name, those of them that the study defines, and a hash of each one's files."""

    benchmarks: dict[str, ids.Benchmark]
    definitions: dict[str, Definition]
    hashes: dict[str, str]


def score_all(options: ScoringJob) -> None:
    """Score each run of `options.activations` on the benchmarks of its outputs; each file is written when it is done.

    A file that stands there already for the same inputs is kept. Raises DataError and StudyError as `score_benchmark`.
    """
    definitions = check_definitions(options.definitions, options.data)
    _refuse_regions(options.layers)
    names = sorted({benchmark_of(path) for path in options.outputs})
    benchmarks = {name: benchmark(name, definitions) for name in names}
    _refuse_strangers(options)
    hashes = {name: data_hash(options.data, entry, definitions) for name, entry in benchmarks.items()}
    recordings = Recordings(benchmarks, definitions, hashes)
    with tempfile.TemporaryDirectory(prefix="neuroscaling-brainscore-") as scratch:
        environment.prepare(Path(scratch))
        from neuroscaling.brainscore.local import register_benchmark

        for entry in benchmarks.values():
            if entry.benchmark not in definitions:
                register_benchmark(options.data, entry)
        for manifest in options.activations:
            _score_run(manifest, recordings, options)


def _refuse_strangers(options: ScoringJob) -> None:
    runs = [manifest.parent.name for manifest in options.activations]
    strangers = sorted({run_of_score(path) for path in options.outputs} - set(runs))
    if strangers:
        what = "outputs of runs whose activations are not given"
        raise StudyError(Problem(what, "outputs", listing(strangers), listing(runs)))


def _refuse_regions(layers: dict[str, str]) -> None:
    """Raise StudyError for layers of what is no region."""
    if unknown := sorted(set(layers) - set(ids.REGIONS)):
        raise StudyError(Problem("not a region", "layers", listing(unknown), f"regions: {', '.join(ids.REGIONS)}"))


def _score_run(manifest: Path, recordings: Recordings, options: ScoringJob) -> None:
    from neuroscaling.brainscore.local import load
    from neuroscaling.brainscore.score_file import targets_path, write_score
    from neuroscaling.brainscore.scoring import score_benchmark

    run = manifest.parent.name
    outputs = [path for path in options.outputs if run_of_score(path) == run]
    if reason := failure_of(manifest):
        for out in outputs:
            write_failure(out, run, reason)
        return
    stored = Layers(open_store(manifest))
    for out in outputs:
        entry = recordings.benchmarks[benchmark_of(out)]
        choice = commitment_path(options, run, entry)
        if choice is not None and (reason := failure_of(choice)):
            write_failure(out, run, f"the run that layers are chosen on failed: {reason}")
            continue
        job = _job(run, stored, entry, recordings.hashes[entry.benchmark], options)
        if is_done(out, job.inputs(entry)) and (targets_path(out).exists() or not has_targets(entry)):
            logger.info("%s, %s: kept, it was scored before from the same inputs", run, entry.benchmark)
            continue
        content, targets = score_benchmark(entry, lambda name: load(name, recordings.definitions), job)
        write_score(out, content, targets)
        row = content["rows"][0]
        why = f" because {row['reason']}" if row["reason"] else ""
        logger.info("%s, %s: score %s%s, raw %s", run, entry.benchmark, row["score"], why, row["raw"])


def _job(run: str, stored: Layers, entry: ids.Benchmark, hashed: str, options: ScoringJob) -> Any:
    from neuroscaling.brainscore.scoring import Job

    layers, readout = layers_by_depth(stored.activations, options.layers, options.readout)
    path = commitment_path(options, run, entry)
    if path is not None:
        layers[entry.benchmark] = read_commitment(path)
    return Job(
        run=run,
        data=options.data_name,
        simulated=options.simulated,
        data_hash=hashed,
        activations=stored.activations,
        layers=layers,
        readout=readout,
        protocol=options.protocol,
        ceilings=options.ceilings,
        code=options.code,
        engine=options.engine,
        stored=stored,
    )


def commitment_path(options: ScoringJob, run: str, entry: ids.Benchmark) -> Path | None:
    """Where the chosen layers of a benchmark lie, of the run that `references` names.

    None where none are chosen: for behaviour, for regions whose layer the study names, and without a choice.
    """
    named = entry.kind == "behavior" or entry.region in options.layers
    if named or options.commitments is None or run not in options.references or options.choice == "none":
        return None
    folder = options.commitments / options.references[run] / options.data_name
    return folder / f"{entry.benchmark}-{options.choice}.json"


def read_commitment(path: Path) -> list[str]:
    """The layer of each split. Raises DataError for a file that says none."""
    layers = read_object(path).get("layers")
    if not isinstance(layers, list) or not layers or not all(isinstance(layer, str) for layer in layers):
        raise DataError(Problem("no layers are committed to in this file", str(path), layers, "a list of layers"))
    return layers


def has_targets(entry: ids.Benchmark) -> bool:
    """Whether a benchmark's scores have values of single neuroids, kept in a parquet of their own."""
    return entry.kind in ("neural", "train_test")


def benchmark_of(output: Path) -> str:
    """Name of the benchmark that a score file is named after."""
    return output.name.removesuffix(".json")


def run_of_score(output: Path) -> str:
    """The run that a score file belongs to: `scores/<run>/<data>/<benchmark>.json`."""
    return output.parents[1].name


def layers_by_depth(
    activations: Activations, chosen: dict[str, str], readout: str | None
) -> tuple[dict[str, str], str]:
    """Layer of each region and of the readout: those chosen, the others by depth."""
    candidates, last = split_layers(activations)
    return region_layers(candidates, ids.REGIONS) | chosen, readout or last


def split_layers(activations: Activations) -> tuple[list[str], str]:
    """Candidates for regions, and the readout: extraction stores the candidates early to late, the readout last."""
    *candidates, last = activations.layers
    return candidates or [last], last


def data_hash(root: Path, entry: ids.Benchmark, definitions: dict[str, Definition]) -> str:
    """Hash of the recordings and of the tables of stimuli. Raises DataError for missing files."""
    if entry.benchmark in definitions:
        own = definitions[entry.benchmark]
        require_files(own)
        settings = {"window": own.time_window, "ceiling": own.ceiling, "by": own.stratified_by, "metric": own.metric}
        return content_hash([file_sha256(own.assembly), file_sha256(own.stimuli), settings], 16)
    files, alone = find_benchmark(root, entry)
    if all(part.official for part in [*files, *alone]):
        # Brain-Score checks these sums whenever it loads the files; hashing gigabytes in every job adds nothing.
        return content_hash(sorted(file.sha1 for file in remote_files(entry)), 16)
    paths = [path for part in files for path in (part.assembly, part.csv)] + [part.csv for part in alone]
    return content_hash([file_sha256(path) for path in paths], 16)


def is_done(out: Path, inputs: str) -> bool:
    """Whether the score at `out` was made from `inputs`."""
    try:
        return out.is_file() and read_object(out).get("inputs") == inputs
    except DataError:
        return False
