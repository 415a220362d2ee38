"""Training jobs share runs that are small, and ask for the memory that their images take."""

from collections.abc import Iterable

from neuroscaling.core.errors import NeuroscalingError
from neuroscaling.planning.network_shapes import known_cost
from neuroscaling.planning.workload import FLOAT_BYTES, DatasetSize, recipe_facts, size_of, subset_images
from neuroscaling.study.architectures import architecture
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.run_groups import Planned, RunGroup, shared
from neuroscaling.study.run_table import Run
from neuroscaling.study.sections.key_types import AUTO
from neuroscaling.study.sections.networks import DatasetPack


def training_groups(study: LoadedStudy, runs: Iterable[Run], planned: Planned | None = None) -> tuple[RunGroup, ...]:
    """The jobs that make `runs`: small ones of a data set and recipe share one, any other has one to itself.

    planned: of each run, for `runs_per_job: auto`; without it each run has a job then. With it all runs of the study
    are dealt out, and those that are made already left out: the others keep their places. Networks that are fetched
    share jobs too then, since the plan knows how long that takes; not where weights are not kept: they go before the
    next ones come.
    """
    size, wanted = study.config.training.runs_per_job, {run.run: run for run in runs}
    joins = planned is not None if size == AUTO else size > 1
    alike: dict[tuple[str | None, ...], list[Run]] = {}
    for run in study.runs.values() if size == AUTO and joins else wanted.values():
        recipe = run.recipe.name if run.recipe else None
        fetched = size == AUTO and run.kind != "trained" and run.keep
        key = (run.kind, run.dataset, recipe) if joins and (fetched or is_small(study, run)) else (run.run,)
        alike.setdefault(key, []).append(run)
    dealt = ((key, chunk) for key, found in alike.items() for chunk in shared(found, size, planned))
    left = ((key, [run.run for run in chunk if run.run in wanted]) for key, chunk in dealt)
    return tuple(RunGroup.of(key, names) for key, names in left if names)


def is_small(study: LoadedStudy, run: Run) -> bool:
    """Whether a run is short enough to share a job: few images seen, or nothing to train."""
    if run.kind != "trained":
        return run.kept_epoch is not None or run.kind not in ("pretrained", "checkpoint")
    return (
        subset_images(str(run.subset), size_of(run, study.store.cache())) * run.training_recipe.epochs
        <= study.config.training.small
    )


LEAST_MB = 4000
PROCESS_MB, STATES_MB = 3000, 1500
"""Of a training process with the libraries, and of that the network's own numbers with its optimiser's."""
WORKER_MB = 500
"""Of a process that decodes images."""
RESIDENT_GB = 64.0
"""Decoded training images that a job asks memory for, where the study does not say; more are decoded each step."""
RESIDENT_SHARE = 0.6
"""Of a job's memory that decoded training images may take (training/feeding/decoded_images.py)."""
PACK_MARGIN = 1.4
"""Of a pack of JPEG files over what is expected: a job that takes more memory than it asked for is killed."""


def job_memory_mb(study: LoadedStudy, runs: Iterable[Run]) -> int:
    """Megabytes of a job that trains `runs` in one process: images kept decoded, processes that decode, the rest.

    Packs that are copied to /dev/shm count: a job's memory is what it writes there, and one that takes more is killed.
    """
    settings = study.config.training
    trained = [run for run in runs if run.kind == "trained"]
    try:
        sizes = {run.run: size_of(run, study.store.cache()) for run in trained}
    except NeuroscalingError:
        return LEAST_MB
    kept = _training_bytes(trained, sizes)
    if kept > (settings.resident_gb or RESIDENT_GB) * 1e9:
        kept = 0
    validation = 0 if settings.scratch else _validation_bytes(trained, sizes)
    processes = settings.gpus * PROCESS_MB + (settings.cpus - 1) * WORKER_MB
    largest = max((_beyond_a_process(study, run) for run in trained), default=0.0)
    staged = _staged_bytes(study, {run.dataset: sizes[run.run] for run in trained})
    return max(LEAST_MB, round(processes + largest + (kept / RESIDENT_SHARE + validation + staged) / 1e6))


