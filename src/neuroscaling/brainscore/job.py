"""All benchmarks of one run in one process: what the script of the `brainscore` rule calls."""

import argparse
import json
import logging
import tempfile
from pathlib import Path

from neuroscaling.activations.store import Activations, open_store
from neuroscaling.brainscore import environment, ids
from neuroscaling.brainscore.sources import Files, find_files
from neuroscaling.errors import DataError, Problem, StudyError
from neuroscaling.files import read_json, write_json
from neuroscaling.hashing import content_hash, file_sha256
from neuroscaling.models.depths import region_layers

logger = logging.getLogger("neuroscaling")


def score_all(options: argparse.Namespace) -> None:
    """Score the run on each benchmark of `options.benchmark` (id -> output); each file is written when it is done.

    A file that stands there already for the same inputs is kept. Raises DataError and StudyError as `score_benchmark`.
    """
    activations = open_store(options.activations)
    layers, readout = layers_by_depth(activations, options.layers, options.readout)
    files = {name: find_files(options.data, ids.DATA_SETS[ids.benchmark(name).data]) for name in options.benchmark}
    with tempfile.TemporaryDirectory(prefix="neuroscaling-brainscore-") as scratch:
        _prepare(list(files.values()), Path(scratch))
        from neuroscaling.brainscore.local import register
        from neuroscaling.brainscore.scoring import Job, score_benchmark

        for entry in {entry.data_set.data: entry for entry in files.values()}.values():
            register(entry)
        for name, out in options.benchmark.items():
            job = Job(
                options.run,
                options.data_name,
                options.simulated,
                data_hash(files[name]),
                activations,
                layers,
                readout,
                options.protocol,
                options.ceilings,
            )
            if _is_done(out, job.inputs(ids.benchmark(name))):
                logger.info("%s: kept, it was scored before from the same inputs", name)
                continue
            result = score_benchmark(name, job)
            write_json(out, result)
            logger.info("%s: score %s, raw %s", name, result["rows"][0]["score"], result["rows"][0]["raw"])


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Options of the command line. Raises StudyError for an unknown benchmark and for `--layers` that can't be read."""
    parser = argparse.ArgumentParser(description="Score one run on Brain-Score benchmarks from stored activations.")
    parser.add_argument("--run", required=True, help="name of the run")
    parser.add_argument("--activations", required=True, type=Path, help="manifest of the stored activations")
    parser.add_argument("--data", required=True, type=Path, help="folder of the recordings, local or as BRAINIO_HOME")
    parser.add_argument("--data-name", required=True, help="name of the data in the score file")
    parser.add_argument("--simulated", action="store_true", help="the data are simulated")
    parser.add_argument("--layers", default="{}", help='layer of regions as JSON: {"IT": "layer4.0"}; others by depth')
    parser.add_argument("--readout", help="layer of the behavioural readout; by default the last one stored")
    parser.add_argument("--protocol", choices=("corrected", "parity"), default="corrected")
    parser.add_argument("--ceilings", type=Path, help="folder where ceilings are kept for the next run")
    parser.add_argument("--log", help="log file")
    parser.add_argument("--outputs", nargs="+", required=True, type=Path, metavar="ID.json", help="one a benchmark")
    options = parser.parse_args(arguments)
    options.layers = _layers(options.layers)
    options.benchmark = {ids.benchmark(path.name.removesuffix(".json")).benchmark: path for path in options.outputs}
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
