"""What it costs to check what is read: CPU seconds of a stage as it is (ours), and with its checks left out (peer).

Extraction of ResNet-18: sha256 of the weights, sha1 of each image, checksums of the records. Activations read for
scoring: checksums of chunks, of Zarr's metadata, of the manifest. The score table: the checksum and the name of each
score file and run, and the comparison of settings: in a process of its own, as the stage's job is, and within it. Both
sides take turns; median of rounds. `agreement` is 0 where both give the same. A ratio of .95 or more is the goal:
checks cost at most 5 % of a stage.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from typing import Any
from unittest.mock import patch

from common import cpu_seconds, quick, report, row

from neuroscaling.activations.shards import Chunk, ShardReader
from neuroscaling.activations.zarr_reading import open_store
from neuroscaling.core import hashing, records
from neuroscaling.core.images import ImageFile, file_bytes
from neuroscaling.core.records import write_record
from neuroscaling.core.score_scales import SCORE_FORMAT
from neuroscaling.core.score_table import build_table, write_table

BENCHMARKS, RUNS = 10, 100


def bare_chunks(reader: ShardReader, chunks: Sequence[Chunk], use: Callable[[bytes, Chunk], bool]) -> bool:
    """What ShardReader does with each chunk, but for its checksum."""
    with open(reader.path, "rb", buffering=0) as file:
        return all(use(os.pread(file.fileno(), chunk.size, chunk.offset), chunk) for chunk in chunks)


@contextmanager
def unchecked(folder: Path) -> Iterator[None]:
    """Leave out what compares records, images and weights."""
    known = hashing.file_sha256(folder / "weights.safetensors") if (folder / "weights.safetensors").exists() else ""
    with ExitStack() as stack:
        for patched in (
            patch.object(records, "file_sha256", lambda path: known),
            patch.object(ImageFile, "read", lambda image: file_bytes(image.path)),
            patch.object(records, "require_checksum", lambda *_: None),
            patch("neuroscaling.core.records.require_name", lambda *_: None),
            patch("neuroscaling.core.score_files.require_name", lambda *_: None),
            patch("neuroscaling.core.score_table.setting_problems", lambda contents: []),
            patch.object(ShardReader, "_each", bare_chunks),
        ):
            stack.enter_context(patched)
        yield


def compared(case: str, folder: Path, stage: Callable[[str], Any], rounds: int) -> dict[str, Any]:
    """A row of a stage, which is given a name that is new in each round, with and without its checks."""
    times: dict[bool, list[float]] = {True: [], False: []}
    results: dict[bool, Any] = {}
    stage("warm")
    for turn in range(rounds):
        times[True].append(cpu_seconds(lambda turn=turn: results.update({True: stage(f"checked-{turn}")}))[0])
        with unchecked(folder):
            times[False].append(cpu_seconds(lambda turn=turn: results.update({False: stage(f"bare-{turn}")}))[0])
    same = results[True] == results[False]
    return row(case, statistics.median(times[True]), statistics.median(times[False]), 0.0 if same else 1.0)


def extraction(folder: Path, n: int, rounds: int) -> list[dict[str, Any]]:
    """Extraction of `n` images, and reading what was extracted."""
    from extract import BATCH, BLOCKS, READOUT, RUN, prepare  # not for the table's job: it imports torch

    from neuroscaling.activations.extraction import extract
    from neuroscaling.study.extraction_job import ExtractionJob, FeatureSpec
    from neuroscaling.study.sections.extraction import ExtractionOptions, Layers, Reduction

    asked = FeatureSpec(Layers(candidates=BLOCKS, readout=READOUT), Reduction(kind="grid", size=4))
    prepare(folder, n)

    def stage(name: str) -> list[Any]:
        output = folder / f"{name}.json"
        job = ExtractionJob(RUN, folder, folder / "manifest.json", output, asked)
        extract(job, ExtractionOptions(batch=BATCH), device="cpu")
        return open_store(output).layers

    def read(name: str) -> float:
        stored = open_store(folder / "warm.json")
        return sum(float(stored.read(layer).sum()) for layer in stored.layers)

    return [
        compared(f"extract {n} images", folder, stage, rounds),
        compared(f"read {n} images' layers", folder, read, 10 * rounds),
    ]


def score(run: str, benchmark: str) -> dict[str, Any]:
    """A score file of 10 splits."""
    result = {"region": "IT", "subject": None, "score": 0.4, "raw": 0.5, "ceiling": 0.8, "error": 0.01, "reason": None}
    one = {**result, "layer": "layer4", "n_targets": 20, "n_mapping": 90, "scale": "r2/c", "layers": ["layer4"] * 10}
    facts = {"data": "simulated-brain", "simulated": True, "benchmark": benchmark, "metric": "pls"}
    made = {"definition": {"benchmark": benchmark}, "made_from": {}, "files": {}, "splits": [[0.5, 0.4]] * 10}
    return {
        "format": SCORE_FORMAT,
        "run": run,
        **facts,
        "engine": "kernel",
        "protocol": "corrected",
        "rows": [one],
        **made,
    }


def network(run: str) -> dict[str, Any]:
    """run.json of a network that was trained on few images."""
    numbers = dict.fromkeys(("n_params", "macs", "flops", "n_samples", "n_epochs", "n_samples_seen", "total_flops"), 1)
    facts = {"kind": "trained", "arch": "resnet18", "family": "ResNet", "dataset": "imagenet", "acc": 0.5, "seed": 0}
    kept = {"status": records.DONE, "samples_per_class": 10, "checkpoints": [], "weights": None}
    return {"format": records.RUN_FORMAT, "run": run, **facts, **numbers, **kept}


def table(folder: Path, rounds: int) -> list[dict[str, Any]]:
    """The table of RUNS networks on BENCHMARKS benchmarks."""
    runs = [f"resnet18_imagenet_10_s{seed}-0000000a" for seed in range(RUNS)]
    run_files = [folder / f"runs/{run}/run.json" for run in runs]
    for path in run_files:
        write_record(path, network(path.parent.name))
    scores = []
    for i in range(BENCHMARKS):
        key = hashing.key_of({"benchmark": f"b{i}-pls"})
        for run in runs:
            scores.append(folder / f"scores/b{i}-pls-{key}/{run}.json")
            write_record(scores[-1], score(run, f"b{i}-pls"))
    (folder / "files.json").write_text(json.dumps([list(map(str, files)) for files in (scores, run_files)]))
    case = f"table of {len(scores)} scores"
    return [
        alone(case, folder, rounds),
        compared(f"{case}, within", folder, lambda name: len(build_table(scores, run_files).scores), rounds),
    ]


def alone(case: str, folder: Path, rounds: int) -> dict[str, Any]:
    """The table in a process of its own, imports included."""
    times: dict[str, list[float]] = {"checked": [], "bare": []}
    for _ in range(rounds):
        for side, found in times.items():
            before = os.times()
            subprocess.run([sys.executable, __file__, side, str(folder)], check=True)
            after = os.times()
            used = after.children_user + after.children_system - before.children_user - before.children_system
            found.append(used)
    return row(case, statistics.median(times["checked"]), statistics.median(times["bare"]), 0.0)


def job(side: str, folder: Path) -> None:
    """What the stage's job does, with or without checks."""
    scores, runs = json.loads((folder / "files.json").read_text())
    with unchecked(folder) if side == "bare" else nullcontext():
        write_table(folder / "scores.parquet", build_table(scores, runs))


def main() -> None:
    """Compare the stages with themselves."""
    small = quick(__doc__)
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two:
        rows = extraction(Path(one), 64 if small else 256, 1 if small else 3)
        rows += table(Path(two), 2 if small else 9)
    report("checks", rows)


if __name__ == "__main__":
    if len(sys.argv) == 3:
        job(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
