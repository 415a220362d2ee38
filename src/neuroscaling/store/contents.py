"""What lies in a store: its artefacts with their stage, run and bytes, read from names alone (docs/store.md).

What has no place in the layout is listed as `unknown`; what a writer left or writes as `temporary`; what a job goes on
from, or has no record (yet), as `unfinished`.
"""

import fnmatch
import os
import re
import stat
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from neuroscaling.core.errors import DataError, Problem, nearest
from neuroscaling.core.progress import OF_ARTEFACT

MANIFEST, RUN_RECORD, STATE = "manifest.json", "run.json", "state"
WEIGHTS = re.compile(r"weights-.*\.safetensors")
WRITTEN = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{8}\.(?:partial|old)")
"""A temporary file of the artefact `name`, in its folder: being written, or on its way out."""
LOCK = re.compile(r"\.(?P<name>.+)\.lock(?:\..*)?")
OF_OTHERS = (WRITTEN, LOCK, OF_ARTEFACT)
"""Names of files that belong to the artefact beside them, and stay with a dead writer."""
GROWING = re.compile(r"\..+\.partial")
"""What an extraction goes on from."""

FOLDERS = {"simulated": 1, "stimuli": 1, "recordings": 2}
"""Stages whose artefact is a folder with a manifest, so many levels below the stage's own folder."""
RECORDS = {"packs": 2, "activations": 1, "commitments": 1, "ceilings": 0, "scores": 1}
"""Stages whose artefact is a JSON record, in a folder so many levels below, with files beside it."""
FILES = ("subsets", "calibration")
"""Stages whose artefact is a single file."""
STAGES = (
    "subsets", "packs", "runs", "weights", "simulated", "stimuli", "activations", "commitments", "ceilings", "scores",
    "recordings", "data", "calibration", "cache", "unfinished", "temporary", "unknown",
)  # fmt: skip
"""In the order of the pipeline; `runs` are records and histories, without their weights."""
NAMED_RUNS = {"commitments", "scores"}
"""Stages whose records are called after the run."""


@dataclass(frozen=True)
class Artefact:
    """One thing of the store.

    name: its path below the store, as studies name it; run: the run that it is of, or None; record: the file that says
    what it is, None where there is none; parts: its other files and folders, or the one folder that holds everything;
    bytes and files: of all of them; modified: when the newest was written, in seconds since 1970.
    """

    stage: str
    name: str
    run: str | None
    record: Path | None
    parts: tuple[Path, ...]
    bytes: int
    files: int
    modified: float

    @property
    def paths(self) -> tuple[Path, ...]:
        """Everything that belongs to it, the record first; without the record where a folder of `parts` holds it."""
        if self.record is None or any(self.record.is_relative_to(part) for part in self.parts):
            return self.parts
        return (self.record, *self.parts)


@dataclass(frozen=True)
class Contents:
    """All artefacts of a store, in the order of STAGES and then of names; `unreadable`: folders without permission."""

    root: Path
    artefacts: list[Artefact]
    unreadable: list[Path] = field(default_factory=list)

    def of(self, stages: Iterable[str]) -> list[Artefact]:
        """The artefacts of some stages. Raises DataError for a stage that there is none of."""
        wanted = set(stages)
        if unknown := sorted(wanted - set(STAGES)):
            raise DataError(
                Problem(
                    what="no such stage",
                    where="--stage",
                    value=unknown[0],
                    allowed=", ".join(STAGES),
                    nearest=nearest(unknown[0], STAGES),
                )
            )
        return [artefact for artefact in self.artefacts if artefact.stage in wanted]

    def runs(self) -> list[str]:
        """Names of the runs that have a folder in the store."""
        stages = ("runs", "weights", "unfinished")
        return list(dict.fromkeys(a.run for a in self.of(stages) if a.run and a.name.startswith("runs/")))


@dataclass(frozen=True)
class Size:
    """Bytes, number of files and newest time below a path."""

    bytes: int = 0
    files: int = 0
    modified: float = 0.0

    def __add__(self, other: "Size") -> "Size":
        return Size(self.bytes + other.bytes, self.files + other.files, max(self.modified, other.modified))


