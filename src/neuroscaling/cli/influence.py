"""`neuroscaling influence` tells what finished fits stand on: a row a fit, or of one fit a row a group."""

from __future__ import annotations

import argparse
import math
import sys
from pathlib import Path
from typing import Any

from neuroscaling.cli.output import FOR_PEOPLE, FORMATS, show, with_digits
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.laws.influence_record import GroupInfluence, Influence, influence_path, is_influence, read_influence
from neuroscaling.laws.number_words import bounded

MOST_NAMED = 8


def add_influence_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `influence` to the subcommands."""
    text = "what finished fits stand on: which groups of points carry each law"
    parser = commands.add_parser("influence", help=text, description=text)
    parser.set_defaults(command=_influence)
    text = "results/<study>/fits/<name>.json, or the folder of several"
    parser.add_argument("fits", type=Path, nargs="+", metavar="FIT", help=text)
    text = "a row for each group that was left out, and the points that move the law most (of one fit)"
    parser.add_argument("--groups", action="store_true", help=text)
    parser.add_argument("--format", choices=FORMATS, default="table")


def _influence(options: argparse.Namespace) -> None:
    found = [read_influence(path) for path in _records(options.fits)]
    if options.groups and len(found) != 1:
        what = "the groups are shown of one fit at a time"
        raise DataError(Problem(what=what, where="--groups", value=f"{len(found)} fits", allowed="one fit"))
    for_people = options.format in FOR_PEOPLE
    if options.groups:
        rows = [_group_row(group, found[0], for_people) for group in found[0].groups]
    else:
        rows = [_fit_row(one, for_people) for one in found]
    show(with_digits(rows, ".3g") if for_people else rows, options.format)
    if options.groups:
        print(f"{found[0].name}: {found[0].verdict}", file=sys.stderr)
        for point in found[0].points:
            values = ", ".join(f"{name} {bounded(value)}" for name, value in point.quantities.items())
            print(f"- without {point.label}: {values}", file=sys.stderr)


def _records(given: list[Path]) -> list[Path]:
    """The records beside the fits, or in the folders, that were given."""
    found = [file for path in given for file in (_in_folder(path) if path.is_dir() else [_beside(path)])]
    missing = [path for path in found if not path.is_file()]
    if missing:
        fix = "make the fit with this version, which writes it"
        raise DataError(
            [Problem(what="no record of what the fit stands on", where=str(path), fix=fix) for path in missing]
        )
    return found


def _in_folder(folder: Path) -> list[Path]:
    found = sorted(filter(is_influence, folder.glob("*.json")))
    if not found:
        fix = "give results/<study>/fits of a study whose fits are made"
        raise DataError(
            Problem(what="no fit in this folder has a record of what it stands on", where=str(folder), fix=fix)
        )
    return found


def _beside(path: Path) -> Path:
    return path if is_influence(path) else influence_path(path)


def _fit_row(found: Influence, for_people: bool) -> dict[str, Any]:
    """A fit as a row; for_people: some of the groups and the verdict in a word, since the rest is in other formats."""
    stands = {True: "yes", False: "no", None: "can't be said"}[found.stands]
    names = [group.words for group in found.carriers]
    shown = names[:MOST_NAMED] if for_people else names
    more = [f"{len(names) - len(shown)} more"] if len(shown) < len(names) else []
    row = {
        "fit": found.name,
        "judged by": ", ".join(found.judged) or None,
        "groups": len(found.groups),
        "stands": stands,
        "carried by": ", ".join([*shown, *more]) or None,
    }
    return row if for_people else row | {"verdict": found.verdict}


def _group_row(group: GroupInfluence, influence: Influence, for_people: bool) -> dict[str, Any]:
    """A group as a row; for_people: numbers as text, and in words where they tell nothing."""
    row: dict[str, Any] = {"column": group.column, "without": group.words, "points left": group.n}
    for name in influence.whole:
        quantity = group.quantities.get(name)
        values = (quantity.value, quantity.low, quantity.high) if quantity else (None, None, None)
        row |= dict(zip((name, f"{name} low", f"{name} high"), map(_finite, values), strict=True))
    if for_people:
        row = {key: bounded(value) if isinstance(value, float) else value for key, value in row.items()}
    return row | {"what rests on it": "; ".join(group.changes) or None}


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else value
