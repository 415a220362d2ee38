"""`neuroscaling submission check|score`: a zip for the Algonauts 2023 Challenge, looked at before it is sent."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from neuroscaling.cli.output import FORMATS, show
from neuroscaling.errors import DataError


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `submission check` and `submission score` to the subcommands."""
    text = "look at a submission to the Algonauts 2023 Challenge"
    actions = commands.add_parser("submission", help=text, description=text).add_subparsers(
        required=True, metavar="ACTION"
    )
    _add(actions, "check", _check, "everything that is wrong with the zip, at once")
    text = "the challenge's metric, where the tree has test responses and noise ceilings"
    score = _add(actions, "score", _score, text)
    score.add_argument("--format", choices=FORMATS, default="table")


def _add(
    actions: argparse._SubParsersAction[argparse.ArgumentParser], name: str, command: Any, text: str
) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    parser.add_argument("zip", type=Path, metavar="ZIP", help="the submission")
    parser.add_argument("root", type=Path, metavar="ROOT", help="the folder with subj01, subj02, ... (docs/data.md)")
    return parser


def _check(options: argparse.Namespace) -> None:
    from neuroscaling.encoding.submission import expected_shapes, zip_problems

    shapes = expected_shapes(options.root)
    problems = zip_problems(options.zip, shapes)
    if problems:
        raise DataError(problems)
    n_vertices = sum(n for sides in shapes.values() for _, n in sides.values())
    print(f"{options.zip}: {len(shapes)} subjects, {n_vertices} vertices, no problem found")


def _score(options: argparse.Namespace) -> None:
    from neuroscaling.encoding.submission_score import score_submission

    rows = score_submission(options.zip, options.root)
    if options.format == "table":
        rows = [{key: _short(value) for key, value in row.items()} for row in rows]
    show(rows, options.format)


def _short(value: Any) -> Any:
    return f"{value:.4f}" if isinstance(value, float) else value
