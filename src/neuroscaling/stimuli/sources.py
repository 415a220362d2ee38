"""Stimuli come from Brain-Score, folders, lists, Algonauts 2023, NSD, or the V4 recordings."""

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.files import read_object
from neuroscaling.simulate.record import brain_of, check_simulated
from neuroscaling.stimuli.nsd_images import nsd_images
from neuroscaling.stimuli.nsd_synthetic import synthetic_images
from neuroscaling.stimuli.stimulus import Stimulus, opened_zip
from neuroscaling.stimuli.stimulus_table import FILE, ID, read_stimulus_table
from neuroscaling.stimuli.things_images import things_images
from neuroscaling.study.benchmarks import STIMULUS_SETS, StimulusFiles, all_files, sha1_problems
from neuroscaling.study.benchmarks import find_stimuli as find_set
from neuroscaling.study.stimulus_sources import (
    AlgonautsTree,
    BrainScoreSets,
    ImageFolder,
    ListedImages,
    NsdTree,
    RecordedSets,
    StimulusSource,
    ThingsImages,
    V4Images,
)

ALGONAUTS_IMAGE = re.compile(r"(?:train|test)-\d+_nsd-(\d+)\.png")
V4_IMAGE = re.compile(r"(?:.*/)?image(\d+)\.jpe?g", re.IGNORECASE)


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
        case ListedImages():
            return (Stimulus(one, source.root / file, None, source.degrees, sha1) for one, file, sha1 in source.images)
        case AlgonautsTree():
            return _algonauts(source)
        case NsdTree(synthetic=synthetic):
            return chain(nsd_images(source), synthetic_images(source) if synthetic else ())
        case V4Images():
            return _v4(source)
        case ThingsImages():
            return (Stimulus(stimulus, file) for stimulus, file in things_images(source))


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
    members = {Path(name).name: name for name in opened_zip(files.images).names} if files.official else {}
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
    for name in opened_zip(path).names:
        match = V4_IMAGE.fullmatch(name)
        if match and "__MACOSX" not in name:
            found[int(match[1])] = name
    absent = sorted(set(range(1, len(found) + 1)) - set(found))
    if absent:
        raise DataError(Problem(what="images are missing in the numbering", where=str(path), value=absent[:10]))
    yield from (Stimulus(f"{source.session}-{number:04d}", path, found[number]) for number in sorted(found))
