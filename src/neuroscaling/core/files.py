"""Reading a damaged file raises a DataError that names it; a written file is whole or absent."""

import errno
import json
import os
import shutil
import stat
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.core.errors import DataError, FullDiskError, NeuroscalingError, Problem, listing

if TYPE_CHECKING:
    import numpy as np


FULL_DISK_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""No space, none of the user's share, none below the limit on the size of files."""
PROBE_BYTES = 2**18
ANOTHER_STORE = "choose another `store:`"


@contextmanager
def atomic_path(path: str | Path, keep: bool = False) -> Iterator[Path]:
    """A temporary sibling of `path` to write a file or a directory to; it takes the place of `path` at the end.

    If the block raises, what was written is removed and what stood at `path` before is still there.
    keep: a directory that is there by then stays in its place: it is the same, made by a process that was faster, and
    may be in use.
    Raises FullDiskError when the disk is full, and DataError when the folder can't be written to.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        share_as(path.parent)
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        (_settle if keep else _replace)(temporary, path)
    except Exception as error:
        if (known := disk_error(error, path)) is not error:
            raise known from error
        raise
    finally:
        _remove(temporary)


def share_as(folder: str | Path) -> None:
    """Let all that this process makes from now on be writable for its group, where `folder` is.

    A store that a lab shares says so by its own mode: whoever works in it makes folders and files that the others can
    go on with, whatever the umask. A folder that is missing is like the one that it will be made in.
    """
    folder = Path(os.path.abspath(folder))
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    mode = folder.stat().st_mode
    for_all = mode & stat.S_IWOTH and mode & stat.S_ISVTX  # /tmp is nobody's to share
    if mode & stat.S_IWGRP and not for_all and (umask := _umask()) & stat.S_IRWXG:
        os.umask(umask & ~stat.S_IRWXG)


def as_new_file(path: Path) -> None:
    """Give a file the mode that one has which Python opens: some libraries write files for their owner alone."""
    path.chmod(0o666 & ~_umask())


def _umask() -> int:
    """This process's umask. Setting it, the only way elsewhere, would reach files that other threads make."""
    try:
        return int(Path("/proc/self/status").read_text().partition("Umask:")[2].split()[0], 8)
    except (OSError, IndexError):
        os.umask(umask := os.umask(0o077))
        return umask


@contextmanager
def full_disk_named(path: str | Path) -> Iterator[None]:
    """Around code that writes to the folder of `path`: raises FullDiskError where it fails since the disk is full."""
    try:
        yield
    except Exception as error:
        if not isinstance(error, FullDiskError) and is_full_disk(error, Path(path)):
            raise _full_disk(Path(path)) from error
        raise


def new_memmap(path: Path, dtype: Any, shape: tuple[int, ...]) -> "np.memmap":
    """A .npy file to write to as it is mapped, for which the disk has room: else a write would end the process."""
    import numpy as np

    array = np.lib.format.open_memmap(path, "w+", dtype, shape)
    if not hasattr(os, "posix_fallocate"):
        return array
    with open(path, "rb+") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, max(os.stat(path).st_size, 1))
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS):
                raise
    return array


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
        share_as(folder)
        folder.mkdir(parents=True, exist_ok=True)
        probe.write_bytes(b"\0" * 4096)
    except OSError as error:
        known = _blocked(folder, what) or disk_error(error, folder, what)
        if not isinstance(known, DataError):
            known = DataError(
                Problem(what=f"the {what} can't be written: {error.strerror}", where=str(folder), fix=ANOTHER_STORE)
            )
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


def _settle(temporary: Path, path: Path) -> None:
    """Move a directory to its place, where none is there: what is in it can't be replaced by one renaming."""
    try:
        os.rename(temporary, path)
    except OSError:
        if not path.is_dir():
            raise


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        # An error of removing would hide the one that matters.
        with suppress(OSError):
            path.unlink()


def is_full_disk(error: BaseException, path: Path) -> bool:
    """Is `error`, or one behind it, of a full disk? Libraries wrap it, or lose it: then the disk is tried."""
    behind: BaseException | None = error
    while behind is not None:
        if getattr(behind, "errno", None) in FULL_DISK_ERRNOS or os.strerror(errno.ENOSPC) in str(behind):
            return True
        behind = behind.__cause__ or behind.__context__
    return not isinstance(error, NeuroscalingError) and _has_no_room(path.parent)


def _has_no_room(folder: Path) -> bool:
    probe = folder / f".room-{uuid.uuid4().hex[:8]}"
    try:
        probe.write_bytes(b"\0" * PROBE_BYTES)
    except OSError as error:
        return error.errno in FULL_DISK_ERRNOS
    finally:
        with suppress(OSError):
            probe.unlink()
    return False


def _full_disk(path: Path) -> FullDiskError:
    return FullDiskError(Problem(what="no space left on the disk", where=str(path), fix="free space and run again"))


