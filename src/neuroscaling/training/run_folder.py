"""A run leaves its history and its record, run.json, in its folder, also where it fails."""

import logging
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import atomic_path
from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.provenance import provenance
from neuroscaling.core.records import (
    CHECKSUM,
    DEFINITION,
    DONE,
    FAILED,
    FAILURE_RECORD,
    HISTORY_FILE,
    RUN_FORMAT,
    RUN_RECORD,
    read_run,
    sealed,
    write_record,
)
from neuroscaling.models.cost import count

log = logging.getLogger(__name__)
SCHEMA = pa.schema(
    [(name, pa.int64()) for name in ("epoch", "step", "images_seen")]
    + [(name, pa.float64()) for name in ("learning_rate", "train_loss", "val_loss", "val_accuracy")]
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


def is_complete(out: Path) -> bool:
    """Is the run in `out` there, with all the weights that its run.json tells of? Also where it failed for good.

    Raises DataError for a run.json that was altered, or is of another run.
    """
    path = out / RUN_RECORD
    return path.is_file() and not read_run(path).lacks_weights(out)


def write_run(
    run: dict[str, Any],
    out: Path,
    history: list[dict[str, Any]],
    made_from: dict[str, str],
    made: dict[str, Any],
    **facts: Any,
) -> None:
    """Write history and, last, run.json, of a finished run whose weights are there.

    made_from: checksums of the files that were read, by their names in the store; made: `seconds`, `device` and what
    else is told of the making, and is no part of the content; facts: what run.json says besides the run's settings and
    its cost. A run.json that says the same already is left as it is.
    """
    accuracies = [row["val_accuracy"] for row in history if row["val_accuracy"] is not None]
    facts = {"status": DONE, "acc": accuracies[-1] if accuracies else None, **facts}
    record = _record(run, out, history, made_from, made, facts)
    if not _says(out / RUN_RECORD, record):
        write_record(out / RUN_RECORD, record)
    (out / FAILURE_RECORD).unlink(missing_ok=True)


def write_failed_run(
    run: dict[str, Any],
    out: Path,
    history: list[dict[str, Any]],
    made_from: dict[str, str],
    made: dict[str, Any],
    problem: str,
    lasting: bool,
    **facts: Any,
) -> None:
    """Write history and the record of a run that failed: what is wrong, and where it was.

    lasting: will it fail again? Then the record is run.json, else failed.json, and the run counts as absent.
    """
    unknown = dict.fromkeys(("step", "learning_rate", "batch", "weights", "weights_sha256", "acc"))
    facts = {**unknown, "checkpoints": [], "corrupt": [], **facts}
    facts |= {"status": FAILED, "problem": problem, "lasting": lasting}
    write_record(out / (RUN_RECORD if lasting else FAILURE_RECORD), _record(run, out, history, made_from, made, facts))
    if lasting:
        (out / FAILURE_RECORD).unlink(missing_ok=True)


def run_counts(run: dict[str, Any]) -> dict[str, Any]:
    """`n_params`, `macs`, `paper_macs` and `flops = 2 macs` of one forward pass; 0 for a baseline."""
    baseline = {"n_params": 0, "macs": 0, "paper_macs": 0}
    cost = baseline if run["kind"] == "baseline" else _counted(run["arch"])
    return {**cost, "flops": 2 * cost["macs"]}


def write_history(path: Path, history: list[dict[str, Any]]) -> None:
    """Write one row an epoch; missing numbers are null. Equal trainings give equal bytes."""
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_pylist(history, schema=SCHEMA), temporary)


@cache
def _counted(arch: str) -> dict[str, int]:
    """Of the runs of a job many have the same network."""
    return count(arch)


def _record(
    run: dict[str, Any],
    out: Path,
    history: list[dict[str, Any]],
    made_from: dict[str, str],
    made: dict[str, Any],
    facts: dict[str, Any],
) -> dict[str, Any]:
    """The record of a run whose history is written here. What epochs took is told of the making, not in the history."""
    write_history(out / HISTORY_FILE, history)
    definition = {DEFINITION: run[DEFINITION]} if run.get(DEFINITION) else {}
    made = {**made, "epoch_seconds": [row["seconds"] for row in history]}
    return {
        "format": RUN_FORMAT,
        **definition,
        **{key: run.get(key) for key in COPIED},
        **run_counts(run),
        **facts,
        "history_sha256": file_sha256(out / HISTORY_FILE),
        "made_from": made_from,
        "provenance": provenance(PACKAGES, **made),
    }


def _says(path: Path, record: dict[str, Any]) -> bool:
    """Does the record at `path` say what `record` does, but for its making? Those that differ are named in the log."""
    if not path.is_file():
        return False
    before, now = sealed(read_run(path).content()), sealed(record)
    parts = (before.keys() | now.keys()) - {CHECKSUM, "provenance"}
    differing = sorted(key for key in parts if before.get(key) != now.get(key))
    if differing:
        log.warning("%s: the run was made again, and came out otherwise: %s", path, ", ".join(differing))
    return not differing


class RunFailed(DataError):
    """A run failed for a reason of its own. facts: what its run.json keeps, such as step and learning_rate.

    lasting: would the same settings fail again, whatever is done about files?
    """

    def __init__(self, problems: Problem | Iterable[Problem], lasting: bool, **facts: Any):
        super().__init__(problems)
        self.lasting = lasting
        self.facts = facts
