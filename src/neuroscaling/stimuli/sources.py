"""Stimuli come from Brain-Score, folders, Algonauts 2023, NSD, or the V4 recordings."""

import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from neuroscaling.core.archives import Zip
from neuroscaling.core.array_files import hdf5_dataset, open_hdf5, opened_dataset
from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.files import read_object, reading
from neuroscaling.core.images import file_bytes
from neuroscaling.simulate.record import brain_of, check_simulated
from neuroscaling.stimuli.nsd_design import read_design
from neuroscaling.stimuli.stimulus_table import FILE, ID, read_stimulus_table
from neuroscaling.study.benchmarks import STIMULUS_SETS, StimulusFiles, all_files, sha1_problems
from neuroscaling.study.benchmarks import find_stimuli as find_set
from neuroscaling.study.nsd_tree import SPACES, NsdPlace, nsd_subject_problems, nsd_subjects
from neuroscaling.study.stimulus_sources import (
    AlgonautsTree,
    BrainScoreSets,
    ImageFolder,
    NsdTree,
    RecordedSets,
    StimulusSource,
    V4Images,
)

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
        """Return the bytes of the image file. Raises DataError when it is missing or its zip is damaged."""
        if self.member is not None:
            return _archive(self.file).read(self.member)
        return file_bytes(self.file)


def find_stimuli(source: StimulusSource) -> list[Stimulus]:
    """Return the stimuli of a source in a fixed order.

    Raises DataError for missing files, and for Brain-Score's files of another content than their sha1 says.
    """
    found = list(_stimuli_of(source))
    if not found:
        raise DataError(Problem(what="no image in this source", where=str(source.root)))
    return found


def _stimuli_of(source: StimulusSource) -> Iterator[Stimulus]:
    match source:
        case BrainScoreSets():
            return _brainscore(source)
        case RecordedSets():
            return _brainscore_local(source)
        case ImageFolder():
            return _folder(source)
        case AlgonautsTree():
            return _algonauts(source)
        case NsdTree():
            return nsd_images(source)
        case V4Images():
            return _v4(source)


def is_simulated(source: StimulusSource) -> bool:
    """Whether the source is simulated, as part of a brain of the store or of another tree: a manifest says so."""
    manifest = source.root.parent / "manifest.json"
    return brain_of(source.root) is not None or (manifest.is_file() and bool(read_object(manifest).get("simulated")))


def brain_record(source: StimulusSource, stimuli: Sequence[Stimulus]) -> tuple[str, dict[str, Any]] | None:
    """Return the name and record of the simulated brain that the source is part of; None where it is part of none.

    Raises DataError where one of the files of `stimuli`, or of the tables that name them, is not as the record says.
    """
    root = source.root
    folder = brain_of(root)
    if folder is None:
        return None
    files = {*(stimulus.file.absolute() for stimulus in stimuli), *root.absolute().glob("*.csv")}
    return folder.name, check_simulated(folder, sorted(files))


def _brainscore_local(source: RecordedSets) -> Iterator[Stimulus]:
    """Yield all stimuli of the data sets below the root."""
    for files in all_files(source.root):
        yield from _of_set(files.stimuli)


def _brainscore(source: BrainScoreSets) -> Iterator[Stimulus]:
    """Yield the stimuli of the named sets, those of a benchmark's training and test together."""
    unknown = [name for name in source.stimulus_sets if name not in STIMULUS_SETS]
    if unknown:
        near = nearest(unknown[0], STIMULUS_SETS)
        raise DataError(
            Problem(
                what="unknown stimulus set",
                where="stimuli",
                value=listing(unknown),
                allowed=listing(list(STIMULUS_SETS)),
                nearest=near,
            )
        )
    for name in source.stimulus_sets:
        yield from _of_set(find_set(source.root, STIMULUS_SETS[name]))


def _of_set(files: StimulusFiles) -> Iterator[Stimulus]:
    """Yield stimuli of one set, with the degrees that Brain-Score shows them at; a zip is read where it lies."""
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


def _folder(source: ImageFolder) -> Iterator[Stimulus]:
    """Yield stimuli of a benchmark that a study defines: a table and a folder of images."""
    table, images = source.table, source.images
    if not table.is_file() or not images.is_dir():
        absent = [str(path) for path, there in ((table, table.is_file()), (images, images.is_dir())) if not there]
        raise DataError(
            [
                Problem(what="file is missing", where=path, fix="docs/brainscore.md: a benchmark of one's own")
                for path in absent
            ]
        )
    for row in read_stimulus_table(table).rows:
        yield Stimulus(row[ID], images / row[FILE], None, source.degrees)


