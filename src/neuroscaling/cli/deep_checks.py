"""Faults that only show when images are decoded and networks are built; looked for once, before the first job.

What loads torch is imported where it is needed: most studies are checked without it.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from neuroscaling.brainscore.recording_checks import recording_problems, session_problems
from neuroscaling.cli.fit_checks import mapping_size_problems, scale_problems
from neuroscaling.core.errors import DataError, Place, Problem, StudyError, listing
from neuroscaling.datasets.checks import deep_problems as image_problems
from neuroscaling.encoding.settings import EncodingSettings
from neuroscaling.planning.brainscore_memory import kernel_mb
from neuroscaling.planning.encoding import count_stimuli, fits_of, subject_shape
from neuroscaling.planning.network_shapes import note_shapes
from neuroscaling.planning.training_time import trained_runs
from neuroscaling.planning.workload import size_of, subset_images
from neuroscaling.recordings.arrays_check import array_faults
from neuroscaling.recordings.things_check import check_things_fmri_tree, check_tvsd_tree
from neuroscaling.regression.voxelwise.budget import FitShape, least_memory_mb
from neuroscaling.score_tables.writing import check_own_table
from neuroscaling.stimuli.preparation import image_faults
from neuroscaling.stimuli.stimulus_table import read_stimulus_table
from neuroscaling.study.benchmarks import find_benchmark, registered_benchmark
from neuroscaling.study.brainscore_jobs import brainscore_jobs
from neuroscaling.study.layer_choice import fixed_layers
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.mapping_samples import size_faults
from neuroscaling.study.own_arrays import OwnArrays
from neuroscaling.study.own_functions import load_function
from neuroscaling.study.preparation_jobs import ArraysJob
from neuroscaling.study.published_weights import weights_file
from neuroscaling.study.recipes import Recipe
from neuroscaling.study.recording_checks import size_problems
from neuroscaling.study.recordings import EncodingJob, encoding_jobs
from neuroscaling.study.sections.encoding import FmriEncoding, FunctionEncoding, ThingsEncoding, TvsdEncoding
from neuroscaling.study.sections.key_types import ALL
from neuroscaling.study.sections.networks import TrainedRuns
from neuroscaling.study.sections.recordings import BrainScore, LocalData, V4Data
from neuroscaling.training.network_trials import network_problems
from neuroscaling.training.schedule import StepPlan

WIDE = 1_000_000
"""Features of a wide layer, for an estimate of memory."""


def deep_problems(study: LoadedStudy) -> list[Problem]:
    """Everything wrong that `load_study` did not see: damaged images, layers that a network lacks, mixed scales."""
    of_networks = network_problems(study)
    told = [str(problem.where) for problem in of_networks]
    networks = dict.fromkeys(run.arch for run in study.runs.values() if run.kind != "baseline")
    # What jobs ask for follows from it; of the zoo it is known.
    note_shapes((arch for arch in networks if not any(arch in where for where in told)), study.store.cache())
    return [
        *_curve_logs(study),
        *_damaged_images(study),
        *_single_images(study),
        *_weights(study),
        *_recordings(study),
        *_arrays(study),
        *_things(study),
        *_functions(study),
        *of_networks,
        *_layers(study, of_networks),
        *_memory(study),
        *scale_problems(study),
        *mapping_size_problems(study.config, study.fits.values(), study.file),
        *_mappings(study),
        *_own_table(study),
    ]


def _curve_logs(study: LoadedStudy) -> list[Problem]:
    """Packages that `log_to` asks for and that are not installed, where something is trained."""
    if not study.config.training.log_to or not any(run.kind == "trained" for run in study.runs.values()):
        return []
    from neuroscaling.training.curve_logs import missing_logs

    return missing_logs(study.config.training.log_to)


def _own_table(study: LoadedStudy) -> list[Problem]:
    """Rows of a table of one's own, unless it is so large that the job looks at them."""
    table = study.own_table
    try:
        if table is not None and table.is_small:
            check_own_table(table.files, table.mapping, table.data)
    except DataError as error:
        return error.problems
    return []


def _damaged_images(study: LoadedStudy) -> Iterator[Problem]:
    used = {name for group in study.config.runs if isinstance(group, TrainedRuns) for name in group.datasets}
    for name in sorted(used):
        yield from image_problems(name, study.config.datasets[name].settings(), study.store.cache())


