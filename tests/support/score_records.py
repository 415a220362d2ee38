"""Score files for tests: whole records under names that their definitions give."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neuroscaling.core.hashing import ArtefactName
from neuroscaling.core.score_files import file_beside, write_score_record


def score_path(folder: Path, benchmark: str, run: str, definition: Mapping[str, Any] | None = None) -> Path:
    """`<folder>/<benchmark>-<key>/<run>.json`; the folder is made."""
    path = folder / str(ArtefactName(benchmark, dict(definition or {"benchmark": benchmark}))) / f"{run}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def write_score(
    folder: Path, content: Mapping[str, Any], definition: Mapping[str, Any] | None = None, name: str | None = None
) -> Path:
    """Write the score file of `content` and give its path; the files beside it, written before, are sealed with it.

    name: of the benchmark in the path, that of the content by default.
    """
    benchmark = name or content["benchmark"]
    definition = dict(definition or {"benchmark": benchmark})
    path = score_path(folder, benchmark, content["run"], definition)
    reseal(path, content, definition)
    return path


def reseal(path: Path, content: Mapping[str, Any], definition: Mapping[str, Any]) -> None:
    """Write a score file anew, with the files that lie beside it."""
    stem = path.name.removesuffix(".json")
    kinds = [own.name.removeprefix(f"{stem}.") for own in path.parent.glob(f"{stem}.*") if own != path]
    write_score_record(path, content, definition, {}, [kind for kind in kinds if file_beside(path, kind).is_file()])