def store_contents(root: str | Path) -> Contents:
    """Look through the store at `root`. Raises DataError where that is no folder."""
    root = Path(root)
    require_store(root)
    walk = _Walk(root)
    artefacts = sorted(walk.all(), key=lambda artefact: (STAGES.index(artefact.stage), artefact.name))
    return Contents(root, artefacts, walk.unreadable)


def selected_artefacts(found: Contents, stages: Iterable[str], run: str | None = None) -> list[Artefact]:
    """The artefacts of some stages, and, where `run` is given, of the runs that match it (`resnet18_*`) alone.

    Raises DataError for a stage, or a pattern of runs, that there is none of.
    """
    artefacts = found.of(stages)
    if run is None:
        return artefacts
    runs = list(dict.fromkeys(artefact.run for artefact in found.artefacts if artefact.run))
    if not fnmatch.filter(runs, run):
        allowed = "the name of a run, or a pattern such as 'resnet18_*'"
        raise DataError(
            Problem(
                what="no such run in this store", where="--run", value=run, allowed=allowed, nearest=nearest(run, runs)
            )
        )
    return [artefact for artefact in artefacts if artefact.run and fnmatch.fnmatchcase(artefact.run, run)]


def require_store(root: Path) -> None:
    """Raise DataError unless `root` is a folder, with what is named most like it beside it."""
    if root.is_dir():
        return
    there = [path.name for path in root.parent.iterdir() if path.is_dir()] if root.parent.is_dir() else []
    near = nearest(root.name, there)
    what = "not a store but a file" if root.exists() else "there is no store here"
    fix = "name the folder that a study calls `store:`, or the study file"
    raise DataError(Problem(what=what, where=str(root), nearest=str(root.parent / near) if near else "", fix=fix))


def belongs_to(path: Path) -> Path | None:
    """The artefact that a temporary file, a lock or a record of progress is of, or None where its name doesn't say."""
    name, found = path.name, None
    while match := next(filter(None, (form.fullmatch(name) for form in OF_OTHERS)), None):
        found = name = match["name"]  # the record of an artefact's progress may itself be half written
    return path.with_name(found) if found else None


def is_temporary(name: str) -> bool:
    """Is this the name of what a writer left, or writes now?"""
    return any(form.fullmatch(name) for form in OF_OTHERS) or name.startswith((".room-", ".writable-"))