def _algonauts(source: AlgonautsTree) -> Iterator[Stimulus]:
    """Yield training and test images of all subjects, each NSD image once, by NSD id."""
    root = source.root
    there = sorted(path.name for path in root.glob("subj*") if path.is_dir())
    subjects = there if source.subjects == "all" else source.subjects
    missing = [subject for subject in subjects if subject not in there]
    if missing or not subjects:
        raise DataError(
            Problem(
                what="subject folders are missing",
                where=str(root),
                value=", ".join(missing) or None,
                allowed=", ".join(there),
            )
        )
    images: dict[int, Path] = {}
    for subject in subjects:
        for split in ("training", "test"):
            for path in sorted((root / subject / f"{split}_split" / f"{split}_images").iterdir()):
                match = ALGONAUTS_IMAGE.fullmatch(path.name)
                if match:
                    images.setdefault(int(match[1]), path)
    yield from (Stimulus(f"nsd-{number:05d}", images[number]) for number in sorted(images))


def _v4(source: V4Images) -> Iterator[Stimulus]:
    """The images of a session by NUMBER (zips list them out of order); column i of the responses is image i + 1."""
    path = source.root / "images" / f"images_{source.session}.zip"
    found = {}
    for name in _archive(path).names:
        match = V4_IMAGE.fullmatch(name)
        if match and "__MACOSX" not in name:
            found[int(match[1])] = name
    absent = sorted(set(range(1, len(found) + 1)) - set(found))
    if absent:
        raise DataError(Problem(what="images are missing in the numbering", where=str(path), value=absent[:10]))
    yield from (Stimulus(f"{source.session}-{number:04d}", path, found[number]) for number in sorted(found))


_open_archives: dict[Path, Zip] = {}


def _archive(path: Path) -> Zip:
    """Return the zip at `path`, opened once a process. Raises DataError when it is missing or damaged."""
    if path not in _open_archives:
        _open_archives[path] = Zip(path)
    return _open_archives[path]


NSD_DATASET = "imgBrick"
NSD_SHAPE = (73000, 425, 425, 3)


@dataclass(frozen=True)
class NsdStimulus(Stimulus):
    """Row `row` (from 0) of the images in `file`."""

    row: int = 0

    @property
    def name(self) -> str:
        """How messages name it."""
        return f"{self.file}: {NSD_DATASET}[{self.row}]"

    @property
    def suffix(self) -> str:
        """Ending of its file name."""
        return ".png"

    def read(self) -> bytes:
        """Return the image as a PNG, the same bytes at each call. Raises DataError when it can't be read."""
        with reading(self.file, "an image in an HDF5 file", where=self.name):
            pixels = _nsd_image_array(self.file)[self.row]
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()


def nsd_stimuli_file(root: str | Path) -> Path:
    """Return the file of all images in a tree."""
    return Path(root) / "nsddata_stimuli" / "stimuli" / "nsd" / "nsd_stimuli.hdf5"


def nsd_images(source: NsdTree) -> Iterator[NsdStimulus]:
    """Yield images that subjects saw in the scan sessions whose responses are there, each once, by NSD id.

    Raises DataError for subjects and files that are missing, and for ids beyond the images.
    """
    root = source.root
    file = nsd_stimuli_file(root)
    n = len(_nsd_image_array(file))
    design = read_design(root)
    shown = [design.shown(subject, sessions).ravel() for subject, sessions in _nsd_sessions(source)]
    ids = np.unique(np.concatenate(shown)) if shown else np.empty(0, int)
    if len(ids) and ids[-1] >= n:
        raise DataError(
            Problem(
                what="the design names images that the file doesn't have",
                where=str(file),
                value=int(ids[-1]),
                allowed=f"< {n}",
            )
        )
    yield from (NsdStimulus(f"nsd-{row:05d}", file, row=row) for row in ids.tolist())


def nsd_stimuli_problems(root: Path, simulated: bool) -> list[Problem]:
    """Return what is wrong with the file of images, by its header."""
    file = nsd_stimuli_file(root)
    try:
        with hdf5_dataset(file, NSD_DATASET) as images:
            shape, dtype = images.shape, images.dtype
    except DataError as error:
        return error.problems
    allowed = "(images, height, width, 3) uint8" if simulated else f"{NSD_SHAPE} uint8"
    fits = len(shape) == 4 and shape[-1] == 3 if simulated else shape == NSD_SHAPE
    if fits and dtype == "uint8":
        return []
    return [
        Problem(
            what="not NSD's images",
            where=str(file),
            value=f"{shape} {dtype}",
            allowed=allowed,
            fix="copy or download it again",
        )
    ]


def _nsd_sessions(source: NsdTree) -> Iterator[tuple[str, list[int]]]:
    """Yield subjects and their scan sessions of which there are responses in any space."""
    root, subjects = source.root, source.subjects
    problems = nsd_subject_problems(root, subjects)
    if problems:
        raise DataError(problems)
    for subject in nsd_subjects(root) if subjects == "all" else subjects:
        there = {session for space in SPACES for session in NsdPlace(root, subject, space).sessions()}
        if there:
            yield subject, sorted(there)


_open_nsd_files: dict[Path, Any] = {}


def _nsd_image_array(file: Path) -> Any:
    """Return the images (n, height, width, 3) uint8 in the file, opened once a process and never read whole."""
    if file not in _open_nsd_files:
        _open_nsd_files[file] = opened_dataset(open_hdf5(file), NSD_DATASET, file)
    return _open_nsd_files[file]
