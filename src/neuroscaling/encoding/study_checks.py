"""What can be wrong with a study's entry for fMRI, before anything runs. Light: reads names and headers."""

from collections.abc import Iterator
from pathlib import Path

from neuroscaling.config import AlgonautsEncoding, FmriEncoding, NsdEncoding, SimulatedData, Study
from neuroscaling.encoding import rois
from neuroscaling.encoding.algonauts import layout, tree_problems
from neuroscaling.errors import Location, Problem, listing, nearest
from neuroscaling.simulate.fmri_areas import subject_sizes
from neuroscaling.simulate.settings import BrainSettings

Found = Iterator[tuple[Location, Problem]]
"""Problems with the keys of the entry, or further keys below them, that they are about."""


def fmri_problems(study: Study, entry: FmriEncoding) -> Found:
    """Faulty trees, sizes that a subject can't give, and settings that don't go together."""
    yield from _setting_problems(study, entry)
    if isinstance(entry, NsdEncoding):
        yield from _nsd_problems(entry) if entry.data.local.is_dir() else ()
    elif isinstance(entry, AlgonautsEncoding) and isinstance(entry.data, SimulatedData):
        yield from _simulated_problems(study, entry, entry.data.simulated)
    elif isinstance(entry, AlgonautsEncoding) and entry.data.local.is_dir():
        yield from _tree_problems(entry)


def size_problems(entry: FmriEncoding, n_training: dict[str, int]) -> Found:
    """Numbers of images that subjects can't give; n_training: training images by subject."""
    held_out = entry.validation if entry.evaluate == "validation" else 0
    largest = max((size for size in entry.samples if size != "all"), default=0)
    for subject, n in n_training.items():
        used = entry.equalise or n
        if used > n:
            yield ("equalise",), Problem("more training images than the subject has", "", used, f"{subject}: {n}")
        elif used - held_out < max(largest, 2):
            what = "more mapping images than the subject has"
            allowed = f"{subject}: at most {max(used - held_out, 0)}" + (
                f" beside {held_out} held out" * bool(held_out)
            )
            yield ("samples",), Problem(what, "", largest or "all", allowed)


def _setting_problems(study: Study, entry: FmriEncoding) -> Found:
    if study.extraction.keep == "gram" and entry.ridge.features == "standardise":
        fix = "`features: centre`, or `extraction: {keep: features}`"
        what = "inner products can't be standardised"
        yield ("ridge", "features"), Problem(what, "", "standardise", fix=fix)
    if study.reduction.sizes and study.brainscore:
        fix = "give `size`, or split the study"
        sizes = study.reduction.sizes
        yield (), Problem("Brain-Score's layers are of one grid", "reduction.sizes", sizes, fix=fix)


def _simulated_problems(study: Study, entry: AlgonautsEncoding, brain: str) -> Found:
    """Subjects that a simulated brain doesn't have, and sizes that they can't give."""
    if brain not in study.simulated:
        return
    settings = BrainSettings(**study.simulated[brain].model_dump())
    numbers = range(1, settings.algonauts_subjects + 1)
    sizes = {f"subj{number:02d}": subject_sizes(settings, number)[0] for number in numbers}
    wanted = list(sizes) if entry.subjects == "all" else entry.subjects
    for subject in wanted:
        if subject not in sizes:
            allowed = list(sizes)
            yield ("subjects",), Problem("no such subject", "", subject, listing(allowed), nearest(subject, allowed))
    yield from size_problems(entry, {subject: sizes[subject] for subject in wanted if subject in sizes})


def _tree_problems(entry: AlgonautsEncoding) -> Found:
    root = entry.data.local
    regions = [r for r in entry.regions if r in rois.REGIONS] if entry.regions != "all" else "all"
    found = tree_problems(root, entry.subjects, regions, needs_test_responses=entry.evaluate == "test")
    yield from ((("data",), problem) for problem in found)
    if any("responses are missing" in problem.what for problem in found) and entry.evaluate == "test":
        fix = "`evaluate: validation`, or rebuild them from NSD (docs/nsd.md)"
        yield ("evaluate",), Problem("the responses to the test images are withheld", "", "test", fix=fix)
    if not found:
        subjects = layout.subject_folders(root) if entry.subjects == "all" else entry.subjects
        yield from size_problems(entry, {name: _n_training(root / name) for name in subjects})


def _n_training(folder: Path) -> int:
    return len(layout.images(folder, "training"))


def _nsd_problems(entry: NsdEncoding) -> Found:
    """Subjects without responses in the space that is asked for; `neuroscaling data check nsd` looks deeper."""
    from neuroscaling.encoding.nsd import layout as nsd

    root = entry.data.local
    found = sorted(folder.name for folder in (root / "nsddata_betas/ppdata").glob("subj[0-9]*"))
    fix = "docs/nsd.md says which folders a study needs"
    if not found:
        yield ("data",), Problem("no subject of NSD here", "", str(root), "nsddata_betas/ppdata/subj01", fix=fix)
    for subject in found if entry.subjects == "all" else entry.subjects:
        if subject not in found:
            yield ("subjects",), Problem("no such subject", "", subject, listing(found), nearest(subject, found))
        elif not nsd.place(root, subject, entry.space).sessions():
            where = str(nsd.place(root, subject, entry.space).betas)
            yield ("space",), Problem("no scan session of this space", where, entry.space, fix=fix)
