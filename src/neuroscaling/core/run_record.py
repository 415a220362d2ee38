"""What a run says of itself (`runs/<run>/run.json`), read in one place; weights are compared with it before their use.

A run whose run.json is there is done, or failed for good. One that failed for a reason that can be mended, such as
damaged images, leaves `failed.json` in its place, and is absent: the next start makes it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroscaling.core.json_text import read_json
from neuroscaling.core.reading import require_file
from neuroscaling.core.records import DEFINITION, read_record, require_name
from neuroscaling.errors import DataError, Problem
from neuroscaling.hashing import file_sha256

FORMAT = "run/3"
RECORD, FAILURE, HISTORY = "run.json", "failed.json", "history.parquet"
DONE, FAILED = "done", "failed"
AGAIN = "restore the file; or delete it, and the next start makes the run again"


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights in the folder of a run, with the sha256 that run.json states."""

    name: str
    sha256: str


def read_run(path: str | Path) -> dict[str, Any]:
    """The record at `path` (run.json or failed.json in the folder of a run).

    Raises DataError for a missing one, for one of another format, altered, or of another run than its folder is named
    after.
    """
    path = Path(path)
    record = read_record(path, FORMAT, AGAIN)
    if DEFINITION in record:
        require_name(record, path, path.parent.name, AGAIN)
    return record


def read_outcome(path: str | Path) -> dict[str, Any]:
    """How the run of the run.json at `path` ended: that record, or failed.json where it stands in its place.

    Raises DataError as read_run.
    """
    path = Path(path)
    failure = path.with_name(FAILURE)
    return read_run(failure if failure.is_file() and not path.is_file() else path)


def record_of(path: str | Path) -> dict[str, Any]:
    """What the record at `path` says, unchecked; empty where there is none, or none that can be read.

    For looking through many of them, where nothing is made of what they say.
    """
    try:
        record = read_json(path)
    except DataError:
        return {}
    return record if isinstance(record, dict) else {}


def failure_of(record: dict[str, Any]) -> str | None:
    """Why the run of this record failed; None for a sound one."""
    if record.get("status") != FAILED:
        return None
    return str(record.get("problem") or "no reason is given")


def failure_in(folder: str | Path) -> str | None:
    """Why the run in `folder` failed, for good or not; None for a sound or absent one. Raises DataError as read_run."""
    folder = Path(folder)
    there = any((folder / name).is_file() for name in (RECORD, FAILURE))
    return failure_of(read_outcome(folder / RECORD)) if there else None


def seconds_of(record: dict[str, Any]) -> float | None:
    """What the making of the run took; None where nobody knows, and for a failed run."""
    seconds = record.get("provenance", {}).get("seconds")
    return float(seconds) if seconds and failure_of(record) is None else None


def weights_of(record: dict[str, Any]) -> list[WeightsFile]:
    """The final weights and those that were kept on the way; nothing for a baseline or a failed run."""
    final = [WeightsFile(record["weights"], record["weights_sha256"])] if record.get("weights") else []
    kept = [WeightsFile(kept["file"], kept["sha256"]) for kept in record.get("checkpoints") or []]
    return list(dict.fromkeys([*final, *kept]))


def lacks_weights(folder: str | Path, record: dict[str, Any]) -> bool:
    """Is any of the weights that a record tells of not there?"""
    return any(not (Path(folder) / file.name).is_file() for file in weights_of(record))


def checked_weights(folder: str | Path) -> Path:
    """The file of the final weights of the run in `folder`, which are those that its run.json tells of.

    Raises DataError, naming both checksums, where they are others; and where the run failed, has no weights, or they
    were deleted.
    """
    path = Path(folder) / RECORD
    record = read_run(path)
    if (reason := failure_of(record)) is not None:
        raise DataError(Problem(f"the run failed: {reason}", str(path)))
    if not record.get("weights"):
        raise DataError(Problem("the run has no weights", str(path), record.get("kind")))
    weights = Path(folder) / record["weights"]
    require_file(weights, fix="they were deleted, and are needed again: the next start makes the run again")
    if (found := file_sha256(weights)) != record["weights_sha256"]:
        what = "the weights are not those that run.json tells of"
        raise DataError(Problem(what, str(weights), f"sha256 {found}", f"sha256 {record['weights_sha256']}", fix=AGAIN))
    return weights
