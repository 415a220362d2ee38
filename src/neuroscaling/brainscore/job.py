"""All benchmarks of one or several runs in one process: what the script of the `brainscore` rule calls."""

import argparse
import json
import logging
import tempfile
from pathlib import Path

from neuroscaling.activations.store import Activations, open_store
from neuroscaling.brainscore import environment, ids
from neuroscaling.brainscore.sources import Files, find_files
from neuroscaling.errors import DataError, Problem, StudyError, listing
from neuroscaling.files import read_json, write_json
from neuroscaling.hashing import content_hash, file_sha256
from neuroscaling.models.depths import region_layers

logger = logging.getLogger("neuroscaling")


def score_all(options: argparse.Namespace) -> None:
    """Score each run of `options.activations` on the benchmarks of its outputs; each file is written when it is done.

    A file that stands there already for the same inputs is kept. Raises DataError and StudyError as `score_benchmark`.
    """
    names = {benchmark_of(path) for path in options.outputs}
    _refuse_strangers(options)
    files = {name: find_files(options.data, ids.DATA_SETS[ids.benchmark(name).data]) for name in sorted(names)}
    hashes = {name: data_hash(entry) for name, entry in files.items()}
    with tempfile.TemporaryDirectory(prefix="neuroscaling-brainscore-") as scratch:
        _prepare(list(files.values()), Path(scratch))
        from neuroscaling.brainscore.local import register

        for entry in {entry.data_set.data: entry for entry in files.values()}.values():
            register(entry)
        for manifest in options.activations:
            outputs = [path for path in options.outputs if run_of_score(path) == manifest.parent.name]
            _score_run(manifest, outputs, hashes, options)


def _refuse_strangers(options: argparse.Namespace) -> None:
    runs = [manifest.parent.name for manifest in options.activations]
    strangers = sorted({run_of_score(path) for path in options.outputs} - set(runs))
    if strangers:
        what = "outputs of runs whose activations are not given"
        raise StudyError(Problem(what, "--outputs", listing(strangers), listing(runs)))


def _score_run(manifest: Path, outputs: list[Path], hashes: dict[str, str], options: argparse.Namespace) -> None:
    from neuroscaling.brainscore.scoring import Job, score_benchmark

    activations = open_store(manifest)
    layers, readout = layers_by_depth(activations, options.layers, options.readout)
    for out in outputs:
        name = benchmark_of(out)
        job = Job(
            run=manifest.parent.name,
            data=options.data_name,
            simulated=options.simulated,
            data_hash=hashes[name],
            activations=activations,
            layers=layers,
            readout=readout,
            protocol=options.protocol,
            ceilings=options.ceilings,
            code=options.code,
        )
        if _is_done(out, job.inputs(ids.benchmark(name))):
            logger.info("%s, %s: kept, it was scored before from the same inputs", job.run, name)
            continue
        result = score_benchmark(name, job)
        write_json(out, result)
        row = result["rows"][0]
        logger.info("%s, %s: score %s, raw %s", job.run, name, row["score"], row["raw"])


def benchmark_of(output: Path) -> str:
    """The benchmark that a score file is named after. Raises StudyError for an unknown one."""
    return ids.benchmark(output.name.removesuffix(".json")).benchmark


def run_of_score(output: Path) -> str:
    """The run that a score file belongs to: `scores/<run>/<data>/<benchmark>.json`."""
    return output.parents[1].name


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line. Raises StudyError for an unknown benchmark and for `--layers` that can't be read."""
    parser = argparse.ArgumentParser(description="Score runs on Brain-Score benchmarks from stored activations.")
    parser.add_argument("--activations", nargs="+", required=True, type=Path, metavar="JSON", help="one a run")
    parser.add_argument("--data", required=True, type=Path, help="folder of the recordings, local or as BRAINIO_HOME")
    parser.add_argument("--data-name", required=True, help="name of the data in the score file")
    parser.add_argument("--simulated", action="store_true", help="the data are simulated")
    parser.add_argument("--layers", default="{}", help='layer of regions as JSON: {"IT": "layer4.0"}; others by depth')
    parser.add_argument("--readout", help="layer of the behavioural readout; by default the last one stored")
    parser.add_argument("--protocol", choices=("corrected", "parity"), default="corrected")
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
    options.layers = _layers(options.layers)
    return options


def layers_by_depth(
    activations: Activations, chosen: dict[str, str], readout: str | None
) -> tuple[dict[str, str], str]:
    """Layer of each region and of the readout: those chosen, the others by depth.

    Extraction stores the candidates early to late and the readout last.
    """
    *candidates, last = activations.layers
    return region_layers(candidates or [last], ids.REGIONS) | chosen, readout or last


def data_hash(files: Files) -> str:
    """Hash of the recordings and of the stimuli's table."""
    return content_hash([file_sha256(files.assembly), file_sha256(files.csv)], 16)


def _prepare(files: list[Files], scratch: Path) -> None:
    official = [entry for entry in files if entry.official]
    environment.prepare(scratch, environment.offline_home(official, scratch) if official else None)


def _is_done(out: Path, inputs: str) -> bool:
    try:
        return out.is_file() and read_json(out).get("inputs") == inputs
    except DataError:
        return False


def _layers(text: str) -> dict[str, str]:
    try:
        layers = json.loads(text)
    except json.JSONDecodeError as error:
        raise StudyError(Problem("not valid JSON", "--layers", text)) from error
    if not isinstance(layers, dict) or not set(layers) <= set(ids.REGIONS):
        raise StudyError(Problem("not a layer for each region", "--layers", text, f"regions: {', '.join(ids.REGIONS)}"))
    return layers
