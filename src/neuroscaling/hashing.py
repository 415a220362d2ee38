"""Content hashes: equal content gives equal names, on every machine and in every Python."""

import hashlib
import json
from pathlib import Path
from typing import Any


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
