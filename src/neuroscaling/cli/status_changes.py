"""`neuroscaling status --why` tells what changed since the study last ended, and what is absent because of it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from neuroscaling.core.provenance import version_mix
from neuroscaling.core.records import read_record, sealed, unchecked_record
from neuroscaling.store.changes import Cause, changes_since
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.session import ARTEFACTS, artefacts_of
from neuroscaling.study.wanted import Absent, Inventory, Targets


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
