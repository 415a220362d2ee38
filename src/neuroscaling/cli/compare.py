"""`neuroscaling compare` lays the results of finished studies side by side: a page, or rows."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from neuroscaling.cli.output import FOR_PEOPLE, FORMATS, show
from neuroscaling.core.errors import DataError, Problem

FEW = ("question", "study", "points", "asymptote_words", "exponent_words", "preferred_form", "carried_by")
"""Columns of the table for people; csv and json have all."""


def add_compare_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `compare` to the subcommands."""
    text = "lay finished studies side by side: answers, curves, scores of shared networks, settings that differ"
    parser = commands.add_parser("compare", help=text, description=text)
    parser.set_defaults(command=_compare)
    text = "results/<study>, of two finished studies or more"
    parser.add_argument("studies", type=Path, nargs="+", metavar="RESULTS", help=text)
    text = "write one page that needs no network, instead of printing the answers"
    parser.add_argument("--output", type=Path, metavar="FILE.html", help=text)
    parser.add_argument("--format", choices=FORMATS, default="table", help="of the answers that are printed")


def _compare(options: argparse.Namespace) -> None:
    from neuroscaling.report.comparison import comparison_rows, read_studies
    from neuroscaling.report.comparison_page import write_comparison

    output: Path | None = options.output
    if output is not None and output.suffix not in (".html", ".htm"):
        fix = "name a page, such as compare.html; --format csv prints rows"
        raise DataError(Problem(what="a page ends in .html", where="--output", value=str(output), fix=fix))
    studies = read_studies(options.studies)
    if output is not None:
        write_comparison(output, studies)
        print(output)
        return
    rows = comparison_rows(studies)
    show([{key: row[key] for key in FEW} for row in rows] if options.format in FOR_PEOPLE else rows, options.format)
    if any(study.simulated for study in studies):
        names = ", ".join(study.name for study in studies if study.simulated)
        print(f"- SIMULATED recordings in {names}: nothing there is a finding about a brain", file=sys.stderr)
