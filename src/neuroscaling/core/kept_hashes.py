"""Checksums of large files, kept so that a file is read once and not at each start, in each cluster job."""

import os
import time
from contextlib import suppress
from pathlib import Path

from neuroscaling.core.json_text import read_object
from neuroscaling.errors import DataError
from neuroscaling.files import write_json
from neuroscaling.hashing import content_hash, file_sha256

SETTLED = 2.0
"""Seconds since its last change after which a file's times would tell of another one: clocks of disks are coarse."""


def kept_sha256(path: str | Path, cache: Path | None) -> str:
    """sha256 of a file's bytes; of a file that was read before, as it was kept in the folder `cache`.

    What is kept holds while path, size, times of change (of content and of the file's entry) and inode are the same.
    A cache that can't be written to, or None, is no error: the file is read each time.
    """
    path = Path(path).resolve()
    stat = os.stat(path)
    seen = [str(path), stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_ino]
    kept = cache / "sha256" / f"{content_hash(str(path), 16)}.json" if cache else None
    if kept and (found := _read(kept, seen)):
        return found
    found = file_sha256(path)
    if kept and time.time() - stat.st_mtime > SETTLED:
        with suppress(OSError, DataError):
            write_json(kept, {"seen": seen, "sha256": found})
    return found


def _read(kept: Path, seen: list[str | int]) -> str | None:
    if not kept.is_file():
        return None
    with suppress(OSError, DataError):
        record = read_object(kept, "seen", "sha256")
        return str(record["sha256"]) if record["seen"] == seen else None
    return None