def disk_error(error: Exception, path: Path, what: str = "file") -> Exception:
    """What to tell of an error of writing; the error itself where the disk has no part in it."""
    if is_full_disk(error, path):
        return error if isinstance(error, FullDiskError) else _full_disk(path)
    if isinstance(error, OSError) and error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return DataError(
            Problem(
                what=f"the {what} can't be written: no permission",
                where=str(path),
                fix=f"{ANOTHER_STORE} or ask for rights",
            )
        )
    if isinstance(error, OSError) and (blocked := _blocked(path.parent, what)):
        return blocked
    return error


def _blocked(folder: Path, what: str) -> DataError | None:
    """What to tell where `folder` can't be, for what stands in its place."""
    place = in_the_way(folder)
    if place is None:
        return None
    if place.is_symlink():
        found, value, fix = "a link to nowhere", os.readlink(place), f"mount its disk, or {ANOTHER_STORE}"
    else:
        found, value, fix = "a file", None, ANOTHER_STORE
    what = f"the {what} can't be written: {found} is in place of a folder"
    return DataError(Problem(what=what, where=str(place), value=value, fix=fix))


def in_the_way(folder: Path) -> Path | None:
    """What is in place of `folder`, or of one that it lies in, and is no folder; None where nothing is."""
    for place in (folder, *folder.parents):
        if os.path.lexists(place):
            return None if place.is_dir() or not os.path.lexists(place) else place
    return None


COPY_AGAIN = "copy or download it again"
OTHER_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
LONGEST_MESSAGE = 200


@contextmanager
def reading(path: str | Path, kind: str, fix: str = COPY_AGAIN, where: str = "") -> Iterator[None]:
    """Around the calls that read the file `path`: whatever they raise becomes a DataError that names it.

    kind: what the file should be, "a NumPy file"; where: what of the file is read, in place of its path. The file is
    looked at first: a missing one, a folder and a pipe (which would keep the reader waiting for ever) are refused. Only
    calls of the format's library belong into the block.
    """
    require_file(path, fix)
    try:
        yield
    except NeuroscalingError:
        raise
    except Exception as error:  # MemoryError too: a damaged header asks for any amount
        raise DataError(unreadable(where or path, kind, error, fix)) from error


def unreadable(where: str | Path, kind: str, error: BaseException, fix: str = COPY_AGAIN) -> Problem:
    """What to tell of a file that can't be read as `kind`."""
    return Problem(what=f"not {kind}, or cut short: {_words(error)}", where=str(where), fix=fix)


def require_file(path: str | Path, fix: str = "") -> None:
    """Raise DataError unless `path` is a regular file that can be looked at."""
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(
            Problem(what="file is missing", where=str(path), fix="" if fix == COPY_AGAIN else fix)
        ) from error
    except (OSError, ValueError) as error:  # no permission on a folder, links in a circle, a name with a null
        raise DataError(Problem(what=f"file can't be read: {_words(error)}", where=str(path))) from error
    if not stat.S_ISREG(mode):
        found = next((name for is_kind, name in OTHER_KINDS if is_kind(mode)), "something else")
        raise DataError(Problem(what=f"not a file but {found}", where=str(path), fix="name a file"))


def _words(error: BaseException) -> str:
    """The first line of what an error says, or its kind where it says nothing that tells."""
    text = getattr(error, "strerror", None) or str(error)
    line = next(iter(text.splitlines()), "")[:LONGEST_MESSAGE]
    return line if len(line) > 3 and not isinstance(error, KeyError) else f"{type(error).__name__} {line}".strip()


DELETE_AND_RERUN = "delete the file and run again"


def read_json(path: str | Path) -> Any:
    """Read a JSON file. Raises DataError, naming the file, when it is missing, cut short, or not UTF-8."""
    with reading(path, "valid JSON", DELETE_AND_RERUN):
        return json.loads(Path(path).read_text(encoding="utf-8"))


def read_object(path: str | Path, *keys: str) -> dict[str, Any]:
    """Read a JSON file that holds an object with all of `keys`. Raises DataError for another one."""
    content = read_json(path)
    require_keys(content, path, keys)
    return content


def require_keys(content: Any, path: str | Path, keys: Sequence[str]) -> None:
    """Raise DataError unless `content`, of the file `path`, is an object with all of `keys`."""
    if not isinstance(content, dict):
        raise DataError(
            Problem(what="not a JSON object", where=str(path), value=content, allowed="{...}", fix=DELETE_AND_RERUN)
        )
    if missing := [key for key in keys if key not in content]:
        raise DataError(Problem(what="key is missing", where=str(path), value=listing(missing), fix=DELETE_AND_RERUN))


def require_rows(content: Any, path: str | Path, keys: Sequence[str] = ()) -> None:
    """Raise DataError unless `content` has `keys` and a list of objects under `rows`."""
    require_keys(content, path, ["rows", *keys])
    if not isinstance(content["rows"], list) or not all(isinstance(row, dict) for row in content["rows"]):
        raise DataError(
            Problem(
                what="no list of rows",
                where=f"{path}, rows",
                value=content["rows"],
                allowed="[{...}, ...]",
                fix=DELETE_AND_RERUN,
            )
        )
