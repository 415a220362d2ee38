"""A submission is made of final predictions, and scored at home where the test responses are there."""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from neuroscaling.core.archives import Zip
from neuroscaling.core.array_files import npy_shape, read_npy
from neuroscaling.core.encoding_scores import json_plain
from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.files import write_json
from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.provenance import provenance
from neuroscaling.core.score_files import read_score
from neuroscaling.encoding.accuracy import BOTH, accuracy_of
from neuroscaling.encoding.accuracy_files import subject_of
from neuroscaling.encoding.predictions import Average, average_predictions
from neuroscaling.encoding.submission import expected_shapes, member, read_prediction, write_submission, zip_problems
from neuroscaling.regression.denominators import divides
from neuroscaling.study import recording_folders
from neuroscaling.study.algonauts_tree import tree_subjects
from neuroscaling.study.recording_folders import HEMISPHERES

MEASURES = ("r", "explained", "challenge", "unclipped")
ALL = "all"


def can_be_scored(root: str | Path, subject: str) -> bool:
    """Whether a tree has the test responses and noise ceilings of a subject."""
    root = Path(root)
    return all(file.is_file() for file in _truth_files(Path(root) / subject))


def score_submission(path: str | Path, root: str | Path, subjects: list[str] | str = "all") -> list[dict[str, Any]]:
    """A row for each subject and hemisphere, and one over all vertices of all subjects: the challenge's final figure.

    Keys: subject, hemisphere, n_images, n_vertices, left_out (vertices without a finite response or ceiling), r (mean
    Pearson), explained (mean signed r^2), challenge (per cent: the official, clipped metric, which must equal the
    challenge's and so counts a ceiling of 0 as 1e-14), unclipped (per cent; of vertices whose ceiling can divide).
    The last row's means are over vertices and not over subjects, as the challenge concatenates them. Raises DataError
    with all problems of the zip, or of the tree where it can't score.
    """
    path, root = Path(path), Path(root)
    shapes = expected_shapes(root, subjects)
    problems = zip_problems(path, shapes)
    for subject in shapes:
        problems += _truth_problems(Path(root) / subject)
    if problems:
        raise DataError(problems)
    with Zip(path) as archive:
        rows = [_row(archive, Path(root), subject, side) for subject in shapes for side in HEMISPHERES]
    return [*rows, _total(rows)]


def _row(archive: Zip, root: Path, subject: str, side: str) -> dict[str, Any]:
    number = HEMISPHERES.index(side)
    responses, ceiling = (read_npy(files[number]) for files in _files(root / subject))
    usable = np.isfinite(responses).all(0) & np.isfinite(ceiling)
    predictions = read_prediction(archive, member(subject, side))[:, usable]
    hemisphere = np.full(int(usable.sum()), side)
    table = accuracy_of(predictions, responses[:, usable], {ALL: hemisphere == side}, hemisphere, ceiling[usable], 0, 0)
    counts = {"n_images": len(responses), "n_vertices": len(hemisphere), "left_out": int((~usable).sum())}
    counts["n_with_ceiling"] = int(divides(ceiling[usable]).sum())
    means = {measure: float(table[measure][0]) if len(hemisphere) else float("nan") for measure in MEASURES}
    return {"subject": subject, "hemisphere": side} | counts | means


