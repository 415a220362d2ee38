"""Data sets that a study can do without: where their images are not here, their runs and fits are left out.

Decided once, by the process that reads the study first (the driver of a workflow); the others are told, so that all of
them have the same run table, also on a machine where a disk is missing or where it is not.
"""

import os
import re
from collections import Counter
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import NeuroscalingError, Problem, listing, number_of
from neuroscaling.core.files import read_json, reading, write_json
from neuroscaling.datasets.formats import format_of, has_root, no_root
from neuroscaling.datasets.settings import DatasetSettings, is_own_format
from neuroscaling.study.run_table import Run
from neuroscaling.study.sections.encoding import AlgonautsEncoding
from neuroscaling.study.sections.fit_files import FitJob
from neuroscaling.study.sections.networks import TrainedRuns
from neuroscaling.study.sections.whole_study import Study

FORMAT = "left-out/1"
FITS_SHOWN = 6
HERE = Problem(what="the start of this study found no images of it", fix="start the study again")


def left_out_datasets(study: Study, decided: Collection[str] | None = None) -> tuple[str, ...]:
    """The optional data sets whose runs are left out, in the order of the study.

    decided: what another process of the workflow left out; None: look for the images. Nothing is left out where no
    run would be left: the images of such a study are needed.
    """
    optional = [name for name, dataset in study.datasets.items() if dataset.optional]
    if decided is not None:
        return tuple(name for name in optional if name in decided)
    found = tuple(name for name in optional if absence(name, study.datasets[name].settings()))
    return found if found and _has_runs(without_datasets(study, found)) else ()


def without_datasets(study: Study, names: Collection[str]) -> Study:
    """The study without these data sets, their runs, their packs, and submissions of networks that it has no more.

    Groups of runs keep their places, so that a fault is told at its own line.
    """
    if not names:
        return study
    runs = [
        group.model_copy(update={"datasets": [name for name in group.datasets if name not in names]})
        if isinstance(group, TrainedRuns)
        else group
        for group in study.runs
    ]
    packs = {name: pack for name, pack in study.training.packs.items() if name not in names}
    changes: dict[str, Any] = {
        "datasets": {name: dataset for name, dataset in study.datasets.items() if name not in names},
        "runs": runs,
        "training": study.training.model_copy(update={"packs": packs}),
    }
    left = study.model_copy(update=changes)
    archs = _archs(left)
    encoding = [
        entry.model_copy(update={"submissions": _submissions(entry, archs)})
        if isinstance(entry, AlgonautsEncoding)
        else entry
        for entry in study.encoding
    ]
    return left.model_copy(update={"encoding": encoding})


def is_of_datasets(fit: FitJob, names: Collection[str]) -> bool:
    """Whether a fit asks for rows of these data sets alone."""
    asked = fit.settings["filters"].get("dataset")
    values = asked if isinstance(asked, list) else [asked]
    return bool(names) and not isinstance(asked, dict) and all(value in names for value in values)


def left_out_notes(study: Study, names: Iterable[str], runs: Iterable[Run], fits: Iterable[FitJob]) -> list[str]:
    """A line for each data set that is left out: how many runs it takes with it, which fits, and how to get it.

    study: the whole one; runs, fits: those that are left out.
    """
    count = Counter(run.dataset for run in runs)
    jobs = list(fits)
    return [_note(study, name, count[name], jobs) for name in names]


def _note(study: Study, name: str, n_runs: int, fits: list[FitJob]) -> str:
    found = absence(name, study.datasets[name].settings()) or HERE
    own = [fit.name for fit in fits if name in _asked(fit)]
    parts = [number_of(n_runs, "run"), *([f"fits {listing(own, FITS_SHOWN)}"] if own else [])]
    return f"left out: data set {name} ({', '.join(parts)}): {found.what}; to have it: {found.fix}"


def _asked(fit: FitJob) -> list[Any]:
    asked = fit.settings["filters"].get("dataset")
    return asked if isinstance(asked, list) else [asked]


def absence(name: str, settings: DatasetSettings) -> Problem | None:
    """Why nothing of the data set `name` is here; None where something is, be it broken.

    Nothing is here where it is not said where the images are, or where their folder is missing or empty, as that of a
    disk that is not mounted.
    """
    if not has_root(settings):
        return no_root(name, settings)
    try:
        key = format_of(name, settings).root
    except NeuroscalingError:
        return None  # reading it will say what is wrong
    value = (getattr(settings, key, None) or settings.own.get(key)) if key else None
    if not isinstance(value, str) or (is_own_format(settings.format) and key != "root"):
        return None
    # Shards are named by a pattern: their folder is what stands before its first wildcard.
    folder = Path(value) if key == "root" else Path(os.path.dirname(re.split(r"[{*]", value)[0]))
    if folder.exists() and not (folder.is_dir() and _is_empty(folder)):
        return None
    what = f"its folder {folder} is {'empty' if folder.exists() else 'missing'}"
    return Problem(what=what, where=f"dataset {name}: {key}", fix=f"mount or fill it, or correct `{key}:`")


def _is_empty(folder: Path) -> bool:
    try:
        with os.scandir(folder) as entries:
            return next(entries, None) is None
    except OSError:
        return False  # reading it will say what is wrong


def write_left_out(path: Path, names: Collection[str]) -> None:
    """Keep what the driver of a workflow left out, for its jobs."""
    write_json(path, {"format": FORMAT, "datasets": list(names)})


def read_left_out(path: Path) -> list[str] | None:
    """What the driver left out; None where no start kept it. Raises DataError for a damaged file."""
    if not path.is_file():
        return None
    content = read_json(path)
    with reading(path, "a list of the data sets that are left out", "start the study again"):
        return [str(name) for name in content["datasets"]]


def _has_runs(study: Study) -> bool:
    return any(not isinstance(group, TrainedRuns) or group.datasets for group in study.runs)


def _archs(study: Study) -> set[str]:
    """The architectures and baselines of the runs of a study."""
    keys = ("untrained", "pretrained", "baselines")
    trained = [group.archs for group in study.runs if isinstance(group, TrainedRuns) and group.datasets]
    others = [getattr(group, key, []) for group in study.runs for key in keys]
    return {arch for archs in [*trained, *others] for arch in archs}


def _submissions(entry: AlgonautsEncoding, archs: set[str]) -> dict[str, Any]:
    return {
        name: one for name, one in entry.submissions.items() if one.archs == "all" or not archs.isdisjoint(one.archs)
    }
