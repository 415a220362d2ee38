"""Large files are downloaded whole: what is there of one is gone on with, and never mixed with another file's bytes.

The part that has arrived lies in `<name>.partial`. `<name>.partial.json` beside it says of which file it is: the URL,
the size, and what the server calls its state (ETag, or the time of the last change). While it arrives the log tells how
much of it has. A connection that says nothing is given up after a minute, and taken up again.
"""

import http.client
import logging
import os
import shutil
import socket
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from glob import escape
from pathlib import Path
from typing import IO, Any

from neuroscaling.core.archives import TIMEOUT_S
from neuroscaling.core.errors import DataError, FullDiskError, NeuroscalingError, Problem
from neuroscaling.core.files import full_disk_named, read_object, share_as, write_json
from neuroscaling.core.leases import Held, held
from neuroscaling.core.progress import Progress, begun, progress_beside
from neuroscaling.core.watching import Standing, watching

log = logging.getLogger(__name__)
AT_ONCE = 4
"""Downloads into one store at one time."""
TRIES = 5
"""Times in a row that a download is gone on with without a byte more."""
PAUSE_S = 2.0
BLOCK = 2**20
MB = 10**6
SILENT_S = 300.0
NEXT = "check the network and start again: what has arrived is gone on with"


@dataclass(frozen=True)
class Remote:
    """A file as a server tells of it. size: None where it doesn't say; state: its ETag, or the time of its change."""

    url: str
    size: int | None
    state: str | None


