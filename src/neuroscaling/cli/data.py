"""`neuroscaling data|submission` checks, completes and packs data, and checks submissions.

What loads torch is imported in the functions that need it, so that other commands start at once.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path
from typing import Any

from neuroscaling.cli.output import FOR_PEOPLE, FORMATS, show, with_digits
from neuroscaling.core.errors import DataError, Problem, StudyError, nearest, number_of
from neuroscaling.datasets.split import SPLITS
from neuroscaling.encoding.submission import expected_shapes, zip_problems
from neuroscaling.encoding.submission_score import score_submission
from neuroscaling.recordings.algonauts_check import inspect_algonauts_tree
from neuroscaling.recordings.arrays_check import check_images, check_responses
from neuroscaling.recordings.nsd_challenge import rebuild_challenge
from neuroscaling.recordings.nsd_check import check_nsd_tree
from neuroscaling.recordings.things_check import check_things_fmri_tree, check_tvsd_tree, tvsd_notes
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.optional_datasets import absence
from neuroscaling.study.own_arrays import OwnArrays
from neuroscaling.study.recordings import subjects_of
from neuroscaling.study.sections.encoding import ArraysEncoding
from neuroscaling.study.sections.key_types import in_words, kinds_at
from neuroscaling.study.sections.networks import DatasetPack


def add_data_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `data check`, `data rebuild` and `data pack` to the subcommands."""
    text = "look at data sets of your own before a study uses them"
    data = commands.add_parser("data", help=text, description=text)
    verbs = data.add_subparsers(required=True, metavar="COMMAND")
    text = "report everything that is wrong with a folder of fMRI, at once"
    kinds = verbs.add_parser("check", help=text, description=text).add_subparsers(required=True, metavar="DATA")
    algonauts = _add_fmri_check(kinds, "algonauts2023", _check_algonauts, "the layout of the Algonauts 2023 Challenge")
    text = "pictures to decode: a sample of each split, or all of them"
    algonauts.add_argument("--images", choices=("sample", "all"), default="sample", help=text)
    algonauts.add_argument("--format", choices=FORMATS, default="table")
    nsd = _add_fmri_check(kinds, "nsd", _check_nsd, "the Natural Scenes Dataset as its own server has it")
    text = "report what is missing of NSD-synthetic, which is looked at without this where it is there"
    nsd.add_argument("--synthetic", action="store_true", help=text)
    text = "recordings of one's own: every image and every response"
    arrays = kinds.add_parser("arrays", help=text, description=text)
    arrays.set_defaults(command=_check_arrays)
    arrays.add_argument("study", type=Path, metavar="STUDY", help="the study file, with `source: arrays`")
    arrays.add_argument("--format", choices=FORMATS, default="table")
    for name, command, text in (
        ("tvsd", _check_tvsd, "macaque V1, V4 and IT to images of THINGS, as its authors have it"),
        ("things_fmri", _check_things_fmri, "human fMRI to images of THINGS, as its authors have it"),
    ):
        parser = _add_fmri_check(kinds, name, command, text)
        parser.add_argument("--images", type=Path, metavar="THINGS", help="the folder of THINGS, to look for images in")
    text = "write the challenge's withheld test responses and noise ceilings into a tree, from NSD"
    rebuild = verbs.add_parser("rebuild", help=text, description=text)
    rebuild.set_defaults(command=_rebuild)
    rebuild.add_argument("nsd", type=Path, metavar="NSD_ROOT", help="the folder with nsddata and nsddata_betas")
    rebuild.add_argument("root", type=Path, metavar="ALGONAUTS_ROOT", help="the folder with subj01, subj02, ...")
    rebuild.add_argument("--subjects", nargs="+", metavar="SUBJECT", help="all of the tree without it")
    _add_pack(verbs)


