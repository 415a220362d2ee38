"""Files that are whole or absent: written under a temporary name beside their place, then renamed."""

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from neuroscaling.core.json_text import read_json, read_object
from neuroscaling.errors import DataError, Problem

__all__ = ["atomic_path", "read_json", "read_object", "require_writable", "write_json"]

ANOTHER_STORE = "choose another `store:`"


@contextmanager
def atomic_path(path: str | Path) -> Iterator[Path]:
    """A temporary sibling of `path` to write a file or a directory to; it takes the place of `path` at the end.

    If the block raises, what was written is removed and what stood at `path` before is still there.
    Raises DataError when the disk is full or the folder can't be written to.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _replace(temporary, path)
    except OSError as error:
        raise _disk_error(error, path) from error
    finally:
        _remove(temporary)


def write_json(path: str | Path, value: Any) -> None:
    """Write `value` as readable JSON; NaN and infinity raise ValueError (write null instead)."""
    text = json.dumps(value, indent=1, sort_keys=True, allow_nan=False) + "\n"
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def require_writable(folder: str | Path, what: str) -> None:
    """Raise DataError unless files can be made in `folder` (made where it is missing)."""
    folder = Path(folder)
    probe = folder / f".writable-{uuid.uuid4().hex[:8]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"\0" * 4096)
    except OSError as error:
        known = _disk_error(error, folder, what)
        if not isinstance(known, DataError):
            known = DataError(Problem(f"the {what} can't be written: {error.strerror}", str(folder), fix=ANOTHER_STORE))
        raise known from error
    finally:
        with suppress(OSError):
            probe.unlink()


def _replace(temporary: Path, path: Path) -> None:
    if temporary.is_dir() and path.is_dir():
        old = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.old")
        os.replace(path, old)
        os.replace(temporary, path)
        shutil.rmtree(old)
    else:
        os.replace(temporary, path)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        # An error of removing would hide the one that matters.
        with suppress(OSError):
            path.unlink()


def _disk_error(error: OSError, path: Path, what: str = "file") -> Exception:
    import errno

    if error.errno == errno.ENOSPC:
        return DataError(Problem("no space left on the disk", str(path), fix="free space and run again"))
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return DataError(
            Problem(
                f"the {what} can't be written: no permission",
                str(path),
                fix=f"{ANOTHER_STORE} or ask for rights",
            )
        )
    return error
