"""A driver of Snakemake holds a lease on its working directory, so that the lock of a dead one is known as such.

Snakemake's own lock is a file that names nobody: where its process is killed it stays, and the next start refuses to
begin until somebody says `--unlock`. The lease names the process; the kernel, Slurm or silence tells of its death.
"""

import atexit
import shutil
import sys
from contextlib import ExitStack
from pathlib import Path

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.lease_holders import Holder, boot
from neuroscaling.core.leases import HEARTBEAT, LEASE, Held, held, holder_in, lock_of
from neuroscaling.study.session import LOCKS, PRIVATE, is_locked

DRIVER = PRIVATE / "driver"
WHAT = "the driver of this folder"
SILENCE = LEASE + HEARTBEAT
"""Seconds after which a driver on another host counts as dead: here only its silence tells."""


def take_folder() -> str | None:
    """Hold the current folder until this process ends, and remove the lock of a driver that died here.

    Returns what to tell the user, or None. The lock of a driver that held no lease stays, for Snakemake to tell of.
    Raises DataError where a living driver is at work here, and where the folder can't be written to.
    """
    DRIVER.parent.mkdir(parents=True, exist_ok=True)
    before = holder_in(lock_of(DRIVER))
    stack = ExitStack()
    try:
        stack.enter_context(held(DRIVER, WHAT, wait=False))
    except Held as error:
        stack.enter_context(_held_after_silence(before, error))
    atexit.register(stack.close)
    if before is None or not is_locked():
        return None
    shutil.rmtree(LOCKS, ignore_errors=True)
    # That it is dead, and who it was, the lease has said.
    return "The lock that it left is removed. What is done stays done."


def _held_after_silence(holder: Holder | None, error: Held) -> "ExitStack":
    """The lease of a driver that can't be asked from here, if it shows no life for a while."""
    if holder is not None and holder.boot != boot():
        minutes = round(SILENCE / 60)
        print(
            f"A driver was at work in this folder ({holder}). For {minutes} minutes this one looks whether it lives.",
            file=sys.stderr,
            flush=True,
        )
        stack = ExitStack()
        try:
            stack.enter_context(held(DRIVER, WHAT, patience=SILENCE))
            return stack
        except Held as late:
            error = late
    raise DataError(_living(error)) from error


def _living(error: Held) -> Problem:
    found = error.problems[0]
    fix = "wait for its end, stop it with Ctrl-C, or start in another folder: both may share a store"
    return Problem(what="another driver is at work in this folder", where=str(Path.cwd()), value=found.value, fix=fix)
