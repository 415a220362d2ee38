"""`neuroscaling store list|usage|unused|prune|verify|adopt|export|import`: questions to a store, and its upkeep."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from neuroscaling.cli.output import FORMATS, Progress, artefact_row, show, show_sizes, tell, tell_sum, verified_rows
from neuroscaling.core.errors import Problem, StudyError, listing, number_of
from neuroscaling.store import prune as store_prune
from neuroscaling.store import usage as store_usage
from neuroscaling.store.adopt import adopt_run, adopt_weights
from neuroscaling.store.contents import STAGES, Contents, selected_artefacts, store_contents
from neuroscaling.store.transfer import export_run, import_tar
from neuroscaling.store.usage import studies_of, unused_artefacts
from neuroscaling.store.verify import CHECKS, verify_artefacts
from neuroscaling.study.paths import Store
from neuroscaling.study.sections.validation import read_study_parts

Verbs: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

OWNER = "ask its owner to verify the store, or for rights (docs/store.md)"
STATUS = {True: "taken in", False: "was there already"}


def add_store_commands(commands: Verbs) -> None:
    """Add `store` with its commands to the subcommands."""
    text = "look through a store, free its disk, check it, move runs between stores"
    verbs = commands.add_parser("store", help=text, description=text).add_subparsers(required=True, metavar="COMMAND")
    _add_questions(verbs)
    _add_prune(verbs)
    text = "compare every byte with the records; exit status 1 for a fault"
    verify = _add(verbs, "verify", _verify, text)
    _add_selection(verify)
    verify.add_argument("--jobs", type=int, default=1, metavar="N", help="artefacts to look at at once (1)")
    _add_movement(verbs)


def _add_questions(verbs: Verbs) -> None:
    _add_selection(_add(verbs, "list", _list, "every artefact, with its stage, run, bytes and date"))
    usage = _add(verbs, "usage", _usage, "bytes by stage, by run, or by study")
    usage.add_argument("--by", choices=("stage", "run", "study"), default="stage")
    text = "for `--by study`: where studies are started (`results/` is in it), or study files; by default this folder"
    usage.add_argument("folders", type=Path, nargs="*", metavar="FOLDER", help=text)
    unused = _add(verbs, "unused", _unused, "artefacts that no study of the given folders names")
    text = "where studies are started (`results/` is in it), or study files: all of those that use the store"
    unused.add_argument("folders", type=Path, nargs="+", metavar="FOLDER", help=text)


def _add_prune(verbs: Verbs) -> None:
    prune = _add(verbs, "prune", _prune, "take artefacts out of the store; without --delete only list what would go")
    _add_selection(prune, required=True)
    text = "only what no study names that was started in these folders, or is in these study files"
    prune.add_argument("--unused", type=Path, nargs="+", metavar="FOLDER", help=text)
    prune.add_argument("--older-than", type=float, metavar="DAYS", help="only what was written so long ago")
    prune.add_argument("--delete", action="store_true", help="do it; never what a job makes or reads")


def _add_movement(verbs: Verbs) -> None:
    adopt = _add(verbs, "adopt", _adopt, "take in weights, or the folder of a finished run, from outside")
    text = "a file of weights, or a folder with run.json"
    adopt.add_argument("what", type=Path, metavar="WEIGHTS|RUN_FOLDER", help=text)
    text = "of weights: their architecture, as studies name it; by default what the file says"
    adopt.add_argument("--arch", metavar="NAME", help=text)
    text = "of weights: refuse them unless their head has so many outputs"
    adopt.add_argument("--classes", type=int, metavar="N", help=text)
    adopt.add_argument("--note", metavar="TEXT", help="of weights: what is known of them, for the record")
    export = _add(verbs, "export", _export, "write a run with its record to a tar")
    export.add_argument("run", metavar="RUN", help="the run's name")
    export.add_argument("file", type=Path, metavar="FILE.tar", help="the tar to write")
    text = "stages that go with it, separated by commas: activations, commitments, scores"
    export.add_argument("--with", dest="also", default="", metavar="STAGES", help=text)
    bring = _add(verbs, "import", _import, "take in a run from a tar that `export` wrote; all of it is checked first")
    bring.add_argument("file", type=Path, metavar="FILE.tar", help="the tar")


def _add(
    verbs: Verbs, name: str, command: Callable[[argparse.Namespace], int | None], text: str
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
    artefacts = selected_artefacts(_contents(options), options.stage or STAGES, options.run)
    show_sizes([artefact_row(artefact) for artefact in artefacts], options.format)


def _usage(options: argparse.Namespace) -> None:
    found = _contents(options)
    if options.by == "study":
        rows = store_usage.bytes_by_study(found, studies_of(options.folders or [Path()]))
    else:
        rows = store_usage.bytes_by_run(found) if options.by == "run" else store_usage.bytes_by_stage(found)
    show_sizes(rows, options.format)
    tell_sum(found.artefacts, "in the whole store")


def _unused(options: argparse.Namespace) -> None:
    found = _contents(options)
    studies = studies_of(options.folders)
    tell([f"named by: {listing([f'{study.study} ({study.folder})' for study in studies])}"])
    artefacts = unused_artefacts(found, studies)
    show_sizes([artefact_row(artefact) for artefact in artefacts], options.format)
    tell_sum(artefacts, "named by none of them")


def _prune(options: argparse.Namespace) -> int:
    found = _contents(options)
    only = unused_artefacts(found, studies_of(options.unused)) if options.unused else None
    going = store_prune.candidates(found, options.stage, only, options.run, options.older_than)
    notes = [f"note: {note}" for note in store_prune.consequences(found, going)]
    if not options.delete:
        rows = [artefact_row(artefact, held_by=store_prune.holder_of(found, artefact)) for artefact in going]
        show_sizes(rows, options.format)
        tell_sum(going, "would go; --delete removes what no job holds")
        tell(notes)
        return 0
    done = [store_prune.remove(found, artefact) for artefact in going]
    gone = [removal.artefact for removal in done if removal.problem is None]
    stay = [removal.problem for removal in done if removal.problem]
    show_sizes([artefact_row(artefact) for artefact in gone], options.format)
    tell_sum(gone, "gone")
    tell([*notes, *stay])
    return 1 if stay else 0


def _verify(options: argparse.Namespace) -> int:
    if options.jobs < 1:
        raise StudyError(
            Problem(what="not a number of artefacts", where="--jobs", value=options.jobs, allowed="1 or more")
        )
    found = _contents(options)
    chosen = selected_artefacts(found, options.stage or list(CHECKS), options.run)
    progress, checked = Progress(chosen), []
    for one in verify_artefacts(found, chosen, options.jobs):
        progress.add(one.artefact)
        checked.append(one)
    progress.end()
    show_sizes(verified_rows(checked), options.format)
    problems = sorted((problem for one in checked for problem in one.problems), key=str)
    problems += [
        Problem(what="no permission to look into it", where=str(folder), fix=OWNER) for folder in found.unreadable
    ]
    tell([*problems, number_of(len(problems), "fault")])
    return 1 if problems else 0


def _adopt(options: argparse.Namespace) -> None:
    store, given = store_of(options.store), options.what
    if given.is_dir():
        said = {name: getattr(options, name) for name in ("arch", "classes", "note")}
        if wrong := [name for name, value in said.items() if value is not None]:
            what = "said of weights alone: a run says in run.json what it is"
            raise StudyError(Problem(what=what, where=f"--{wrong[0]}", value=said[wrong[0]], fix="leave it out"))
        adopted = adopt_run(store, given)
    else:
        adopted = adopt_weights(store, given, options.arch, options.classes, options.note or "")
    row = {"run": adopted.run, "status": STATUS[adopted.new], "line": adopted.line}
    show([row], options.format)
    print("a study uses it with this line under `runs:`", file=sys.stderr)


def _export(options: argparse.Namespace) -> None:
    also = [stage.strip() for stage in options.also.split(",") if stage.strip()]
    artefacts = export_run(_contents(options), options.run, options.file, also)
    show_sizes([artefact_row(artefact) for artefact in artefacts], options.format)
    tell_sum(artefacts, f"in {options.file}")


def _import(options: argparse.Namespace) -> None:
    brought = import_tar(store_of(options.store), options.file)
    show_sizes([artefact_row(one.artefact, status=STATUS[one.new]) for one in brought], options.format)
    tell_sum([one.artefact for one in brought if one.new], "taken in")


def _contents(options: argparse.Namespace) -> Contents:
    """The contents of the store that a command was given; folders that can't be looked into are told."""
    found = store_contents(store_of(options.store))
    for folder in found.unreadable:
        print(f"note: {folder}: no permission to look into it, and nothing of it is counted", file=sys.stderr)
    return found


def store_of(path: Path) -> Path:
    """The store's folder: `path`, or what the study file `path` calls its store (the first, where it names several)."""
    if not path.is_file():
        return path

    study, document, faults = read_study_parts(path)
    if study is None:
        raise StudyError(document.problems(faults))
    store = Store.of(study.store)
    for other in store.others:
        print(f"note: the study reads {other} too, which is a store of its own to this command", file=sys.stderr)
    return store.root
