"""`neuroscaling resolution TABLE`, and what `plan` says of benchmarks: which differences a table's scores can tell."""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path
from typing import Any

from neuroscaling.cli.output import FORMATS, rounded, show
from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.files import atomic_path
from neuroscaling.core.score_table import read_table
from neuroscaling.laws.benchmark_file import BenchmarkFile, benchmark_file, read_benchmark_file
from neuroscaling.laws.benchmark_resolution import BenchmarkResolution
from neuroscaling.laws.network_scores import ALL
from neuroscaling.planning.training_time import trained_runs
from neuroscaling.report import benchmark_section
from neuroscaling.study.loaded_study import LoadedStudy
from neuroscaling.study.wanted import Targets

TABLE_HELP = "a score table (results/<study>/scores.parquet), or the resolution.json that was made of one"


def add_resolution_command(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `resolution` to the subcommands."""
    text = "what the benchmarks of a score table can tell, and how lucky layers were"
    parser = commands.add_parser("resolution", help=text, description=text)
    parser.set_defaults(command=_resolution)
    parser.add_argument("table", type=Path, metavar="TABLE", help=TABLE_HELP)
    parts = ("benchmarks", "decisions", "luck")
    parser.add_argument("--part", choices=parts, default=parts[0], help="which of its tables to print (benchmarks)")
    parser.add_argument("--format", choices=FORMATS, default="table")
    text = "write all of it as a page of Markdown instead"
    parser.add_argument("--page", type=Path, metavar="FILE.md", help=text)
    parser.add_argument("--title", default="What the benchmarks can tell", help="of the page")


def content_of(path: Path) -> BenchmarkFile:
    """What the benchmarks of a table can tell, from the table or its file. Raises DataError where neither is there."""
    if not path.is_file():
        raise DataError(Problem(what="file is missing", where=str(path), allowed=TABLE_HELP))
    return read_benchmark_file(path) if path.suffix == ".json" else benchmark_file(read_table(path))


def _resolution(options: argparse.Namespace) -> None:
    content = content_of(options.table)
    if options.page is not None:
        with atomic_path(options.page) as temporary:
            temporary.write_text(benchmark_section.page(content, options.title), encoding="utf-8")
        print(options.page)
        return
    rows = {
        "benchmarks": benchmark_section.resolution_rows,
        "decisions": benchmark_section.decision_rows,
        "luck": benchmark_section.luck_rows,
    }
    show(rows[options.part](content), options.format)


def benchmark_rows(study: LoadedStudy, content: BenchmarkFile) -> list[dict[str, Any]]:
    """What the runs of a study can see on each benchmark of a table: its own benchmarks, or all where none is its own.

    Columns: benchmark, in_study, networks and seeds of the study (the fewest that a network has on most images), spread
    and noise in the table, smallest_difference that these seeds see between two networks, seeds_to_see_spread (between
    two networks that differ by the spread), scale (the most images of a class) and pairs_ranked there as at the largest
    scale of the table, asymptote_error of a law from as many runs.
    """
    own = {score.benchmark for score in Targets(study).scores}
    rows = [
        _row(study, content, place, _is_one_of(one, own))
        for place, one in _largest_mapping(content.resolutions).items()
    ]
    return [row for row in rows if row["in_study"]] or rows


def _largest_mapping(found: list[BenchmarkResolution]) -> dict[int, BenchmarkResolution]:
    """Places of the benchmarks with their largest number of mapping images."""
    best: dict[str, int] = {}
    for place, own in enumerate(found):
        at = best.setdefault(own.benchmark, place)
        if (own.key.get("n_mapping") or 0) > (found[at].key.get("n_mapping") or 0):
            best[own.benchmark] = place
    return {place: found[place] for place in best.values()}


def _is_one_of(own: BenchmarkResolution, names: set[str]) -> bool:
    """Whether a benchmark is one of `names`; published tables write the lab ahead of a name."""
    name = str(own.key.get("benchmark"))
    return name in names or name.partition(".")[2] in names


def _row(study: LoadedStudy, content: BenchmarkFile, place: int, in_study: bool) -> dict[str, Any]:
    own, error = content.resolutions[place], content.error_of(place)
    runs = trained_runs(study)
    scale = _largest_scale(study)
    at_scale = Counter((run.arch, run.dataset, run.training_recipe.name) for run in runs if _scale(run) == scale)
    seeds = min(at_scale.values(), default=0)
    ranked = next((decision.seen for decision in own.decisions if decision.scale == scale), None)
    of_law = error.of_asymptote[0] * (error.of_runs[0] / len(runs)) ** 0.5 if error and runs else None
    return {
        "benchmark": own.benchmark,
        "in_study": in_study,
        "networks": len({(run.arch, run.dataset, run.training_recipe.name) for run in runs}),
        "seeds": seeds,
        "spread": _rounded(own.spread),
        "noise": _rounded(own.noise or own.late_noise),
        "smallest_difference": _rounded(own.smallest_difference(seeds) if seeds else None),
        "seeds_to_see_spread": own.seeds_for(own.spread) if own.spread else None,
        "scale": scale,
        "pairs_ranked": 1.0 if scale == own.scale else _rounded(ranked),
        "asymptote_error": _rounded(of_law),
        "simulated": own.simulated,
    }


def _scale(run: Any) -> str:
    return str(run.samples_per_class) if isinstance(run.samples_per_class, int) else ALL


def _largest_scale(study: LoadedStudy) -> str | None:
    scales = {_scale(run) for run in trained_runs(study)}
    return ALL if ALL in scales else max(scales, key=int, default=None)


def _rounded(value: float | None) -> float | None:
    return None if value is None else rounded(value)
