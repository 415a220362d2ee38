"""Taking a run from one store to another: a plain tar of its files and a list of them with their checksums.

The list is the first member. All of a tar is checked before anything of it appears in a store.
"""

import io
import json
import os
import shutil
import tarfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.files import atomic_path, full_disk_named, reading, require_keys, require_writable, share_as
from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.leases import held
from neuroscaling.core.provenance import provenance
from neuroscaling.core.records import require_checksum, sealed
from neuroscaling.store.contents import Artefact, Contents, require_store, store_contents
from neuroscaling.store.prune import lease_of
from neuroscaling.store.verify import check_artefact

LIST, FORMAT = "neuroscaling-export.json", "export/1"
RUN_STAGES = ("runs", "weights")
WITH = ("activations", "commitments", "scores")
"""What can go with a run."""
ORDER = ("weights", "runs", *WITH)
"""Weights come before the run.json that tells of them, and a run before what was made from it."""
AGAIN = "export the run again, or copy the tar again"
LARGEST_LIST = 10**9


@dataclass(frozen=True)
class Brought:
    """An artefact of a tar: `new` in the store, or there before, and equal."""

    artefact: Artefact
    new: bool


def export_run(found: Contents, run: str, file: str | Path, also: Sequence[str] = ()) -> list[Artefact]:
    """Write the run `run` of a store to the tar `file`, with its artefacts of the stages `also`; what is in it.

    Everything is compared with its record first. Equal files give equal bytes but for the provenance in the list.
    Raises DataError for an unknown run or stage, a run that is not finished, damaged files, and a `file` that is there.
    """
    if Path(file).exists():
        raise DataError(
            Problem(what="there is such a file already", where=str(file), fix="name another one, or remove it")
        )
    artefacts = _of_run(found, run, also)
    if problems := [problem for artefact in artefacts for problem in check_artefact(found, artefact).problems]:
        raise DataError(problems)
    files = sorted(_files(artefacts))
    sums = {path.relative_to(found.root).as_posix(): file_sha256(path) for path in files}
    record = {"format": FORMAT, "run": run, "files": sums, "provenance": provenance()}
    text = json.dumps(sealed(record), indent=1, sort_keys=True).encode()
    with atomic_path(file) as temporary, tarfile.open(temporary, "w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, LIST, io.BytesIO(text), len(text))
        for name, path in zip(sums, files, strict=True):
            with open(path, "rb") as content:
                _add(tar, name, content, os.fstat(content.fileno()).st_size)
    return artefacts


def import_tar(root: str | Path, file: str | Path) -> list[Brought]:
    """Bring what is in the tar `file`, which `export_run` wrote, into the store at `root`.

    What is there already, and equal, is left. Raises DataError, and brings nothing, for a tar that is damaged, holds
    links, paths that lead out of a store or files that its list does not name; and as `take_in`.
    """
    with staging(root) as folder:
        _unpack(Path(file), folder)
        return take_in(folder, Path(root))


@contextmanager
def staging(root: str | Path) -> Iterator[Path]:
    """A hidden folder of the store at `root`, to lay files out in as in a store; it is removed at the end.

    Raises DataError where there is no such store, or none that can be written to, or its disk is full.
    """
    root = Path(root)
    require_store(root)
    share_as(root)
    require_writable(root, "store")
    folder = root / f".import.{uuid.uuid4().hex[:8]}.partial"
    try:
        with full_disk_named(folder):
            folder.mkdir()
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def take_in(folder: Path, root: Path) -> list[Brought]:
    """Move the runs and what was made from them, laid out in `folder` as in a store, into the store at `root`.

    All is checked before anything appears under its name, and each record appears last. Raises DataError for what is
    not part of a run, artefacts that are not what their records and names say, those that a job is making, and where
    the store has something else under one of the names (both checksums are named).
    """
    inside = store_contents(folder)
    if strange := [artefact.name for artefact in inside.artefacts if artefact.stage not in ORDER]:
        raise DataError(
            Problem(what="not part of a run", where=strange[0], allowed=", ".join((*RUN_STAGES, *WITH)), fix=AGAIN)
        )
    if problems := [problem for artefact in inside.artefacts for problem in check_artefact(inside, artefact).problems]:
        raise DataError(problems)
    artefacts = sorted(inside.artefacts, key=lambda artefact: (ORDER.index(artefact.stage), artefact.name))
    with ExitStack() as stack:
        for lease in dict.fromkeys(lease_of(inside, artefact) for artefact in artefacts):
            if lease is not None:
                stack.enter_context(held(root / lease.relative_to(folder), lease.name, wait=False))
        if problems := [problem for artefact in artefacts for problem in _differing(artefact, folder, root)]:
            raise DataError(problems)
        return [_bring(artefact, folder, root) for artefact in artefacts]


def _of_run(found: Contents, run: str, also: Sequence[str]) -> list[Artefact]:
    if unknown := [stage for stage in also if stage not in WITH]:
        raise DataError(
            Problem(
                what="can't go with a run",
                where="--with",
                value=unknown[0],
                allowed=", ".join(WITH),
                nearest=nearest(unknown[0], WITH),
            )
        )
    runs = {artefact.run for artefact in found.of(["runs"]) if artefact.run}
    if run not in runs:
        what = "the run is not finished" if run in found.runs() else "no such run in this store"
        raise DataError(
            Problem(
                what=what,
                where=str(found.root),
                value=run,
                allowed="a finished run",
                nearest=nearest(run, sorted(runs)),
            )
        )
    return [artefact for artefact in found.of([*RUN_STAGES, *also]) if artefact.run == run]


def _files(artefacts: Sequence[Artefact]) -> Iterator[Path]:
    for path in (path for artefact in artefacts for path in artefact.paths):
        yield from [path] if path.is_file() else (file for file in path.rglob("*") if file.is_file())


def _add(tar: tarfile.TarFile, name: str, content: Any, size: int) -> None:
    """A member without owner and times: they are of no use elsewhere."""
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o644
    tar.addfile(member, content)


def _unpack(file: Path, folder: Path) -> None:
    """Write the files of a tar to `folder`, all of which have the checksums that its list states."""
    with reading(file, "a tar", AGAIN), tarfile.open(file, "r:") as tar:
        stated = _list_of(tar, file)
        left = dict(stated)
        for member in islice(tar, 1, None):
            _require_plain(member, left, file)
            target = folder / member.name
            target.parent.mkdir(parents=True, exist_ok=True)
            content = tar.extractfile(member)
            assert content is not None
            with open(target, "wb") as out:
                shutil.copyfileobj(content, out, 2**20)
            if (sha256 := file_sha256(target)) != left.pop(member.name):
                what = "a file in the tar was altered"
                raise DataError(
                    Problem(
                        what=what, where=f"{file}: {member.name}", value=sha256, allowed=stated[member.name], fix=AGAIN
                    )
                )
    if left:
        raise DataError(
            Problem(what="files are missing in the tar", where=str(file), value=listing(list(left), 3), fix=AGAIN)
        )


def _list_of(tar: tarfile.TarFile, file: Path) -> dict[str, str]:
    """The sha256 of each file by its name, from the first member."""
    member = tar.next()
    if member is None or member.name != LIST or not member.isreg() or member.size > LARGEST_LIST:
        found = None if member is None else member.name
        what, fix = "not a tar that `neuroscaling store export` wrote", "give the file that it wrote"
        raise DataError(Problem(what=what, where=str(file), value=found, allowed=f"{LIST} as its first file", fix=fix))
    content = tar.extractfile(member)
    assert content is not None
    record = json.loads(content.read())
    where = f"{file}: {LIST}"
    require_keys(record, where, ("format", "run", "files"))
    if record["format"] != FORMAT:
        raise DataError(
            Problem(what="a tar of another format", where=where, value=record["format"], allowed=FORMAT, fix=AGAIN)
        )
    require_checksum(record, where, AGAIN)
    return record["files"]


def _require_plain(member: tarfile.TarInfo, left: dict[str, str], file: Path) -> None:
    """Raise DataError unless a member is a file that the list names, once, and that stays inside the store."""
    path, where = PurePosixPath(member.name), f"{file}: {member.name}"
    if not member.isreg() or member.issparse():
        raise DataError(
            Problem(what="a tar of a run has files alone", where=where, value="a link, folder or device", fix=AGAIN)
        )
    if path.is_absolute() or ".." in path.parts or str(path) != member.name or "\\" in member.name:
        raise DataError(Problem(what="a path that leads out of the store", where=where, fix="do not trust this tar"))
    if any(part.startswith(".") for part in path.parts):
        raise DataError(Problem(what="a hidden file, which is part of no run", where=where, fix=AGAIN))
    if member.name not in left:
        raise DataError(Problem(what="a file that the list does not name, or there twice", where=where, fix=AGAIN))


def _differing(artefact: Artefact, unpacked: Path, root: Path) -> list[Problem]:
    """Files of an artefact that the store has with another content."""
    problems = []
    for path in sorted(_files([artefact])):
        there = root / path.relative_to(unpacked)
        if there.exists():
            found, brought = file_sha256(there) if there.is_file() else "not a file", file_sha256(path)
            if found != brought:
                what = "the store has something else under this name"
                fix = "keep what is there, or prune it and import again"
                problems.append(
                    Problem(what=what, where=str(there), value=f"sha256 {found}", allowed=f"sha256 {brought}", fix=fix)
                )
    return problems


def _bring(artefact: Artefact, unpacked: Path, root: Path) -> Brought:
    """Rename the files of an artefact into the store, its record last, but for those that are there."""
    record = [] if artefact.record is None else [artefact.record]
    rest = [path for path in sorted(_files([artefact])) if path not in record]
    moved = [_move(path, root / path.relative_to(unpacked)) for path in [*rest, *record]]
    return Brought(artefact, any(moved))


def _move(path: Path, target: Path) -> bool:
    if target.exists():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(path, target)
    return True
