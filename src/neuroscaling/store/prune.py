"""Taking artefacts out of a store: what would go, what it would cost to have it again, and the removal itself.

An artefact that a living process makes, or may be reading, stays. One that goes is renamed to a hidden name first, its
record before all else, and then removed: whenever that is killed, what stands under a name is whole.
"""

import os
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from glob import escape
from pathlib import Path

from neuroscaling.core.errors import DataError, NeuroscalingError, Problem
from neuroscaling.core.leases import Held, held, holder_in, is_held, lock_of
from neuroscaling.store.contents import LOCK, STAGES, STATE, Artefact, Contents, belongs_to, selected_artefacts

LEFT_BY_JOBS = ("unfinished", "temporary")
SETTLED = 3600.0
"""Seconds for which what a job left must be unchanged before it goes: some files are written without a lease."""
DAY = 86_400.0
EFFECTIVE = os.access in os.supports_effective_ids
RIGHTS = "ask its owner, or for rights of the group (docs/store.md)"
KEPT = "unknown"
"""The one stage that is never pruned: nobody knows what it is."""
READERS = {
    "weights": ("activations",),
    "runs": ("activations", "commitments", "scores"),
    "activations": ("commitments", "scores"),
    "commitments": ("scores",),
    "subsets": ("runs",),
    "packs": ("runs",),
    "stimuli": ("activations",),
    "simulated": ("stimuli", "commitments", "ceilings", "scores"),
    "recordings": ("commitments", "ceilings", "scores"),
    "data": ("data", "stimuli", "recordings", "commitments", "ceilings", "scores"),
    "ceilings": ("commitments", "scores"),
}
"""Stages whose jobs read an artefact of a stage, or of downloads write them."""


@dataclass(frozen=True)
class Removal:
    """What became of an artefact: `gone`, or why not (a Problem)."""

    artefact: Artefact
    problem: Problem | None = None


def candidates(
    found: Contents,
    stages: Sequence[str],
    only: Sequence[Artefact] | None = None,
    run: str | None = None,
    days: float | None = None,
) -> list[Artefact]:
    """The artefacts that pruning would take.

    only: of these alone (what jobs left is of no list); run: of runs whose names match; days: not written since. A run
    takes its weights with it, and what it could go on from. Raises DataError for stages and runs that there are none
    of, and for the stage `unknown`.
    """
    if KEPT in stages:
        allowed = ", ".join(stage for stage in STAGES if stage != KEPT)
        raise DataError(
            Problem(what="nobody knows what this is, so it is not pruned", where="--stage", value=KEPT, allowed=allowed)
        )
    chosen = selected_artefacts(found, stages, run)
    if only is not None:
        wanted = set(map(_key, only))
        chosen = [artefact for artefact in chosen if _key(artefact) in wanted or artefact.stage in LEFT_BY_JOBS]
    if "runs" in stages:
        runs = {artefact.run for artefact in chosen if artefact.stage == "runs"}
        parts = [a for a in found.of(["weights", "unfinished"]) if a.run in runs and a.name.startswith("runs/")]
        chosen = list({_key(artefact): artefact for artefact in [*chosen, *parts]}.values())
    if days is not None:
        chosen = [artefact for artefact in chosen if artefact.modified < time.time() - days * DAY]
    return chosen


def consequences(found: Contents, going: Sequence[Artefact]) -> list[str]:
    """What depends on the artefacts that go, in sentences."""
    there = {stage: {a.run for a in found.of([stage]) if a.run} for stage in ("weights", "activations")}
    gone = {stage: {a.run for a in going if a.stage == stage and a.run} for stage in READERS}
    notes = []
    if runs := gone["activations"]:
        scored = _of_runs(found, ("scores", "commitments"), runs)
        bare = len(runs - (there["weights"] - gone["weights"]))
        notes.append(
            f"scores and choices of layers of these runs ({scored}) stay; further ones need the activations again: "
            f"they are extracted from the weights, and runs that have none here ({bare} of {len(runs)}) trained again"
        )
    if runs := gone["weights"] - gone["runs"]:
        bare = len(runs - (there["activations"] - gone["activations"]))
        notes.append(
            f"records and histories of these runs ({len(runs)}) stay; a study that wants activations of theirs that "
            f"are absent trains them again ({bare} have none here), and so does one that starts other runs from them"
        )
    if runs := gone["runs"]:
        made = _of_runs(found, ("activations", "commitments", "scores"), runs)
        notes.append(
            f"activations, choices of layers and scores of these runs ({made}) stay; a study that names these runs "
            "trains them again"
        )
    others = sorted({a.stage for a in going} - {"activations", "weights", "runs", "scores", "cache", *LEFT_BY_JOBS})
    if others:
        notes.append(f"what was made from {' and '.join(others)} stays; what is made from them anew makes them again")
    if any(artefact.stage == "unfinished" for artefact in going):
        notes.append("trainings and extractions that would go on from these begin anew")
    return notes


def holder_of(found: Contents, artefact: Artefact) -> str | None:
    """Who makes an artefact or may be reading it, in words; None where nobody does."""
    locked = next((path for path in _watched(found, artefact) if is_held(path)), None)
    return None if locked is None else str(holder_in(lock_of(locked)) or "a process that has just begun")


