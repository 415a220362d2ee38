"""What can be wrong with the recordings that a study encodes, told before anything runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from neuroscaling.core.errors import Fault, Location, Problem, dotted, listing, nearest
from neuroscaling.study import nsd_tree, recording_folders
from neuroscaling.study.algonauts_tree import tree_problems
from neuroscaling.study.array_checks import array_problems, array_training_images
from neuroscaling.study.own_functions import function_problems
from neuroscaling.study.preparation_jobs import SYNTHETIC
from neuroscaling.study.sections.encoding import (
    AlgonautsEncoding,
    ArraysEncoding,
    FmriEncoding,
    FunctionEncoding,
    NsdEncoding,
    RecordingsEncoding,
    V4Encoding,
)
from neuroscaling.study.sections.recordings import LocalData, SimulatedData, V4Data
from neuroscaling.study.sections.simulated_brains import subject_sizes
from neuroscaling.study.sections.whole_study import Study

Found = Iterator[tuple[Location, Problem]]
"""Problems with the keys of the entry, or further keys below them, that they are about."""


def fmri_problems(study: Study, entry: FmriEncoding) -> Found:
    """Faulty trees, sizes that a subject can't give, and settings that don't go together."""
    yield from setting_problems(study, entry)
    match entry:
        case NsdEncoding():
            yield from _nsd_problems(entry) if entry.data.local.is_dir() else ()
        case ArraysEncoding():
            yield from _array_problems(entry) if entry.data.local.is_dir() else ()
        case FunctionEncoding():
            yield from function_problems(entry)
        case AlgonautsEncoding(data=SimulatedData(simulated=brain)):
            yield from _simulated_problems(study, entry, brain)
        case AlgonautsEncoding(data=LocalData(local=root)) if root.is_dir():
            yield from _tree_problems(entry, root)


def size_problems(entry: FmriEncoding, n_training: dict[str, int]) -> Found:
    """Numbers of images that subjects can't give; n_training: training images by subject."""
    held_out = entry.validation if entry.evaluate == "validation" else 0
    largest = max((size for size in entry.samples if size != "all"), default=0)
    for subject, n in n_training.items():
        used = entry.equalise or n
        if used > n:
            yield (
                ("equalise",),
                Problem(
                    what="more training images than the subject has", where="", value=used, allowed=f"{subject}: {n}"
                ),
            )
        elif entry.evaluate != "folds" and used - held_out < max(largest, 2):
            what = "more mapping images than the subject has"
            allowed = f"{subject}: at most {max(used - held_out, 0)}" + (
                f" beside {held_out} held out" * bool(held_out)
            )
            yield ("samples",), Problem(what=what, where="", value=largest or "all", allowed=allowed)


def setting_problems(study: Study, entry: RecordingsEncoding) -> Found:
    """Settings of any source that don't go together with each other, or with those of the study."""
    if study.extraction.keep == "gram" and entry.ridge.features == "standardise":
        fix = "`features: centre`, or `extraction: {keep: features}`"
        what = "inner products can't be standardised"
        yield ("ridge", "features"), Problem(what=what, where="", value="standardise", fix=fix)
    if study.reduction.sizes and study.brainscore:
        fix = "give `size`, or split the study"
        sizes = study.reduction.sizes
        yield (), Problem(what="Brain-Score's layers are of one grid", where="reduction.sizes", value=sizes, fix=fix)


def _simulated_problems(study: Study, entry: AlgonautsEncoding, brain: str) -> Found:
    """Subjects that a simulated brain doesn't have, and sizes that they can't give."""
    if brain not in study.simulated:
        return
    settings = study.simulated[brain].settings(brain)
    numbers = range(1, settings.algonauts_subjects + 1)
    sizes = {f"subj{number:02d}": subject_sizes(settings, number)[0] for number in numbers}
    wanted = list(sizes) if entry.subjects == "all" else entry.subjects
    for subject in wanted:
        if subject not in sizes:
            allowed = list(sizes)
            yield (
                ("subjects",),
                Problem(
                    what="no such subject",
                    where="",
                    value=subject,
                    allowed=listing(allowed),
                    nearest=nearest(subject, allowed),
                ),
            )
    yield from size_problems(entry, {subject: sizes[subject] for subject in wanted if subject in sizes})


def _tree_problems(entry: AlgonautsEncoding, root: Path) -> Found:
    regions = [r for r in entry.regions if r in recording_folders.FMRI_REGIONS] if entry.regions != "all" else "all"
    found = tree_problems(root, entry.subjects, regions, needs_test_responses=entry.evaluate == "test")
    yield from ((("data",), problem) for problem in found)
    if any("responses are missing" in problem.what for problem in found) and entry.evaluate == "test":
        fix = "`evaluate: validation`, or rebuild them from NSD (docs/nsd.md)"
        yield (
            ("evaluate",),
            Problem(what="the responses to the test images are withheld", where="", value="test", fix=fix),
        )
    if not found:
        subjects = recording_folders.subject_folders(root) if entry.subjects == "all" else entry.subjects
        yield from size_problems(entry, {name: _n_training(root / name) for name in subjects})


