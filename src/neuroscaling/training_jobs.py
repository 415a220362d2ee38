"""Which runs are left to train, and which of them share a job. Light: the Snakefile imports it."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from neuroscaling.calibration.sizes import size_of
from neuroscaling.calibration.work import samples
from neuroscaling.core.reading import reading
from neuroscaling.files import read_json, write_json
from neuroscaling.hashing import content_hash
from neuroscaling.runs import Run
from neuroscaling.store.absent import Absent
from neuroscaling.study import LoadedStudy

FORMAT = "training-jobs/1"


@dataclass(frozen=True)
class TrainingPack:
    """Runs that one job trains, one after another. The name tells these runs from any others."""

    name: str
    runs: tuple[str, ...]


@dataclass(frozen=True)
class TrainingJobs:
    """What is left to train: packs of small runs, and runs with a job of their own."""

    packs: tuple[TrainingPack, ...]
    alone: tuple[str, ...]


def training_jobs(absent: Absent) -> TrainingJobs:
    """The jobs that make the runs which the store of a study does not have yet."""
    return jobs_for(absent.targets.study, absent.runs)


def jobs_for(study: LoadedStudy, runs: list[Run]) -> TrainingJobs:
    """The jobs that make `runs`: small ones of a data set and recipe packed, the others by themselves."""
    settings = study.config.training
    groups: dict[tuple[Any, ...], list[str]] = {}
    for run in runs if settings.runs_per_job > 1 else []:
        if is_small(study, run):
            recipe = run.recipe["name"] if run.recipe else None
            groups.setdefault((run.kind, run.dataset, recipe), []).append(run.run)
    packs = [_pack(key, chunk) for key, names in groups.items() for chunk in _chunks(names, settings.runs_per_job)]
    packed = {run for pack in packs for run in pack.runs}
    return TrainingJobs(tuple(packs), tuple(run.run for run in runs if run.run not in packed))


def is_small(study: LoadedStudy, run: Run) -> bool:
    """Whether a run is short enough to share a job: few images seen, or nothing to train."""
    if run.kind != "trained":
        return run.kind != "pretrained"
    return samples(run.subset, size_of(run, study.store.cache())) * run.recipe["epochs"] <= study.config.training.small


def write_jobs(path: Path, jobs: TrainingJobs) -> None:
    """Keep the jobs: a cluster's jobs read the Snakefile again, when some of the runs are there already."""
    write_json(path, {"format": FORMAT, **asdict(jobs)})


def read_jobs(path: Path) -> TrainingJobs:
    """The jobs that were kept. Raises DataError for a file that is missing or damaged."""
    content = read_json(path)
    with reading(path, "a list of training jobs", "start the study again"):
        packs = [TrainingPack(pack["name"], tuple(pack["runs"])) for pack in content["packs"]]
        return TrainingJobs(tuple(packs), tuple(content["alone"]))


def _pack(key: tuple[Any, ...], runs: list[str]) -> TrainingPack:
    readable = "-".join(str(part) for part in key if part)
    return TrainingPack(f"{readable}-{content_hash(runs)}", tuple(runs))


def _chunks(runs: list[str], size: int) -> Iterable[list[str]]:
    return (runs[i : i + size] for i in range(0, len(runs), size))
