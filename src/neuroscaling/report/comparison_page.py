"""The page that lays finished studies side by side, in one file that needs no network."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from neuroscaling.core.files import atomic_path
from neuroscaling.laws.fit_record import FitRecord
from neuroscaling.laws.number_words import number
from neuroscaling.report import explorer
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
from neuroscaling.report.law_figures import FAMILY, Panel, panel_of
from neuroscaling.report.sections import data_uri, render, template_text
from neuroscaling.report.style import BLUE, GREEN, ORANGE, PURPLE, VERMILION, Dash, axis_label

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

LOOKS: tuple[tuple[str, Dash, str], ...] = (
    (BLUE, "-", "━━"), (VERMILION, (0, (5, 2)), "╌╌"), (GREEN, (0, (1, 1.5)), "┈┈"), (PURPLE, (0, (6, 2, 1, 2)), "╌·╌"),
    (ORANGE, (0, (8, 3)), "── ──"),
)  # fmt: skip
"""Colour, dashes, and the dashes as text, of each study."""
MARKS = (("circle", "●"), ("square", "■"), ("triangle-up", "▲"), ("diamond", "◆"), ("cross", "✚"))
"""Shape of the points of each study where the figure answers the mouse, and its sign in the legend."""
SCRIPTS = ("selection.js", "chart.js", "explorer.js")
MOST_PICTURES = 40
PANEL = (3.4, 2.45)  # inches


def write_comparison(page: Path, studies: Sequence[FinishedStudy]) -> None:
    """Write the page: studies, answers side by side with their curves, scores of shared networks, settings."""
    questions = matched(studies)
    common = [one for one in questions if len(one.answers) > 1]
    scores = shared_scores(studies)
    drawn = {f"question-{place}": panels for place, one in enumerate(common[:MOST_PICTURES]) if (panels := _laws(one))}
    data = {"laws": live_data(drawn, studies)}
    text = render(
        "compare.html",
        css="\n".join(map(template_text, ("page.css", "tables.css"))),
        data=data,
        scripts=[explorer.library(), *map(template_text, SCRIPTS)] if drawn else [],
        studies=[_study(study, place) for place, study in enumerate(studies)],
        simulated=any(study.simulated for study in studies),
        common=[{"question": one, "name": name, "picture": name in drawn and _picture(one, drawn[name], studies)}
                for place, one in enumerate(common) for name in (f"question-{place}",)],
        alone=[one for one in questions if len(one.answers) == 1],
        settings=differing_settings(studies, common),
        shared=_score_rows(scores, studies),
        n_shared=len(scores),
    )  # fmt: skip
    with atomic_path(page) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _study(study: FinishedStudy, place: int) -> dict[str, Any]:
    color, _, sign = LOOKS[place % len(LOOKS)]
    on_schemes = f"light-dark({', '.join(explorer.colors(color))})"
    return {
        "name": study.name, "color": on_schemes, "sign": sign, "networks": int(study.scores["run"].nunique()),
        "scores": len(study.scores), "laws": len(study.fits), "simulated": study.simulated,
        "benchmarks": ", ".join(sorted(map(str, study.scores["benchmark"].dropna().unique()))),
    }  # fmt: skip


def _laws(one: Matched) -> dict[int, Panel]:
    """The laws of a question, by the number of the study."""
    return {number: panel_of(answer.fit) for number, answer in one.answers.items() if is_law(answer)}


def live_data(drawn: Mapping[str, Mapping[int, Panel]], studies: Sequence[FinishedStudy]) -> dict[str, Any]:
    """What the figures show that answer the mouse, as the report's do; a study takes the place of a family of networks.

    drawn: the laws of each question, by the number of the study.
    """
    import pandas as pd

    groups = {}
    for name, laws in drawn.items():
        like = next(iter(laws.values())).fit
        groups[name] = [_of_study(panel, studies[place].name, like) for place, panel in laws.items()]
    tables = [study.scores.assign(arch_family=study.name, run=study.name + ": " + study.scores["run"].astype(str))
              for study in studies]  # fmt: skip
    data = explorer.explorer_data(groups, pd.concat(tables))
    shown = {}
    for place, study in enumerate(studies):
        (color, _, _), (shape, sign) = LOOKS[place % len(LOOKS)], MARKS[place % len(MARKS)]
        shown[study.name] = {"colors": explorer.colors(color), "shape": shape, "sign": sign}
    for group in data["groups"].values():
        for panel in group["panels"]:
            panel["fits"] = [fit | {"forms": []} for fit in panel["fits"]]
    return data | {"looks": data["looks"] | shown, "family": "study"}


def _of_study(panel: Panel, name: str, like: FitRecord) -> Panel:
    """A panel whose points are of the family `name`, on the axes that it shares with the law `like`."""
    fit, points = panel.fit, panel.fit.points
    runs = [f"{name}: {run or f'point {i + 1}'}" for i, run in enumerate(points.run or [None] * len(points))]
    own = points.model_copy(update={FAMILY: [name] * len(points), "run": runs})
    shared = {"filters": like.filters | {FAMILY: name}, "by": like.by, "mode": like.mode}
    return replace(panel, fit=fit.model_copy(update={"points": own, **shared}))


def _picture(one: Matched, drawn: Mapping[int, Panel], studies: Sequence[FinishedStudy]) -> dict[str, Any]:
    """The curves of a question over each other, for print."""
    with drawing_settings(one.title, fonttype="none"):
        figure, (ax,) = panels(1, 1, panel=PANEL, foot=0.0, fixed=True)
        _draw(ax, drawn)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
        # Readers without this font get their own sans-serif one.
        picture = data_uri(text.getvalue().replace("'DejaVu Sans'", "'DejaVu Sans', Verdana, sans-serif"))
    alt = f"{one.title}: " + "; ".join(_ends(studies[n].name, p) for n, p in drawn.items())
    return {"src": picture, "alt": alt, "n": sum(len(panel.fit.points) for panel in drawn.values())}


def _draw(ax: Axes, drawn: Mapping[int, Panel]) -> None:
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
