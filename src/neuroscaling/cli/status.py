"""What of a study is done and what is left."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from neuroscaling.core.provenance import version_mix
from neuroscaling.core.records import FAILED, FAILURE_RECORD, read_record, sealed, unchecked_record
from neuroscaling.store.changes import Cause, changes_since
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.session import ARTEFACTS, artefacts_of
from neuroscaling.study.wanted import Absent, Inventory, Targets


def status_rows(study: LoadedStudy) -> list[dict[str, Any]]:
    """One row a stage: files wanted, there, left; trainings that have a state to resume from, and those that failed."""
    targets = Targets(study)
    absent, store = Absent(targets, Inventory(study.store)), study.store
    started = sum((store.run(run) / "state").is_dir() for run in study.runs)
    records = [store.find(path) for path in targets.run_files]
    failed = sum(
        unchecked_record(path).get("status") == FAILED or path.with_name(FAILURE_RECORD).is_file() for path in records
    )
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


def why_rows(study: LoadedStudy) -> list[dict[str, Any]]:
    """What changed since the study last ended, and how many artefacts are absent because of it; upgrades of packages.

    Raises DataError where the list of what the study wanted then is damaged.
    """
    targets, last = Targets(study), study.results.last_artefacts
    absent, store = Absent(targets, Inventory(study.store)), study.store
    before = read_record(last, ARTEFACTS) if last.is_file() else None
    lacking = {store.name_of(path) for path in targets.all_paths() if absent(path)}
    hopeless = {store.name_of(path) for path in _of_failed(targets, absent.failed)}
    changes = changes_since(before, sealed(artefacts_of(targets)), sorted(lacking - hopeless))
    told = [(one.stage, one.cause, one.absent) for one in changes]
    told += [(stage, cause, None) for stage, cause in _upgrades(targets, absent)]
    return [
        {"stage": stage, "why": cause.what, "before": cause.before, "now": cause.now, "absent": n}
        for stage, cause, n in told
    ]


def _of_failed(targets: Targets, failed: frozenset[str]) -> Iterator[Path]:
    """What nobody will make, since its run failed."""
    yield from (path for (run, _), path in targets.all_activations.items() if run in failed)
    yield from (score.path(targets.store) for score in targets.scores if score.run in failed)


def _upgrades(targets: Targets, absent: Absent) -> Iterator[tuple[str, Cause]]:
    """Packages of which runs, or scores of one stage, were made with several versions.

    Brain-Score has an environment of its own, with other versions than that of fMRI.
    """
    made: dict[str, list[Path]] = {"runs": targets.run_files}
    for score in targets.scores:
        made.setdefault(f"scores ({score.stage})", []).append(score.path(targets.store))
    for stage, paths in made.items():
        records = (unchecked_record(targets.store.find(path)) for path in paths if not absent(path))
        for package, versions in version_mix(records).items():
            told = ", ".join(f"{version} ({n})" for version, n in versions.items())
            yield stage, Cause(f"made with several versions of {package}", None, told)


def _row(stage: str, files: Iterable[Path], absent: Callable[[Path], bool]) -> dict[str, Any]:
    files = list(files)
    left = sum(map(absent, files))
    unknown = {"started": None, "failed": None}
    return {"stage": stage, "wanted": len(files), "done": len(files) - left, "left": left, **unknown}
