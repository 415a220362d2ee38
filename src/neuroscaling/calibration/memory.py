"""Memory of training jobs, for the scheduler: what is decoded is kept. Light: no torch."""

from collections.abc import Iterable

from neuroscaling.calibration.packs import COLOURS, pack_bytes
from neuroscaling.calibration.sizes import DatasetSize, samples, size_of
from neuroscaling.calibration.work import recipe_facts
from neuroscaling.errors import NeuroscalingError
from neuroscaling.models.names import architecture
from neuroscaling.runs import Run
from neuroscaling.study import LoadedStudy

LEAST_MB = 4000
PROCESS_MB = 3000
"""Of a training process with the libraries and a large network's optimiser on the host."""
WORKER_MB = 500
"""Of a process that decodes images."""
RESIDENT_GB = 64.0
"""Decoded training images that a job asks memory for, where the study does not say; more are decoded each step."""
SHARE = 0.6
"""Of a job's memory that decoded training images may take (training/feeding/squares.py)."""
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
    staged = _staged_bytes(study, {run.dataset: sizes[run.run] for run in trained})
    return max(LEAST_MB, round(processes + (kept / SHARE + validation + staged) / 1e6))


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
        counted[kind] = max(counted.get(kind, 0), samples(str(run.subset), sizes[run.run]))
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
