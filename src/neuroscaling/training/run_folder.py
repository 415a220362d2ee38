"""A run leaves its history and its record, run.json, in its folder, also where it fails."""

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
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
from neuroscaling.study.loaded_study import Run

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


@dataclass(frozen=True)
class EpochRow:
    """A row of a run's history: the state at the end of an epoch; epoch 0 is that before training."""

    epoch: int
    step: int
    images_seen: int
    learning_rate: float | None = None
    """That of the epoch's last step."""
    train_loss: float | None = None
    """Mean over the images of the epoch."""
    val_loss: float | None = None
    val_accuracy: float | None = None
    """A fraction; None where the epoch was not evaluated."""
    seconds: float | None = None
    """Spent on the run until then. No part of the history file, since equal trainings take different times."""


@dataclass(frozen=True)
class RunOutcome:
    """What is written of a run, whether it was finished or failed."""

    run: Run
    out: Path
    """Folder of the run."""
    history: list[EpochRow]
    made_from: dict[str, str]
    """Checksums of the files that were read, by their names in the store."""
    made: dict[str, Any]
    """`device`, `seconds` and what else is recorded of the making, and is no part of the content."""


def write_run(outcome: RunOutcome, facts: dict[str, Any]) -> None:
    """Write history and, last, run.json, of a finished run whose weights are there.

    facts: what run.json records besides the run's settings and its cost. A run.json that records the same already is
    left as it is.
    """
    path = outcome.out / RUN_RECORD
    accuracies = [row.val_accuracy for row in outcome.history if row.val_accuracy is not None]
    facts = {"status": DONE, "acc": accuracies[-1] if accuracies else None, **facts}
    record = _record(outcome, facts)
    if not _says(path, record):
        write_record(path, record)
    (outcome.out / FAILURE_RECORD).unlink(missing_ok=True)


def write_failed_run(outcome: RunOutcome, failure: "RunFailed") -> None:
    """Write history and the record of a run that failed: what is wrong, and where it was.

    The record of a failure that lasts is run.json; else it is failed.json, and the run counts as absent.
    """
    unknown = dict.fromkeys(("step", "learning_rate", "batch", "weights", "weights_sha256", "acc"))
    facts = {**unknown, "checkpoints": [], "corrupt": [], **failure.facts}
    facts |= {"status": FAILED, "problem": str(failure), "lasting": failure.lasting}
    name = RUN_RECORD if failure.lasting else FAILURE_RECORD
    write_record(outcome.out / name, _record(outcome, facts))
    if failure.lasting:
        (outcome.out / FAILURE_RECORD).unlink(missing_ok=True)


def run_counts(run: Run) -> dict[str, Any]:
    """`n_params`, `macs`, `paper_macs` and `flops = 2 macs` of one forward pass; 0 for a baseline."""
    baseline = {"n_params": 0, "macs": 0, "paper_macs": 0}
    cost = baseline if run.kind == "baseline" else _counted(run.arch)
    return {**cost, "flops": 2 * cost["macs"]}


def write_history(path: Path, history: list[EpochRow]) -> None:
    """Write one row an epoch; missing numbers are null. Equal trainings give equal bytes."""
    with atomic_path(path) as temporary:
        pq.write_table(pa.Table.from_pylist([asdict(row) for row in history], schema=SCHEMA), temporary)


@cache
def _counted(arch: str) -> dict[str, int]:
    """Of the runs of a job many have the same network."""
    return count(arch)


def _record(outcome: RunOutcome, facts: dict[str, Any]) -> dict[str, Any]:
    """The record of a run whose history is written here. What epochs took is told of the making, not in the history."""
    run, history = outcome.run, outcome.out / HISTORY_FILE
    write_history(history, outcome.history)
    definition = {DEFINITION: run.definition} if run.definition else {}
    made = {**outcome.made, "epoch_seconds": [row.seconds for row in outcome.history]}
    return {
        "format": RUN_FORMAT,
        **definition,
        **run.content(COPIED),
        **run_counts(run),
        **facts,
        "history_sha256": file_sha256(history),
        "made_from": outcome.made_from,
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
