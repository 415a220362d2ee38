"""Where stimuli come from: Brain-Score's files, folders, the Algonauts 2023 layout, the V4 recordings' zips."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroscaling.brainscore.ids import STIMULUS_SETS
from neuroscaling.brainscore.sources import StimulusFiles, all_files, sha1_problems
from neuroscaling.brainscore.sources import find_stimuli as find_set
from neuroscaling.core.archives import Zip
from neuroscaling.errors import DataError, Problem, listing, nearest
from neuroscaling.images import file_bytes
from neuroscaling.simulate.record import brain_of, check_simulated
from neuroscaling.stimuli.tables import FILE, ID, read_stimulus_table

ALGONAUTS_IMAGE = re.compile(r"(?:train|test)-\d+_nsd-(\d+)\.png")
V4_IMAGE = re.compile(r"(?:.*/)?image(\d+)\.jpe?g", re.IGNORECASE)


@dataclass(frozen=True)
class Stimulus:
    """One image before it is stored: a file, or a member of a zip; `degrees` is None where it is shown as it is."""

    stimulus_id: str
    file: Path
    member: str | None = None
    degrees: float | None = None

    @property
    def name(self) -> str:
        """How messages name it."""
        return f"{self.file}: {self.member}" if self.member else str(self.file)

    @property
    def suffix(self) -> str:
        """Ending of its file name, with the dot."""
        return Path(self.member or self.file.name).suffix.lower()

    def read(self) -> bytes:
        """The bytes of the image file. Raises DataError when it is missing or its zip is damaged."""
        if self.member is not None:
            return _archive(self.file).read(self.member)
        return file_bytes(self.file)


def find_stimuli(source: dict[str, Any]) -> list[Stimulus]:
    """The stimuli of a source in a fixed order.

    source: {"kind": "brainscore", "root", "stimulus_sets": ids}, {"kind": "brainscore_local", "root"} (every set that
    has recordings there), {"kind": "folder", "root", "csv", "images", "degrees"}, {"kind": "algonauts2023", "root",
    "subjects": list or "all"}, {"kind": "nsd", "root", "subjects": list or "all"}, or {"kind": "v4", "root",
    "session"}. Raises DataError for an unknown kind, for missing files, and for Brain-Score's files of another content
    than their sha1 says.
    """
    kind = source.get("kind")
    if kind not in KINDS:
        allowed = ", ".join(KINDS)
        raise DataError(Problem("unknown kind of stimulus source", "stimuli", kind, allowed, nearest(kind, KINDS)))
    found = list(KINDS[kind](source))
    if not found:
        raise DataError(Problem("no image in this source", str(source["root"])))
    return found


def is_simulated(source: dict[str, Any]) -> bool:
    """Whether the source is simulated, as part of a brain of the store or of another tree: a manifest says so."""
    from neuroscaling.files import read_object

    manifest = Path(source["root"]).parent / "manifest.json"
    return brain_of(source["root"]) is not None or (manifest.is_file() and bool(read_object(manifest).get("simulated")))


def brain_record(source: dict[str, Any], stimuli: Sequence[Stimulus]) -> tuple[str, dict[str, Any]] | None:
    """Name and record of the simulated brain that the source is part of; None where it is part of none.

    Raises DataError where one of the files of `stimuli`, or of the tables that name them, is not as the record says.
    """
    root = Path(source["root"])
    folder = brain_of(root)
    if folder is None:
        return None
    files = {*(stimulus.file.absolute() for stimulus in stimuli), *root.absolute().glob("*.csv")}
    return folder.name, check_simulated(folder, sorted(files))


def _brainscore_local(source: dict[str, Any]) -> Iterator[Stimulus]:
    """All stimuli of the data sets below the root."""
    for files in all_files(source["root"]):
        yield from _of_set(files.stimuli)


def _brainscore(source: dict[str, Any]) -> Iterator[Stimulus]:
    """The stimuli of the named sets, those of a benchmark's training and test together."""
    unknown = [name for name in source["stimulus_sets"] if name not in STIMULUS_SETS]
    if unknown:
        near = nearest(unknown[0], STIMULUS_SETS)
        raise DataError(
            Problem("unknown stimulus set", "stimuli", listing(unknown), listing(list(STIMULUS_SETS)), near)
        )
    for name in source["stimulus_sets"]:
        yield from _of_set(find_set(source["root"], STIMULUS_SETS[name]))


