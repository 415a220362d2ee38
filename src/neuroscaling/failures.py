"""Runs that failed in training: their record goes on in place of results, so that everything else can go on too.

Light: scoring imports it in both environments.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from neuroscaling.core.run_record import failure_in
from neuroscaling.errors import NeuroscalingError
from neuroscaling.files import read_json, write_json

FORMAT = "failure/1"
FAILED = "failed"


def record_of(path: str | Path) -> dict[str, Any]:
    """The run.json at `path`; empty where there is none, or none that can be read."""
    try:
        record = read_json(path)
    except NeuroscalingError:
        return {}
    return record if isinstance(record, dict) else {}


def failure_of(record: str | Path) -> str | None:
    """Why the run of this run.json, manifest, choice of layers or score file failed; None for a sound one.

    Raises DataError for a file that is missing or cut short.
    """
    content = read_json(record)
    if not isinstance(content, dict) or content.get("status") != FAILED:
        return None
    return str(content.get("problem", "no reason is given"))


def write_failure(path: str | Path, run: str, reason: str) -> None:
    """Write a record in place of a result of the failed run `run`."""
    write_json(path, {"format": FORMAT, "status": FAILED, "run": run, "problem": reason})


def sound(paths: Iterable[str | Path]) -> list[Path]:
    """Those of `paths` that hold results and not the record of a failure."""
    return [Path(path) for path in paths if failure_of(path) is None]


def failed_run(folder: str | Path) -> str | None:
    """Why the run in `folder` failed, for good or until it is mended; None for one that did not, or is absent."""
    return failure_in(folder)
