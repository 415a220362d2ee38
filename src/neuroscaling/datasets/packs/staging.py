"""Copies of a pack near the processes that read it: once a machine, checked, under a lock."""

import fcntl
import hashlib
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neuroscaling.datasets.packs.format import manifest_file, pack_facts, pack_files
from neuroscaling.errors import DataError, Problem
from neuroscaling.files import atomic_path, write_json
from neuroscaling.hashing import content_hash
from neuroscaling.job_memory import job_memory

MEMORY = Path("/dev/shm")
BLOCK = 2**24
PROCESS_BYTES = 3e9  # of a process that trains

log = logging.getLogger(__name__)


def staged(folder: Path, split: str, operating: dict[str, Any]) -> Path:
    """The folder of a copy of one split of a pack, made unless it is there, as `operating["stage"]` says.

    `none`: the pack itself; `memory`: in /dev/shm; `disk`: in the folder `operating["scratch"]`; both in a folder of
    the user's own. Where there is no room, the pack is read where it is. Raises DataError when a copied file is not
    what the manifest says.
    """
    folder, where = Path(folder), operating.get("stage") or "none"
    if where == "none":
        return folder
    if where == "disk" and not operating.get("scratch"):
        what = "`stage: disk` needs a folder"
        raise DataError(Problem(what, "scratch", fix="set `scratch:` to one on the node's own disk"))
    base = (MEMORY if where == "memory" else Path(operating["scratch"])) / f"neuroscaling-{os.getuid()}"
    facts = pack_facts(folder, split)
    copy = base / f"pack-{content_hash(facts, 16)}"
    copy.mkdir(parents=True, exist_ok=True)
    with _alone(base / f"{copy.name}.lock"):
        return copy if _copied(folder, facts, copy) else folder


def _copied(folder: Path, facts: dict[str, Any], copy: Path) -> bool:
    """Copy what is missing; False where there is no room for it."""
    manifest = manifest_file(copy, facts["split"])
    # Whatever clears a node's disk of old files may have taken some and left others.
    missing = [file for file in pack_files(facts) if _size(copy / file["file"]) != file["bytes"]]
    if manifest.exists() and not missing:
        return True
    for left in copy.glob(".*.partial"):  # by a job that was killed: it would take memory until the node restarts
        left.unlink()
    needed, free = (n / 1e9 for n in (sum(file["bytes"] for file in missing), _free(copy)))
    if needed > free:
        log.warning("no room for %s in %s (%.1f of %.1f GB): it is read where it is", folder, copy, needed, free)
        return False
    for file in missing:
        _copy(folder / file["file"], copy / file["file"], file["sha256"])
    write_json(manifest, facts)
    return True


def _copy(source: Path, target: Path, sha256: str) -> None:
    digest = hashlib.sha256()
    with atomic_path(target) as temporary:
        with open(source, "rb") as read, open(temporary, "wb") as write:
            while block := read.read(BLOCK):
                digest.update(block)
                write.write(block)
        if digest.hexdigest() != sha256:
            raise DataError(
                Problem("file of a pack is damaged", str(source), digest.hexdigest(), sha256, fix="pack again")
            )


def _free(copy: Path) -> float:
    """Bytes that may be written to `copy`; what a job writes to memory is its own, and too much of it is its end."""
    free = float(shutil.disk_usage(copy).free)
    granted = job_memory() if copy.is_relative_to(MEMORY) else None
    return min(free, granted - PROCESS_BYTES) if granted else free


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else -1


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """One process of this machine at a time."""
    with open(path, "w", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
