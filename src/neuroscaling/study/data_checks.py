"""What can be wrong with the data of a study: absent, or unable to give what is asked of them.

Quick: `data_faults` runs whenever the Snakefile is parsed. `deep_checks` builds networks and decodes images, once,
before the first job. Places are those of the study that is given, which may be a part of the file's.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from neuroscaling.core.errors import Fault, Location, NeuroscalingError, Problem, dotted, listing, nearest
from neuroscaling.datasets.checks import light_problems
from neuroscaling.study import architectures, benchmarks, nsd_tree, published_tables, recording_folders
from neuroscaling.study.algonauts_tree import tree_problems
from neuroscaling.study.gpus import devices_named
from neuroscaling.study.network_sections import SUBSETS, PretrainedRuns, TrainedRuns
from neuroscaling.study.paths import Store, brace_problems
from neuroscaling.study.published_weights import weights_problems
from neuroscaling.study.simulated_brains import SIMULATED_BENCHMARKS, BrainSettings, subject_sizes
from neuroscaling.study.study_sections import (
    AlgonautsEncoding,
    BrainScore,
    BrainScoreData,
    FmriEncoding,
    LocalData,
    NsdEncoding,
    SimulatedData,
    Study,
    V4Data,
    V4Encoding,
)

FEATURES_ALONE = "neuron_to_neuron"
"""The metric that inner products don't serve."""


def data_faults(study: Study) -> Iterator[Fault]:
    """Everything that is wrong with the data of `study`, without decoding or building anything."""
    yield from _weight_faults(study)
    yield from _dataset_faults(study)
    yield from _training_faults(study)
    yield from _brainscore_faults(study)
    yield from _encoding_faults(study)
    yield from _repeated_sources(study)
    yield from _keep_faults(study)
    yield from _published_faults(study)
    yield from _store_faults(study)


def _weight_faults(study: Study) -> Iterator[Fault]:
    for i, group in enumerate(study.runs):
        for j, arch in enumerate(group.pretrained if isinstance(group, PretrainedRuns) else ()):
            if isinstance(group, PretrainedRuns) and architectures.is_architecture(arch):
                found = weights_problems(arch, group.weights / f"{arch}.safetensors" if group.weights else None)
                yield from (Fault(("runs", i, "pretrained", j), problem) for problem in found)


def _dataset_faults(study: Study) -> Iterator[Fault]:
    cache = Store.of(study.store).cache()
    for name, dataset in study.datasets.items():
        wanted = {
            token
            for group in study.runs
            if isinstance(group, TrainedRuns) and name in group.datasets
            for _, token in group.subsets()
        }
        found = light_problems(name, dataset.model_dump(mode="json"), sorted(wanted), cache)
        for problem in found:
            place = next(_asking(study, name, problem.value), ("datasets", name))
            own = str(problem.where).removeprefix(f"dataset {name}").lstrip(" :,")
            yield Fault(place, replace(problem, where=own if place[0] == "datasets" else problem.where))


def _asking(study: Study, dataset: str, number: object) -> Iterator[Location]:
    """Where the study asks for that many images or classes of a data set."""
    for i, group in enumerate(study.runs):
        for key in SUBSETS if isinstance(group, TrainedRuns) and dataset in group.datasets else ():
            found = (j for j, asked in enumerate(getattr(group, key)) if asked != "all" and asked == number)
            yield from (("runs", i, key, j) for j in found)


def _training_faults(study: Study) -> Iterator[Fault]:
    if study.training.gpu is not None:
        try:
            devices_named(study.training.gpu, Store.of(study.store).root)
        except NeuroscalingError as error:
            yield from (Fault(("training", "gpu"), replace(problem, where="")) for problem in error.problems)
    scratch = study.training.scratch
    if scratch and (scratch.is_file() or not (scratch.is_absolute() or scratch.is_dir())):
        # A folder of a node's own disk may not be seen from here, but then it is named from the root.
        what = "this is a file" if scratch.is_file() else "folder is missing"
        fix = "name a folder on the node's own disk, from `/` on"
        yield Fault(("training", "scratch"), Problem(what=what, where="", value=str(scratch), fix=fix))


def _brainscore_faults(study: Study) -> Iterator[Fault]:
    if study.brainscore is not None:
        yield from _data_faults(study.brainscore.data, ("brainscore", "data"))
        yield from _source_faults(study.brainscore)


def _source_faults(settings: BrainScore) -> Iterator[Fault]:
    """Benchmarks that the recordings can't serve."""
    match settings.data:
        case SimulatedData():
            served = list(SIMULATED_BENCHMARKS)
        case V4Data(v4=sessions):
            served = [name for name, entry in settings.define.items() if entry.assembly.parts[0] in sessions]
        case _:
            return
    for i, benchmark in enumerate(settings.benchmarks):
        known = benchmark in benchmarks.BENCHMARKS or benchmark in settings.define
        if known and benchmark not in served:
            fix = "use `data: {local: ...}` or `data: {download: true}`"
            what = "these data don't serve this benchmark"
            problem = Problem(
                what=what,
                where="",
                value=benchmark,
                allowed=listing(served),
                nearest=nearest(benchmark, served),
                fix=fix,
            )
            yield Fault(("brainscore", "benchmarks", i), problem)


