"""How many bytes of a store are of which stage, run and study."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from neuroscaling.store.contents import STAGES, Artefact, Contents
from neuroscaling.store.unused import StudyNames

OF_RUNS = ("weights", "activations", "scores")
"""Stages with a column of their own in the bytes of a run."""


def by_stage(contents: Contents) -> list[dict[str, Any]]:
    """A row for each stage that has anything: artefacts, files, bytes."""
    rows = []
    for stage in STAGES:
        own = contents.of([stage])
        rows.append({"stage": stage, **_sums(own)} if own else None)
    return [row for row in rows if row]


def by_run(contents: Contents) -> list[dict[str, Any]]:
    """A row for each run, the largest first: bytes of its weights, activations and scores, of all else, and together.

    What is of no run, such as stimuli, is a row without a name.
    """
    found: dict[str | None, Counter[str]] = {}
    for artefact in contents.artefacts:
        column = artefact.stage if artefact.stage in OF_RUNS else "other"
        found.setdefault(artefact.run, Counter())[column] += artefact.bytes
    rows = [
        {"run": run, **{column: sizes[column] for column in (*OF_RUNS, "other")}, "bytes": sizes.total()}
        for run, sizes in found.items()
    ]
    return sorted(rows, key=lambda row: (row["run"] is None, -row["bytes"], row["run"] or ""))


def by_study(contents: Contents, studies: Sequence[StudyNames]) -> list[dict[str, Any]]:
    """A row for each study: what of its artefacts is there, its bytes, and the bytes that no other of them names."""
    users = [(artefact, [s for s in studies if s.wants(artefact)]) for artefact in contents.artefacts]
    rows = []
    for study in studies:
        own = [artefact for artefact, by in users if study in by]
        alone = sum(artefact.bytes for artefact, by in users if by == [study])
        rows.append({"study": study.study, "folder": str(study.folder), **_sums(own), "alone": alone})
    return rows


def _sums(artefacts: Sequence[Artefact]) -> dict[str, int]:
    return {
        "artefacts": len(artefacts),
        "files": sum(artefact.files for artefact in artefacts),
        "bytes": sum(artefact.bytes for artefact in artefacts),
    }
