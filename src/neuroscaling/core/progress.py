"""Progress records tell where an artefact stands while it is made: a small file that the maker writes now and then.

A run has `state/progress.json` in its folder; what has a lease has `.<artefact>.progress.json` beside its lock file. A
record goes when the artefact is there. One that is left is of a try that ended otherwise: the next try counts on from
it. Whether its maker lives is told by the lease (core/leases.py), not here.
"""

import json
import math
import os
import re
import socket
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from neuroscaling.core.errors import DataError, Place
from neuroscaling.core.files import write_json
from neuroscaling.core.json_records import from_json
from neuroscaling.core.lease_holders import slurm_job, user_name

PROGRESS_FORMAT = "progress/1"
STATE_FOLDER = "state"
"""Of a run: what a training goes on from, and its progress."""
PROGRESS_FILE = "progress.json"
OF_ARTEFACT = re.compile(r"\.(?P<name>.+)\.progress\.json")
"""Name of the record of the artefact `name`."""
LARGEST = 100_000
"""Bytes; a longer file is none of these records."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """Where the making of an artefact stands. None: nobody knows, or it doesn't apply."""

    name: str
    """What is made: the name of a run, or a path."""
    stage: str
    """`training`, `extraction`, `encoding` or `brainscore`."""
    unit: str
    """What `done` and `total` count: steps, images, subjects, benchmarks."""
    done: int
    total: int | None
    part: str | None = None
    """What is being done within the present unit, as in `candidate 3 of 20, task 2 of 5`."""
    part_share: float = 0.0
    """How much of the present unit that is, 0 to 1."""
    epoch: int | None = None
    """The epoch that a training is in, from 1."""
    epochs: int | None = None
    loss: float | None = None
    """Mean loss of the epoch's images so far, or of the last epoch."""
    accuracy: float | None = None
    """Validation accuracy of the last epoch that was evaluated, a fraction."""
    images_per_second: float | None = None
    """Of late, in this try."""
    seconds: float
    """That this try has taken until `updated`."""
    seconds_before: float = 0.0
    """That the tries before it took, as far as they left word of it."""
    seconds_left: float | None = None
    """Until it is done, at the speed of this try."""
    attempt: int = 1
    """The number of this try."""
    started: str
    """When this try began: UTC, ISO 8601, as is `updated`."""
    updated: str
    host: str
    user: str
    pid: int
    slurm_job_id: str | None = None
    device: str | None = None
    """`cpu` or `cuda`."""
    processes: int = 1
    """Processes, and on GPUs their number, that work on it together."""
    problem: str | None = None
    """Why this try ended, where it ended badly and could say so."""


def progress_of_run(folder: str | Path) -> Path:
    """The progress record of the run in `folder`."""
    return Path(folder) / STATE_FOLDER / PROGRESS_FILE


def progress_beside(artefact: str | Path) -> Path:
    """The progress record of what is made under the lease of `artefact`."""
    path = Path(artefact)
    return path.with_name(f".{path.name}.progress.json")


def write_progress(path: str | Path, progress: Progress) -> None:
    """Write a record, whole or not at all. Numbers that are not finite become null.

    Raises DataError where the folder can't be written to.
    """
    content = {
        key: None if isinstance(value, float) and not math.isfinite(value) else value
        for key, value in asdict(progress).items()
    }
    write_json(path, {"format": PROGRESS_FORMAT, **content})


def read_progress(path: str | Path) -> Progress | None:
    """The record at `path`; None where there is none, or none that can be read: it is about to be written anew."""
    try:
        text = _text(Path(path))
        content = json.loads(text) if text else None
        if not isinstance(content, dict) or content.pop("format", None) != PROGRESS_FORMAT:
            return None
        return from_json(content, Progress, Place(path), "a progress record")
    except (OSError, ValueError, DataError):
        return None


def begun(path: str | Path, name: str, stage: str, unit: str, total: int | None) -> Progress:
    """The record of a try that this process begins now; `path`: where the try before it may have left its own."""
    before, now = read_progress(path), utc_now()
    progress = Progress(
        name=name,
        stage=stage,
        unit=unit,
        done=0,
        total=total,
        seconds=0.0,
        started=now,
        updated=now,
        host=socket.gethostname(),
        user=user_name(),
        pid=os.getpid(),
        slurm_job_id=slurm_job(),
    )
    if before is None:
        return progress
    return replace(progress, attempt=before.attempt + 1, seconds_before=before.seconds_before + before.seconds)


def in_words(progress: Progress) -> str:
    """How far it is, in a line: `epoch 2 of 9, step 110 of 900, loss 2.13, 1,200 images/s, 3 min 20 s left`."""
    one = progress.unit.removesuffix("s")
    of = f" of {progress.total:,}" if progress.total is not None else ""
    told = [
        f"{one} {progress.done:,}{of}" if progress.stage == "training" else f"{progress.done:,}{of} {progress.unit}"
    ]
    told += [progress.part] if progress.part else []
    if progress.epoch is not None and progress.epochs is not None:
        told.insert(0, f"epoch {min(progress.epoch, progress.epochs):,} of {progress.epochs:,}")
    numbers = (("loss", progress.loss), ("accuracy", progress.accuracy))
    told += [f"{name} {value:.4g}" for name, value in numbers if value is not None]
    told += [f"{progress.images_per_second:,.4g} images/s"] if progress.images_per_second else []
    told += [f"{in_time(progress.seconds_left)} left"] if progress.seconds_left is not None else []
    return ", ".join(told)


def in_time(seconds: float) -> str:
    """A time for people: `42 s`, `3 min 20 s`, `2 h 5 min`, `3 d 11 h`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    hours = whole // 3600
    return f"{hours} h {whole % 3600 // 60} min" if hours < 48 else f"{hours // 24} d {hours % 24} h"


def utc_now() -> str:
    """This moment as records have it: UTC, ISO 8601, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _text(path: Path) -> str:
    with open(path, encoding="utf-8") as file:
        return file.read(LARGEST)
