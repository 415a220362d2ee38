"""What can be wrong with a study beyond its syntax: names that don't exist, data that aren't there.

`study_problems` is quick and runs whenever the Snakefile is parsed; `deep_problems` builds networks and decodes
images and runs once, before the first job.
"""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from neuroscaling.brainscore import ids
from neuroscaling.calibration.speeds import stored_speeds
from neuroscaling.config import (
    BaselineRuns,
    BrainScore,
    BrainScoreData,
    FmriEncoding,
    LocalData,
    PretrainedRuns,
    SimulatedData,
    Study,
    TrainedRuns,
    UntrainedRuns,
    V4Data,
    V4Encoding,
)
from neuroscaling.datasets.checks import light_problems
from neuroscaling.encoding.study_checks import fmri_problems
from neuroscaling.encoding.v4_checks import v4_problems
from neuroscaling.errors import DataError, NeuroscalingError, Problem, StudyError, listing, nearest
from neuroscaling.files import require_writable
from neuroscaling.laws.config import load_fit_file
from neuroscaling.models import names
from neuroscaling.models.weight_files import weights_problems
from neuroscaling.paths import Store
from neuroscaling.published import source
from neuroscaling.simulate.settings import BENCHMARKS as SIMULATED_BENCHMARKS
from neuroscaling.simulate.settings import check_settings
from neuroscaling.training.recipe import load_recipe

FEATURES_ALONE = "neuron_to_neuron"
"""The metric that inner products don't serve."""


def study_problems(study: Study, file: Path) -> list[Problem]:
    """Everything that is wrong with the names and the data in `study`, without decoding or building anything."""
    where = str(file)
    return [
        *_run_problems(study, where),
        *_layer_problems(study, where),
        *_simulation_problems(study),
        *_dataset_problems(study, where),
        *_brainscore_problems(study, where),
        *_encoding_problems(study, where),
        *_keep_problems(study, where),
        *_published_problems(study, where),
        *_fit_problems(study, file),
        *_store_problems(study),
    ]


def _run_problems(study: Study, where: str) -> Iterator[Problem]:
    for i, group in enumerate(study.runs):
        place = f"{where}: runs[{i}]"
        if isinstance(group, BaselineRuns):
            continue
        for arch in _archs(group):
            yield from _name_problems(arch, place)
        if isinstance(group, TrainedRuns):
            yield from _trained_problems(group, study, place)
        if isinstance(group, PretrainedRuns):
            for arch in filter(names.known, group.pretrained):
                found = weights_problems(arch, group.weights / f"{arch}.safetensors" if group.weights else None)
                yield from (replace(problem, where=f"{place}, {problem.where}") for problem in found)


def _name_problems(arch: str, place: str) -> Iterator[Problem]:
    for problem in names.problems(arch):
        yield replace(problem, where=f"{place}, {problem.where}" if problem.where else place)


def _archs(group: TrainedRuns | UntrainedRuns | PretrainedRuns) -> list[str]:
    match group:
        case TrainedRuns():
            return group.archs
        case UntrainedRuns():
            return group.untrained
        case PretrainedRuns():
            return group.pretrained


def _trained_problems(group: TrainedRuns, study: Study, place: str) -> Iterator[Problem]:
    for dataset in group.datasets:
        if dataset not in study.datasets:
            allowed = list(study.datasets)
            yield Problem("unknown dataset", place, dataset, listing(allowed), nearest(dataset, allowed))
    try:
        load_recipe(group.recipe, study.protocol)
    except NeuroscalingError as error:
        yield from error.problems


def _layer_problems(study: Study, where: str) -> Iterator[Problem]:
    for arch, layers in study.layers.items():
        place = f"{where}: layers.{arch}"
        yield from _name_problems(arch, place)
        for region in layers.regions:
            if region not in ids.REGIONS:
                yield Problem("unknown region", place, region, listing(ids.REGIONS), nearest(region, ids.REGIONS))


def _simulation_problems(study: Study) -> Iterator[Problem]:
    for name, brain in study.simulated.items():
        try:
            check_settings({"name": name, **brain.model_dump()})
        except StudyError as error:
            yield from error.problems


def _dataset_problems(study: Study, where: str) -> Iterator[Problem]:
    cache = Store(study.store).cache()
    for name, dataset in study.datasets.items():
        wanted = {
            token
            for group in study.runs
            if isinstance(group, TrainedRuns) and name in group.datasets
            for _, token in group.subsets()
        }
        yield from light_problems(name, dataset.model_dump(mode="json"), sorted(wanted), cache)
    if study.training.gpu is not None:
        try:
            stored_speeds(study.training.gpu, study.store)
        except NeuroscalingError as error:
            yield from (replace(problem, where=f"{where}: training.gpu") for problem in error.problems)
    for name in study.training.packs:
        if name not in study.datasets:
            allowed = list(study.datasets)
            place = f"{where}: training.packs"
            yield Problem("unknown dataset", place, name, listing(allowed), nearest(name, allowed))


