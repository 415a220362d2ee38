"""Leases: who makes an artefact holds it, others wait for it, and whoever waits takes over from the dead.

The lease of `store/a.json` is the file `store/.a.json.lock`. To create it (O_EXCL) is to hold it, on network disks too.
It says who holds it, and is touched every HEARTBEAT seconds. The holder also locks it (flock), where the disk knows
locks. Clocks of two machines are never compared: a waiter measures silence by its own.
"""

import fcntl
import json
import logging
import math
import os
import shutil
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from glob import escape
from pathlib import Path

from neuroscaling.core.counting import alive
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import disk_error, in_the_way, share_as
from neuroscaling.core.lease_holders import Holder, boot, holder_from, job_has_ended, lives, namespace, this_process

log = logging.getLogger(__name__)

HEARTBEAT = 15.0
LEASE = 120.0
"""Seconds of silence after which a holder counts as dead, where neither the kernel nor Slurm knows of it."""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.05, 3.0
TELL_EVERY = 300.0
ASK_SLURM_EVERY = 30.0
TAKEOVER = 5.0
"""Seconds for which a lock on a dead one's file is that of a process that takes over; then it is a child's."""
PROBES = 100


class Held(DataError):
    """Another process makes the artefact."""


class LeaseLost(DataError):
    """Another process took this one for dead, and makes the artefact."""


@dataclass
class Lease:
    """A lease that is held. `check()` before what was made is put into its place."""

    path: Path
    lock: Path
    token: str
    descriptor: int
    over: threading.Event = field(default_factory=threading.Event)

    def is_held(self) -> bool:
        """Is the lease still that of this process? So it is taken to be while the disk does not answer."""
        try:
            found = holder_from(self.lock.read_bytes())
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return found is not None and found.token == self.token

    def check(self) -> None:
        """Raise LeaseLost where another process took over, since it took this one for dead."""
        if not self.is_held():
            holder = holder_in(self.lock)
            what = f"this process was silent for {LEASE:g} s (suspended?), and another one took its lease"
            raise LeaseLost(
                Problem(what=what, where=str(self.path), value=str(holder) if holder else None, fix="run again")
            )

    def beat(self) -> None:
        """Touch the file every HEARTBEAT seconds, until the lease is given back."""
        while not self.over.wait(HEARTBEAT):
            with suppress(OSError):  # a disk that is away for a while: the next beat may reach it
                os.utime(self.descriptor)

    def release(self) -> None:
        """Give the lease back."""
        if self.is_held():
            self.lock.unlink(missing_ok=True)
        else:
            log.warning("%s: another process took this one for dead and has its lease", self.path)
        os.close(self.descriptor)


@contextmanager
def held(path: str | Path, what: str, wait: bool = True, patience: float = math.inf) -> Iterator[Lease]:
    """Hold the lease of the artefact `path` for the length of the block; what: a name for it in messages.

    Waits while another living process holds it, and takes over from a dead one: look again, in the block, whether the
    artefact is there. What dead writers left of it (`atomic_path`) is removed. Raises Held, naming the holder, without
    `wait`, or after `patience` seconds; raises DataError where the folder can't be written to.
    """
    path = Path(path).absolute()  # the process may go to another folder before it gives the lease back
    lease = _acquire(path, what, patience if wait else 0.0)
    heart = threading.Thread(target=lease.beat, daemon=True, name=f"lease of {path.name}")
    process = os.getpid()
    try:
        heart.start()
        sweep(path)
        yield lease
    finally:
        if os.getpid() == process:  # not in a child that was forked meanwhile
            lease.over.set()
            if heart.ident is not None:
                heart.join()
            lease.release()


def lock_of(path: str | Path) -> Path:
    """The file that is the lease of the artefact `path`."""
    path = Path(path)
    return path.with_name(f".{path.name}.lock")


def holder_in(lock: Path) -> Holder | None:
    """Who the lock file says that it is held by; None for a file that is missing, empty or damaged."""
    try:
        return holder_from(lock.read_bytes())
    except OSError:
        return None


def is_held(path: str | Path) -> bool:
    """Does a process hold the lease of the artefact `path`, which is not known to be dead?"""
    lock = lock_of(path)
    with _opened(lock) as descriptor:
        return descriptor is not None and not _Watch(lock).is_dead(descriptor)


def sweep(path: Path) -> None:
    """Remove what dead writers of `path` left beside it. Only for who holds the lease."""
    for left in ("partial", "old"):
        _remove(path.parent.glob(f".{escape(path.name)}.*.{left}"))


def sweep_within(folder: Path) -> None:
    """Remove what dead writers left in `folder` and below. Only for who holds the lease of the whole folder."""
    _remove(list(folder.rglob(".*.partial")))


def _remove(partial: Iterable[Path]) -> None:
    for left in partial:
        log.info("%s: removed, its writer is dead", left)
        if left.is_dir() and not left.is_symlink():
            shutil.rmtree(left, ignore_errors=True)
        else:
            with suppress(OSError):
                left.unlink()


def _acquire(path: Path, what: str, patience: float) -> Lease:
    lock = lock_of(path)
    watch, pause, end = _Watch(lock), SHORTEST_PAUSE, time.monotonic() + patience
    while (lease := _created(path, lock)) is None:
        with _opened(lock) as descriptor:
            if descriptor is None:
                continue
            if watch.is_dead(descriptor):
                if not watch.is_alone():
                    time.sleep(SHORTEST_PAUSE)
                elif _moved_away(lock, descriptor, watch.holder):
                    log.warning("%s: its maker is dead (%s); this process goes on", what, watch.holder or "unknown")
                continue
        if time.monotonic() >= end:
            raise Held(_problem(path, what, watch.holder))
        watch.tell(what)
        alive()  # who waits for a living process doesn't hang
        time.sleep(pause)
        pause = min(1.5 * pause, LONGEST_PAUSE)
    return lease


