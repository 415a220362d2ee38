"""Whether files of a folder of recordings that we made are those that its manifest states. Light, and of no result."""

from collections.abc import Mapping
from pathlib import Path

from neuroscaling.core.records import DEFINITION, read_record, require_name
from neuroscaling.errors import DataError, Problem

V4_ASSEMBLY = "v4-assembly/2"
MANIFEST = "manifest.json"
AGAIN = "delete the folder and run again"


def check_assembly(folder: str | Path, found: Mapping[str, str]) -> None:
    """Raise DataError where `folder` is a V4 assembly of ours, and files or manifest are not those that were written.

    found: sha256 of the files that are read, by name. Folders without such a manifest are somebody's own.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file() or not _is_ours(path):
        return
    record = read_record(path, V4_ASSEMBLY, AGAIN)
    if record[DEFINITION] is not None:
        require_name(record, path, path.parents[1].name, AGAIN)
    what = "the file was altered: it does not have the checksum that its manifest states"
    problems = [
        Problem(what, str(path.with_name(name)), sha256, record["sha256"].get(name), fix=AGAIN)
        for name, sha256 in found.items()
        if record["sha256"].get(name) != sha256
    ]
    if problems:
        raise DataError(problems)


def _is_ours(path: Path) -> bool:
    # By either of two words: where one byte was flipped the other one stands, and the check refuses the record.
    content = path.read_bytes()
    return any(word in content for word in (b'"v4-assembly/', b'"presentations"'))