def _n_training(folder: Path) -> int:
    return len(recording_folders.split_images(folder, "training"))


def _nsd_problems(entry: NsdEncoding) -> Found:
    """Subjects without responses in the space that is asked for; `neuroscaling data check nsd` looks deeper."""
    root = entry.data.local
    found = sorted(folder.name for folder in (root / "nsddata_betas/ppdata").glob("subj[0-9]*"))
    fix = "docs/nsd.md says which folders a study needs"
    if not found:
        yield (
            ("data",),
            Problem(
                what="no subject of NSD here", where="", value=str(root), allowed="nsddata_betas/ppdata/subj01", fix=fix
            ),
        )
    for subject in found if entry.subjects == "all" else entry.subjects:
        if subject not in found:
            yield (
                ("subjects",),
                Problem(
                    what="no such subject",
                    where="",
                    value=subject,
                    allowed=listing(found),
                    nearest=nearest(subject, found),
                ),
            )
        elif not nsd_tree.nsd_place(root, subject, entry.space).sessions():
            where = str(nsd_tree.nsd_place(root, subject, entry.space).betas)
            yield ("space",), Problem(what="no scan session of this space", where=where, value=entry.space, fix=fix)
    if SYNTHETIC in entry.tests:
        named = found if entry.subjects == "all" else [name for name in entry.subjects if name in found]
        places = [nsd_tree.NsdPlace(root, subject, entry.space) for subject in named]
        for file in dict.fromkeys(file for place in places for file in place.synthetic_files()):
            if not file.is_file():
                yield ("test",), Problem(what="a file of NSD-synthetic is missing", where=str(file), fix=fix)


def _array_problems(entry: ArraysEncoding) -> Found:
    """Faulty files of one's own, and sizes that they can't give."""
    found = list(array_problems(entry))
    yield from found
    if not found:
        yield from size_problems(entry, array_training_images(entry))


@dataclass(frozen=True)
class _Entry:
    """An entry of the study file that takes V4 sessions. place: where it stands; key: that of its sessions."""

    place: Location
    key: str
    folder: Path | None
    sessions: list[str]


def v4_faults(study: Study) -> Iterator[Fault]:
    """Folders that are missing, empty or more than one, and sessions that the folder lacks.

    A session's images, activations and scores have its name alone, so that all entries take it from one folder: an
    entry without `local_dir` from that of another.
    """
    for i, section in enumerate(study.encoding):
        if isinstance(section, V4Encoding) and section.sessions == "all" and section.local_dir is None:
            fix = "name the sessions, e.g. sessions: ['190923']"
            yield Fault(("encoding", i, "sessions"), Problem(what="`all` needs `local_dir`", fix=fix))
    entries = list(_entries(study))
    folders = [(entry.folder, entry) for entry in entries if entry.folder]
    yield from _v4_folder_faults(folders)
    if len({folder.resolve() for folder, _ in folders}) == 1:
        yield from _v4_session_faults(recording_folders.v4_session_names(folders[0][0]), entries)


def _v4_folder_faults(folders: list[tuple[Path, _Entry]]) -> Iterator[Fault]:
    """What is wrong with the folders of V4 recordings that entries name."""
    named = {folder.resolve(): (folder, entry) for folder, entry in reversed(folders)}
    for path, entry in named.values():
        place, folder = (*entry.place, "local_dir"), str(path)
        first, of_first = folders[0]
        if entry is not of_first:
            allowed = f"{first}, as in {dotted(of_first.place)}"
            fix = "put all sessions into one folder, or make two studies with a store each"
            what = "V4 recordings of one study are in two folders"
            yield Fault(place, Problem(what=what, where="", value=folder, allowed=allowed, fix=fix))
        elif not path.is_dir():
            yield Fault(place, Problem(what="folder is missing", where="", value=folder, fix="see docs/data.md"))
        elif not recording_folders.v4_session_names(path):
            yield Fault(
                place, Problem(what="no session in this folder", where="", value=folder, fix="see docs/data.md")
            )


def _v4_session_faults(found: list[str], entries: list[_Entry]) -> Iterator[Fault]:
    """Sessions that entries name and the folder lacks. found: those of the folder, which may be empty."""
    for entry in entries if found else []:
        for i, session in enumerate(entry.sessions):
            if session not in found:
                problem = Problem(
                    what="unknown session",
                    where="",
                    value=session,
                    allowed=listing(found),
                    nearest=nearest(session, found),
                )
                yield Fault((*entry.place, entry.key, i), problem)


def _entries(study: Study) -> Iterator[_Entry]:
    for i, entry in enumerate(study.encoding):
        if isinstance(entry, V4Encoding):
            # `all` are those that are there.
            sessions = [] if entry.sessions == "all" else list(entry.sessions)
            yield _Entry(("encoding", i), "sessions", entry.local_dir, sessions)
    data = study.brainscore.data if study.brainscore else None
    if isinstance(data, V4Data):
        yield _Entry(("brainscore", "data"), "v4", data.local_dir, list(data.v4))