def remove(found: Contents, artefact: Artefact) -> Removal:
    """Remove an artefact, unless somebody makes or reads it, or it is what a job left a moment ago."""
    try:
        if _unsettled(artefact):
            what = "written less than an hour ago: a job may be at work on it"
            return Removal(artefact, Problem(what=what, where=artefact.name, fix="prune again later"))
        if holder := holder_of(found, artefact):
            what = "a job makes it or reads what it is made from"
            return Removal(
                artefact, Problem(what=what, where=artefact.name, value=holder, fix="wait for the job, and prune again")
            )
        if locked := [path.parent for path in _doomed(found, artefact) if not _writable(path.parent)]:
            what = "can't be removed: no permission to write in its folder"
            return Removal(artefact, Problem(what=what, where=artefact.name, value=str(locked[0]), fix=RIGHTS))
        _remove(found, artefact)
    except Held as error:
        return Removal(artefact, error.problems[0])
    except NeuroscalingError as error:
        return Removal(artefact, error.problems[0])
    except OSError as error:
        return Removal(artefact, Problem(what=f"can't be removed: {error.strerror}", where=artefact.name, fix=RIGHTS))
    return Removal(artefact)


def _unsettled(artefact: Artefact) -> bool:
    """Is this what a job left a moment ago, of a kind that may be written without a lease?"""
    leased = artefact.stage == "unfinished" and artefact.name.startswith(("runs/", "activations/"))
    return artefact.stage in LEFT_BY_JOBS and not leased and time.time() - artefact.modified < SETTLED


def _remove(found: Contents, artefact: Artefact) -> None:
    leased = lease_of(found, artefact)
    with ExitStack() as stack:
        if leased is not None:
            stack.enter_context(held(leased, artefact.name, wait=False))
        hidden = [aside for path in _doomed(found, artefact) if (aside := _hidden(path))]
        for path in hidden:
            _delete(path)


def lease_of(found: Contents, artefact: Artefact) -> Path | None:
    """The path whose lease the makers of an artefact hold; None for what is made without one."""
    place = found.root / artefact.name
    if artefact.stage == "temporary":
        return belongs_to(place)
    if artefact.name.startswith("runs/"):
        return found.root / "runs" / artefact.name.split("/")[1]
    if artefact.name.startswith("activations/"):
        name = place.name.removeprefix(".").removesuffix(".partial").removesuffix(".zarr").removesuffix(".json")
        return place.with_name(f"{name}.json")
    return None if artefact.stage in ("data", "cache") else place


def _watched(found: Contents, artefact: Artefact) -> Iterator[Path]:
    """Paths that nobody may hold the lease of when an artefact goes: its own, and those that are made from it."""
    if (own := lease_of(found, artefact)) is not None:
        yield own
    for part in artefact.parts:
        yield from _locked_in(part) if part.is_dir() else ()
    root, run = found.root, escape(artefact.run or "")
    for stage in READERS.get(artefact.stage, ()):
        if run and stage == "activations":
            folders = [*root.glob(f"{stage}/{run}")]
        elif run:
            yield from (target for lock in root.glob(f"{stage}/*/.{run}.json.lock") if (target := belongs_to(lock)))
            continue
        else:
            folders = [root / stage, *root.glob(f"{stage}/*")]
        for folder in folders:
            yield from _locked_in(folder)


def _locked_in(folder: Path) -> Iterator[Path]:
    """What has a lock file in a folder or in an unfinished extraction there."""
    for lock in [*folder.glob(".*.lock"), *folder.glob(".*.partial/.*.lock")]:
        if LOCK.fullmatch(lock.name) and (target := belongs_to(lock)):
            yield target


def _doomed(found: Contents, artefact: Artefact) -> list[Path]:
    """The paths to remove, in their order: a run's folder as a whole, else the record and then the rest."""
    if artefact.stage == "runs":
        return [found.root / artefact.name]
    if artefact.stage == "unfinished" and artefact.name.startswith("runs/") and not artefact.name.endswith(STATE):
        return [found.root / artefact.name]
    return list(artefact.paths)


def _writable(folder: Path) -> bool:
    return not folder.is_dir() or os.access(folder, os.W_OK | os.X_OK, effective_ids=EFFECTIVE)


def _hidden(path: Path) -> Path | None:
    """Rename a path to a name that leases and `--stage temporary` sweep; None where it is gone already."""
    aside = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        os.rename(path, aside)
    except FileNotFoundError:
        return None
    return aside


def _delete(path: Path) -> None:
    """Remove a file or folder; downloads are write-protected."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    for folder, _, _ in os.walk(path):
        with suppress(OSError):
            os.chmod(folder, 0o700)
    shutil.rmtree(path)


def _of_runs(found: Contents, stages: Sequence[str], runs: set[str]) -> int:
    """How many artefacts of some stages are of `runs`."""
    return sum(artefact.run in runs for artefact in found.of(stages))


def _key(artefact: Artefact) -> tuple[str, str]:
    return artefact.stage, artefact.name
