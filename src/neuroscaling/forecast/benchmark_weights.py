"""Candidate runs are ranked over the laws of several benchmarks, each weighted by what its benchmark can tell.

A run is scored on every benchmark of a study. What it narrows on a benchmark whose scores differ by chance as much as
by network is worth little: the reduction of each law's interval counts with the reliability of one score of its
benchmark (`BenchmarkResolution.weight`), from 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from neuroscaling.core.errors import DataError, Problem, listing
from neuroscaling.forecast.next_runs import Candidate, Choice, rank_candidates
from neuroscaling.laws.benchmark_file import BenchmarkFile
from neuroscaling.laws.benchmark_resolution import BenchmarkResolution
from neuroscaling.laws.fit_record import FitRecord


def weight_of(fit: FitRecord, content: BenchmarkFile | None) -> float:
    """Weight of a fit: the mean of the benchmarks that its filters let pass; 1 where none is known."""
    found = [own.weight for own in content.resolutions if _passes(own, fit.filters)] if content else []
    return sum(found) / len(found) if found else 1.0


def _passes(own: BenchmarkResolution, filters: Mapping[str, Any]) -> bool:
    """Whether a benchmark agrees with the filters that name one value or several of a column of its key."""
    named = {column: value for column, value in filters.items() if column in own.key and not isinstance(value, dict)}
    return all(own.key[column] in (value if isinstance(value, list) else [value]) for column, value in named.items())


def rank_over_fits(
    fits: Sequence[FitRecord], candidates: Sequence[Candidate], content: BenchmarkFile | None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of the candidates, best first, and statements for the reader.

    Columns: rank, label, the variables, seeds, cost, weighted_reduction (mean over the fits of weight x reduction), the
    reduction of each fit by its name, simulated.
    Raises DataError where the fits have other variables, and as `rank_candidates`.
    """
    variables = {fit.variables for fit in fits}
    if len(variables) > 1:
        found = listing([f"{fit.name}: {', '.join(fit.variables)}" for fit in fits])
        what, fix = "laws of different variables can't rank the same runs", "name fits over the same `x`"
        raise DataError(Problem(what=what, where="FIT", value=found, allowed="one `x`", fix=fix))
    if len({fit.name for fit in fits}) < len(fits):
        names = listing([fit.name for fit in fits])
        raise DataError(Problem(what="fits of one name", where="FIT", value=names, allowed="each fit once"))
    choices = {fit.name: rank_candidates(fit, candidates) for fit in fits}
    weights = {fit.name: weight_of(fit, content) for fit in fits}
    rows = [_row(i, candidates[i], choices, weights, fits[0].variables) for i in range(len(candidates))]
    rows.sort(key=lambda row: (-row["weighted_reduction"], row["cost"] or 0.0, row["label"]))
    words = [f"{name}: weight {weight:.2f} by what its benchmark can tell" for name, weight in weights.items()]
    if content is None:
        words = ["what the benchmarks can tell is not known, so all fits count alike"]
    words += [f"{name}: {word}" for name, choice in choices.items() for word in choice.statements]
    return [{"rank": rank, **row} for rank, row in enumerate(rows, 1)], words


def _row(
    place: int,
    candidate: Candidate,
    choices: Mapping[str, Choice],
    weights: Mapping[str, float],
    variables: Sequence[str],
) -> dict[str, Any]:
    own = {name: choice.rows[_place(choice, candidate, variables)] for name, choice in choices.items()}
    first = next(iter(own.values()))
    weighted = sum(weights[name] * row["reduction"] for name, row in own.items()) / len(own)
    return {
        "label": first["label"],
        **{name: first[name] for name in variables},
        "seeds": candidate.seeds,
        "cost": first["cost"],
        "weighted_reduction": weighted,
        **{f"reduction {name}": row["reduction"] for name, row in own.items()},
        "simulated": any(row["simulated"] for row in own.values()),
    }


def _place(choice: Choice, candidate: Candidate, variables: Sequence[str]) -> int:
    """The row of a candidate in a ranking."""
    wanted = (candidate.x, candidate.seeds)
    return next(
        i
        for i, row in enumerate(choice.rows)
        if (tuple(row[name] for name in variables), row["seeds"]) == wanted
        and (not candidate.label or row["label"] == candidate.label)
    )
