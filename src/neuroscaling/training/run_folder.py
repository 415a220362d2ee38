"""A run leaves its history and its record, run.json, in its folder, also where it fails."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
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
    DONE,
    FAILED,
    FAILURE_RECORD,
    HISTORY_FILE,
    RUN_RECORD,
    KeptWeights,
    RunRecord,
    failure_in,
    read_run,
    sealed,
    write_run_record,
)
from neuroscaling.models.cost import count
from neuroscaling.study.run_table import Run

log = logging.getLogger(__name__)
SCHEMA = pa.schema(
    [(name, pa.int64()) for name in ("epoch", "step", "images_seen")]
    + [(name, pa.float64()) for name in ("learning_rate", "train_loss", "val_loss", "val_accuracy")]
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


@dataclass(frozen=True)
class FinishedRun:
    """What run.json records of a finished run besides its settings and its cost; None: nobody knows, or there is none.

    The numbers of images and epochs, and the FLOPs, are of training.
    """

    n_classes: int | None
    n_samples: int | None
    n_epochs: int | None
    n_samples_seen: int | None
    n_samples_nominal: int | None
    total_flops: int | None
    image_passes: float = 1.0
    acc_kind: str = "top1"
    weights: KeptWeights | None = None
    """The final weights."""
    checkpoints: tuple[KeptWeights, ...] = ()
    corrupt: tuple[str, ...] = ()
    acc: float | None = None
    """Accuracy that others measured; where it is None, that of the history."""


def write_run(outcome: RunOutcome, finished: FinishedRun) -> None:
    """Write history and, last, run.json, of a finished run whose weights are there.

    A run.json that records the same already is left as it is.
    """
    path, kept = outcome.out / RUN_RECORD, finished.weights
    accuracies = [row.val_accuracy for row in outcome.history if row.val_accuracy is not None]
    record = replace(
        _record(outcome, DONE),
        acc=accuracies[-1] if accuracies else finished.acc,
        n_classes=finished.n_classes,
        n_samples=finished.n_samples,
        n_epochs=finished.n_epochs,
        n_samples_seen=finished.n_samples_seen,
        n_samples_nominal=finished.n_samples_nominal,
        total_flops=finished.total_flops,
        image_passes=finished.image_passes,
        acc_kind=finished.acc_kind,
        weights=kept.file if kept else None,
        weights_sha256=kept.sha256 if kept else None,
        checkpoints=finished.checkpoints,
        corrupt=finished.corrupt,
    )
    if not _is_recorded(path, record):
        write_run_record(path, record)
    (outcome.out / FAILURE_RECORD).unlink(missing_ok=True)


def write_failed_run(outcome: RunOutcome, failure: "RunFailed") -> None:
    """Write history and the record of a run that failed: what is wrong, and where it was.

    The record of a failure that lasts is run.json; else it is failed.json, and the run counts as absent. A run that was
    finished before, and lost its weights, keeps its run.json and history, since scores were made of it: failed.json
    beside them says why it can't be made again.
    """
    was_finished = _is_finished(outcome.out)
    lasting = failure.lasting and not was_finished
    record = replace(
        _record(outcome, FAILED, keeps_history=was_finished),
        problem=str(failure),
        lasting=lasting,
        step=failure.step,
        learning_rate=failure.learning_rate,
        batch=failure.batch,
        corrupt=tuple(failure.corrupt),
    )
    write_run_record(outcome.out / (RUN_RECORD if lasting else FAILURE_RECORD), record)
    if lasting:
        (outcome.out / FAILURE_RECORD).unlink(missing_ok=True)


def run_counts(run: Run) -> dict[str, int]:
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


def _is_finished(out: Path) -> bool:
    path = out / RUN_RECORD
    return path.is_file() and read_run(path).status == DONE


def _record(outcome: RunOutcome, status: str, keeps_history: bool = False) -> RunRecord:
    """What the records of finished and failed runs share; the history is written here, unless the one there is kept.

    What epochs took is told of the making, not in the history.
    """
    run, history = outcome.run, outcome.out / HISTORY_FILE
    counts = run_counts(run)
    if not (keeps_history and history.is_file()):
        write_history(history, outcome.history)
    made = {**outcome.made, "epoch_seconds": [row.seconds for row in outcome.history]}
    return RunRecord(
        run=run.run,
        kind=run.kind,
        status=status,
        definition=run.definition or None,
        arch=run.arch,
        family=run.family,
        dataset=run.dataset,
        fingerprint=run.fingerprint,
        samples_per_class=run.samples_per_class,
        subset=run.subset,
        subset_seed=run.subset_seed,
        seed=run.seed,
        recipe=run.recipe.model_dump(mode="json") if run.recipe else None,
        start=run.start,
        n_params=counts["n_params"],
        macs=counts["macs"],
        paper_macs=counts["paper_macs"],
        flops=counts["flops"],
        training=run.checkpoint.facts() if run.checkpoint else None,
        history_sha256=file_sha256(history),
        made_from=outcome.made_from,
        provenance=provenance(PACKAGES, **made),
    )


def _is_recorded(path: Path, record: RunRecord) -> bool:
    """Does the record at `path` state the same as `record`, but for its making? The log names what differs."""
    if not path.is_file():
        return False
    before, now = sealed(read_run(path).content()), sealed(record.content())
    parts = (before.keys() | now.keys()) - {CHECKSUM, "provenance"}
    differing = sorted(key for key in parts if before.get(key) != now.get(key))
    if differing:
        log.warning("%s: the run was made again, and came out otherwise: %s", path, ", ".join(differing))
    return not differing


def require_sound(base: Path, run: Run) -> None:
    """Raise RunFailed where the run in `base`, which `run` starts from, failed: for good, where that one did."""
    if (reason := failure_in(base)) is not None:
        problem = Problem(what="the run that it starts from failed", where=run.run, value=run.start, fix=reason)
        raise RunFailed(problem, lasting=(base / RUN_RECORD).is_file())


class RunFailed(DataError):
    """A run failed for a reason of its own.

    lasting: would the same settings fail again, whatever is done about files? step (from 1), learning_rate and batch
    (ids of images): where it failed, and with what; corrupt: ids of images that can't be decoded.
    """

    def __init__(
        self,
        problems: Problem | Iterable[Problem],
        lasting: bool,
        step: int | None = None,
        learning_rate: float | None = None,
        batch: list[str] | None = None,
        corrupt: Sequence[str] = (),
    ):
        super().__init__(problems)
        self.lasting = lasting
        self.step, self.learning_rate, self.batch, self.corrupt = step, learning_rate, batch, corrupt