def _total(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over all vertices; `unclipped` over those whose ceiling can divide."""
    total: dict[str, Any] = {"subject": ALL, "hemisphere": BOTH, "n_images": None}
    total |= {key: sum(row[key] for row in rows) for key in ("n_vertices", "left_out", "n_with_ceiling")}
    for measure in MEASURES:
        count = "n_with_ceiling" if measure == "unclipped" else "n_vertices"
        weighted = [row[measure] * row[count] for row in rows if row[count]]
        total[measure] = sum(weighted) / total[count] if total[count] else float("nan")
    return total


def _truth_problems(folder: Path) -> Iterator[Problem]:
    """Files that scoring needs and that are missing or don't fit the tree."""
    fix = "the public archive withholds it; rebuild it from NSD"
    for file in _truth_files(folder):
        if not file.is_file():
            yield Problem(what="file is missing", where=str(file), fix=fix)
    if not all(file.is_file() for file in _truth_files(folder)):
        return
    n_test = len(recording_folders.split_images(folder, "test"))
    widths = [npy_shape(file)[1] for file in recording_folders.response_files(folder, "training")]
    responses, ceilings = _files(folder)
    for file, shape in zip(
        (*responses, *ceilings), [(n_test, w) for w in widths] + [(w,) for w in widths], strict=True
    ):
        found = npy_shape(file)
        if found != shape:
            yield Problem(
                what="shape doesn't fit the test images and the training responses",
                where=str(file),
                value=found,
                allowed=f"{shape}",
            )


def _truth_files(folder: Path) -> list[Path]:
    responses, ceilings = _files(folder)
    return [*responses, *ceilings]


def _files(folder: Path) -> tuple[list[Path], list[Path]]:
    """Test responses, and noise ceilings, of the left and the right hemisphere."""
    return recording_folders.response_files(folder, "test"), recording_folders.ceiling_files(folder)


log = logging.getLogger(__name__)


def write_averaged_submission(
    score_files: Sequence[str | Path], out: str | Path, root: str | Path, average: Average
) -> None:
    """Write the zip `out` and, beside it, `<stem>.json` that says what is in it (format submission/1).

    score_files: of runs and subjects, each run with each subject. root: the Algonauts tree. JSON: zip, sha256,
    simulated, data, average, runs, subjects, absent_subjects (of the tree, which the challenge would ask for), shapes,
    scores (`score_submission`; null where the tree lacks test responses or ceilings). Raises DataError for runs that
    lack a subject, and for whatever averaging and writing refuse.
    """
    out, root = Path(out), Path(root)
    by_subject = _by_subject(score_files)
    contents = [read_score(file) for files in by_subject.values() for file in files]
    shapes = expected_shapes(root, list(by_subject))
    # Of the challenge's eight subjects these are 320 MB.
    predictions = {subject: average_predictions(files, average) for subject, files in by_subject.items()}
    write_submission(predictions, out, shapes)
    absent = sorted(set(tree_subjects(root)) - set(by_subject))
    if absent:
        log.warning("the submission lacks %s: the challenge takes all subjects at once", listing(absent))
    scored = all(can_be_scored(root, subject) for subject in by_subject)
    content: dict[str, Any] = {
        "format": "submission/1",
        "zip": out.name,
        "sha256": file_sha256(out),
        "simulated": any(content.simulated for content in contents),
        "data": sorted({content.data for content in contents}),
        "average": average,
        "runs": sorted({content.run for content in contents}),
        "subjects": list(by_subject),
        "absent_subjects": absent,
        "shapes": shapes,
        "scores": score_submission(out, root, list(by_subject)) if scored else None,
        "provenance": provenance(("numpy",)),
    }
    write_json(out.with_name(f"{out.stem}.json"), json_plain(content))


def _by_subject(score_files: Sequence[str | Path]) -> dict[str, list[Path]]:
    """Score files by subject. Raises DataError unless each run has each subject."""
    found: dict[str, dict[str, Path]] = {}
    for file in map(Path, score_files):
        content = read_score(file)
        found.setdefault(subject_of(file, content), {})[content.run] = file
    runs = {run for files in found.values() for run in files}
    problems = [
        Problem(
            what="a run lacks a subject",
            where=f"submission: {run}",
            value=subject,
            allowed="each run with each subject",
        )
        for subject, files in sorted(found.items())
        for run in sorted(runs - set(files))
    ]
    if problems:
        raise DataError(problems)
    return {subject: list(found[subject].values()) for subject in sorted(found)}
