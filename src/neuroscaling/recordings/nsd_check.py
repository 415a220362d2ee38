"""What is wrong with a tree of the Natural Scenes Dataset, all of it at once, from headers and small files."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.recordings.nsd_regions import GENERAL, label_problems
from neuroscaling.recordings.nsd_sessions import examine, read_ncsnr
from neuroscaling.recordings.nsd_synthetic import session_problems
from neuroscaling.stimuli.nsd_design import Design, read_design
from neuroscaling.stimuli.nsd_images import nsd_stimuli_problems
from neuroscaling.stimuli.nsd_synthetic import read_synthetic_order, synthetic_image_problems
from neuroscaling.study.nsd_tree import (
    NSD_FIX,
    SPACES,
    NsdPlace,
    completed_sessions,
    has_synthetic,
    is_simulated,
    nsd_subject_problems,
    nsd_subjects,
    spaces_of,
)


def check_nsd_tree(root: str | Path, subjects: Sequence[str] | str = "all", synthetic: bool = False) -> list[Problem]:
    """Everything that is wrong with a tree: design, images, and of each subject and space that has responses the scan
    sessions (gaps, shapes, types, trials against the design, unreadable files), ncsnr and ROIs. No betas are read.

    NSD-synthetic is looked at where some of it is there; synthetic: all of it must be, of every subject and space.
    """
    root = Path(root)
    problems = nsd_subject_problems(root, subjects)
    there = nsd_subjects(root)
    design = None
    try:
        design = read_design(root)
    except DataError as error:
        problems += error.problems
    problems += nsd_stimuli_problems(root, is_simulated(root))
    named = [name for name in (there if subjects == "all" else subjects) if name in there]
    for subject in named:
        problems += _subject_problems(root, subject, design)
    if synthetic or has_synthetic(root):
        problems += _synthetic_problems(root, named, synthetic)
    return problems


def _synthetic_problems(root: Path, subjects: list[str], every: bool) -> list[Problem]:
    """What is wrong with NSD-synthetic; every: in all spaces of all these subjects, else in those that have it."""
    problems = []
    try:
        read_synthetic_order(root)
    except DataError as error:
        problems += error.problems
    places = [NsdPlace(root, subject, space) for subject in subjects for space in spaces_of(root, subject)]
    places = [place for place in places if every or place.synthetic_betas.is_dir()]
    problems += synthetic_image_problems(root, list(dict.fromkeys(place.subject for place in places)))
    for place in places:
        grids, _ = examine(place, place.sessions()[:1], None)
        if len(grids) == len(place.parts):
            problems += session_problems(place, grids)
    return problems


def _subject_problems(root: Path, subject: str, design: Design | None) -> list[Problem]:
    spaces = spaces_of(root, subject)
    if not spaces:
        where = str(root / "nsddata_betas" / "ppdata" / subject)
        return [Problem(what="no responses in any space", where=where, allowed=", ".join(SPACES), fix=NSD_FIX)]
    return [problem for space in spaces for problem in _space_problems(NsdPlace(root, subject, space), design)]


def _space_problems(place: NsdPlace, design: Design | None) -> list[Problem]:
    sessions = place.sessions()
    problems = _session_problems(place, sessions)
    grids, found = examine(place, sessions, design)
    problems += found
    if len(grids) < len(place.parts):
        return problems
    try:
        read_ncsnr(place, grids)
    except DataError as error:
        problems += error.problems
    missing = [file for part in place.parts if not (file := place.label_file(part, GENERAL)).is_file()]
    problems += [Problem(what="file is missing", where=str(file), fix=NSD_FIX) for file in missing]
    return problems + label_problems(place, grids)


def _session_problems(place: NsdPlace, sessions: list[int]) -> list[Problem]:
    gaps = [n for a, b in pairwise([0, *sessions]) for n in range(a + 1, b)]
    problems = []
    if gaps:
        what = "scan sessions are missing before others that are there"
        problems.append(Problem(what=what, where=str(place.betas), value=listing(gaps), fix=NSD_FIX))
    completed = completed_sessions(place.root, place.subject)
    beyond = [session for session in sessions if completed and session > completed]
    if beyond:
        what = "scan sessions that this subject didn't have: is it another one's folder?"
        problems.append(Problem(what=what, where=str(place.betas), value=listing(beyond), allowed=f"1 to {completed}"))
    return problems