def _single_images(study: LoadedStudy) -> Iterator[Problem]:
    """Runs whose network has batch normalisation that steps of one image give no statistics."""
    found: dict[tuple[str, str, int], tuple[Recipe, list[str]]] = {}
    for run in trained_runs(study):
        recipe, size = run.training_recipe, size_of(run, study.store.cache())
        n_images = subset_images(run.subset or str(run.samples_per_class), size)
        if StepPlan.of(recipe, run.arch, run.seed, n_images).smallest_unit() == 1:
            found.setdefault((run.arch, recipe.name, size.classes), (recipe, []))[1].append(run.run)
    if not found:  # as in most studies, which have no use for torch here
        return
    from neuroscaling.training.setup import single_image_problem, trains_on_one_image

    for (arch, _, classes), (recipe, runs) in found.items():
        if not trains_on_one_image(arch, recipe, classes):
            yield single_image_problem(f"{study.file}: {listing(runs, 3)}", recipe, arch)


def _weights(study: LoadedStudy) -> Iterator[Problem]:
    """Files of published weights whose tensors are not those of the network."""
    for run in study.runs.values():
        if run.kind != "pretrained" or not run.weights:
            continue
        from neuroscaling.models.checkpoints import tensor_problems

        file = weights_file(Path(run.weights), run.arch)
        if file:
            yield from tensor_problems(run.arch, file)


def _recordings(study: LoadedStudy) -> Iterator[Problem]:
    brainscore = study.config.brainscore
    if brainscore and isinstance(brainscore.data, LocalData | V4Data):
        definitions = {name: entry.model_dump(mode="json") for name, entry in brainscore.define.items()}
        if isinstance(brainscore.data, V4Data):
            yield from session_problems(brainscore.benchmarks, definitions, study.v4_dir)
        else:
            yield from recording_problems(brainscore.data.local, brainscore.benchmarks, definitions)
            yield from _stimuli(study)
            yield from _mapping_images(study, brainscore)


def _mapping_images(study: LoadedStudy, settings: BrainScore) -> Iterator[Problem]:
    """More mapping images than the tables of one's own recordings list; broken tables are told already."""
    assert isinstance(settings.data, LocalData)
    for name in settings.benchmarks if settings.samples != ALL else ():
        with suppress(DataError):
            if name in settings.define:
                table, given = settings.data.local / settings.define[name].stimuli, False
            else:
                entry = registered_benchmark(name)
                table, given = find_benchmark(settings.data.local, entry)[0][0].csv, entry.kind == "train_test"
            counts = {name: len(read_stimulus_table(table).rows)}
            for fault in size_faults(settings, counts, given):
                yield replace(fault.problem, where=Place(study.file) / "brainscore" / "samples")


def _arrays(study: LoadedStudy) -> Iterator[Problem]:
    """Images and responses of one's own, of subjects that are not prepared: the others were looked at then."""
    left: dict[OwnArrays, list[str]] = {}
    for job in encoding_jobs(study):
        if isinstance(job.preparation, ArraysJob) and job.made and not study.store.find(job.made).is_file():
            left.setdefault(job.preparation.arrays, []).append(job.subject)
    for arrays, subjects in left.items():
        yield from array_faults(arrays, subjects)


def _functions(study: LoadedStudy) -> Iterator[Problem]:
    """Functions of one's own that can't be imported or called, and sizes beyond what they returned before."""
    for i, entry in enumerate(study.config.encoding):
        if not isinstance(entry, FunctionEncoding):
            continue
        try:
            load_function(entry.source)
        except StudyError as error:
            yield from error.problems
        yield from _sizes(study, i, entry, [job for job in encoding_jobs(study) if job.entry is entry])


def _things(study: LoadedStudy) -> Iterator[Problem]:
    """What is wrong with TVSD and THINGS-fMRI where a subject of them isn't prepared yet, and sizes beyond them."""
    for i, entry in enumerate(study.config.encoding):
        if not isinstance(entry, ThingsEncoding):
            continue
        jobs = [job for job in encoding_jobs(study) if job.entry is entry]
        new = [job.subject for job in jobs if job.made and not study.store.find(job.made).is_file()]
        check = check_tvsd_tree if isinstance(entry, TvsdEncoding) else check_things_fmri_tree
        yield from check(entry.data.local, new, entry.images) if new else ()
        yield from _sizes(study, i, entry, jobs)