def _problem(path: Path, what: str, holder: Holder | None) -> Problem:
    who = str(holder or "a process that has just begun")
    return Problem(
        what=f"{what} is being made by another process",
        where=str(path),
        value=who,
        fix="wait for it, or end that process",
    )


def _created(path: Path, lock: Path) -> Lease | None:
    """The lease, where nobody holds it."""
    try:
        share_as(lock.parent)
        lock.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    except OSError as error:
        if isinstance(error, FileExistsError | FileNotFoundError) and in_the_way(lock.parent) is None:
            return None  # somebody holds it, or its folder went meanwhile
        if (known := disk_error(error, path)) is not error:
            raise known from error
        raise
    try:
        # The lock before the words: a file that says who holds it, unlocked, is that of a dead one.
        holder = this_process(_locked_soon(descriptor))
        os.write(descriptor, json.dumps(asdict(holder)).encode())
        os.fsync(descriptor)  # a network disk would show other machines an empty file for a while
        return Lease(path, lock, holder.token, descriptor)
    except BaseException as error:
        lock.unlink(missing_ok=True)
        os.close(descriptor)
        if isinstance(error, OSError) and (known := disk_error(error, path)) is not error:
            raise known from error
        raise


def _locked_soon(descriptor: int) -> bool:
    """Lock a new file; those who wait try its lock too, for a moment."""
    for _ in range(PROBES):
        got = _flock(descriptor)
        if got is not False:
            return bool(got)
        time.sleep(0.01)
    return False


def _flock(descriptor: int) -> bool | None:
    """Whether the lock was got; None on a disk that knows none."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


@contextmanager
def _opened(lock: Path) -> Iterator[int | None]:
    """The lock file, open; None where it is gone. Opening it asks a network disk's server how it is now."""
    descriptor = None
    # Network disks want a file open for writing before they lock it; another user's may be for reading alone.
    for mode in (os.O_RDWR, os.O_RDONLY):
        try:
            descriptor = os.open(lock, mode)
            break
        except FileNotFoundError:
            break
        except PermissionError:
            continue
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _moved_away(lock: Path, descriptor: int, dead: Holder | None) -> bool:
    """Remove the lock file of a dead holder, which `descriptor` has open; False where another process was faster."""
    if not _is_same(lock, descriptor):
        return False
    aside = lock.with_name(f"{lock.name}.{uuid.uuid4().hex[:8]}.stale")
    try:
        os.rename(lock, aside)
    except FileNotFoundError:
        return False
    if _is_same(aside, descriptor) and holder_in(aside) == dead:
        aside.unlink(missing_ok=True)
        return True
    # Between the look and the renaming, another process took over: it is given its lease back.
    with suppress(OSError):
        os.link(aside, lock)
    aside.unlink(missing_ok=True)
    return False


def _is_same(path: Path, descriptor: int) -> bool:
    try:
        found, own = os.stat(path), os.fstat(descriptor)
    except OSError:
        return False
    return (found.st_dev, found.st_ino) == (own.st_dev, own.st_ino)


class _Watch:
    """What a waiter has seen of a lock file."""

    def __init__(self, lock: Path):
        self.lock = lock
        self.holder: Holder | None = None
        self.sign: tuple[object, ...] | None = None
        self.heard = time.monotonic()
        self.got: bool | None = None
        self.refused: float | None = None
        self.asked: float | None = None
        self.told: float | None = None

    def is_dead(self, descriptor: int) -> bool:
        """Is the holder of the file that `descriptor` has open dead? The file is locked then, where that is possible.

        A process of this kernel and process namespace is looked up. Another one of this kernel that held a lock lives
        as long as the lock. Slurm knows whether a job has ended. All others live while their heart beats.
        """
        state = os.fstat(descriptor)
        self.holder = holder = holder_from(os.pread(descriptor, 10_000, 0))
        sign = (state.st_ino, state.st_mtime_ns, holder)
        if sign != self.sign:
            self.sign, self.heard = sign, time.monotonic()
        self.got = got = _flock(descriptor)
        if holder is not None and holder.boot and holder.boot == boot():
            if holder.namespace == namespace():
                return not lives(holder.pid, holder.start, unseen=not (holder.flocked and got))
            if holder.flocked and got is not None:
                return got
        silent = time.monotonic() - self.heard > LEASE
        return silent or (holder is not None and self._ended(holder))

    def is_alone(self) -> bool:
        """Does no other process take over from the dead one just now? Who does so has its file locked.

        Of two at once the slower might move away the new lock of the faster one. A child of the dead one may keep the
        lock for ever: so it is heeded for TAKEOVER seconds.
        """
        now = time.monotonic()
        if self.got is not False:
            self.refused = None
            return True
        self.refused = now if self.refused is None else self.refused
        return now - self.refused > TAKEOVER

    def tell(self, what: str) -> None:
        """Log who is waited for: at first, and then every few minutes."""
        now = time.monotonic()
        if self.told is None or now - self.told > TELL_EVERY:
            self.told = now
            log.info("waiting for %s: it is made by %s", what, self.holder or "a process that has just begun")

    def _ended(self, holder: Holder) -> bool:
        """Does Slurm know that the holder's job has ended, or was begun again?"""
        now = time.monotonic()
        if not holder.job or (self.asked is not None and now - self.asked < ASK_SLURM_EVERY):
            return False
        self.asked = now
        return job_has_ended(holder.job, holder.cluster, holder.restarts)