def _add_pack(verbs: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    text = "store the images of a study's data set once, in few large files; goes on where it was stopped"
    pack = verbs.add_parser("pack", help=text, description=text)
    pack.set_defaults(command=_pack)
    pack.add_argument("study", type=Path, metavar="STUDY", help="the study file")
    pack.add_argument("dataset", metavar="DATASET", help="a data set of the study")
    text = "pixels of the short side (jpeg) or of the squares (decoded), or `originals`: all files as they are; by "
    text += "default what the study says, or 256"
    pack.add_argument("--size", metavar="PIXELS", help=text)
    text = "re-encoded files (the default unless the study says otherwise), or squares of pixels"
    pack.add_argument("--form", choices=("jpeg", "decoded"), help=text)


def _add_fmri_check(
    kinds: argparse._SubParsersAction[argparse.ArgumentParser], name: str, command: object, text: str
) -> argparse.ArgumentParser:
    parser = kinds.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    parser.add_argument(
        "root", type=Path, metavar="ROOT", help="the folder that holds it; docs/data.md says what of it"
    )
    text = "subjects to look at, e.g. subj01 subj05 (all that are there)"
    parser.add_argument("--subjects", nargs="+", metavar="SUBJECT", help=text)
    return parser


def _check_algonauts(options: argparse.Namespace) -> None:
    report = inspect_algonauts_tree(options.root, options.subjects or "all", options.images)
    for note in report.notes:
        print(f"note: {note}", file=sys.stderr)
    if report.problems:
        raise DataError(report.problems)
    show(report.rows, options.format)


def _rebuild(options: argparse.Namespace) -> None:
    for path in rebuild_challenge(options.nsd, options.root, options.subjects or "all"):
        print(path)


def _check_nsd(options: argparse.Namespace) -> None:
    _tell(options.root, check_nsd_tree(options.root, options.subjects or "all", options.synthetic))


def _check_tvsd(options: argparse.Namespace) -> None:
    subjects = options.subjects or "all"
    for note in tvsd_notes(options.root, subjects):
        print(f"note: {note}", file=sys.stderr)
    _tell(options.root, check_tvsd_tree(options.root, subjects, options.images))


def _check_things_fmri(options: argparse.Namespace) -> None:
    _tell(options.root, check_things_fmri_tree(options.root, options.subjects or "all", options.images))


def _tell(root: Path, problems: list[Problem]) -> None:
    if problems:
        raise DataError(problems)
    print(f"{root}: no problem found")


def _check_arrays(options: argparse.Namespace) -> None:
    study = load_study(options.study, planning=True)  # its data sets of images to train on may be elsewhere
    entries = [entry for entry in study.config.encoding if isinstance(entry, ArraysEncoding)]
    if not entries:
        what, fix = "no `encoding` of this study has `source: arrays`", "docs/own-recordings.md shows one"
        raise StudyError(Problem(what=what, where=str(options.study), fix=fix))
    rows, problems = [], []
    for entry in entries:
        arrays = OwnArrays.of(entry)
        problems += check_images(arrays)
        found, faults = check_responses(arrays, subjects_of(study, entry))
        rows += [{"name": entry.name, **row} for row in found]
        problems += faults
    if problems:
        raise DataError(problems)
    show(rows, options.format)


def _pack(options: argparse.Namespace) -> None:
    from neuroscaling.datasets.pack_writing import write_pack

    study = load_study(options.study, planning=True)  # other data sets of the study may be elsewhere
    name, known = options.dataset, study.config.datasets
    if name in study.left_out and study.whole and (absent := absence(name, study.whole.datasets[name].settings())):
        raise StudyError(absent)
    if name not in known:
        allowed = ", ".join(known)
        raise StudyError(
            Problem(
                what="no such data set",
                where=str(options.study),
                value=name,
                allowed=allowed,
                nearest=nearest(name, known),
            )
        )
    wanted = study.config.training.packs.get(name, DatasetPack())
    size, form = _pack_size(options.size, wanted.size), options.form or wanted.form
    for split in SPLITS:
        place = study.store.pack(name, study.fingerprints[name], form, size, split)
        settings = known[name].settings()
        print(write_pack(name, settings, split, place.parent, size, form, cache_dir=study.store.cache()))


def _pack_size(given: str | None, wanted: int | None) -> int | None:
    """The size that the command line gives, else the study's; None: files as they are."""
    if given is None:
        return wanted
    if given == "originals":
        return None
    allowed = kinds_at(DatasetPack, ("size",))
    bounds = allowed[0].bounds
    if not re.fullmatch("[0-9]{1,9}", given) or not bounds["ge"] <= int(given) <= bounds["le"]:
        raise StudyError(
            Problem(what="not a size", where="--size", value=given, allowed=f"{in_words(allowed[:1])}, or originals")
        )
    return int(given)


def add_submission_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `submission check` and `submission score` to the subcommands."""
    text = "look at a submission to the Algonauts 2023 Challenge"
    actions = commands.add_parser("submission", help=text, description=text).add_subparsers(
        required=True, metavar="ACTION"
    )
    _add_submission(actions, "check", _check_submission, "everything that is wrong with the zip, at once")
    text = "the challenge's metric, where the tree has test responses and noise ceilings"
    score = _add_submission(actions, "score", _score_submission, text)
    score.add_argument("--format", choices=FORMATS, default="table")


def _add_submission(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, command: Any, text: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    parser.add_argument("zip", type=Path, metavar="ZIP", help="the submission")
    parser.add_argument("root", type=Path, metavar="ROOT", help="the folder with subj01, subj02, ... (docs/data.md)")
    return parser


def _check_submission(options: argparse.Namespace) -> None:
    shapes = expected_shapes(options.root)
    problems = zip_problems(options.zip, shapes)
    if problems:
        raise DataError(problems)
    n_vertices = sum(n for sides in shapes.values() for _, n in sides.values())
    print(f"{options.zip}: {number_of(len(shapes), 'subject')}, {n_vertices} vertices, no problem found")


def _score_submission(options: argparse.Namespace) -> None:
    rows = score_submission(options.zip, options.root)
    if options.format in FOR_PEOPLE:
        rows = with_digits(rows, ".4f")
    show(rows, options.format)
