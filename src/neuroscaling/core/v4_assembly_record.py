"""The manifest of a V4 assembly is a record: it states the session and the checksums of the assembly's files."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.records import CHECKSUM, DEFINITION, FORMAT_KEY, read_record, require_name, write_record

V4_ASSEMBLY = "v4-assembly/2"
ASSEMBLY_MANIFEST = "manifest.json"
DELETE_ASSEMBLY = "delete the folder and run again"


@dataclass(frozen=True, kw_only=True)
class V4AssemblyRecord:
    """What the manifest of a V4 assembly states. checksum: of the manifest itself, where it was read from a file."""

    definition: dict[str, Any] | None
    """What the name of the folder above the assembly's is a hash of; None where it is no such name."""
    made_from: dict[str, str]
    """Checksums of the recordings that were read, by their names in the store."""
    sha256: dict[str, str]
    """Of the assembly and the table of its stimuli, by file name."""
    session: str
    pinned: bool
    """Whether the checksums of the session's recordings are known to this package."""
    neuroids: int
    stimuli: int
    presentations: int
    repetitions: int | None
    """Most repetitions of a stimulus; None where the assembly holds averages."""
    provenance: dict[str, Any]
    simulated: bool = False
    checksum: str = ""

    def content(self) -> dict[str, Any]:
        """The JSON object that the manifest's file holds, but for its checksum."""
        return {**{key: value for key, value in asdict(self).items() if key != CHECKSUM}, FORMAT_KEY: V4_ASSEMBLY}


def write_v4_assembly(folder: str | Path, record: V4AssemblyRecord) -> None:
    """Write the manifest of the assembly in `folder` with its checksum, whole or not at all."""
    write_record(Path(folder) / ASSEMBLY_MANIFEST, record.content())


def read_v4_assembly(folder: str | Path) -> V4AssemblyRecord:
    """Return what the manifest of the assembly in `folder` states.

    Raises DataError for another format, for a manifest that was altered or lacks a key, and for one of another assembly
    than the folder above is named after.
    """
    path = Path(folder) / ASSEMBLY_MANIFEST
    content = read_record(path, V4_ASSEMBLY, DELETE_ASSEMBLY)
    keys = [field.name for field in fields(V4AssemblyRecord)]
    if missing := [key for key in keys if key not in content]:
        what = "the manifest of a V4 assembly lacks a key"
        raise DataError(Problem(what=what, where=str(path), value=listing(missing), fix=DELETE_ASSEMBLY))
    if content[DEFINITION] is not None:
        require_name(content, path, path.absolute().parents[1].name, DELETE_ASSEMBLY)
    return V4AssemblyRecord(**{key: content[key] for key in keys})


def check_v4_assembly(folder: str | Path, found: Mapping[str, str]) -> None:
    """Raise DataError where `folder` is a V4 assembly of ours, and files or manifest are not those that were written.

    found: sha256 of the files that are read, by name. Folders without such a manifest are somebody's own.
    """
    path = Path(folder) / ASSEMBLY_MANIFEST
    if not path.is_file() or not _is_our_assembly(path):
        return
    stated = read_v4_assembly(folder).sha256
    what = "the file was altered: it does not have the checksum that its manifest states"
    problems = [
        Problem(
            what=what,
            where=str(path.with_name(name)),
            value=sha256,
            allowed=stated.get(name, ""),
            fix=DELETE_ASSEMBLY,
        )
        for name, sha256 in found.items()
        if stated.get(name) != sha256
    ]
    if problems:
        raise DataError(problems)


def _is_our_assembly(path: Path) -> bool:
    # By either of two words: where one byte was flipped the other one stands, and the check refuses the record.
    content = path.read_bytes()
    return any(word in content for word in (b'"v4-assembly/', b'"presentations"'))
