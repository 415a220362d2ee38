"""What can be wrong with the data of a study: absent, or unable to give what is asked of them.

Quick: `data_faults` runs whenever the Snakefile is parsed. `deep_checks` builds networks and decodes images, once,
before the first job. Places are those of the study that is given, which may be a part of the file's.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace

from neuroscaling.core.errors import Fault, Location, NeuroscalingError, Problem, listing, nearest
from neuroscaling.datasets.checks import light_problems
from neuroscaling.study import architectures, benchmarks, published_tables
from neuroscaling.study.checkpoint_runs import checkpoint_problems
from neuroscaling.study.mapping_samples import sample_faults, size_faults
from neuroscaling.study.paths import Store, brace_problems
from neuroscaling.study.published_weights import path_in, weights_problems
from neuroscaling.study.recording_checks import fmri_problems, setting_problems, v4_faults
from neuroscaling.study.sections.checkpoints import CheckpointRuns
from neuroscaling.study.sections.encoding import ArraysEncoding, FmriEncoding, FunctionEncoding, V4Encoding
from neuroscaling.study.sections.networks import SUBSETS, PretrainedRuns, TrainedRuns, devices_named
from neuroscaling.study.sections.recordings import BrainScore, BrainScoreData, LocalData, SimulatedData, V4Data
from neuroscaling.study.sections.simulated_brains import SIMULATED_BENCHMARKS
from neuroscaling.study.sections.whole_study import Study
from neuroscaling.study.things_recordings import things_faults

FEATURES_ALONE = "neuron_to_neuron"
"""The metric that inner products don't serve."""


def data_faults(study: Study, left_out: Collection[str] = ()) -> Iterator[Fault]:
    """Everything that is wrong with the data of `study`, without decoding or building anything.

    left_out: data sets that are not looked at.
    """
    yield from _weight_faults(study)
    yield from _dataset_faults(study, left_out)
    yield from _training_faults(study)
    yield from _brainscore_faults(study)
    yield from _encoding_faults(study)
    yield from _repeated_sources(study)
    yield from _keep_faults(study)
    yield from _published_faults(study)
    yield from _store_faults(study)


def _weight_faults(study: Study) -> Iterator[Fault]:
    cache = Store.of(study.store).cache()
    for i, group in enumerate(study.runs):
        for j, arch in enumerate(group.pretrained if isinstance(group, PretrainedRuns) else ()):
            if isinstance(group, PretrainedRuns) and architectures.is_architecture(arch):
                found = weights_problems(arch, path_in(group.weights, arch) if group.weights else None, cache)
                yield from (Fault(("runs", i, "pretrained", j), problem) for problem in found)
        if isinstance(group, CheckpointRuns):
            yield from (Fault(("runs", i, "checkpoints"), problem) for problem in checkpoint_problems(group))


def _dataset_faults(study: Study, left_out: Collection[str]) -> Iterator[Fault]:
    cache = Store.of(study.store).cache()
    for name, dataset in study.datasets.items():
        if name in left_out:
            continue
        wanted = {
            token
            for group in study.runs
            if isinstance(group, TrainedRuns) and name in group.datasets
            for _, token in group.subsets()
        }
        found = light_problems(name, dataset.settings(), sorted(wanted), cache)
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
        yield from sample_faults(study.brainscore)
        yield from _simulated_size_faults(study)


def _simulated_size_faults(study: Study) -> Iterator[Fault]:
    """More mapping images than a simulated brain's recordings can give."""
    settings = study.brainscore
    if settings is not None and isinstance(settings.data, SimulatedData):
        brain = study.simulated.get(settings.data.simulated)
        yield from size_faults(settings, dict.fromkeys(settings.benchmarks, brain.stimuli)) if brain else ()


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
            if not isinstance(entry, FunctionEncoding):
                yield from _data_faults(entry.data, (*place, "data"))
            yield from (Fault((*place, *key), problem) for key, problem in fmri_problems(study, entry))
        else:
            yield from (Fault((*place, *key), problem) for key, problem in setting_problems(study, entry))
    yield from v4_faults(study)
    yield from things_faults(study)


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
    if isinstance(entry, ArraysEncoding | FunctionEncoding):
        yield ("own", entry.name), ("name",), "recordings of this name"
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
    needing: list[str] = []
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
