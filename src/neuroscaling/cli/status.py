"""What of a study is done and what is left."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from neuroscaling.failures import FAILED, record_of
from neuroscaling.store.absent import Absent
from neuroscaling.store.inventory import Inventory
from neuroscaling.study import LoadedStudy
from neuroscaling.targets import Targets


def status(study: LoadedStudy) -> list[dict[str, Any]]:
    """One row a stage: files wanted, there, left; trainings that have a state to resume from, and those that failed."""
    targets = Targets(study)
    absent, store = Absent(targets, Inventory(study.store)), study.store
    started = sum((store.run(run) / "state").is_dir() for run in study.runs)
    failed = sum(record_of(store.find(path)).get("status") == FAILED for path in targets.run_files)
    chosen = [one.path(store) for run in targets.references for one in targets.commitments(run)]
    results = [study.results.fit(name) for name in study.fits]
    return [
        _row("train", targets.run_files, absent) | {"started": started, "failed": failed},
        _row("stimuli", [store.stimuli(name) / "manifest.json" for name in targets.sets], absent),
        _row("activations", targets.all_activations.values(), absent),
        *([_row("layers", chosen, absent)] if chosen else []),
        _row("scores", targets.score_files, absent),
        _row("fits", results, lambda path: not path.is_file()),
        _row("report", [study.results.report], lambda path: not path.is_file()),
    ]


def _row(stage: str, files: Iterable[Path], absent: Callable[[Path], bool]) -> dict[str, Any]:
    files = list(files)
    left = sum(map(absent, files))
    unknown = {"started": None, "failed": None}
    return {"stage": stage, "wanted": len(files), "done": len(files) - left, "left": left, **unknown}