@dataclass
class Arriving:
    """A file that arrives, for a watch to look at. size: bytes that it will have, None where nobody knows."""

    file: Path
    size: int | None = None

    def standing(self) -> Standing:
        """Megabytes that have arrived: of the file, or of those beside it that clients write first."""
        names = self.file.parent.glob(f"{escape(self.file.name)}*")
        arrived = max(map(_size, names), default=0)
        return Standing(arrived // MB, None if self.size is None else max(self.size // MB, arrived // MB))

    def keep(self, progress: Progress) -> None:
        """There is nothing else."""


@contextmanager
def arriving(name: str, file: Path, record: Path | None = None) -> Iterator[Arriving]:
    """Tell how much of `file` has arrived, for the length of the block: a line in the log each minute.

    name: what is downloaded; record: a progress record to write, which stays where the block ends with an error. What
    it is about ends by timeouts of its connection, and by no limit of this.
    """
    own, work = record or progress_beside(file), Arriving(file)
    try:
        with watching(work, begun(own, name, "download", "MB", None), own):
            yield work
    except BaseException:
        if record is None:
            own.unlink(missing_ok=True)
        raise
    own.unlink(missing_ok=True)


@contextmanager
def silent_connections_end(seconds: float = SILENT_S) -> Iterator[None]:
    """Let connections of libraries that set no timeout end after so many seconds without a byte, within the block.

    torch's hub waits for ever for a server that says nothing more.
    """
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def download(url: str, target: Path, pause: float = PAUSE_S, record: Path | None = None) -> Path:
    """Download the file of a URL to `target`, from where a former download ended if the server knows ranges.

    Lost connections are taken up again, TRIES times in a row without a byte more, with `pause` seconds between. A file
    that changed meanwhile is begun anew. record: as of `arriving`. Raises DataError where the server can't be reached,
    has no such file, or where fewer or more bytes arrive than it stated; FullDiskError where they have no room.
    """
    partial = target.with_name(f"{target.name}.partial")
    share_as(target.parent)
    target.parent.mkdir(parents=True, exist_ok=True)
    with arriving(url, partial, record) as work:
        return _downloaded(url, target, partial, pause, work)


def _downloaded(url: str, target: Path, partial: Path, pause: float, work: Arriving) -> Path:
    without, failure = 0, ""
    while without < TRIES:
        before = _size(partial)
        try:
            remote = _fetch(url, partial, work)
        except _Lost as error:
            failure = str(error)
            without = 0 if _size(partial) > before else without + 1
            log.info("%s: %s after %d bytes", url, failure, _size(partial))
            time.sleep(pause if without else 0)
            continue
        if remote.size is not None and _size(partial) != remote.size:
            found = _size(partial)
            _forget(partial)
            what = "another number of bytes arrived than the server stated"
            raise DataError(Problem(what=what, where=url, value=found, allowed=str(remote.size), fix=NEXT))
        os.replace(partial, target)
        _forget(partial)
        return target
    raise DataError(Problem(what=f"can't be downloaded: {failure}", where=url, fix=NEXT))


@contextmanager
def few_at_once(folder: Path, at_once: int = AT_ONCE) -> Iterator[None]:
    """At most `at_once` processes, on all machines that share `folder`, are within this block at one time."""
    with ExitStack() as stack:
        while True:
            for i in range(at_once):
                try:
                    stack.enter_context(held(folder / f"download-{i}", "a place to download", wait=False))
                except Held:
                    continue
                yield
                return
            time.sleep(PAUSE_S)


class _Lost(Exception):
    """The connection ended, or could not be made; another try may succeed."""


def _fetch(url: str, partial: Path, work: Arriving) -> Remote:
    """Append what is missing of a file to `partial`. Raises _Lost where the connection ends before the file does."""
    known, have = _known(partial, url), _size(partial)
    request = urllib.request.Request(url)
    if known is not None and have and known.state:
        request.add_header("Range", f"bytes={have}-")
        request.add_header("If-Range", known.state)
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
            goes_on = response.status == 206 and _begins(response) == have
            remote = _remote(url, response, have if goes_on else 0)
            work.size = remote.size
            if not goes_on:
                _begin(partial, remote)
            with full_disk_named(partial), open(partial, "ab" if goes_on else "wb") as file:
                _require_room(partial, remote, have if goes_on else 0)
                _copy(response, file)
    except urllib.error.HTTPError as error:
        if error.code == 416 and known is not None and have == known.size:
            return known
        if error.code == 416:
            _forget(partial)
            raise _Lost("the server has fewer bytes than have arrived") from error
        if error.code in (429, 500, 502, 503, 504):
            raise _Lost(f"the server answers {error.code}") from error
        what = f"can't be downloaded: the server answers {error.code} {error.reason}"
        raise DataError(Problem(what=what, where=url, fix="check the URL")) from error
    except NeuroscalingError:
        raise
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise _Lost(str(getattr(error, "reason", error)) or type(error).__name__) from error
    if remote.size is not None and _size(partial) < remote.size:
        raise _Lost("the connection ended")
    return remote


def _remote(url: str, response: Any, have: int) -> Remote:
    length = response.headers.get("Content-Length", "")
    state = response.headers.get("ETag") or response.headers.get("Last-Modified")
    # A weak ETag doesn't promise equal bytes.
    state = None if state and state.startswith("W/") else state
    return Remote(url, int(length) + have if length.isdigit() else None, state)


def _begins(response: Any) -> int:
    """The byte that an answer to a range begins with; -1 where it doesn't say."""
    span = response.headers.get("Content-Range", "").removeprefix("bytes ").partition("-")[0]
    return int(span) if span.isdigit() else -1


def _copy(response: Any, file: IO[bytes]) -> None:
    while block := response.read(BLOCK):
        file.write(block)


def _require_room(partial: Path, remote: Remote, have: int) -> None:
    free, needed = shutil.disk_usage(partial.parent).free, (remote.size or 0) - have
    if needed > free:
        what, fix = "the file has no room on the disk", "free space, and start again"
        raise FullDiskError(
            Problem(what=what, where=remote.url, value=f"{needed} bytes", allowed=f"{free} bytes are free", fix=fix)
        )


def _known(partial: Path, url: str) -> Remote | None:
    """What was said of the file that has arrived in part; None where none has, or that of another URL."""
    with suppress(NeuroscalingError, TypeError):
        found = Remote(**read_object(_said(partial), "url", "size", "state"))
        return found if found.url == url else None
    return None


def _begin(partial: Path, remote: Remote) -> None:
    partial.unlink(missing_ok=True)
    write_json(_said(partial), asdict(remote))


def _said(partial: Path) -> Path:
    return partial.with_name(f"{partial.name}.json")


def _forget(partial: Path) -> None:
    partial.unlink(missing_ok=True)
    _said(partial).unlink(missing_ok=True)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0
