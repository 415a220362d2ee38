"""`neuroscaling predict|next-runs` answers questions to a finished fit."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.cli.output import FOR_PEOPLE, FORMATS, show, with_digits
from neuroscaling.core.errors import DataError, Problem, listing, nearest
from neuroscaling.core.table_files import read_text_table, text_table_frame
from neuroscaling.forecast.benchmark_weights import rank_over_fits, weight_of
from neuroscaling.forecast.next_runs import candidates_from_table, choose_runs, rank_candidates
from neuroscaling.forecast.targets_and_budgets import plan_for_compute, plan_for_score, plan_for_x
from neuroscaling.laws.benchmark_file import BenchmarkFile, read_benchmark_file
from neuroscaling.laws.finished_law import read_fit
from neuroscaling.laws.fit_record import FitRecord
from neuroscaling.laws.influence_record import fit_files, influence_path, read_influence

if TYPE_CHECKING:
    import pandas as pd


SHOWN_DIGITS = 4


def add_forecast_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `predict` and `next-runs` to the subcommands."""
    predict = _add(
        commands, "predict", _predict, "the run that reaches a score, or the score of a run, by a finished fit"
    )
    predict.add_argument("--target-score", type=float, metavar="S", help="a score (or another y): what does it need?")
    predict.add_argument("--compute", type=float, metavar="FLOPS", help="a budget: which run, and which score?")
    text = "the variables of the fit, in its order: which score?"
    predict.add_argument("--x", type=float, nargs="+", metavar="X", help=text)
    text = "of a law of parameters, unique images and passes: the most unique images that there are (those of the fit)"
    predict.add_argument("--images", type=float, metavar="U", help=text)
    predict.add_argument("--format", choices=("text", "json"), default="text")
    text = "which runs would narrow the intervals of the asymptotes of one fit, or of several, most"
    following = _add(commands, "next-runs", _next_runs, text, several=True)
    text = "table of affordable runs: the fit's x, optional label, seeds, total_flops (of one seed)"
    following.add_argument("--candidates", type=Path, required=True, metavar="FILE.csv", help=text)
    text = "choose several runs within this many FLOPs, instead of ranking each alone"
    following.add_argument("--budget", type=float, metavar="FLOPS", help=text)
    text = "what benchmarks can tell, which weights several fits; by default the resolution.json of the fits' study"
    following.add_argument("--resolution", type=Path, metavar="FILE.json", help=text)
    following.add_argument("--top", type=int, default=10, metavar="N", help="rows of a ranking to show (10)")
    following.add_argument("--format", choices=FORMATS, default="table")


def fit_with_resamples(path: Path) -> FitRecord:
    """The fit in the file at `path`, with its resamples. Raises DataError where one of its two files is not there."""
    if path.suffix != ".json" or not path.is_file():
        folder = path.parent if path.parent.is_dir() else Path()
        known = [str(file) for file in fit_files(folder)]
        problem = Problem(
            what="no such fit",
            where="FIT",
            value=str(path),
            allowed=listing(known) or "<fit>.json",
            nearest=nearest(path, known),
        )
        raise DataError(problem)
    beside = path.with_name(f"{path.stem}.bootstraps.parquet")
    if not beside.is_file():
        raise DataError(
            Problem(what="the bootstraps of the fit are missing", where=str(beside), fix="make the fit again")
        )
    return read_fit(path)


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    command: Any,
    text: str,
    several: bool = False,
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=text, description=text)
    parser.set_defaults(command=command)
    where: dict[str, Any] = {"nargs": "+"} if several else {}
    parser.add_argument("fit", type=Path, metavar="FIT", help="results/<study>/fits/<name>.json", **where)
    return parser


def _predict(options: argparse.Namespace) -> None:
    questions = {"--target-score": plan_for_score, "--compute": plan_for_compute, "--x": plan_for_x}
    values = {name: getattr(options, name[2:].replace("-", "_")) for name in questions}
    given = [name for name, value in values.items() if value is not None]
    if len(given) != 1:
        found = " and ".join(given) or "none of them"
        raise DataError(
            Problem(
                what="one question at a time", where="predict", value=found, allowed="one of " + ", ".join(questions)
            )
        )
    plan = questions[given[0]](fit_with_resamples(options.fit), values[given[0]], options.images)
    print(json.dumps(plan.to_dict(), indent=1) if options.format == "json" else plan.describe())
    if (beside := influence_path(options.fit)).is_file():
        print(f"- the law {read_influence(beside).verdict}", file=sys.stderr)


def _next_runs(options: argparse.Namespace) -> None:
    if options.top < 1:
        raise DataError(
            Problem(
                what="at least one row must be shown",
                where="--top",
                value=options.top,
                allowed="a whole number above 0",
            )
        )
    if len(options.fit) > 1:
        _next_runs_of_several(options)
        return
    fit = fit_with_resamples(options.fit[0])
    candidates = candidates_from_table(_read_table(options.candidates), fit.variables)
    if options.budget is None:
        choice = rank_candidates(fit, candidates)
        rows = choice.rows[: options.top]
    else:
        choice = choose_runs(fit, candidates, options.budget)
        rows = choice.rows
    words = [f"width of the interval of {choice.parameter} today: {choice.width:.{SHOWN_DIGITS}g}"]
    content = _resolution(options)
    if content is not None:
        words.append(f"- weight of the benchmark, by what it can tell: {weight_of(fit, content):.2f} of 1")
    _show_rows(rows, len(choice.rows), [*words, *(f"- {statement}" for statement in choice.statements)], options.format)


def _next_runs_of_several(options: argparse.Namespace) -> None:
    """Rank the candidates over several fits, each weighted by what its benchmark can tell."""
    if options.budget is not None:
        what, fix = "a budget is for one fit", "name one fit, or leave out --budget"
        raise DataError(Problem(what=what, where="--budget", value=f"{len(options.fit)} fits", fix=fix))
    fits = [fit_with_resamples(path) for path in options.fit]
    candidates = candidates_from_table(_read_table(options.candidates), fits[0].variables)
    rows, words = rank_over_fits(fits, candidates, _resolution(options))
    _show_rows(rows[: options.top], len(rows), [f"- {word}" for word in words], options.format)


def _resolution(options: argparse.Namespace) -> BenchmarkFile | None:
    """What the benchmarks can tell: as named, else of the study of the first fit, else not known."""
    beside = options.fit[0].parent.parent / "resolution.json"
    path = options.resolution or (beside if beside.is_file() else None)
    return None if path is None else read_benchmark_file(path)


def _show_rows(rows: list[dict[str, Any]], count: int, words: list[str], form: str) -> None:
    show(with_digits(rows, f".{SHOWN_DIGITS}g") if form in FOR_PEOPLE else rows, form)
    words = (
        words if len(rows) == count else [*words, f"- {len(rows)} of {count} candidates are shown; --top shows more"]
    )
    print("\n".join(words), file=sys.stderr)


def _read_table(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise DataError(Problem(what="file is missing", where=str(path), fix="give a CSV file with a row for each run"))
    return text_table_frame(read_text_table(path), gaps=True)
