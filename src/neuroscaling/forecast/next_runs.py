"""Candidate runs are ranked by how much they are expected to narrow the asymptote's interval.

How a run's expected width is found: `expected_width`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.core.errors import DataError, Problem, listing, nearest, number_of
from neuroscaling.forecast.caveats import about_data
from neuroscaling.forecast.expected_width import (
    After,
    Noise,
    Outlook,
    after_run,
    has_log_loss,
    median_penalty,
    outlook,
    residual_noise,
)
from neuroscaling.laws.compute_optimal import SCALES
from neuroscaling.laws.finished_law import FinishedLaw, require_law
from neuroscaling.laws.fit_record import FitRecord
from neuroscaling.laws.law_fit import finite

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
    wrong = [
        Problem(what="no such column", where="candidates", value=v, nearest=nearest(v, have))
        for v in variables
        if v not in have
    ]
    unknown = [column for column in have if column not in known]
    wrong += [
        Problem(what="unknown column", where="candidates", value=c, allowed=", ".join(known), nearest=nearest(c, known))
        for c in unknown
    ]
    if wrong:
        raise DataError(wrong)
    wrong = [p for column in have if column != "label" for p in _column_problems(table[column], column)]
    if wrong:
        raise DataError(wrong)
    return [_candidate(row, number, variables) for number, row in enumerate(table.to_dict("records"), 1)]


def check_candidates(law: FinishedLaw, candidates: Sequence[Candidate]) -> None:
    """Raise DataError for an empty list, and for candidates that do not suit the law."""
    if not candidates:
        raise DataError(Problem(what="there are no candidates", where="candidates", fix="give one run or more"))
    problems = []
    for number, candidate in enumerate(candidates, 1):
        numbers = [*candidate.x, candidate.seeds, 1.0 if candidate.cost is None else candidate.cost]
        if len(candidate.x) != len(law.variables) or not all(np.isfinite(v) and v > 0 for v in numbers):
            where, names = f"candidate {number} {candidate.label}".strip(), ", ".join(law.variables)
            problems.append(
                Problem(what="impossible run", where=where, value=candidate, allowed=f"{names}, seeds and cost above 0")
            )
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
    found = f"rows {listing((rows + 1).tolist())}: {listing(list(column.iloc[rows]), 3)}"
    return [Problem(what=f"{rows.size} impossible values", where=f"candidates, {name}", value=found, allowed=allowed)]


def _candidate(row: dict[str, Any], number: int, variables: Sequence[str]) -> Candidate:
    cost = row.get(COST)
    label = row.get("label")
    return Candidate(
        tuple(float(row[name]) for name in variables),
        int(row.get("seeds", 1)),
        f"row {number}" if label is None or label != label else str(label),
        None if cost is None or cost != cost else float(cost),
    )


MIN_GAIN = 1e-3  # of the width today; less is no reason for a run
FEW_RESAMPLES = 30


@dataclass(frozen=True)
class Choice:
    """Candidates as rows: of `rank` best first, of `choose` in the order of choice, each with the width after it.

    Columns of the rows: rank, label, the variables, seeds, cost (FLOPs of all seeds), expected_width, reduction (share
    of the width today), effective_resamples and simulated. simulated: whether the law is one of simulated data.
    parameter: name of the asymptote; width: of its 95 % interval today; noise: of a run, on the scale of the loss.
    """

    fit: str
    simulated: bool
    parameter: str
    width: float
    noise: Noise
    rows: list[dict[str, Any]] = field(repr=False)
    statements: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The choice as JSON can hold it."""
        return finite(asdict(self))


@dataclass(frozen=True)
class _Question:
    law: FinishedLaw
    candidates: Sequence[Candidate]
    costs: list[float | None]
    noise: Noise
    view: Outlook


def rank_candidates(fit: FitRecord, candidates: Sequence[Candidate]) -> Choice:
    """All candidates by the expected width of the asymptote's interval after each of them alone.

    fit: a finished fit with its resamples. Raises DataError for a form without asymptote and for impossible
    candidates. The work is that of 256 scenarios x resamples for each candidate.
    """
    question = _question(fit, candidates)
    found = [after_run(question.view, question.view.nothing, i, 0) for i in range(len(candidates))]
    order = sorted(range(len(candidates)), key=lambda i: (found[i].width, _key(question, i)))
    return _choice(question, [_row(question, i, position, found[i]) for position, i in enumerate(order, 1)])


