"""What all readers share: the kind of a file is looked at before it is opened, and any failure becomes a DataError."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from neuroscaling.errors import DataError, NeuroscalingError, Problem

AGAIN = "copy or download it again"
OTHER_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
LONGEST = 200


@contextmanager
def reading(path: str | Path, kind: str, fix: str = AGAIN, where: str = "") -> Iterator[None]:
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


def unreadable(where: str | Path, kind: str, error: BaseException, fix: str = AGAIN) -> Problem:
    """What to tell of a file that can't be read as `kind`."""
    return Problem(f"not {kind}, or cut short: {_words(error)}", str(where), fix=fix)


def require_file(path: str | Path, fix: str = "") -> None:
    """Raise DataError unless `path` is a regular file that can be looked at."""
    try:
        mode = os.stat(path).st_mode
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DataError(Problem("file is missing", str(path), fix="" if fix == AGAIN else fix)) from error
    except (OSError, ValueError) as error:  # no permission on a folder, links in a circle, a name with a null
        raise DataError(Problem(f"file can't be read: {_words(error)}", str(path))) from error
    if not stat.S_ISREG(mode):
        found = next((name for is_kind, name in OTHER_KINDS if is_kind(mode)), "something else")
        raise DataError(Problem(f"not a file but {found}", str(path), fix="name a file"))


def _words(error: BaseException) -> str:
    """The first line of what an error says, or its kind where it says nothing that tells."""
    text = getattr(error, "strerror", None) or str(error)
    line = next(iter(text.splitlines()), "")[:LONGEST]
    return line if len(line) > 3 and not isinstance(error, KeyError) else f"{type(error).__name__} {line}".strip()
