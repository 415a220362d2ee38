"""Records state what artefacts, runs and V4 assemblies are, and are checked before their use.

`definition` is what the artefact's name is a hash of (core/hashing.py); `made_from` has the checksums of the files that
were read, by their names in the store; `provenance` tells versions, machine and seconds, and is in no name.

A run whose run.json is there is done, or failed for good. One that failed for a reason that can be mended, such as
damaged images, leaves `failed.json` in its place, and is absent: the next start makes it.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import DataError, Place, Problem
from neuroscaling.core.files import DELETE_AND_RERUN, read_json, read_object, require_file, write_json
from neuroscaling.core.hashing import canonical_json, file_sha256, key_of

CHECKSUM, DEFINITION, FORMAT_KEY = "checksum", "definition", "format"


def checksum_of(record: Mapping[str, Any]) -> str:
    """The checksum of a record: of its content as JSON, without the checksum itself."""
    content = {key: value for key, value in record.items() if key != CHECKSUM}
    return "sha256:" + hashlib.sha256(canonical_json(content).encode()).hexdigest()


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """`record` as JSON knows it, with its checksum. Raises ValueError for NaN, TypeError for what is no JSON."""
    plain = json.loads(json.dumps(dict(record), allow_nan=False))
    return {**plain, CHECKSUM: checksum_of(plain)}


def write_record(path: str | Path, record: Mapping[str, Any]) -> None:
    """Write a record with its checksum, whole or not at all."""
    write_json(path, sealed(record))


def read_record(path: str | Path, form: str, again: str = DELETE_AND_RERUN) -> dict[str, Any]:
    """The record at `path`, of the format `form`. `again` is the next step that an error names.

    Raises DataError, naming both, for another format and for a checksum that its content does not have; and for a file
    that is missing or no JSON object.
    """
    record = read_object(path)
    if record.get(FORMAT_KEY) != form:
        raise DataError(
            Problem(
                what="a file of another format",
                where=Place(path) / FORMAT_KEY,
                value=record.get(FORMAT_KEY),
                allowed=form,
                fix=again,
            )
        )
    require_checksum(record, path, again)
    return record


def require_checksum(record: Mapping[str, Any], path: str | Path, again: str = DELETE_AND_RERUN) -> None:
    """Raise DataError, naming both, unless a record has the checksum that it states."""
    found = checksum_of(record)
    if record.get(CHECKSUM) != found:
        what = "the file was altered: its content does not have the checksum that it states"
        raise DataError(
            Problem(what=what, where=Place(path) / CHECKSUM, value=record.get(CHECKSUM), allowed=found, fix=again)
        )


def require_name(record: Mapping[str, Any], path: str | Path, name: str, again: str = DELETE_AND_RERUN) -> None:
    """Raise DataError, naming both, unless what determines a record gives the key that its name ends in.

    name: that part of the path which ends in the key, such as the stem of the file. A file that was copied over another
    one is told by it.
    """
    stated = record.get(DEFINITION)
    key = key_of(stated) if isinstance(stated, dict) else "nothing"
    if not name.endswith(f"-{key}"):
        what = "the file of another artefact stands under this name"
        raise DataError(
            Problem(
                what=what,
                where=str(path),
                value=f"its content is defined by {key}",
                allowed=name.rpartition("-")[2],
                fix=again,
            )
        )


RUN_FORMAT = "run/3"
RUN_RECORD, FAILURE_RECORD, HISTORY_FILE = "run.json", "failed.json", "history.parquet"
DONE, FAILED = "done", "failed"
RESTORE_RUN = "restore the file; or delete it, and the next start makes the run again"


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
    record = read_record(path, RUN_FORMAT, RESTORE_RUN)
    if DEFINITION in record:
        require_name(record, path, path.parent.name, RESTORE_RUN)
    return record


def read_outcome(path: str | Path) -> dict[str, Any]:
    """How the run of the run.json at `path` ended: that record, or failed.json where it stands in its place.

    Raises DataError as read_run.
    """
    path = Path(path)
    failure = path.with_name(FAILURE_RECORD)
    return read_run(failure if failure.is_file() and not path.is_file() else path)


def unchecked_record(path: str | Path) -> dict[str, Any]:
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
    there = any((folder / name).is_file() for name in (RUN_RECORD, FAILURE_RECORD))
    return failure_of(read_outcome(folder / RUN_RECORD)) if there else None


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
    path = Path(folder) / RUN_RECORD
    record = read_run(path)
    if (reason := failure_of(record)) is not None:
        raise DataError(Problem(what=f"the run failed: {reason}", where=str(path)))
    if not record.get("weights"):
        raise DataError(Problem(what="the run has no weights", where=str(path), value=record.get("kind")))
    weights = Path(folder) / record["weights"]
    require_file(weights, fix="they were deleted, and are needed again: the next start makes the run again")
    if (found := file_sha256(weights)) != record["weights_sha256"]:
        what = "the weights are not those that run.json tells of"
        raise DataError(
            Problem(
                what=what,
                where=str(weights),
                value=f"sha256 {found}",
                allowed=f"sha256 {record['weights_sha256']}",
                fix=RESTORE_RUN,
            )
        )
    return weights


V4_ASSEMBLY = "v4-assembly/2"
ASSEMBLY_MANIFEST = "manifest.json"
DELETE_ASSEMBLY = "delete the folder and run again"


def check_v4_assembly(folder: str | Path, found: Mapping[str, str]) -> None:
    """Raise DataError where `folder` is a V4 assembly of ours, and files or manifest are not those that were written.

    found: sha256 of the files that are read, by name. Folders without such a manifest are somebody's own.
    """
    path = Path(folder) / ASSEMBLY_MANIFEST
    if not path.is_file() or not _is_our_assembly(path):
        return
    record = read_record(path, V4_ASSEMBLY, DELETE_ASSEMBLY)
    if record[DEFINITION] is not None:
        require_name(record, path, path.parents[1].name, DELETE_ASSEMBLY)
    what = "the file was altered: it does not have the checksum that its manifest states"
    problems = [
        Problem(
            what=what,
            where=str(path.with_name(name)),
            value=sha256,
            allowed=record["sha256"].get(name),
            fix=DELETE_ASSEMBLY,
        )
        for name, sha256 in found.items()
        if record["sha256"].get(name) != sha256
    ]
    if problems:
        raise DataError(problems)


def _is_our_assembly(path: Path) -> bool:
    # By either of two words: where one byte was flipped the other one stands, and the check refuses the record.
    content = path.read_bytes()
    return any(word in content for word in (b'"v4-assembly/', b'"presentations"'))
