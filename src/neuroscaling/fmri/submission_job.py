"""From the final predictions of runs to a submission: averaged, written, and scored where the truth is at hand."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from neuroscaling.core.encoding_scores import json_plain
from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.core.files import write_json
from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.provenance import provenance
from neuroscaling.core.score_files import read_score
from neuroscaling.fmri.accuracy_files import subject_of
from neuroscaling.fmri.predictions import Average, average_predictions
from neuroscaling.fmri.submission import expected_shapes, write_submission
from neuroscaling.fmri.submission_score import can_be_scored, score_submission
from neuroscaling.study.algonauts_tree import tree_subjects

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
