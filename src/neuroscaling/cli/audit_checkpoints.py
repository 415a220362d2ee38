"""`neuroscaling audit-checkpoints STUDY --images FOLDER`: are networks of others as accurate as their table says?"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from neuroscaling.cli.output import FORMATS, show, tell
from neuroscaling.core.errors import Problem, StudyError, listing, nearest, number_of
from neuroscaling.study.loaded_study import LoadedStudy, load_study
from neuroscaling.study.run_table import Run

NOT_HERE, NOT_STATED = "not here", "no accuracy in its table"


def print_checkpoint_audit(options: argparse.Namespace) -> int:
    """Print a row for each checkpoint: accuracy of its table and on the images, difference, error and verdict.

    The exit status is 1 where a checkpoint does not agree. Raises StudyError for a data set that no checkpoint is of,
    and for several without one; DataError for images of another number of classes.
    """
    from neuroscaling.training.checkpoint_audit import AGREES, OTHER_ORDER

    study = load_study(options.study, planning=True)
    rows = list(_rows(study, _of_dataset(study, options.dataset), options.images))
    show(rows, options.format)
    verdicts = [row["verdict"] for row in rows]
    if OTHER_ORDER in verdicts:
        told = "classes are numbered in the order of the folders' names: name these as the data set's author did"
        tell([f"{OTHER_ORDER} ({number_of(verdicts.count(OTHER_ORDER), 'network')}): {told}"])
    return int(any(verdict not in (AGREES, NOT_HERE, NOT_STATED) for verdict in verdicts))


def _of_dataset(study: LoadedStudy, dataset: str | None) -> list[Run]:
    runs = [run for run in study.runs.values() if run.checkpoint is not None]
    known = sorted({str(run.dataset) for run in runs})
    if not runs:
        raise StudyError(Problem(what="no checkpoints in this study", where=str(study.file), fix="docs/checkpoints.md"))
    if dataset is None and len(known) > 1:
        what, fix = "checkpoints of several data sets", "say which of them the images are of"
        raise StudyError(Problem(what=what, where="--dataset", allowed=listing(known), fix=fix))
    if dataset not in (None, *known):
        near = nearest(dataset, known)
        what = "no checkpoint of this data set"
        raise StudyError(Problem(what=what, where="--dataset", value=dataset, allowed=listing(known), nearest=near))
    return [run for run in runs if dataset in (None, str(run.dataset))]


def _rows(study: LoadedStudy, runs: list[Run], folder: Path) -> Iterator[dict[str, Any]]:
    from neuroscaling.core.machine import device_of
    from neuroscaling.training.checkpoint_audit import ValidationImages, accuracy_of, network_file

    images, device = ValidationImages.of(folder), device_of(None)
    for run in runs:
        stated = run.checkpoint.acc if run.checkpoint else None
        file = network_file(run, study.store.find(study.store.run(run.run)))
        facts = {"run": run.run, "images": len(images.labels), "stated": stated}
        if file is None or stated is None:
            empty = dict.fromkeys(("found", "difference", "error", "reordered"))
            yield facts | empty | {"verdict": NOT_STATED if stated is None else NOT_HERE}
            continue
        one = accuracy_of(run, file, images, device)
        known = {
            "found": one.found,
            "difference": one.found - one.stated,
            "error": one.error,
            "reordered": one.assigned,
        }
        yield facts | {key: round(float(value), 4) for key, value in known.items()} | {"verdict": one.verdict}


def add_checkpoint_audit(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `audit-checkpoints` to the subcommands."""
    text = "compare the accuracy of checkpoints on validation images with that of their table"
    parser = commands.add_parser("audit-checkpoints", help=text, description=text)
    parser.set_defaults(command=print_checkpoint_audit)
    parser.add_argument("study", type=Path, metavar="STUDY", help="the study that has them")
    parser.add_argument(
        "--images",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="a folder with a folder of images for each class",
    )
    parser.add_argument(
        "--dataset", metavar="NAME", help="the data set that the images are of, where there are several"
    )
    parser.add_argument("--format", choices=FORMATS, default="table")