def _brainscore_problems(study: Study, where: str) -> Iterator[Problem]:
    settings = study.brainscore
    if settings is None:
        return
    place = f"{where}: brainscore"
    for benchmark in settings.benchmarks:
        if benchmark not in ids.BENCHMARKS and benchmark not in settings.define:
            yield _unknown_benchmark(benchmark, [*settings.define, *ids.BENCHMARKS], f"{place}.benchmarks")
    for benchmark in settings.define:
        if benchmark in ids.BENCHMARKS or benchmark in ids.NOT_SERVED:
            fix = "give it another name, or drop the definition to use the registered one"
            yield Problem("a benchmark of this name is registered", f"{place}.define", benchmark, fix=fix)
    yield from _data_problems(settings.data, study, f"{place}.data")
    yield from _source_problems(settings, place)


def _unknown_benchmark(benchmark: str, allowed: list[str], place: str) -> Problem:
    if benchmark in ids.NOT_SERVED:
        what = f"this benchmark is not served: {ids.NOT_SERVED[benchmark]}"
        return Problem(what, place, benchmark, "`neuroscaling benchmarks` lists those that are")
    fix = "`neuroscaling benchmarks` lists all; one of your own goes under `brainscore.define`"
    return Problem("unknown benchmark", place, benchmark, listing(allowed), nearest(benchmark, allowed), fix)


def _source_problems(settings: BrainScore, place: str) -> Iterator[Problem]:
    """Benchmarks that the recordings can't serve."""
    match settings.data:
        case SimulatedData():
            served = list(SIMULATED_BENCHMARKS)
        case V4Data(v4=sessions):
            served = [name for name, entry in settings.define.items() if entry.assembly.parts[0] in sessions]
        case _:
            return
    for benchmark in settings.benchmarks:
        known = benchmark in ids.BENCHMARKS or benchmark in settings.define
        if known and benchmark not in served:
            fix = "use `data: {local: ...}` or `data: {download: true}`"
            what = "these data don't serve this benchmark"
            yield Problem(what, f"{place}.benchmarks", benchmark, listing(served), nearest(benchmark, served), fix)


def _data_problems(data: BrainScoreData, study: Study, place: str) -> Iterator[Problem]:
    if isinstance(data, SimulatedData) and data.simulated not in study.simulated:
        allowed = list(study.simulated)
        yield Problem(
            "unknown simulated brain", place, data.simulated, listing(allowed), nearest(data.simulated, allowed)
        )
    if isinstance(data, LocalData) and not data.local.is_dir():
        yield Problem("folder is missing", place, str(data.local), fix="docs/data.md says what it must hold")


def _encoding_problems(study: Study, where: str) -> Iterator[Problem]:
    for i, entry in enumerate(study.encoding):
        place = f"{where}: encoding[{i}]"
        if isinstance(entry, FmriEncoding):
            yield from _data_problems(entry.data, study, place)
            yield from fmri_problems(study, entry, place)
    yield from v4_problems(study, where)


def _keep_problems(study: Study, where: str) -> Iterator[Problem]:
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
        yield Problem("needs features, and only inner products are kept", f"{where}: extraction.keep", name, fix=fix)


def _metric(settings: BrainScore, benchmark: str) -> str:
    defined, registered = settings.define.get(benchmark), ids.BENCHMARKS.get(benchmark)
    return (defined and defined.metric) or (registered and registered.metric) or ""


def _published_problems(study: Study, where: str) -> Iterator[Problem]:
    folder = study.published.published_dir if study.published else None
    if folder is None:
        return
    place = f"{where}: published.published_dir"
    if not folder.is_dir():
        yield Problem("folder doesn't exist", place, str(folder), fix="correct it, or leave it empty to download")
        return
    for name, file in source.FILES.items():
        if file.source and not (folder / name).is_file():
            found = sorted(path.name for path in folder.glob("*.csv"))
            fix = "put the file there, or leave `published_dir` empty to download"
            yield Problem(
                "published table is missing", place, str(folder / name), listing(found), nearest(name, found), fix
            )


def _fit_problems(study: Study, file: Path) -> Iterator[Problem]:
    from neuroscaling.study import find_file

    for path in study.fits:
        try:
            load_fit_file(find_file(path, file))
        except NeuroscalingError as error:
            yield from error.problems


def _store_problems(study: Study) -> Iterator[Problem]:
    try:
        require_writable(study.store, "store")
    except DataError as error:
        yield from error.problems
