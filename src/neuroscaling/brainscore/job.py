"""All benchmarks of one or several runs in one process: what the script of the `brainscore` rule calls."""

import argparse
import json
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroscaling.activations.store import Activations, open_store
from neuroscaling.brainscore import environment, ids
from neuroscaling.brainscore.definitions import Definition, benchmark, check_definitions, require_files
from neuroscaling.brainscore.sources import find_benchmark, remote_files
from neuroscaling.brainscore.tokens import Layers
from neuroscaling.errors import DataError, Problem, StudyError, listing, nearest
from neuroscaling.failures import failure_of, write_failure
from neuroscaling.files import read_json
from neuroscaling.hashing import content_hash, file_sha256
from neuroscaling.models.depths import region_layers

logger = logging.getLogger("neuroscaling")


@dataclass(frozen=True)
class Recordings:
    """The benchmarks of a job by name, those of them that the study defines, and a hash of each one's files."""

    benchmarks: dict[str, ids.Benchmark]
    definitions: dict[str, Definition]
    hashes: dict[str, str]


def score_all(options: argparse.Namespace) -> None:
    """Score each run of `options.activations` on the benchmarks of its outputs; each file is written when it is done.

    A file that stands there already for the same inputs is kept. Raises DataError and StudyError as `score_benchmark`.
    """
    definitions = check_definitions(options.definitions, options.data)
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


def _refuse_strangers(options: argparse.Namespace) -> None:
    runs = [manifest.parent.name for manifest in options.activations]
    strangers = sorted({run_of_score(path) for path in options.outputs} - set(runs))
    if strangers:
        what = "outputs of runs whose activations are not given"
        raise StudyError(Problem(what, "--outputs", listing(strangers), listing(runs)))


def _score_run(manifest: Path, recordings: Recordings, options: argparse.Namespace) -> None:
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
        logger.info("%s, %s: score %s, raw %s", run, entry.benchmark, row["score"], row["raw"])


def _job(run: str, stored: Layers, entry: ids.Benchmark, hashed: str, options: argparse.Namespace) -> Any:
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


def commitment_path(options: argparse.Namespace, run: str, entry: ids.Benchmark) -> Path | None:
    """Where the chosen layers of a benchmark lie, of the run that `--references` names.

    None where none are chosen: for behaviour, for regions whose layer the study names, and without a choice.
    """
    named = entry.kind == "behavior" or entry.region in options.layers
    if named or options.commitments is None or run not in options.references or options.choice == "none":
        return None
    folder = options.commitments / options.references[run] / options.data_name
    return folder / f"{entry.benchmark}-{options.choice}.json"


def read_commitment(path: Path) -> list[str]:
    """The layer of each split. Raises DataError for a file that says none."""
    layers = read_json(path).get("layers")
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


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line. Raises StudyError for an unknown benchmark and for `--layers` that can't be read."""
    parser = argparse.ArgumentParser(description="Score runs on Brain-Score benchmarks from stored activations.")
    parser.add_argument("--activations", nargs="+", required=True, type=Path, metavar="JSON", help="one a run")
    parser.add_argument("--data", type=Path, help="folder of the recordings, local or as BRAINIO_HOME")
    parser.add_argument("--folders", nargs="+", default=[], metavar="NAME=FOLDER", help="--data, by --data-name")
    parser.add_argument("--data-name", required=True, help="name of the data in the score file")
    parser.add_argument("--simulated", action="store_true", help="the data are simulated")
    parser.add_argument("--layers", default="{}", help='layer of regions as JSON: {"IT": "layer4.0"}; others by depth')
    parser.add_argument("--readout", help="layer of the behavioural readout; by default the last one stored")
    parser.add_argument("--protocol", choices=("corrected", "parity"), default="corrected")
    parser.add_argument("--engine", choices=("kernel", "stock"), default="kernel")
    parser.add_argument("--commitments", type=Path, help="chosen layers: <run>/<data>/<benchmark>-<choice>.json")
    parser.add_argument("--choice", default="none", help="which choice of layers; `none`: by --layers alone")
    parser.add_argument("--references", default="{}", help="run on whose scores each run's layers were chosen, as JSON")
    parser.add_argument("--definitions", default="{}", help="benchmarks that the study defines, by name, as JSON")
    parser.add_argument("--ceilings", type=Path, help="folder where ceilings are kept for the next run")
    parser.add_argument("--code", help="fingerprint of the code: scores of other code are made again")
    parser.add_argument("--log", help="log file")
    parser.add_argument(
        "--outputs",
        nargs="+",
        required=True,
        type=Path,
        help="<run>/<data>/<benchmark>.json, for each run and benchmark",
    )
    options = parser.parse_args(arguments)
    options.data = options.data or _folder(options.data_name, options.folders)
    options.layers = _layers(options.layers)
    options.references = json_option(options.references, "--references")
    options.definitions = json_option(options.definitions, "--definitions")
    return options


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
        return out.is_file() and read_json(out).get("inputs") == inputs
    except DataError:
        return False


def _folder(name: str, folders: list[str]) -> Path:
    named = dict(pair.split("=", 1) for pair in folders if "=" in pair)
    if name not in named:
        where = "--folders (or give --data)"
        raise StudyError(Problem("no folder for these data", where, name, listing(list(named)), nearest(name, named)))
    return Path(named[name])


def _layers(text: str) -> dict[str, str]:
    layers = json_option(text, "--layers")
    if not set(layers) <= set(ids.REGIONS):
        raise StudyError(Problem("not a layer for each region", "--layers", text, f"regions: {', '.join(ids.REGIONS)}"))
    return layers


def json_option(text: str, option: str) -> dict[str, Any]:
    """The JSON object that an option of the command line holds. Raises StudyError for another text."""
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise StudyError(Problem("not valid JSON", option, text)) from error
    if not isinstance(value, dict):
        raise StudyError(Problem("not a JSON object", option, text))
    return value
