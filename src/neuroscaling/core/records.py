"""What an artefact of the store says of itself: a JSON object with its format, what determines it, and its checksum.

`definition` is what the artefact's name is a hash of (core/names.py); `made_from` has the checksums of the files that
were read, by their names in the store; `provenance` tells versions, machine and seconds, and is in no name.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neuroscaling.core.json_text import read_object
from neuroscaling.core.names import key_of
from neuroscaling.errors import DataError, Problem
from neuroscaling.files import write_json
from neuroscaling.hashing import canonical_json

CHECKSUM, DEFINITION, FORMAT = "checksum", "definition", "format"
AGAIN = "delete the file and run again"


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


def read_record(path: str | Path, form: str, again: str = AGAIN) -> dict[str, Any]:
    """The record at `path`, of the format `form`. `again` is the next step that an error names.

    Raises DataError, naming both, for another format and for a checksum that its content does not have; and for a file
    that is missing or no JSON object.
    """
    record = read_object(path)
    if record.get(FORMAT) != form:
        raise DataError(Problem("a file of another format", f"{path}: {FORMAT}", record.get(FORMAT), form, fix=again))
    require_checksum(record, path, again)
    return record


def require_checksum(record: Mapping[str, Any], path: str | Path, again: str = AGAIN) -> None:
    """Raise DataError, naming both, unless a record has the checksum that it states."""
    found = checksum_of(record)
    if record.get(CHECKSUM) != found:
        what = "the file was altered: its content does not have the checksum that it states"
        raise DataError(Problem(what, f"{path}: {CHECKSUM}", record.get(CHECKSUM), found, fix=again))


def require_name(record: Mapping[str, Any], path: str | Path, name: str, again: str = AGAIN) -> None:
    """Raise DataError, naming both, unless what determines a record gives the key that its name ends in.

    name: that part of the path which ends in the key, such as the stem of the file. A file that was copied over another
    one is told by it.
    """
    stated = record.get(DEFINITION)
    key = key_of(stated) if isinstance(stated, dict) else "nothing"
    if not name.endswith(f"-{key}"):
        what = "the file of another artefact stands under this name"
        raise DataError(
            Problem(what, str(path), f"its content is defined by {key}", name.rpartition("-")[2], fix=again)
        )
