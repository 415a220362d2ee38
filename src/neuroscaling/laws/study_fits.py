"""One job fits all laws of a study, and leaves alone those that are in step.

A fit is in step while its file says that it was made from this table, by this code, with these settings. The job leaves
each fit in a folder named after these three, `.fitted/<key>/`, from which the rule of each fit takes its files: what
Snakemake deletes before a rule starts is not what the job keeps. The files are hard links, so they take no room twice.
"""

import logging
import multiprocessing
import os
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import read_json, write_json
from neuroscaling.core.hashing import content_hash, file_sha256
from neuroscaling.core.logs import Pieces
from neuroscaling.laws.influence_record import influence_path, resamples_path

log = logging.getLogger("neuroscaling")
FITTED, FAILURE = ".fitted", "failure.json"


@dataclass(frozen=True)
class StudyFit:
    """A fit of a study. folder: of the study's fits; table, code: what it is made from, as hashes."""

    name: str
    settings: dict[str, Any]
    folder: Path
    table: str
    code: str

    @classmethod
    def of(cls, name: str, settings: dict[str, Any], folder: Path, table: str | Path, code: str) -> "StudyFit":
        """The fit of `settings` to the score table at the path `table`."""
        return cls(name, settings, folder, file_sha256(table), code)

    @property
    def made_from(self) -> dict[str, str]:
        """What the file of the fit says that it was made from, beside its settings."""
        return {"table": self.table, "code": self.code}

    @property
    def kept(self) -> Path:
        """Folder in which the job leaves its files."""
        return self.folder / FITTED / content_hash([self.name, self.settings, self.made_from], 16)

    def files(self, folder: Path) -> tuple[Path, ...]:
        """Its files in `folder`; that of the law comes last, as it is written."""
        law = folder / f"{self.name}.json"
        return folder / f"{self.name}.bootstraps.parquet", resamples_path(law), influence_path(law), law

    def is_kept(self) -> bool:
        """Whether the job has left it: of all files that of the law is written last."""
        return self.files(self.kept)[-1].is_file()

    def is_in_step(self) -> bool:
        """Whether the study's own files are those that would be made now."""
        files = self.files(self.folder)
        if not all(file.is_file() for file in files):
            return False
        try:
            made = read_json(files[-1]).get("provenance", {})
        except DataError:
            return False
        return (made.get("settings"), made.get("made_from")) == (self.settings, self.made_from)


def write_fits(fits: list[StudyFit], table: str | Path, processes: int = 1) -> None:
    """Leave each of `fits` in its folder: those in step as they are, others fitted to `table` in `processes`.

    What keeps one from being fitted is left in its place, for its rule to tell. Folders of other fits are removed.
    """
    kept = {one.kept for one in fits}
    for folder in {one.folder / FITTED for one in fits}:
        for other in set(folder.glob("*")) - kept:
            shutil.rmtree(other, ignore_errors=True)
    left = []
    for one in fits:
        (one.kept / FAILURE).unlink(missing_ok=True)
        if one.is_in_step():
            _link(one.files(one.folder), one.kept)
        elif not one.is_kept():
            left.append(one)
    log.info("%d fits, %d of them to be made", len(fits), len(left))
    for one, problems in _fitted(left, table, min(processes, len(left))):
        if problems:
            write_json(one.kept / FAILURE, {"problems": [_plain(problem) for problem in problems]})


def take_fit(one: StudyFit) -> None:
    """Put the files that the job left in place. Raises DataError with what kept the law from being fitted."""
    if (one.kept / FAILURE).is_file():
        raise DataError([Problem(**problem) for problem in read_json(one.kept / FAILURE)["problems"]])
    if not one.is_kept():
        what, fix = "the fit was not left for its rule", "start the study again"
        raise DataError(Problem(what=what, where=str(one.kept), value=one.name, fix=fix))
    _link(one.files(one.kept), one.folder)


def _fitted(fits: list[StudyFit], table: str | Path, processes: int) -> Iterator[tuple[StudyFit, list[Problem]]]:
    """Fit each; what kept it from being fitted."""
    if processes < 2:
        for one in fits:
            yield one, _fit(one, table)
        return
    # What a fit imports takes longer than a short fit does; no thread runs here that a fork would lose.
    import neuroscaling.laws.study_fit  # noqa: F401

    with ProcessPoolExecutor(processes, multiprocessing.get_context("fork")) as pool:
        yield from zip(fits, pool.map(_fit, fits, [table] * len(fits)), strict=True)


def _fit(one: StudyFit, table: str | Path) -> list[Problem]:
    from neuroscaling.laws.study_fit import write_fit

    pieces = Pieces()
    one.kept.mkdir(parents=True, exist_ok=True)
    bootstraps, *_, law = one.files(one.kept)
    with pieces.piece(f"fit {one.name}"):
        write_fit(table, one.settings, law, bootstraps, one.made_from)
    return pieces.problems


def _link(files: tuple[Path, ...], folder: Path) -> None:
    """Put `files` in `folder` too, with the date of now; the last of them last."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in files:
        temporary = folder / f".{file.name}.{os.getpid()}"
        temporary.unlink(missing_ok=True)
        try:
            os.link(file, temporary)
        except OSError:  # of a disk without hard links
            shutil.copyfile(file, temporary)
        os.utime(temporary)
        temporary.replace(folder / file.name)


def _plain(problem: Problem) -> dict[str, Any]:
    value = None if problem.value is None else str(problem.value)
    return {**vars(problem), "where": str(problem.where), "value": value}