def _sizes(study: LoadedStudy, i: int, entry: FmriEncoding, jobs: list[EncodingJob]) -> Iterator[Problem]:
    """Numbers of mapping images beyond those of the subjects, as far as their sizes are known."""
    shapes = {job.subject: subject_shape(study, job) for job in jobs}
    sizes = {subject: shape.training for subject, shape in shapes.items() if shape}
    for keys, problem in size_problems(entry, sizes):
        yield replace(problem, where=Place(study.file, ("encoding", i, *keys)))


def _stimuli(study: LoadedStudy) -> Iterator[Problem]:
    """Images of one's own that can't be shown to a network; those of a set that is prepared were looked at then."""
    for stimuli in {job.stimuli.name: job.stimuli for job in brainscore_jobs(study) if job.of_ones_own}.values():
        if study.store.find(study.store.stimuli(stimuli.name) / "manifest.json").is_file():
            continue
        for source in stimuli.sources:
            with suppress(DataError):  # tables and files that are missing are told already
                yield from image_faults(source)


def _layers(study: LoadedStudy, of_networks: list[Problem]) -> Iterator[Problem]:
    """Layers that the study names, and published ones, that a network does not have.

    Networks that `of_networks` tells of are left out: this runs them too.
    """
    wanted = {arch: list(layers.named()) for arch, layers in study.config.layers.items()}
    for run in study.runs.values() if study.config.brainscore else ():
        fixed = fixed_layers(study.config, run)
        named = [*fixed["regions"].values(), *([fixed["readout"]] if fixed["readout"] else [])]
        if named:
            wanted.setdefault(run.arch, []).extend(named)
    if not any(wanted.values()):
        return
    from neuroscaling.models.layers import check_layers

    for arch, layers in wanted.items():
        if not any(arch in str(problem.where) for problem in of_networks):
            yield from check_layers(arch, dict.fromkeys(layers))


def _memory(study: LoadedStudy) -> Iterator[Problem]:
    """Scoring jobs whose Gram matrices would not fit into the memory that they ask for."""
    settings = study.config.brainscore
    if settings is None or settings.engine != "kernel":
        return
    for job in brainscore_jobs(study):
        n = count_stimuli(study, job.stimuli)
        # No layer takes more than a wide one, and no benchmark's images are more than the set's.
        estimate = 0 if n is None else kernel_mb(study, n, WIDE)
        if estimate > settings.mem_mb:
            what = f"scoring {n} stimuli would take about {estimate} MB, and its jobs have {settings.mem_mb} MB"
            fix = f"`mem_mb: {-(-estimate // 500) * 500}`"
            names = listing(list(job.benchmarks), 3)
            yield Problem(
                what=what,
                where=Place(study.file) / "brainscore" / "mem_mb",
                value=names,
                allowed=f"{estimate} or more",
                fix=fix,
            )


def _mappings(study: LoadedStudy) -> Iterator[Problem]:
    """Encoding jobs whose inner products would not fit into the memory that they may work with."""
    if study.config.extraction.keep != "gram":
        return

    for job in encoding_jobs(study):
        shape, ridge = subject_shape(study, job), job.entry.ridge
        settings = EncodingSettings.of(job.entry, study.config.protocol)
        alphas = len(settings.ridge_settings(True).alphas)
        if shape is None:
            continue
        for fit in fits_of(job.entry, study.config.protocol, shape):
            asked = FitShape(fit.n, None, fit.evaluated, alphas, shape.targets, 4, ridge.gpu)
            least = least_memory_mb([fit.n], settings.folds, asked)
            if least > ridge.memory_mb:
                where, what = (
                    Place(study.file) / "encoding" / "ridge" / "memory_mb",
                    f"{fit.n} mapping images need {least} MB",
                )
                fix = f"`memory_mb: {-(-least // 500) * 500}`"
                yield Problem(
                    what=what, where=where, value=ridge.memory_mb, allowed=f"{least} or more ({job.subject})", fix=fix
                )
