"""Faults that only show when images are decoded and networks are built; looked for once, before the first job."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from neuroscaling.brainscore.choice import fixed_layers
from neuroscaling.brainscore.memory import estimate_mb
from neuroscaling.brainscore.scale_checks import scale_problems
from neuroscaling.brainscore.targets import brainscore_jobs
from neuroscaling.config import LocalData, TrainedRuns, V4Data
from neuroscaling.datasets.checks import deep_problems as image_problems
from neuroscaling.errors import DataError, Problem, listing
from neuroscaling.network_checks import network_problems
from neuroscaling.study import LoadedStudy

WIDE = 1_000_000
TARGETS = 1_000
"""Features of a wide layer, and neuroids of a large recording, for an estimate of memory."""


def deep_problems(study: LoadedStudy) -> list[Problem]:
    """Everything wrong that `load_study` did not see: damaged images, layers that a network lacks, mixed scales."""
    of_networks = network_problems(study)
    return [
        *_damaged_images(study),
        *_single_images(study),
        *_weights(study),
        *_recordings(study),
        *of_networks,
        *_layers(study, of_networks),
        *_memory(study),
        *scale_problems(study),
        *_mappings(study),
    ]


def _damaged_images(study: LoadedStudy) -> Iterator[Problem]:
    used = {name for group in study.config.runs if isinstance(group, TrainedRuns) for name in group.datasets}
    for name in sorted(used):
        yield from image_problems(name, study.config.datasets[name].model_dump(mode="json"), study.store.cache())


def _single_images(study: LoadedStudy) -> Iterator[Problem]:
    """Runs whose network has batch normalisation that steps of one image give no statistics."""
    from neuroscaling.calibration.campaign import trained
    from neuroscaling.calibration.sizes import samples, size_of
    from neuroscaling.training.recipe import Recipe
    from neuroscaling.training.steps import Plan

    found: dict[tuple[str, str, int], tuple[Recipe, list[str]]] = {}
    for run in trained(study):
        recipe, size = Recipe.model_validate(run.recipe), size_of(run, study.store.cache())
        n_images = samples(run.subset or str(run.samples_per_class), size)
        if Plan.of(recipe, run.arch, run.seed, n_images).smallest_unit() == 1:
            found.setdefault((run.arch, recipe.name, size.classes), (recipe, []))[1].append(run.run)
    if not found:  # as in most studies, which have no use for torch here
        return
    from neuroscaling.training.single_images import single_image_problem, trains_on_one_image

    for (arch, _, classes), (recipe, runs) in found.items():
        if not trains_on_one_image(arch, recipe, classes):
            yield single_image_problem(f"{study.file}: {listing(runs, 3)}", recipe, arch)


def _weights(study: LoadedStudy) -> Iterator[Problem]:
    """Files of published weights whose tensors are not those of the network."""
    runs = [run for run in study.runs.values() if run.kind == "pretrained" and run.weights]
    for run in runs:
        from neuroscaling.models.checkpoints import tensor_problems
        from neuroscaling.models.weight_files import weights_file

        file = weights_file(Path(run.weights), run.arch)
        if file:
            yield from tensor_problems(run.arch, file)


def _recordings(study: LoadedStudy) -> Iterator[Problem]:
    brainscore = study.config.brainscore
    if brainscore and isinstance(brainscore.data, LocalData | V4Data):
        from neuroscaling.brainscore.preflight import recording_problems, session_problems

        definitions = {name: entry.model_dump(mode="json") for name, entry in brainscore.define.items()}
        if isinstance(brainscore.data, V4Data):
            yield from session_problems(brainscore.benchmarks, definitions, study.v4_dir)
        else:
            yield from recording_problems(brainscore.data.local, brainscore.benchmarks, definitions)
            yield from _stimuli(study)


def _stimuli(study: LoadedStudy) -> Iterator[Problem]:
    """Images of one's own that can't be shown to a network; those of a set that is prepared were looked at then."""
    from neuroscaling.stimuli.prepare import image_faults

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
        if not any(arch in problem.where for problem in of_networks):
            yield from check_layers(arch, dict.fromkeys(layers))


def _memory(study: LoadedStudy) -> Iterator[Problem]:
    """Scoring jobs whose Gram matrices would not fit into the memory that they ask for."""
    settings = study.config.brainscore
    if settings is None or settings.engine != "kernel":
        return
    from neuroscaling.stimuli.counting import count_stimuli

    kept = ("gram",) if study.config.extraction.keep != "features" else ("features",)
    for job in brainscore_jobs(study):
        n = count_stimuli(study, job.stimuli)
        # No layer takes more than a wide one, and no benchmark's images are more than the set's.
        estimate = 0 if n is None else estimate_mb(n, WIDE, TARGETS, "kernel", kept)
        if estimate > settings.mem_mb:
            what = f"scoring {n} stimuli would take about {estimate} MB, and its jobs have {settings.mem_mb} MB"
            fix = f"`mem_mb: {-(-estimate // 500) * 500}`"
            names = listing(list(job.benchmarks), 3)
            yield Problem(what, f"{study.file}: brainscore.mem_mb", names, f"{estimate} or more", fix=fix)


def _mappings(study: LoadedStudy) -> Iterator[Problem]:
    """Encoding jobs whose inner products would not fit into the memory that they may work with."""
    if study.config.extraction.keep != "gram":
        return
    from neuroscaling.calibration.encoding import fits_of, subject_shape
    from neuroscaling.encoding.settings import EncodingSettings
    from neuroscaling.encoding.targets import encoding_jobs
    from neuroscaling.regression.voxelwise.parts import Shape, least_memory_mb

    for job in encoding_jobs(study):
        shape, ridge = subject_shape(study, job), job.entry.ridge
        settings = EncodingSettings.of(job.entry.model_dump(), study.config.protocol)
        alphas = len(settings.ridge_settings(True).alphas)
        for fit in fits_of(job.entry, study.config.protocol, shape) if shape and ridge.engine == "exact" else ():
            asked = Shape(fit.n, None, fit.evaluated, alphas, shape.targets, 4, ridge.gpu)
            least = least_memory_mb([fit.n], settings.folds, asked)
            if least > ridge.memory_mb:
                where, what = f"{study.file}: encoding.ridge.memory_mb", f"{fit.n} mapping images need {least} MB"
                fix = f"`memory_mb: {-(-least // 500) * 500}`"
                yield Problem(what, where, ridge.memory_mb, f"{least} or more ({job.subject})", fix=fix)