@dataclass
class _Walk:
    root: Path
    unreadable: list[Path] = field(default_factory=list)

    def all(self) -> Iterator[Artefact]:
        for path in self._list(self.root):
            stage = path.name
            if stage == "runs":
                yield from self._below(stage, path, 1, self._run)
            elif stage in FOLDERS:
                yield from self._below(stage, path, FOLDERS[stage], self._folder)
            elif stage in RECORDS:
                yield from self._below(stage, path, RECORDS[stage], self._records_at)
            elif stage in FILES:
                yield from self._files(stage, path)
            elif stage == "data":
                yield from self._below(stage, path, 2, self._whole)
            elif stage == ".cache":
                yield from self._whole("cache", path)
            else:
                yield self._other(path)

    def _below(
        self, stage: str, path: Path, levels: int, make: Callable[[str, Path], Iterator[Artefact]]
    ) -> Iterator[Artefact]:
        """What `make` gives of the entries so many levels below `path`, and of files on the way."""
        if not _is_dir(path) or levels == 0:
            yield from make(stage, path)
            return
        for entry in self._list(path):
            if entry.name.startswith("."):
                yield self._other(entry)
            else:
                yield from self._below(stage, entry, levels - 1, make)

    def _run(self, stage: str, folder: Path) -> Iterator[Artefact]:
        """Record and history, weights, and the state that a training goes on from: an artefact each."""
        if not _is_dir(folder):
            yield self._other(folder)
            return
        entries, run = self._list(folder), folder.name
        hidden = [entry for entry in entries if entry.name.startswith(".")]
        state = [entry for entry in entries if entry.name == STATE]
        weights = [entry for entry in entries if WEIGHTS.fullmatch(entry.name)]
        rest = [entry for entry in entries if entry not in {*hidden, *state, *weights}]
        record = next((entry for entry in rest if entry.name == RUN_RECORD), None)
        for entry in hidden:
            yield self._other(entry, run)
        for entry in state:
            yield self._made("unfinished", entry, run, None, [entry])
        if record is None:
            if weights or rest:
                yield self._made("unfinished", folder, run, None, [*weights, *rest])
            return
        if weights:
            yield self._made("weights", folder, run, None, weights)
        yield self._made(stage, folder, run, record, [entry for entry in rest if entry != record])

    def _folder(self, stage: str, folder: Path) -> Iterator[Artefact]:
        record = folder / MANIFEST
        if not _is_dir(folder):
            yield self._other(folder)
        elif record.is_file():
            yield self._made(stage, folder, None, record, [folder])
        else:
            yield self._made("unfinished", folder, None, None, [folder])

    def _records_at(self, stage: str, folder: Path) -> Iterator[Artefact]:
        """Each JSON file of a folder with the files that are called after it, and what is left."""
        if not _is_dir(folder):
            yield self._other(folder)
            return
        entries = self._list(folder)
        shown = [entry for entry in entries if not entry.name.startswith(".")]
        stems = {entry.name.removesuffix(".json"): entry for entry in shown if entry.suffix == ".json"}
        owners: dict[str, list[Path]] = {stem: [] for stem in stems}
        alone = []
        for entry in shown:
            if entry.suffix != ".json":
                owner = _owner(entry.name, owners)
                alone.append(entry) if owner is None else owners[owner].append(entry)
        for stem, record in stems.items():
            run = stem if stage in NAMED_RUNS else folder.name if stage == "activations" else None
            yield self._made(stage, record, run, record, owners[stem])
        for entry in alone:  # the record of an artefact is written last
            run = folder.name if stage == "activations" else None
            yield self._made("unfinished", entry, run, None, [entry])
        for entry in entries:
            if entry.name.startswith("."):
                yield self._other(entry, folder.name if stage == "activations" else None)

    def _files(self, stage: str, path: Path) -> Iterator[Artefact]:
        if path.name.startswith("."):
            yield self._other(path)
        elif _is_dir(path):
            for entry in self._list(path):
                yield from self._files(stage, entry)
        else:
            yield self._made(stage, path, None, path, [])

    def _whole(self, stage: str, path: Path) -> Iterator[Artefact]:
        yield self._made(stage, path, None, None, [path])

    def _other(self, path: Path, run: str | None = None) -> Artefact:
        """A hidden file, or what has no place here."""
        if is_temporary(path.name):
            return self._made("temporary", path, run, None, [path])
        if GROWING.fullmatch(path.name):
            return self._made("unfinished", path, run, None, [path])
        return self._made("unknown", path, run, None, [path])

    def _made(self, stage: str, path: Path, run: str | None, record: Path | None, parts: Sequence[Path]) -> Artefact:
        held = any(record is not None and record.is_relative_to(part) for part in parts)
        size = Size()
        for part in [*parts, *([] if record is None or held else [record])]:
            size += self._size(part)
        name = PurePosixPath(path.relative_to(self.root)).as_posix()
        return Artefact(stage, name, run, record, tuple(parts), size.bytes, size.files, size.modified)

    def _size(self, path: Path) -> Size:
        """Bytes of a file, or of all files below a folder; what vanishes meanwhile counts nothing."""
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            return Size()
        if not stat.S_ISDIR(found.st_mode):
            return Size(found.st_size, 1, found.st_mtime)
        size = Size(modified=found.st_mtime)
        for entry in self._list(path):
            size += self._size(entry)
        return size

    def _list(self, folder: Path) -> list[Path]:
        try:
            with os.scandir(folder) as entries:
                return sorted(folder / entry.name for entry in entries)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except PermissionError:
            self.unreadable.append(folder)
            return []


def _owner(name: str, stems: Container[str]) -> str | None:
    """The longest of `stems` that a file is called after, as `<stem>.targets.parquet` and `<stem>-00001.bin` are."""
    ends = (match.start() for match in reversed([*re.finditer("[.-]", name)]))
    return next((name[:end] for end in ends if name[:end] in stems), None)


def _is_dir(path: Path) -> bool:
    try:
        return path.is_dir()
    except PermissionError:
        return False
