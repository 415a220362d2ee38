"""`neuroscaling store list|usage|unused|prune`: what a store holds, what of it nobody wants, and what can go."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.cli.output import FORMATS, show
from neuroscaling.errors import StudyError, listing

if TYPE_CHECKING:
    from neuroscaling.store.contents import Artefact, Contents

UNITS = ("B", "kB", "MB", "GB", "TB", "PB")
SIZES = ("bytes", "weights", "activations", "scores", "other", "alone")
"""Columns that a table for people shows in units."""

Command = Callable[[argparse.Namespace], int | None]


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `store` with its commands to the subcommands."""
    text = "look through a store, free its disk, check it, move runs between stores"
    verbs = commands.add_parser("store", help=text, description=text).add_subparsers(required=True, metavar="COMMAND")
    listed = _add(verbs, "list", _list, "every artefact, with its stage, run, bytes and date")
    _add_selection(listed)
    usage = _add(verbs, "usage", _usage, "bytes by stage, by run, or by study")
    usage.add_argument("--by", choices=("stage", "run", "study"), default="stage")
    text = "where studies are started (`results/` is in it), or study files; needed for `--by study`"
    usage.add_argument("folders", type=Path, nargs="*", metavar="FOLDER", help=text)
    unused = _add(verbs, "unused", _unused, "artefacts that no study of the given folders names")
    text = "where studies are started (`results/` is in it), or study files: all of those that use the store"
    unused.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help=text)
    _add_prune(verbs)


def _add_prune(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "take artefacts out of the store; without --delete only list what would go"
    prune = _add(verbs, "prune", _prune, text)
    _add_selection(prune, required=True)
    text = "only what no study names that was started in these folders, or is in these study files"
    prune.add_argument("--unused", type=Path, nargs="+", metavar="FOLDER", help=text)
    prune.add_argument("--older-than", type=float, metavar="DAYS", help="only what was written so long ago")
    prune.add_argument("--delete", action="store_true", help="do it; never what a job makes or reads")


def _add(
    verbs: argparse._SubParsersAction[argparse.ArgumentParser], name: str, command: Command, text: str
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    parser.add_argument("store", type=Path, metavar="STORE", help="the store's folder, or a study file that names it")
    parser.add_argument("--format", choices=FORMATS, default="table")
    return parser


def _add_selection(parser: argparse.ArgumentParser, required: bool = False) -> None:
    text = "these stages alone, e.g. activations (docs/store.md lists them)"
    parser.add_argument("--stage", nargs="+", default=[], required=required, metavar="STAGE", help=text)
    text = "runs whose names match, e.g. 'resnet18_*' (in quotes)"
    parser.add_argument("--run", metavar="PATTERN", help=text)


def _list(options: argparse.Namespace) -> None:
    from neuroscaling.store.contents import STAGES, selected

    found = _contents(options)
    _show([_row(artefact) for artefact in selected(found, options.stage or STAGES, options.run)], options.format)


def _usage(options: argparse.Namespace) -> None:
    from neuroscaling.store import usage
    from neuroscaling.store.unused import studies_of

    found = _contents(options)
    if options.by == "study":
        rows = usage.by_study(found, studies_of(options.folders or [Path()]))
    else:
        rows = usage.by_run(found) if options.by == "run" else usage.by_stage(found)
    _show(rows, options.format)
    _tell_sum(found.artefacts)


def _unused(options: argparse.Namespace) -> None:
    from neuroscaling.store.unused import studies_of, unused

    found = _contents(options)
    studies = studies_of(options.folders)
    print(f"named by: {listing([f'{study.study} ({study.folder})' for study in studies])}", file=sys.stderr)
    artefacts = unused(found, studies)
    _show([_row(artefact) for artefact in artefacts], options.format)
    _tell_sum(artefacts)


def _prune(options: argparse.Namespace) -> int:
    from neuroscaling.store import prune
    from neuroscaling.store.unused import studies_of, unused

    found = _contents(options)
    only = unused(found, studies_of(options.unused)) if options.unused else None
    going = prune.candidates(found, options.stage, only, options.run, options.older_than)
    notes = prune.consequences(found, going)
    if not options.delete:
        _show([_row(artefact) | {"held_by": prune.holder_of(found, artefact)} for artefact in going], options.format)
        _tell_sum(going, "would go; --delete removes what no job holds")
        _tell(notes)
        return 0
    done = [prune.remove(found, artefact) for artefact in going]
    gone = [removal.artefact for removal in done if removal.problem is None]
    _show([_row(artefact) for artefact in gone], options.format)
    _tell_sum(gone, "gone")
    _tell(notes)
    stay = [removal.problem for removal in done if removal.problem]
    print(*stay, sep="\n", end="\n" if stay else "", file=sys.stderr)
    return 1 if stay else 0


def _contents(options: argparse.Namespace) -> Contents:
    """The contents of the store that a command was given; folders that can't be looked into are told."""
    from neuroscaling.store.contents import contents

    found = contents(store_of(options.store))
    for folder in found.unreadable:
        print(f"note: {folder}: no permission to look into it, and nothing of it is counted", file=sys.stderr)
    return found


def store_of(path: Path) -> Path:
    """The store's folder: `path`, or what the study file `path` calls its store (the first, where it names several)."""
    from neuroscaling.study_file import read_study_parts

    if not path.is_file():
        return path
    study, document, faults = read_study_parts(path)
    if study is None:
        raise StudyError(document.problems(faults))
    return study.store


def _row(artefact: Artefact) -> dict[str, Any]:
    written = datetime.fromtimestamp(artefact.modified, UTC).strftime("%Y-%m-%d %H:%M") if artefact.files else None
    row = {"stage": artefact.stage, "name": artefact.name, "run": artefact.run}
    return row | {"files": artefact.files, "bytes": artefact.bytes, "modified": written}


def _show(rows: Sequence[dict[str, Any]], form: str) -> None:
    """Rows with bytes in units, in a table; as numbers in the other formats."""
    if form == "table":
        rows = [{key: in_units(row[key]) if key in SIZES else row[key] for key in row} for row in rows]
    show(rows, form)


def _tell_sum(artefacts: Sequence[Artefact], what: str = "") -> None:
    count = f"{len(artefacts)} artefact{'' if len(artefacts) == 1 else 's'}"
    size = in_units(sum(artefact.bytes for artefact in artefacts))
    print(f"{count}, {size}{': ' if what else ''}{what}", file=sys.stderr)


def _tell(notes: Sequence[str]) -> None:
    for note in notes:
        print(f"note: {note}", file=sys.stderr)


def in_units(size: int) -> str:
    """A number of bytes for people: `1.2 GB`, of 10^9 bytes."""
    value, unit = float(size), 0
    while value >= 999.5 and unit < len(UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.3g} {UNITS[unit]}"