def _of_set(files: StimulusFiles) -> Iterator[Stimulus]:
    """Stimuli of one set, with the degrees that Brain-Score shows them at; a zip is read where it lies."""
    problems = list(sha1_problems(files))
    if problems:
        raise DataError(problems)
    members = {Path(name).name: name for name in _archive(files.images).names} if files.official else {}
    for row in read_stimulus_table(files.csv, published=files.official).rows:
        identifier, name = row[ID], row[FILE]
        if files.official:
            yield Stimulus(identifier, files.images, members.get(name, name), files.degrees)
        else:
            yield Stimulus(identifier, files.images / name, None, files.degrees)


def _folder(source: dict[str, Any]) -> Iterator[Stimulus]:
    """Stimuli of a benchmark that a study defines: a table and a folder of images."""
    table, images = Path(source["csv"]), Path(source["images"])
    if not table.is_file() or not images.is_dir():
        absent = [str(path) for path, there in ((table, table.is_file()), (images, images.is_dir())) if not there]
        raise DataError(
            [Problem("file is missing", path, fix="docs/brainscore.md: a benchmark of one's own") for path in absent]
        )
    for row in read_stimulus_table(table).rows:
        yield Stimulus(row[ID], images / row[FILE], None, source.get("degrees"))


def _algonauts(source: dict[str, Any]) -> Iterator[Stimulus]:
    """Training and test images of all subjects, each NSD image once, by NSD id."""
    root = Path(source["root"])
    there = sorted(path.name for path in root.glob("subj*") if path.is_dir())
    subjects = there if source.get("subjects", "all") == "all" else source["subjects"]
    missing = [subject for subject in subjects if subject not in there]
    if missing or not subjects:
        raise DataError(Problem("subject folders are missing", str(root), ", ".join(missing) or None, ", ".join(there)))
    images: dict[int, Path] = {}
    for subject in subjects:
        for split in ("training", "test"):
            for path in sorted((root / subject / f"{split}_split" / f"{split}_images").iterdir()):
                match = ALGONAUTS_IMAGE.fullmatch(path.name)
                if match:
                    images.setdefault(int(match[1]), path)
    yield from (Stimulus(f"nsd-{number:05d}", images[number]) for number in sorted(images))


def _v4(source: dict[str, Any]) -> Iterator[Stimulus]:
    """The images of a session by NUMBER (zips list them out of order); column i of the responses is image i + 1."""
    path = Path(source["root"]) / "images" / f"images_{source['session']}.zip"
    found = {}
    for name in _archive(path).names:
        match = V4_IMAGE.fullmatch(name)
        if match and "__MACOSX" not in name:
            found[int(match[1])] = name
    absent = sorted(set(range(1, len(found) + 1)) - set(found))
    if absent:
        raise DataError(Problem("images are missing in the numbering", str(path), absent[:10]))
    yield from (Stimulus(f"{source['session']}-{number:04d}", path, found[number]) for number in sorted(found))


def _nsd(source: dict[str, Any]) -> Iterator[Stimulus]:
    """The images that subjects of the Natural Scenes Dataset saw, by NSD id."""
    from neuroscaling.stimuli.nsd_images import nsd_images

    yield from nsd_images(source)


KINDS: dict[str, Callable[[dict[str, Any]], Iterator[Stimulus]]] = {
    "brainscore": _brainscore,
    "brainscore_local": _brainscore_local,
    "folder": _folder,
    "algonauts2023": _algonauts,
    "nsd": _nsd,
    "v4": _v4,
}

_open_archives: dict[Path, Zip] = {}


def _archive(path: Path) -> Zip:
    """The zip at `path`, opened once a process. Raises DataError when it is missing or damaged."""
    if path not in _open_archives:
        _open_archives[path] = Zip(path)
    return _open_archives[path]