def _data_faults(data: BrainScoreData, place: Location) -> Iterator[Fault]:
    if isinstance(data, LocalData) and not data.local.is_dir():
        fix = "docs/data.md says what it must hold"
        yield Fault((*place, "local"), Problem(what="folder is missing", where="", value=str(data.local), fix=fix))


def _encoding_faults(study: Study) -> Iterator[Fault]:
    for i, entry in enumerate(study.encoding):
        place: Location = ("encoding", i)
        if isinstance(entry, FmriEncoding):
            yield from _data_faults(entry.data, (*place, "data"))
            yield from (Fault((*place, *key), problem) for key, problem in fmri_problems(study, entry))
    yield from v4_faults(study)


def _repeated_sources(study: Study) -> Iterator[Fault]:
    """Sources and submissions that two entries ask for: their results would lie in one file."""
    seen: dict[object, str] = {}
    for i, entry in enumerate(study.encoding):
        for key, place, what in _asked(entry):
            other = seen.setdefault(key, f"encoding[{i}]")
            if other != f"encoding[{i}]":
                fix = f"drop it here or from {other}"
                yield Fault(
                    ("encoding", i, *place),
                    Problem(what=f"{what} is asked for twice", where="", value=key[-1], fix=fix),
                )


def _asked(entry: FmriEncoding | V4Encoding) -> Iterator[tuple[tuple[object, ...], Location, str]]:
    """What an entry's results are called by, where it says so, and what that is."""
    if isinstance(entry, V4Encoding):
        for session in entry.sessions if entry.sessions != "all" else ["all"]:
            yield ("v4", session), ("sessions",), "this session"
        return
    about = entry.model_dump(mode="json", include={"source", "data", "space", "cortex", "trials", "test"})
    for subject in entry.subjects if entry.subjects != "all" else ["all"]:
        yield (str(about), subject), ("subjects",), "this subject"
    for name in getattr(entry, "submissions", {}):
        yield ("submission", name), ("submissions", name), "a submission of this name"


def _keep_faults(study: Study) -> Iterator[Fault]:
    """What asks for features where only inner products are kept."""
    if study.extraction.keep != "gram":
        return
    recordings = [(i, entry) for i, entry in enumerate(study.encoding) if isinstance(entry, V4Encoding)]
    needing = [f"encoding[{i}] ({entry.source})" for i, entry in recordings]
    if study.brainscore:
        needing += ["brainscore.engine: stock"] if study.brainscore.engine == "stock" else []
        needing += [name for name in study.brainscore.benchmarks if _metric(study.brainscore, name) == FEATURES_ALONE]
    for name in needing:
        fix = "`extraction: {keep: both}`, or `features`"
        problem = Problem(what="needs features, and only inner products are kept", where="", value=name, fix=fix)
        yield Fault(("extraction", "keep"), problem)


def _metric(settings: BrainScore, benchmark: str) -> str:
    defined, registered = settings.define.get(benchmark), benchmarks.BENCHMARKS.get(benchmark)
    return (defined and defined.metric) or (registered and registered.metric) or ""


def _published_faults(study: Study) -> Iterator[Fault]:
    folder = study.published.published_dir if study.published else None
    if folder is None:
        return
    place = ("published", "published_dir")
    if not folder.is_dir():
        fix = "correct it, or leave it empty to download"
        yield Fault(place, Problem(what="folder doesn't exist", where="", value=str(folder), fix=fix))
        return
    for name, file in published_tables.PUBLISHED_FILES.items():
        if file.source and not (folder / name).is_file():
            found = sorted(path.name for path in folder.glob("*.csv"))
            fix = "put the file there, or leave `published_dir` empty to download"
            what = "published table is missing"
            yield Fault(
                place,
                Problem(
                    what=what,
                    where="",
                    value=str(folder / name),
                    allowed=listing(found),
                    nearest=nearest(name, found),
                    fix=fix,
                ),
            )


def _store_faults(study: Study) -> Iterator[Fault]:
    for i, folder in enumerate(Store.of(study.store).folders):
        problems = list(brace_problems({"store": folder}))
        if i > 0 and not folder.is_dir():
            what, fix = "this folder of the store is missing", "name a folder that is there; only the first is made"
            problems.append(Problem(what=what, where="", value=str(folder), fix=fix))
        yield from (Fault(("store",), problem) for problem in problems)


Found = Iterator[tuple[Location, Problem]]
"""Problems with the keys of the entry, or further keys below them, that they are about."""


def fmri_problems(study: Study, entry: FmriEncoding) -> Found:
    """Faulty trees, sizes that a subject can't give, and settings that don't go together."""
    yield from _setting_problems(study, entry)
    match entry:
        case NsdEncoding():
            yield from _nsd_problems(entry) if entry.data.local.is_dir() else ()
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
        elif used - held_out < max(largest, 2):
            what = "more mapping images than the subject has"
            allowed = f"{subject}: at most {max(used - held_out, 0)}" + (
                f" beside {held_out} held out" * bool(held_out)
            )
            yield ("samples",), Problem(what=what, where="", value=largest or "all", allowed=allowed)


def _setting_problems(study: Study, entry: FmriEncoding) -> Found:
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
    settings = BrainSettings(**study.simulated[brain].model_dump())
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
