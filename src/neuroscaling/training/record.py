"""What a run leaves in its folder: weights, history, run.json (docs/formats.md).

Snakemake deletes the outputs that a job declares when it fails, and those are run.json and the history, of all the
runs of the job. A copy in `finished/` stays, and a repeated job publishes it again.
"""

import shutil
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from neuroscaling.failures import FAILED, record_of
from neuroscaling.files import atomic_path, write_json
from neuroscaling.hashing import file_sha256
from neuroscaling.models.cost import count
from neuroscaling.provenance import provenance

FORMAT = "run/2"
RECORD, HISTORY, FINISHED = "run.json", "history.parquet", "finished"
SCHEMA = pa.schema(
    [(name, pa.int64()) for name in ("epoch", "step", "images_seen")]
    + [(name, pa.float64()) for name in ("learning_rate", "train_loss", "val_loss", "val_accuracy", "seconds")]
)
COPIED = (
    "run",
    "kind",
    "arch",
    "family",
    "dataset",
    "fingerprint",
    "samples_per_class",
    "subset",
    "subset_seed",
    "seed",
    "recipe",
    "start",
)
PACKAGES = ("torch", "timm", "numpy", "safetensors")


def is_complete(run: dict[str, Any], out: Path) -> bool:
    """Does `out` hold this run, whole, with the weights that its run.json tells of?

    So it does when the run failed for good. A failure that may be mended, such as damaged images, is not the end.
    """
    record = record_of(out / RECORD)
    if record.get("run") != run["run"] or not (out / HISTORY).is_file():
        return False
    if record.get("status") == FAILED:
        return bool(record.get("lasting"))
    return all((out / file).is_file() and file_sha256(out / file) == digest for file, digest in _weights(record))


def publish_again(run: dict[str, Any], out: Path) -> bool:
    """Put the kept copy of a finished run back in its place; whether there is one, whole."""
    kept = out / FINISHED
    record = record_of(kept / RECORD)
    if record.get("run") != run["run"] or not (kept / HISTORY).is_file():
        return False
    for name in (HISTORY, RECORD):
        with atomic_path(out / name) as temporary:
            shutil.copyfile(kept / name, temporary)
    return is_complete(run, out)


def write_run(run: dict[str, Any], out: Path, history: list[dict[str, Any]], device: str, **facts: Any) -> None:
    """Write history and, last, run.json, of a finished run whose weights are there.

    facts: what run.json says besides the run's settings and its cost, `seconds` among them.
    """
    record = {**_common(run, facts, device), "status": "done"}
    accuracies = [row["val_accuracy"] for row in history if row["val_accuracy"] is not None]
    record["acc"] = accuracies[-1] if accuracies else None
    _publish(out, history, record, keep=True)


def write_failed_run(
    run: dict[str, Any],
    out: Path,
    history: list[dict[str, Any]],
    device: str,
    problem: str,
    lasting: bool,
    **facts: Any,
) -> None:
    """Write history and run.json of a run that failed: what is wrong, and where it was.

    lasting: will it fail again? Then the record is kept as that of a finished run is.
    """
    unknown = dict.fromkeys(("step", "learning_rate", "batch", "seconds", "weights", "weights_sha256", "acc"))
    facts = {**unknown, "checkpoints": [], "corrupt": [], **facts}
    record = {**_common(run, facts, device), "status": FAILED, "problem": problem, "lasting": lasting}
    _publish(out, history, record, keep=lasting)


def counts(run: dict[str, Any]) -> dict[str, Any]:
    """`n_params`, `macs`, `paper_macs` and `flops = 2 macs` of one forward pass; 0 for a baseline."""
    baseline = {"n_params": 0, "macs": 0, "paper_macs": 0}
    cost = baseline if run["kind"] == "baseline" else _counted(run["arch"])
    return {**cost, "flops": 2 * cost["macs"]}


def write_history(path: Path, history: list[dict[str, Any]]) -> None:
    """Write one row an epoch; missing numbers are null."""
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_pylist(history, schema=SCHEMA), temporary)


@cache
def _counted(arch: str) -> dict[str, int]:
    """Of the runs of a job many have the same network."""
    return count(arch)


def _common(run: dict[str, Any], facts: dict[str, Any], device: str) -> dict[str, Any]:
    seconds = facts.get("seconds")
    made = provenance(PACKAGES, seconds, device=device)
    return {"format": FORMAT, **{key: run.get(key) for key in COPIED}, **counts(run), **facts, "provenance": made}


def _publish(out: Path, history: list[dict[str, Any]], record: dict[str, Any], keep: bool) -> None:
    for folder in (out / FINISHED, out) if keep else (out,):
        folder.mkdir(parents=True, exist_ok=True)
        write_history(folder / HISTORY, history)
        write_json(folder / RECORD, record)


def _weights(record: dict[str, Any]) -> Iterable[tuple[str, str]]:
    """Files of weights with their checksums: the last ones, and those kept on the way."""
    if record.get("weights") is not None:
        yield record["weights"], record["weights_sha256"]
    for kept in record.get("checkpoints") or []:
        yield kept["file"], kept["sha256"]
