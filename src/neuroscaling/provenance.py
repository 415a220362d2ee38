"""Where an artefact comes from: versions, revision, machine and seconds. Never part of a content hash."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

from neuroscaling import __version__


def provenance(packages: tuple[str, ...] = (), seconds: float | None = None, **facts: Any) -> dict[str, Any]:
    """Versions of Python, this library and `packages`; git revision; machine; seconds; and `facts` as given."""
    versions = {"python": platform.python_version(), "neuroscaling": __version__}
    versions |= {name: _version(name) for name in packages}
    machine = {"system": platform.platform(), "processors": os.cpu_count()}
    record = {"versions": versions, "git": git_revision(), "machine": machine, **facts}
    return record if seconds is None else record | {"seconds": round(seconds, 3)}


def git_revision() -> str | None:
    """The commit of the source tree, with `+` where it has uncommitted changes; None outside a repository."""
    root = Path(__file__).parent
    commit = _git(root, "rev-parse", "--short=12", "HEAD")
    return commit and commit + ("+" if _git(root, "status", "--porcelain", "--untracked-files=no") else "")


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        result = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() if result.returncode == 0 else None


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
