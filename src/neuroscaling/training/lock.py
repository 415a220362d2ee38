"""One training of a run at a time, over processes and machines."""

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from neuroscaling.errors import DataError, Problem
from neuroscaling.files import read_object

HEARTBEAT_SECONDS = 20.0
# A lock of another machine counts as left behind when its heart has been silent for this long.
STALE_SECONDS = 300.0


class RunHeld(DataError):
    """Another process trains the run."""


@contextmanager
def run_lock(path: Path) -> Iterator[None]:
    """Hold the lock at `path` for the length of the block. Raises RunHeld, naming the holder, when it is held.

    The kernel frees the lock of a process that died, however it died. Not all network disks share such locks between
    machines, so the holder also writes down who it is and touches the file regularly; a lock of another machine that
    is touched no more is taken over.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = _acquire(path)
    over = threading.Event()
    heart = threading.Thread(target=_beat, args=(descriptor, over), daemon=True)
    heart.start()
    try:
        yield
    finally:
        over.set()
        heart.join()
        if _is_still(path, descriptor):
            path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o664)
        if _taken(path, descriptor):
            os.close(descriptor)
            raise _held(path)
        if _is_still(path, descriptor):
            break
        os.close(descriptor)  # its holder removed it between our opening and locking it
    holder = json.dumps({"host": socket.gethostname(), "pid": os.getpid()})
    os.truncate(descriptor, 0)
    os.pwrite(descriptor, holder.encode(), 0)
    return descriptor


def _taken(path: Path, descriptor: int) -> bool:
    """Try to lock; True when another process holds the lock."""
    trusted = [socket.gethostname()]
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a disk that knows no locks: then the heartbeat has to do for this machine's processes too
        trusted = []
    host = _holder(path).get("host")
    silent = time.time() - os.fstat(descriptor).st_mtime
    return host is not None and host not in trusted and silent < STALE_SECONDS


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.stat(path).st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False


def _holder(path: Path) -> dict[str, Any]:
    try:
        return read_object(path)
    except DataError:
        return {}


def _held(path: Path) -> RunHeld:
    holder = _holder(path)
    who = f"process {holder.get('pid', '?')} on {holder.get('host', 'an unknown machine')}"
    return RunHeld(
        Problem(
            "this run is being trained already", str(path.parent.parent), who, fix="wait for it, or end that process"
        )
    )


def _beat(descriptor: int, over: threading.Event) -> None:
    while not over.wait(HEARTBEAT_SECONDS):
        os.utime(descriptor)
