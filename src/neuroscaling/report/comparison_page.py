"""The page that lays finished studies side by side, in one file that needs no network."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.core.files import atomic_path
from neuroscaling.laws.number_words import number
from neuroscaling.report.comparison import (
    MOST_SHARED,
    SHARED_KEYS,
    FinishedStudy,
    Matched,
    differing_settings,
    is_law,
    matched,
    shared_scores,
)
from neuroscaling.report.figure import draw_curve, drawing_settings, log_axis, panels, set_y_range
from neuroscaling.report.law_figures import Panel, panel_of
from neuroscaling.report.sections import TEMPLATES, data_uri, render
from neuroscaling.report.style import BLUE, GREEN, ORANGE, PURPLE, VERMILION, Dash, axis_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

LOOKS: tuple[tuple[str, Dash, str], ...] = (
    (BLUE, "-", "━━"), (VERMILION, (0, (5, 2)), "╌╌"), (GREEN, (0, (1, 1.5)), "┈┈"), (PURPLE, (0, (6, 2, 1, 2)), "╌·╌"),
    (ORANGE, (0, (8, 3)), "── ──"),
)  # fmt: skip
"""Colour, dashes, and the dashes as text, of each study."""
MOST_PICTURES = 40
PANEL = (3.4, 2.45)  # inches


def write_comparison(page: Path, studies: Sequence[FinishedStudy]) -> None:
    """Write the page: studies, answers side by side with their curves, scores of shared networks, settings."""
    questions = matched(studies)
    common = [one for one in questions if len(one.answers) > 1]
    scores = shared_scores(studies)
    text = render(
        "compare.html",
        css=(TEMPLATES / "page.css").read_text(encoding="utf-8"),
        studies=[_study(study, place) for place, study in enumerate(studies)],
        simulated=any(study.simulated for study in studies),
        common=[{"question": one, "picture": _picture(one, studies) if place < MOST_PICTURES else None}
                for place, one in enumerate(common)],
        alone=[one for one in questions if len(one.answers) == 1],
        settings=differing_settings(studies, common),
        shared=_score_rows(scores, studies),
        n_shared=len(scores),
    )  # fmt: skip
    with atomic_path(page) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _study(study: FinishedStudy, place: int) -> dict[str, Any]:
    color, _, sign = LOOKS[place % len(LOOKS)]
    return {
        "name": study.name, "color": color, "sign": sign, "networks": int(study.scores["run"].nunique()),
        "scores": len(study.scores), "laws": len(study.fits), "simulated": study.simulated,
        "benchmarks": ", ".join(sorted(map(str, study.scores["benchmark"].dropna().unique()))),
    }  # fmt: skip


def _picture(one: Matched, studies: Sequence[FinishedStudy]) -> dict[str, str] | None:
    """The curves of a question over each other; None where no study has one."""
    drawn = {number: panel_of(answer.fit) for number, answer in one.answers.items() if is_law(answer)}
    if not drawn:
        return None
    with drawing_settings(one.title, fonttype="none"):
        figure, (ax,) = panels(1, 1, panel=PANEL, foot=0.0, fixed=True)
        _draw(ax, drawn)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
        # Readers without this font get their own sans-serif one.
        picture = data_uri(text.getvalue().replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif"))
    return {"src": picture, "alt": f"{one.title}: " + "; ".join(_ends(studies[n].name, p) for n, p in drawn.items())}


def _draw(ax: Axes, drawn: dict[int, Panel]) -> None:
    values: list[Any] = []
    for place, panel in drawn.items():
        color, dash, _ = LOOKS[place % len(LOOKS)]
        positive = panel.x > 0
        ax.scatter(panel.x[positive], panel.fit.points.y[positive], s=6, c=color, alpha=0.35, linewidths=0, zorder=2,
                   rasterized=len(panel.x) > 100)  # fmt: skip
        if panel.curve is not None:
            draw_curve(ax, panel.curve, color, dash=dash, shade=0.14)
            values += [panel.curve.fit]
        values += [np.asarray(panel.fit.points.y)]
    set_y_range(ax, *values)
    log_axis(ax)
    columns, scales = ([getattr(p, key) for p in drawn.values()] for key in ("column", "y_label"))
    ax.set_xlabel(" or ".join(dict.fromkeys(map(axis_label, columns))))
    ax.set_ylabel(" or ".join(dict.fromkeys(scales)))


def _ends(name: str, panel: Panel) -> str:
    assert panel.curve is not None
    first, last = float(panel.curve.fit[0]), float(panel.curve.fit[-1])
    return f"{name} from {number(first)} to {number(last)}"


def _score_rows(scores: pd.DataFrame, studies: Sequence[FinishedStudy]) -> list[dict[str, Any]]:
    """The scores that differ most, as text."""
    names = [study.name for study in studies]
    return [
        {
            "what": ["" if str(row[key]) in ("<NA>", "nan", "None") else str(row[key]) for key in SHARED_KEYS],
            "scores": [number(float(row[name])) for name in names],
            "difference": number(float(row["difference"])),
        }
        for row in scores.head(MOST_SHARED).to_dict("records")
    ]
