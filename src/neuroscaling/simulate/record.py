"""The record of a simulated brain: which files it has, and whether they are as they were written.

Light: both environments import it.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from neuroscaling.core.records import DEFINITION, read_record, require_name
from neuroscaling.errors import DataError, Problem
from neuroscaling.hashing import file_sha256

FORMAT, MANIFEST = "simulated-brain/2", "manifest.json"
AGAIN = "delete the folder of this simulated brain and run again"


def files_of(folder: Path) -> dict[str, dict[str, Any]]:
    """Bytes and sha256 of each file below `folder`, by its path there."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        file.relative_to(folder).as_posix(): {"bytes": file.stat().st_size, "sha256": file_sha256(file)}
        for file in files
    }


def brain_of(path: str | Path) -> Path | None:
    """The folder of the simulated brain that `path` lies in; None where it is part of none."""
    path = Path(path).absolute()
    return next((folder for folder in (path, *path.parents) if _is_brain(folder / MANIFEST)), None)


def check_simulated(folder: str | Path, files: Iterable[str | Path] | None = None) -> dict[str, Any]:
    """The record of the simulated brain in `folder`, whose `files` (paths below it; None: all) are as it says.

    A job names the files that it reads: their bytes are hashed. Raises DataError, naming both checksums, for a file
    that was altered, exchanged or is missing, and for a record that was altered or belongs to another brain.
    """
    folder = Path(folder).absolute()
    record = read_record(folder / MANIFEST, FORMAT, AGAIN)
    if record[DEFINITION] is not None:
        require_name(record, folder / MANIFEST, folder.name, AGAIN)
    wanted = record["files"] if files is None else [_inside(Path(file), folder) for file in files]
    problems = [problem for name in wanted for problem in _faults(folder / name, record["files"].get(name))]
    if problems:
        raise DataError(problems)
    return record


def _is_brain(manifest: Path) -> bool:
    try:
        content = manifest.read_bytes()
    except OSError:
        return False
    # By either of two words: where one byte was flipped the other one stands, and the check refuses the record.
    return any(word in content for word in (b'"simulated-brain/', b'"truth/README.md"'))


def _inside(file: Path, folder: Path) -> str:
    file = file if file.is_absolute() else folder / file
    return file.relative_to(folder).as_posix()


def _faults(path: Path, stated: dict[str, Any] | None) -> list[Problem]:
    if stated is None:
        return [Problem("a file that the simulated brain does not have", str(path), fix=AGAIN)]
    if not path.is_file():
        return [Problem("a file of the simulated brain is missing", str(path), fix=AGAIN)]
    size = path.stat().st_size
    if size != stated["bytes"]:
        what = "a file of the simulated brain was altered, by its size"
        return [Problem(what, str(path), f"{size} bytes", f"{stated['bytes']} bytes", fix=AGAIN)]
    found = file_sha256(path)
    if found != stated["sha256"]:
        what = "a file of the simulated brain was altered, by its sha256"
        return [Problem(what, str(path), found, stated["sha256"], fix=AGAIN)]
    return []
