"""The top of the page: what the study found in a sentence or two, then a line for each law with its curve.

A study without laws shows the best networks of each region in its place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from neuroscaling.core.score_scales import LOSS
from neuroscaling.laws.finished_law import FinishedLaw
from neuroscaling.laws.fit_record import FitRecord
from neuroscaling.laws.influence_record import Influence
from neuroscaling.laws.number_words import number
from neuroscaling.report.answer import Answer, answer_values, answers, findings
from neuroscaling.report.law_figures import Panel, panel_of
from neuroscaling.report.page_content import group_title
from neuroscaling.report.sparkline import sparkline
from neuroscaling.report.style import axis_label

if TYPE_CHECKING:
    import pandas as pd

SHOWN = 24
"""Lines that are open at first; the groups behind them are folded."""
BEST = 3
"""Networks that are shown of a region."""


@dataclass(frozen=True)
class Line:
    """A law in the table of answers. alone: whether its group has no other, so that it bears the group's title."""

    answer: Answer
    title: str
    curve: Markup
    anchor: str


@dataclass(frozen=True)
class Block:
    """The answers of a group of laws. x: what they are drawn against, in words; quantity: what they describe."""

    name: str
    title: str
    x: str
    quantity: str
    simulated: bool
    lines: Sequence[Line]
    folded: bool = False


def answer_section(
    groups: Mapping[str, list[FitRecord]], influences: Mapping[str, Influence], table: pd.DataFrame
) -> dict[str, Any]:
    """What the template shows: sentences, blocks, and without laws the best networks. groups: fits by entry, in the
    order of the study, of which the first is the main one.
    """
    found = {name: answers(fits, influences) for name, fits in groups.items()}
    titles = {name: group_title(fits, panel_of(fits[0]).column) for name, fits in groups.items()}
    blocks: list[Block] = []
    shown = 0
    for name, own in found.items():
        blocks.append(_block(name, titles[name], own, folded=bool(blocks) and shown + len(own) > SHOWN))
        shown += len(own)
    return {
        "findings": findings([(titles[name], own) for name, own in found.items()]),
        "open": [block for block in blocks if not block.folded],
        "folded": [block for block in blocks if block.folded],
        "best": [] if any(isinstance(fit, FinishedLaw) for fits in groups.values() for fit in fits)
        else best_networks(table),
    }  # fmt: skip


def answer_rows(groups: Mapping[str, list[FitRecord]], influences: Mapping[str, Influence]) -> list[dict[str, Any]]:
    """The answers of all laws as rows for programs."""
    return [
        answer_values(answer, group_title(fits, panel_of(fits[0]).column))
        for fits in groups.values()
        for answer in answers(fits, influences)
    ]


def _block(name: str, title: str, own: Sequence[Answer], folded: bool) -> Block:
    panels = [panel_of(answer.fit) for answer in own]
    lines = [
        Line(answer, title if len(own) == 1 else answer.title, sparkline(panel, _alt(answer, panel)), f"fit-{name}")
        for answer, panel in zip(own, panels, strict=True)
    ]
    simulated = any(answer.fit.simulated for answer in own)
    return Block(name, title, _lower(panels[0].column), _lower(own[0].fit.quantity), simulated, lines, folded)


def _alt(answer: Answer, panel: Panel) -> str:
    """A curve in words, for readers who don't see it."""
    what = f"{axis_label(answer.fit.quantity)} of {answer.title} against {_lower(panel.column)}: {answer.points} points"
    if panel.curve is None or not panel.curve.x.size:
        return what
    first, last = float(panel.curve.fit[0]), float(panel.curve.fit[-1])
    return f"{what}, and a curve from {number(first)} to {number(last)}"


def _lower(column: str) -> str:
    return axis_label(column).lower().replace("flops", "FLOPs")


def best_networks(table: pd.DataFrame) -> list[dict[str, Any]]:
    """The best networks by region, each with the mean of its scores over subjects, sessions and data.

    Scores on different scales, by different metrics or from different numbers of mapping images are told apart; of
    the numbers the largest counts. Baselines and untrained networks compete: who beats them is what a reader asks.
    """
    known = table[table["score"].notna()]
    found = []
    for key, rows in known.groupby(["region", "metric", "scale"], dropna=False, sort=False):
        counted = rows["n_mapping"]
        largest = rows[counted.isna() | (counted == counted.groupby(rows["benchmark"]).transform("max"))]
        means = largest.groupby("run", sort=False).agg(score=("score", "mean"), rows=("score", "size"))
        ranked = means.sort_values("score", ascending=key[2] == LOSS, kind="stable").head(BEST)
        best = [{"run": run, "score": number(float(row["score"])), "rows": int(row["rows"])} for run, row in
                ranked.iterrows()]  # fmt: skip
        region, metric, scale = ("" if value is None or value != value else str(value) for value in map(_plain, key))
        found.append({"region": region or "–", "metric": metric, "scale": scale, "networks": len(means), "best": best})
    return found


def _plain(value: Any) -> Any:
    return None if str(value) == "<NA>" else value
