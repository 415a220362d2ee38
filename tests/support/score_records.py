"""Score files for tests: whole records under names that their definitions give."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from neuroscaling.core.hashing import ArtefactName, file_sha256
from neuroscaling.core.records import write_record
from neuroscaling.core.score_files import file_beside
from neuroscaling.core.score_scales import SCORE_FORMAT

RIDGE_FACTS = {"metric": "ridge", "engine": "exact", "protocol": "corrected"}
"""What the score file of an encoding states beside its numbers."""


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
    files = {kind: file_sha256(own) for kind in kinds if (own := file_beside(path, kind)).is_file()}
    facts = {"format": SCORE_FORMAT, "definition": dict(definition), "made_from": {}, "files": files}
    write_record(path, {**content, **facts})
