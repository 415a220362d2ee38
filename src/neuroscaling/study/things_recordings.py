"""TVSD and THINGS-fMRI in a study: names, jobs that prepare them, and the images that both showed."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from neuroscaling.core.encoding_scores import ALL_VERTICES
from neuroscaling.core.errors import Fault, Location, Problem, listing, nearest
from neuroscaling.core.hashing import ArtefactName, content_hash
from neuroscaling.study.code_fingerprints import code_of
from neuroscaling.study.preparation_jobs import ThingsFmriJob, TvsdJob
from neuroscaling.study.sections.encoding import ThingsEncoding, TvsdEncoding
from neuroscaling.study.sections.whole_study import Study
from neuroscaling.study.stimulus_sources import ThingsImages
from neuroscaling.study.things_tree import (
    FMRI_AREAS,
    THINGS_FIX,
    TVSD_REGIONS,
    Monkey,
    Person,
    fmri_subjects,
    images_mark,
    subject_problems,
    things_folder,
    tvsd_monkeys,
)


def subjects_of(entry: ThingsEncoding) -> list[str]:
    """Monkeys or people of which the tree has files."""
    return [subject.name for subject in _subjects(entry)]


def recordings_of(entry: ThingsEncoding) -> ArtefactName:
    """What the prepared recordings of a source are called, and what determines them."""
    listed = content_hash(_sizes(entry, [file for subject in _subjects(entry) for file in _files(subject)]), 16)
    settings: dict[str, object]
    if isinstance(entry, TvsdEncoding):
        settings = {"reliability": entry.reliability}
    else:
        settings = {"voxels": entry.voxels, "zscore": entry.zscore}
    return ArtefactName(entry.source.replace("_", "-"), {"files": listed, **settings, "code": code_of(entry.source)})


def preparation_of(
    entry: ThingsEncoding, subject: str, folder: Path, definition: dict[str, Any]
) -> TvsdJob | ThingsFmriJob:
    """The job that converts a subject's files to prepared recordings in `folder`; definition: of `recordings_of`."""
    root = entry.data.local
    if isinstance(entry, TvsdEncoding):
        return TvsdJob(root, subject, folder, entry.reliability, definition)
    return ThingsFmriJob(root, subject, folder, entry.voxels, entry.zscore, definition=definition)


def images_of(entries: Sequence[ThingsEncoding]) -> tuple[object, ThingsImages]:
    """What the images of all these sources are (JSON), and where they lie: one set, extracted in one pass.

    Told by the names and sizes of the files that list them, and by a look at the folder of images.
    """
    trees = {entry.source: entry.data.local for entry in entries}
    lists = [
        [entry.source, *_sizes(entry, [subject.images for subject in _subjects(entry)])]
        for entry in sorted(entries, key=lambda one: one.source)
    ]
    root = entries[0].images
    images = ThingsImages(root, trees.get("tvsd"), trees.get("things_fmri"))
    return {"lists": lists, "images": images_mark(root)}, images


def things_faults(study: Study) -> Iterator[Fault]:
    """Folders and files that are missing, subjects that a tree lacks, and entries that name different folders."""
    first: dict[str, tuple[int, Path]] = {}
    for i, entry in enumerate(study.encoding):
        if not isinstance(entry, ThingsEncoding):
            continue
        place = ("encoding", i)
        folders = {"images": ("images", entry.images), entry.source: ("data", entry.data.local)}
        for name, (key, folder) in folders.items():
            other, named = first.setdefault(name, (i, folder))
            if named.resolve() != folder.resolve():
                what = "one study has one folder of THINGS, and one tree of each source"
                allowed = f"{named}, as in encoding[{other}]"
                yield Fault((*place, key), Problem(what=what, where="", value=str(folder), allowed=allowed))
        if not any(things_folder(entry.images).glob("*")):
            what = "folder of THINGS' images is missing or empty"
            yield Fault((*place, "images"), Problem(what=what, where="", value=str(entry.images), fix=THINGS_FIX))
        yield from (Fault((*place, *key), problem) for key, problem in _region_problems(entry))
        if entry.data.local.is_dir():
            yield from (Fault((*place, key), problem) for key, problem in _tree_problems(entry))


def _region_problems(entry: ThingsEncoding) -> Iterator[tuple[Location, Problem]]:
    """Regions that no subject of the source has."""
    known: list[str] = list(TVSD_REGIONS)
    if not isinstance(entry, TvsdEncoding):
        known = [*FMRI_AREAS, ALL_VERTICES, *(entry.voxels if not isinstance(entry.voxels, str) else ())]
    for i, region in enumerate(entry.regions if entry.regions != "all" else ()):
        if region not in known:
            near = nearest(region, known)
            what, allowed = "no such region", listing(known, 30)
            yield ("regions", i), Problem(what=what, where="", value=region, allowed=allowed, nearest=near)


def _tree_problems(entry: ThingsEncoding) -> Iterator[tuple[str, Problem]]:
    there, root = subjects_of(entry), entry.data.local
    example = "monkeyF/THINGS_normMUA.mat" if isinstance(entry, TvsdEncoding) else "betas_csv/sub-01_ResponseData.h5"
    for problem in subject_problems(root, entry.subjects, there, example):
        yield ("subjects" if there else "data"), problem
    for subject in _subjects(entry):
        if entry.subjects == "all" or subject.name in entry.subjects:
            for file in (file for file in _files(subject) if not file.is_file()):
                yield "data", Problem(what="file is missing", where=str(file), fix=THINGS_FIX)


def _subjects(entry: ThingsEncoding) -> list[Monkey] | list[Person]:
    root = entry.data.local
    if isinstance(entry, TvsdEncoding):
        return [Monkey(root, name) for name in tvsd_monkeys(root)]
    return [Person(root, name) for name in fmri_subjects(root)]


def _files(subject: Monkey | Person) -> tuple[Path, ...]:
    if isinstance(subject, Monkey):
        return subject.responses, subject.images
    return subject.responses, subject.images, subject.voxels


def _sizes(entry: ThingsEncoding, files: Sequence[Path]) -> list[list[object]]:
    """Names and sizes of the files that are there."""
    return [[str(file.relative_to(entry.data.local)), file.stat().st_size] for file in files if file.is_file()]