def _beyond_a_process(study: LoadedStudy, run: Run) -> float:
    """Megabytes of a large network on the host beyond what every process has: itself and the states it is saved in.

    Without a GPU they are the numbers that it trains with, and a state beside them.
    """
    cost = known_cost(run.arch, study.store.cache())
    numbers = (2 * recipe_facts(run).copies + 1) * (cost.n_params if cost else 0)
    return max(FLOAT_BYTES * numbers / 1e6 - STATES_MB, 0.0)


def _staged_bytes(study: LoadedStudy, sizes: dict[str | None, DatasetSize]) -> float:
    """The packs of these data sets, where jobs copy them to memory."""
    settings = study.config.training
    if settings.stage != "memory":
        return 0.0
    packed = {name: pack for name, pack in settings.packs.items() if name in sizes}
    margins = {name: 1 if pack.form == "decoded" else PACK_MARGIN for name, pack in packed.items()}
    return sum(pack_bytes(pack, sizes[name]) * margins[name] for name, pack in packed.items())


def _training_bytes(runs: list[Run], sizes: dict[str, DatasetSize]) -> float:
    """Squares of all images that the runs take, of each size; subsets of different seeds may have none in common."""
    images: dict[tuple[str | None, int], dict[tuple[str | None, int], int]] = {}
    most: dict[tuple[str | None, int], int] = {}
    for run in runs:
        facts = recipe_facts(run)
        if not facts.from_squares or facts.by_policy:
            continue
        key, seed = (run.dataset, facts.stored_side), run.subset_seed
        counted = images.setdefault(key, {})
        kind = (str(run.subset)[0] if str(run.subset)[0] in "pnc" else None, seed)
        # Subsets of one seed are nested.
        counted[kind] = max(counted.get(kind, 0), subset_images(str(run.subset), sizes[run.run]))
        most[key] = sizes[run.run].images
    return sum(min(sum(counted.values()), most[key]) * key[1] ** 2 * COLOURS for key, counted in images.items())


def _validation_bytes(runs: list[Run], sizes: dict[str, DatasetSize]) -> float:
    """The two largest sets of validation images that the runs look at."""
    found = {
        (run.dataset, size): sizes[run.run].validation * size**2 * COLOURS
        for run in runs
        for size in [architecture(run.arch).input_size]
    }
    return sum(sorted(found.values())[-2:])


COLOURS = 3
JPEG_BYTES = 0.28
"""Of a pixel of a photograph at quality 90, measured at 256 pixels; FFCV has .19 for all of ImageNet."""
JPEG_ASPECT = 4 / 3
"""Long by short side of a photograph."""
ORIGINAL_BYTES = 110_000
"""Of an image of ImageNet as it is."""


def pack_bytes(pack: DatasetPack, size: DatasetSize) -> float:
    """Bytes of a data set's training and validation images in a pack: exact if decoded, else an estimate."""
    return (size.images + size.validation) * _image_bytes(pack)


def packs_of(study: LoadedStudy) -> dict[str, float]:
    """Bytes of the packs that the study's trainings read, by data set.

    Raises DataError for a data set that is neither there nor declared.
    """
    packs, cache_dir = study.config.training.packs, study.store.cache()
    trained = {run.dataset: run for run in study.runs.values() if run.kind == "trained" and run.dataset in packs}
    return {name: pack_bytes(packs[name], size_of(run, cache_dir)) for name, run in trained.items()}


def _image_bytes(pack: DatasetPack) -> float:
    if pack.size is None:
        return ORIGINAL_BYTES
    return pack.size**2 * (COLOURS if pack.form == "decoded" else JPEG_BYTES * JPEG_ASPECT)
