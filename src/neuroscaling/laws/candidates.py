"""Candidate runs: what could be trained next, from Python or from a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.errors import DataError, Problem, listing, nearest
from neuroscaling.laws.allocate import SCALES
from neuroscaling.laws.finished import FinishedLaw

if TYPE_CHECKING:
    import pandas as pd

COST = "total_flops"
OPTIONAL = ("label", "seeds", COST)


@dataclass(frozen=True)
class Candidate:
    """A run that could be made. x: one number for each variable of the law; seeds: trainings that differ in their seed
    alone; cost: FLOPs of one of them, None where not known."""

    x: tuple[float, ...]
    seeds: int = 1
    label: str = ""
    cost: float | None = None


def candidates_from_table(table: pd.DataFrame, variables: Sequence[str]) -> list[Candidate]:
    """One candidate a row. Columns: those of `variables`; optional label, seeds, total_flops (of one seed).

    Raises DataError for missing and unknown columns, and names the rows with impossible numbers.
    """
    have = [str(column) for column in table.columns]
    known = list(dict.fromkeys([*variables, *OPTIONAL]))
    wrong = [Problem("no such column", "candidates", v, nearest=nearest(v, have)) for v in variables if v not in have]
    unknown = [column for column in have if column not in known]
    wrong += [Problem("unknown column", "candidates", c, ", ".join(known), nearest(c, known)) for c in unknown]
    if wrong:
        raise DataError(wrong)
    wrong = [p for column in have if column != "label" for p in _column_problems(table[column], column)]
    if wrong:
        raise DataError(wrong)
    return [_candidate(row, number, variables) for number, row in enumerate(table.to_dict("records"), 1)]


def check_candidates(law: FinishedLaw, candidates: Sequence[Candidate]) -> None:
    """Raise DataError for an empty list, and for candidates that do not suit the law."""
    if not candidates:
        raise DataError(Problem("there are no candidates", "candidates", fix="give one run or more"))
    problems = []
    for number, candidate in enumerate(candidates, 1):
        numbers = [*candidate.x, candidate.seeds, 1.0 if candidate.cost is None else candidate.cost]
        if len(candidate.x) != len(law.variables) or not all(np.isfinite(v) and v > 0 for v in numbers):
            where, names = f"candidate {number} {candidate.label}".strip(), ", ".join(law.variables)
            problems.append(Problem("impossible run", where, candidate, f"{names}, seeds and cost above 0"))
    if problems:
        raise DataError(problems)


def total_cost(law: FinishedLaw, candidate: Candidate) -> float | None:
    """FLOPs of all seeds: as given, else x itself where the law is one of compute, else by the fit's measured cost."""
    cost = candidate.cost
    if cost is None and law.variables == (COST,):
        cost = candidate.x[0]
    if cost is None and law.cost is not None:
        exponent, factor = law.cost[0]
        cost = float(SCALES[2] * factor * np.prod(np.array(candidate.x) / law.scales) ** exponent)
    return None if cost is None else cost * candidate.seeds


def _column_problems(column: pd.Series[Any], name: str) -> list[Problem]:
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=float)
    wrong = ~(np.isfinite(numbers) & (numbers > 0))
    if name == "seeds":
        wrong |= numbers != np.floor(numbers)
    if name == COST:
        wrong &= column.notna().to_numpy()
    rows = np.flatnonzero(wrong)
    if not rows.size:
        return []
    allowed = "whole numbers above 0" if name == "seeds" else "numbers above 0"
    found = f"rows {listing(rows + 1)}: {listing(list(column.iloc[rows]), 3)}"
    return [Problem(f"{rows.size} impossible values", f"candidates, {name}", found, allowed)]


def _candidate(row: dict[str, Any], number: int, variables: Sequence[str]) -> Candidate:
    cost = row.get(COST)
    label = row.get("label")
    return Candidate(
        tuple(float(row[name]) for name in variables),
        int(row.get("seeds", 1)),
        f"row {number}" if label is None or label != label else str(label),
        None if cost is None or cost != cost else float(cost),
    )
