"""Each start works with a copy of the code: what is edited later is for the next start.

The copy holds the package, the rules with their scripts, and the environments. It lies below the working directory,
under the hash of its content, so that all starts of the same code share one. `frozen.json` in it says where it was
copied from (core/installation.py). Jobs import the library from there, on whichever machine they run.
"""

import compileall
import contextlib
import hashlib
import json
import os
import shutil
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import atomic_path
from neuroscaling.core.installation import CHECKOUT, FROZEN, FROZEN_FACTS, PACKAGE, PIPELINE, WHEEL
from neuroscaling.core.provenance import git_revision

FORMAT = "frozen-code/1"
PARTS = ("Snakefile", "workflow", "envs", "config/config.yaml")
"""What is copied of the pipeline."""
EXECUTORS = "snakemake_executor_plugin_neuroscaling*"
"""Packages beside this one, which each Snakemake imports, also that of a job."""
KEPT = 5
"""How many copies stay, those of the latest starts."""
BYTECODE = "__pycache__"
KEY_DIGITS = 16


def freeze(folder: Path, pipeline: Path = PIPELINE) -> Path:
    """Copy this library and its pipeline below `folder`, unless they are there; returns the copy, an absolute path.

    pipeline: the folder with the Snakefile. A process that runs a copy itself goes on with it. Raises DataError where
    `folder` can't be written to.
    """
    if FROZEN is not None:
        return PACKAGE.parents[1]
    packages = [PACKAGE, *PACKAGE.parent.glob(EXECUTORS)]
    files = {
        **{f"src/{one.name}/{name}": path for one in packages for name, path in _files(one, without=WHEEL)},
        **{name: path for part in PARTS for name, path in _part(pipeline, part)},
    }
    contents, states = {}, {}
    for name, path in sorted(files.items()):
        with contextlib.suppress(FileNotFoundError):  # an editor wrote it for a moment
            states[name], contents[name] = path.stat(), path.read_bytes()
    contents[FROZEN_FACTS] = _facts(pipeline)
    copy = Path(os.path.abspath(folder)) / _key(contents)
    if not copy.is_dir():
        with contextlib.suppress(OSError), atomic_path(copy, keep=True) as temporary:
            _write(temporary, contents, states, files)
    if not copy.is_dir():
        raise DataError(Problem(what="the code of this start can't be copied", where=str(copy), fix="make it writable"))
    os.utime(copy)
    return copy


def sweep(folder: Path, used: Path) -> None:
    """Delete copies of former starts, all but the latest ones and `used`.

    For a driver that has the working directory to itself: jobs of other starts would lose their code.
    """
    copies = [path for path in Path(folder).glob("*") if path.is_dir() and path.name != used.name]
    copies.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    for path in copies[KEPT - 1 :]:
        shutil.rmtree(path, ignore_errors=True)


def import_from(copy: Path) -> None:
    """Let this process import the library from a copy, also what it has imported already.

    Modules that were imported from elsewhere are forgotten; objects made by them should be too.
    """
    source = str(copy / "src")
    sys.path[:] = [source, *(path for path in sys.path if path != source)]
    if source != str(PACKAGE.parent):
        for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE.name]:
            del sys.modules[name]


def _facts(pipeline: Path) -> bytes:
    facts = {
        "format": FORMAT,
        "pipeline": os.path.abspath(pipeline),
        "checkout": os.path.abspath(CHECKOUT),
        "revision": git_revision(),
    }
    return json.dumps(facts, indent=1).encode()


def _key(contents: dict[str, bytes]) -> str:
    found = hashlib.sha256()
    for name, content in contents.items():
        found.update(f"{name} {len(content)}\n".encode())
        found.update(content)
    return found.hexdigest()[:KEY_DIGITS]


def _write(folder: Path, contents: dict[str, bytes], states: dict[str, os.stat_result], files: dict[str, Path]) -> None:
    """Write what was read, and the bytecode beside it: its dates are those of the files, so Python takes it.

    Where Python is told to write none, all is compiled here: otherwise each job would compile it at its start.
    """
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if state := states.get(name):
            os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
            path.chmod(stat.S_IMODE(state.st_mode) | stat.S_IWUSR)
    for place in {files[name].parent: (folder / name).parent for name in files if name.endswith(".py")}.items():
        if (place[0] / BYTECODE).is_dir():
            _copy_bytecode(place[0] / BYTECODE, place[1] / BYTECODE)
    if sys.dont_write_bytecode:
        compileall.compile_dir(folder / "src", quiet=2)


def _copy_bytecode(source: Path, copy: Path) -> None:
    """Copy what is there: other processes may be writing more just now, under temporary names."""

    def copy_if_there(file: str, target: str) -> None:
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(file, target)

    ignore = shutil.ignore_patterns("*.pyc.*", "*.partial")
    shutil.copytree(source, copy, ignore=ignore, copy_function=copy_if_there, dirs_exist_ok=True)


def _part(pipeline: Path, part: str) -> Iterator[tuple[str, Path]]:
    path = pipeline / part
    if path.is_dir():
        yield from ((f"{part}/{name}", file) for name, file in _files(path))
    elif path.is_file():
        yield part, path


def _files(folder: Path, without: Path | None = None) -> Iterator[tuple[str, Path]]:
    """Files below a folder with their names below it; no bytecode."""
    for place, folders, names in os.walk(folder):
        here = Path(place)
        folders[:] = sorted(one for one in folders if one != BYTECODE and here / one != without)
        for name in sorted(names):
            if not name.endswith((".pyc", ".swp", "~")) and not name.startswith("."):
                yield str((here / name).relative_to(folder)), here / name
