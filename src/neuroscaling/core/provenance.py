"""Where an artefact comes from: versions, revision, machine and seconds. Never part of a content hash."""

import os
import platform
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from neuroscaling import __version__ as VERSION
from neuroscaling.core.installation import CHECKOUT, FROZEN
from neuroscaling.core.lease_holders import slurm_job, user_name


def provenance(packages: tuple[str, ...] = (), seconds: float | None = None, **facts: Any) -> dict[str, Any]:
    """Versions of Python, this library and `packages`; git revision; machine; seconds; and `facts` as given.

    The machine: host, system, processors, and the user and Slurm job that it worked for (null outside of a job).
    All but the last two are found out once a process. With seconds there is the memory that the process took until
    now: later jobs ask for as much (planning/recorded_jobs.py).
    """
    record = {"versions": installed(packages), "git": git_revision(), "machine": dict(_machine()), **facts}
    return record if seconds is None else record | {"seconds": round(seconds, 3), **peak_memory()}


def installed(packages: tuple[str, ...] = ()) -> dict[str, str | None]:
    """Versions of Python, this library and `packages`; None for one that is not installed here."""
    versions = {"python": platform.python_version(), "neuroscaling": VERSION}
    return versions | {name: _version(name) for name in packages}


KEY_PACKAGES = ("torch", "numpy", "snakemake")
"""Packages by which a node's environment is compared with the driver's."""
UNLIKE = "NEUROSCALING_UNLIKE_THE_DRIVER"
"""Variable that hands a job's script what `differences` found in its Snakemake."""


def differences(drivers: Mapping[str, str | None]) -> str:
    """In a line, what is installed here in other versions than the driver had; empty where nothing is."""
    here = installed(KEY_PACKAGES)
    found = [
        f"{name} {here[name] or 'none'} ({version or 'none'})"
        for name, version in drivers.items()
        if name in here and here[name] != version
    ]
    if not found:
        return ""
    return f"{platform.node()} has other versions than the driver, in brackets: {', '.join(found)}; results may differ"


def peak_memory() -> dict[str, Any]:
    """Megabytes that this process has taken at most until now: `peak_mb` of memory, `gpu_peak_mb` of its GPU, and the
    name of that, `gpu`.

    Of the first where the kernel tells (Linux), of the others where the process has used a GPU. They are those of the
    process: of several runs that one made they are the largest so far.
    """
    peaks: dict[str, Any] = {}
    with suppress(OSError, ValueError):
        status = Path("/proc/self/status").read_text()
        if found := re.search(r"^VmHWM:\s+([0-9]+) kB", status, re.MULTILINE):
            peaks["peak_mb"] = round(int(found[1]) * 1024 / 1e6)
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        peaks["gpu_peak_mb"] = round(torch.cuda.max_memory_reserved() / 1e6)
        peaks["gpu"] = torch.cuda.get_device_name()
    return peaks


@cache
def git_revision() -> str | None:
    """The commit of this source tree, with `+` where it has uncommitted changes; None where it is no clone.

    Of a frozen copy: what it was when it was copied.
    """
    if FROZEN is not None:
        return FROZEN.revision
    if not (CHECKOUT / ".git").exists():  # a repository further up has this package installed, and is not its own
        return None
    command = ["git", "-C", str(CHECKOUT), "describe", "--always", "--exclude=*", "--abbrev=12", "--dirty=+"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def version_mix(records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, int]]:
    """How many of `records` (as artefacts have them) were made with which version of each package.

    Of packages alone that they were made with several versions of: an upgrade is told. A package that a record doesn't
    name, or that was not installed, counts for nothing.
    """
    found: dict[str, Counter[str]] = {}
    for record in records:
        made = record.get("provenance") or {}
        for package, version in made.get("versions", {}).items():
            if version is not None:
                found.setdefault(package, Counter())[version] += 1
    return {package: dict(sorted(versions.items())) for package, versions in sorted(found.items()) if len(versions) > 1}


@cache
def _machine() -> dict[str, Any]:
    found = platform.uname()
    # Not platform.platform(), which starts a process to learn the processor's name.
    system = "-".join(filter(None, [found.system, found.release, found.machine, *platform.libc_ver()]))
    whose = {"user": user_name(), "slurm_job_id": slurm_job()}
    return {"host": found.node, "system": system, "processors": os.cpu_count(), **whose}


@cache
def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
