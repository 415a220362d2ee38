"""What of a study is done and what is left."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from neuroscaling import targets
from neuroscaling.brainscore.choice import commitment_files
from neuroscaling.brainscore.targets import brainscore_jobs
from neuroscaling.failures import failure_of
from neuroscaling.study import LoadedStudy


def status(study: LoadedStudy) -> list[dict[str, Any]]:
    """One row a stage: files wanted, there, left; trainings that have a state to resume from, and those that failed."""
    pairs = {(s.run, s.stimulus_set) for s in targets.scores(study)}
    started = sum((study.store.run(run) / "state").is_dir() for run in study.runs)
    chosen = commitment_files(study, brainscore_jobs(study)) if study.config.brainscore else []
    records = targets.run_files(study)
    failed = sum(file.is_file() and failure_of(file) is not None for file in records)
    rows = [
        _row("train", records) | {"started": started, "failed": failed},
        _row("stimuli", [study.store.stimuli(s) / "manifest.json" for s in targets.stimulus_sets(study)]),
        _row("activations", [study.store.activations(run, s) for run, s in sorted(pairs)]),
        *([_row("layers", chosen)] if chosen else []),
        _row("scores", targets.score_files(study)),
        _row("fits", [study.results.fit(name) for name in study.fits]),
        _row("report", [study.results.report]),
    ]
    return rows


def _row(stage: str, files: Iterable[Path]) -> dict[str, Any]:
    files = list(files)
    done = sum(file.is_file() for file in files)
    unknown = {"started": None, "failed": None}
    return {"stage": stage, "wanted": len(files), "done": done, "left": len(files) - done, **unknown}
