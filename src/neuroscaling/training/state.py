"""What a killed training resumes from: files of tensors and plain numbers, each with a checksum of its content.

A file is the sha256 of what follows (64 hexadecimal characters) and a `torch.save` archive, read with
`weights_only=True`. The last two are kept: when the newest is damaged, the one before it serves.
"""

import hashlib
import logging
import os
from pathlib import Path
from typing import Any, BinaryIO

import torch

from neuroscaling.core.tensors import load_torch
from neuroscaling.files import atomic_path

KEPT = 2
DIGEST = 64
log = logging.getLogger(__name__)


def save_state(folder: Path, step: int, state: dict[str, Any]) -> None:
    """Write `state` after `step` steps; whole on the disk when this returns. All but the last two are removed."""
    with atomic_path(folder / f"step-{step:012d}.state") as temporary, open(temporary, "wb") as file:
        file.write(b"0" * DIGEST)
        content = _Hashed(file)
        torch.save(state, content)
        file.seek(0)
        file.write(content.digest.hexdigest().encode())
        file.flush()
        os.fsync(file.fileno())
    for old in _files(folder)[KEPT:]:
        old.unlink(missing_ok=True)


def load_state(folder: Path, definition: str) -> dict[str, Any] | None:
    """The newest sound state of the run with this `definition` (the state's own entry); None to start anew.

    Damaged states and those of another definition are passed over with a warning.
    """
    for path in _files(folder):
        content = memoryview(path.read_bytes())
        if hashlib.sha256(content[DIGEST:]).hexdigest().encode() != bytes(content[:DIGEST]):
            log.warning("%s is damaged or cut short; an earlier state is used", path)
            continue
        state = load_torch(path, content[DIGEST:])
        if state["definition"] == definition:
            return state
        log.warning("%s is of other settings; it is not used", path)
    return None


class _Hashed:
    """A file that is written from one end to the other; the checksum is made on the way."""

    def __init__(self, file: BinaryIO):
        self.file = file
        self.digest = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        return self.file.write(content)

    def flush(self) -> None:
        self.file.flush()


def _files(folder: Path) -> list[Path]:
    """State files, newest first."""
    return sorted(folder.glob("step-*.state"), reverse=True)
