"""Hashes of contents and files are equal on every machine, and artefacts are named by them."""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import DataError
from neuroscaling.core.files import read_object, write_json


def canonical_json(value: Any) -> str:
    """JSON text that is the same for equal values: sorted keys, no spaces, no NaN.

    Raises ValueError for NaN and infinity, TypeError for values that JSON does not know.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False, ensure_ascii=True)


def content_hash(value: Any, digits: int = 8) -> str:
    """The first hexadecimal `digits` of the sha256 of the canonical JSON of `value`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:digits]


def file_sha256(path: str | Path) -> str:
    """sha256 of a file's bytes, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def file_sha1(path: str | Path) -> str:
    """sha1 of a file's bytes, in hexadecimal (Brain-Score names its files so)."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha1").hexdigest()


KEY_DIGITS = 8


@dataclass(frozen=True)
class ArtefactName:
    """What an artefact is called.

    definition: what determines its content: the names of its inputs, settings, and the code behind it. What does not
    (batch size, device, paths, machine, seconds) is not in it.
    """

    readable: str
    definition: Mapping[str, Any] = field(hash=False)

    @cached_property
    def key(self) -> str:
        """The digits that tell it from others of the same readable part."""
        return key_of(self.definition)

    def __str__(self) -> str:
        return f"{self.readable}-{self.key}"


def key_of(definition: Mapping[str, Any]) -> str:
    """The last digits of the name of what is determined by `definition`."""
    return content_hash(dict(definition), KEY_DIGITS)


SETTLED_SECONDS = 2.0
"""Seconds since its last change, of content or entry, after which a file's times would tell of another one: clocks of
disks are coarse."""


def kept_sha256(path: str | Path, cache: Path | None) -> str:
    """sha256 of a file's bytes, or of those of all files in a folder with their names; of what was read before, as it
    was kept in the folder `cache`.

    What is kept holds while path, size, times of change (of content and of the file's entry) and inode are the same.
    A cache that can't be written to, or None, is no error: the files are read each time.
    """
    path = Path(path).resolve()
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    stats = [os.stat(file) for file in files]
    states = [[str(f), s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_ino] for f, s in zip(files, stats, strict=True)]
    seen = [str(path), content_hash(states, 32)] if path.is_dir() else states[0]
    kept = cache / "sha256" / f"{content_hash(str(path), 16)}.json" if cache else None
    if kept and (found := _kept_digest(kept, seen)):
        return found
    found = _folder_sha256(path, files) if path.is_dir() else file_sha256(path)
    changed = max((max(stat.st_mtime, stat.st_ctime) for stat in stats), default=0)
    if kept and time.time() - changed > SETTLED_SECONDS:
        with suppress(OSError, DataError):
            write_json(kept, {"seen": seen, "sha256": found})
    return found


def _folder_sha256(folder: Path, files: list[Path]) -> str:
    return content_hash([[file.relative_to(folder).as_posix(), file_sha256(file)] for file in files], 64)


def _kept_digest(kept: Path, seen: list[Any]) -> str | None:
    if not kept.is_file():
        return None
    with suppress(OSError, DataError):
        record = read_object(kept, "seen", "sha256")
        return str(record["sha256"]) if record["seen"] == seen else None
    return None
