"""What can be wrong with a study's entry for fMRI, before anything runs. Light: reads names and headers."""

from collections.abc import Iterator
from pathlib import Path

from neuroscaling.config import AlgonautsEncoding, FmriEncoding, LocalData, NsdEncoding, Study
from neuroscaling.encoding import rois
from neuroscaling.encoding.algonauts import layout, tree_problems
from neuroscaling.errors import Problem, listing, nearest


def fmri_problems(study: Study, entry: FmriEncoding, place: str) -> Iterator[Problem]:
    """Unknown regions, faulty trees, sizes that a subject can't give, and settings that don't go together."""
    yield from _setting_problems(study, entry, place)
    if isinstance(entry, AlgonautsEncoding):
        yield from _region_problems(entry, place)
        yield from _submission_problems(study, entry, place)
        if isinstance(entry.data, LocalData) and entry.data.local.is_dir():
            yield from _tree_problems(entry, place)
    elif isinstance(entry, NsdEncoding) and entry.data.local.is_dir():
        yield from _nsd_problems(entry, place)


def size_problems(entry: FmriEncoding, n_training: dict[str, int], place: str) -> Iterator[Problem]:
    """Numbers of images that subjects can't give; n_training: training images by subject."""
    held_out = entry.validation if entry.evaluate == "validation" else 0
    largest = max((size for size in entry.samples if size != "all"), default=0)
    for subject, n in n_training.items():
        used = entry.equalise or n
        if used > n:
            yield Problem("more training images than the subject has", f"{place}.equalise", used, f"{subject}: {n}")
        elif used - held_out < max(largest, 2):
            what = "more mapping images than the subject has"
            allowed = f"{subject}: at most {max(used - held_out, 0)}" + (
                f" beside {held_out} held out" * bool(held_out)
            )
            yield Problem(what, f"{place}.samples", largest or "all", allowed)


def _setting_problems(study: Study, entry: FmriEncoding, place: str) -> Iterator[Problem]:
    if study.extraction.keep == "gram" and entry.ridge.features == "standardise":
        fix = "`features: centre`, or `extraction: {keep: features}`"
        what = "inner products can't be standardised"
        yield Problem(what, f"{place}.ridge.features", "standardise", fix=fix)
    if study.reduction.sizes and study.brainscore:
        fix = "give `size`, or split the study"
        yield Problem(
            "Brain-Score's layers are of one grid", f"{place}: reduction.sizes", study.reduction.sizes, fix=fix
        )


def _region_problems(entry: AlgonautsEncoding, place: str) -> Iterator[Problem]:
    for region in [] if entry.regions == "all" else entry.regions:
        if region not in rois.REGIONS:
            allowed = list(rois.REGIONS)
            yield Problem("unknown region", f"{place}.regions", region, listing(allowed), nearest(region, allowed))


def _submission_problems(study: Study, entry: AlgonautsEncoding, place: str) -> Iterator[Problem]:
    archs = [name for group in study.runs for name in _archs(group)]
    for name, submission in entry.submissions.items():
        for arch in [] if submission.archs == "all" else submission.archs:
            if arch not in archs:
                where = f"{place}.submissions.{name}"
                yield Problem("no run of this architecture", where, arch, listing(archs), nearest(arch, archs))


def _archs(group: object) -> list[str]:
    keys = ("archs", "untrained", "pretrained", "baselines")
    return [arch for key in keys for arch in getattr(group, key, [])]


def _tree_problems(entry: AlgonautsEncoding, place: str) -> Iterator[Problem]:
    root = entry.data.local
    regions = [r for r in entry.regions if r in rois.REGIONS] if entry.regions != "all" else "all"
    found = tree_problems(root, entry.subjects, regions, needs_test_responses=entry.evaluate == "test")
    yield from found
    if any("responses are missing" in problem.what for problem in found) and entry.evaluate == "test":
        fix = "`evaluate: validation`, or rebuild them from NSD (docs/nsd.md)"
        yield Problem("the responses to the test images are withheld", f"{place}.evaluate", "test", fix=fix)
    if not found:
        subjects = layout.subject_folders(root) if entry.subjects == "all" else entry.subjects
        yield from size_problems(entry, {name: _n_training(root / name) for name in subjects}, place)


def _n_training(folder: Path) -> int:
    return len(layout.images(folder, "training"))


def _nsd_problems(entry: NsdEncoding, place: str) -> Iterator[Problem]:
    """Subjects without responses in the space that is asked for; `neuroscaling data check nsd` looks deeper."""
    from neuroscaling.encoding.nsd import layout as nsd

    found = sorted(folder.name for folder in (entry.data.local / "nsddata_betas/ppdata").glob("subj[0-9]*"))
    fix = "docs/nsd.md says which folders a study needs"
    if not found:
        yield Problem(
            "no subject of NSD here", f"{place}.data", str(entry.data.local), "nsddata_betas/ppdata/subj01", fix=fix
        )
    for subject in found if entry.subjects == "all" else entry.subjects:
        if subject not in found:
            yield Problem("no such subject", f"{place}.subjects", subject, listing(found), nearest(subject, found))
        elif not nsd.place(entry.data.local, subject, entry.space).sessions():
            where = str(nsd.place(entry.data.local, subject, entry.space).betas)
            yield Problem("no scan session of this space", where, entry.space, fix=fix)