def choose_runs(fit: FitRecord, candidates: Sequence[Candidate], budget: float) -> Choice:
    """Several candidates within `budget` FLOPs, one after another, each given what the earlier ones will tell.

    Chosen twice, by gain and by gain per FLOP; the better of the two sets is returned. Ends where no affordable
    candidate narrows the interval by a thousandth. Raises DataError as `rank` does, for a candidate whose cost is not
    known, and for a budget that is not positive.
    """
    question = _question(fit, candidates)
    if not (np.isfinite(budget) and budget > 0):
        raise DataError(Problem(what="the budget must be above 0", where="budget", value=budget, allowed="FLOPs"))
    unknown = [_candidate_name(c) for c, cost in zip(candidates, question.costs, strict=True) if cost is None]
    if unknown:
        fix = f"give each candidate its {COST}"
        raise DataError(
            Problem(
                what="the cost of some candidates is not known", where="candidates", value=listing(unknown, 5), fix=fix
            )
        )
    sets = [_greedy(question, budget, per_flop) for per_flop in (False, True)]
    rows = min(sets, key=lambda rows: rows[-1]["expected_width"] if rows else question.view.width)
    words = () if rows else ("no candidate within the budget narrows the interval by a thousandth or more",)
    return _choice(question, rows, words)


def _question(fit: FitRecord, candidates: Sequence[Candidate]) -> _Question:
    law = require_law(fit)
    check_candidates(law, candidates)
    of_run = residual_noise(law)
    spread = of_run.of_mean(np.array([candidate.seeds for candidate in candidates], dtype=np.float64))
    view = outlook(law, np.array([candidate.x for candidate in candidates]), spread * median_penalty(law))
    return _Question(law, candidates, [total_cost(law, candidate) for candidate in candidates], of_run, view)


def _greedy(question: _Question, budget: float, per_flop: bool) -> list[dict[str, Any]]:
    """Rows in the order of choice. A candidate is chosen once; its seeds are one batch."""
    view, costs = question.view, [cost or 0.0 for cost in question.costs]
    known, width, left = view.nothing, view.width, budget
    waiting = sorted(range(len(costs)), key=lambda i: _key(question, i))
    rows: list[dict[str, Any]] = []
    while True:
        found = {i: after_run(view, known, i, len(rows)) for i in waiting if costs[i] <= left}
        gains = {i: width - after.width for i, after in found.items() if width - after.width > MIN_GAIN * view.width}
        if not gains:
            return rows
        best = max(gains, key=lambda i: gains[i] / (costs[i] if per_flop else 1.0))
        rows.append(_row(question, best, len(rows) + 1, found[best]))
        known, width, left = found[best].log_likelihood, found[best].width, left - costs[best]
        waiting.remove(best)


def _row(question: _Question, i: int, position: int, after: After) -> dict[str, Any]:
    candidate, today = question.candidates[i], question.view.width
    sizes = dict(zip(question.law.variables, candidate.x, strict=True))
    return {
        "rank": position,
        "label": _candidate_name(candidate),
        **sizes,
        "seeds": candidate.seeds,
        "cost": question.costs[i],
        "expected_width": after.width,
        "reduction": 1.0 - after.width / today if today > 0 else 0.0,
        "effective_resamples": after.effective,
        "simulated": question.law.simulated,
    }


def _choice(question: _Question, rows: list[dict[str, Any]], words: tuple[str, ...] = ()) -> Choice:
    law, view = question.law, question.view
    all_words = [*about_data(law), *words, *_statements(question, rows)]
    assert law.form.asymptote is not None
    return Choice(law.name, law.simulated, law.form.asymptote, view.width, question.noise, rows, tuple(all_words))


def _statements(question: _Question, rows: list[dict[str, Any]]) -> list[str]:
    law, view, of_run = question.law, question.view, question.noise
    misalignment = f"1 - {law.y}" if law.inverted else law.y
    scale = f"ln({misalignment})" if has_log_loss(law) else law.y
    words = [f"noise of one run about the law: {of_run.total:.3g} in {scale}, of which {of_run.seeds:.3g} from seeds"]
    if law.doubts:
        reasons = "; ".join(law.doubts)
        words.append(f"the data do not identify {law.form.asymptote} ({reasons}): the order holds, the widths do not")
    left_out = law.dropped_resamples + len(law.samples) - view.usable
    if left_out:
        words.append(f"left out: {number_of(left_out, 'resample')} without usable parameters")
    if any(row["effective_resamples"] < FEW_RESAMPLES for row in rows):
        words.append(f"fewer than {FEW_RESAMPLES} resamples bear some widths: more bootstraps would make them firmer")
    return words


def _candidate_name(candidate: Candidate) -> str:
    return candidate.label or ", ".join(f"{value:.3g}" for value in candidate.x)


def _key(question: _Question, i: int) -> tuple[Any, ...]:
    """Order of candidates that does not depend on where they stand in the list: cheap ones first."""
    candidate = question.candidates[i]
    return question.costs[i] or 0.0, candidate.x, candidate.seeds, candidate.label
