"""The page holds all figures and tables of a study in one file."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.core.files import atomic_path
from neuroscaling.core.provenance import provenance
from neuroscaling.core.records import read_outcome
from neuroscaling.core.score_table import ScoreTable, read_score_table
from neuroscaling.core.table_files import parquet_rows
from neuroscaling.laws.benchmark_file import read_benchmark_file
from neuroscaling.laws.finished_law import FinishedLaw, laws_among, read_fits
from neuroscaling.laws.fit_record import FitRecord
from neuroscaling.laws.influence_record import Influence, influence_path, read_influence
from neuroscaling.laws.number_words import number, numbers
from neuroscaling.report import explorer, law_figures, law_influence, page_content
from neuroscaling.report.answer_section import answer_rows, answer_section
from neuroscaling.report.benchmark_section import benchmark_section
from neuroscaling.report.dynamics_section import COLUMNS as DYNAMICS_COLUMNS
from neuroscaling.report.dynamics_section import dynamics_section
from neuroscaling.report.figure import write_figure
from neuroscaling.report.leaderboard import COLUMNS as LEADERBOARD_COLUMNS
from neuroscaling.report.leaderboard import leaderboard
from neuroscaling.report.network_pages import network_page, pages_content, read_layer_choices
from neuroscaling.report.rulegraph import draw_rulegraph
from neuroscaling.report.sections import Section, data_uri, encoding_section, read_section, render, template_text
from neuroscaling.report.timings import Timing, read_timings

if TYPE_CHECKING:
    import pandas as pd


PACKAGES = ("numpy", "pandas", "matplotlib", "torch", "timm", "zarr", "himalaya", "lmfit", "snakemake")
STYLES = ("vendor/tabulator_simple.min.css", "page.css", "tables.css")
SCRIPTS = (
    "vendor/tabulator.min.js",
    "selection.js",
    "chart.js",
    "explorer.js",
    "filters.js",
    "tables.js",
    "leaderboard.js",
    "model_charts.js",
    "model.js",
)
"""Scripts of the page in their order: libraries first, then the data and the state that the others share."""
SHOWN_COLUMNS = list(dict.fromkeys([*page_content.COLUMNS, *LEADERBOARD_COLUMNS, *DYNAMICS_COLUMNS]))
MOST_IN_TEXT = 200_000
"""Rows of a score table of which the report has a copy as text; whoever has more reads the table itself."""
logger = logging.getLogger(__name__)


def write_report(
    page: str | Path,
    table: str | Path,
    runs: list[str | Path],
    fits: list[str | Path],
    rulegraph: str | Path,
    study: dict[str, Any],
    benchmarks: list[str | Path],
    sections: Sequence[str | Path] = (),
    encoding: str | Path | None = None,
    resolution: str | Path | None = None,
    layers: Sequence[str | Path] = (),
) -> None:
    """Read the files of a study and write its report; see `build_report`.

    study: name, title, laws (what the laws of each entry are called, `FitJob.words`), jobs and files (which tell its
    own benchmark files from others', `read_timings`); benchmarks: folders with Snakemake's benchmark files; fits: each
    with what it stands on beside it; sections: lists of figures that hold a section of the page; encoding: list of
    figures of encoding; resolution: file of what benchmarks can tell; layers: choices of layers, those that are there.
    """
    read = [read_outcome(path) for path in runs]
    folder, scores = Path(page).parent, _table(table)
    lost = {one.run: {"problem": one.problem} for one in scores.failed}
    records = [
        record.content() | {"seconds": record.provenance.get("seconds")} | lost.get(record.run, {}) for record in read
    ]
    pages = {record.run: network_page(record, Path(path).parent) for record, path in zip(read, runs, strict=True)}
    dynamics = dynamics_section(scores.scores, folder / "dynamics")
    benchmark = benchmark_section(read_benchmark_file(resolution), folder / "resolution") if resolution else None
    build_report(
        page,
        scores.scores,
        [fit.worded(study["laws"]) for fit in read_fits(fits).values()],
        study,
        read_timings(benchmarks, study["jobs"], study["files"], records),
        Path(rulegraph).read_text(encoding="utf-8"),
        records,
        [
            *map(read_section, sections),
            *([encoding_section(encoding)] if encoding else []),
            *(section for section in (dynamics, benchmark) if section),
        ],
        {found.name: found for path in fits if (beside := influence_path(path)).is_file()
         for found in [read_influence(beside)]},
        pages_content(pages, read_layer_choices(layers)),
    )  # fmt: skip


def _table(path: str | Path) -> ScoreTable:
    """The score table; of a very large one the columns that the page shows or counts alone."""
    is_large = parquet_rows(path) > MOST_IN_TEXT
    return read_score_table(path, SHOWN_COLUMNS if is_large else None)


def build_report(
    page: str | Path,
    table: pd.DataFrame,
    fits: list[FitRecord],
    study: dict[str, Any],
    timings: list[Timing],
    rulegraph: str,
    runs: list[dict[str, Any]],
    sections: Sequence[Section] = (),
    influences: Mapping[str, Influence] | None = None,
    pages: Mapping[str, Any] | None = None,
) -> None:
    """Write `page` (index.html), and beside it every figure as SVG and PDF, rulegraph.svg and, unless it would be very
    large, scores.csv.

    table: the score table; fits: the finished fits; study: name, title; rulegraph: DOT text; runs: contents of
    run.json; sections: parts of the page before its laws; influences: what each fit stands on, by its name; pages: what
    networks have pages of (`network_pages.pages_content`). The page needs no other file and no network.
    """
    page = Path(page)
    folder = page.parent
    folder.mkdir(parents=True, exist_ok=True)
    if has_all := len(table) <= MOST_IN_TEXT:
        with atomic_path(folder / "scores.csv") as temporary:
            table.to_csv(temporary, index=False)
    draw_rulegraph(rulegraph, folder / "rulegraph.svg")
    groups = page_content.groups(fits)
    panels = {name: [law_figures.panel_of(fit, table) for fit in group] for name, group in groups.items()}
    laws = [_group(name, group, panels[name], folder, influences or {}) for name, group in groups.items()]
    if fits:
        _write_answers(folder / "answers.csv", answer_rows(groups, influences or {}))
    counts = {"runs": len(runs), "models": table["run"].nunique(), "scores": len(table), "laws": len(fits)}
    board = leaderboard(table).content()
    run_rows = page_content.table_data(runs, page_content.RUN_COLUMNS)
    text = _render(
        study=study,
        simulated=bool(table["simulated"].any()),
        all_simulated=bool(len(table) and table["simulated"].all()),
        about=page_content.about(table),
        counts=counts,
        answer=answer_section(groups, influences or {}, table),
        sections=sections,
        counted=next((section.counted for section in sections if section.counted), ""),
        laws=laws,
        rulegraph=data_uri((folder / "rulegraph.svg").read_text(encoding="utf-8")),
        timings=timings,
        data={
            "scores": page_content.packed(page_content.frame_data(table, page_content.SCORE_COLUMNS)),
            "runs": run_rows,
            "leaderboard": board,
            "pages": dict(pages or pages_content({})),
            "titles": page_content.COLUMN_TITLES,
            "laws": explorer.explorer_data(panels, table),
        },
        leaderboard=board,
        all_scores="scores.csv" if has_all else "../scores.parquet",
        runs=run_rows,
        sources=page_content.sources(table),
        limits=page_content.limits(table, fits),
        provenance=provenance(PACKAGES),
    )
    with atomic_path(page) as temporary:
        temporary.write_text(text, encoding="utf-8")
    logger.info("%s: %d laws, %.1f MB", page, len(fits), len(text) / 1e6)


def _write_answers(path: Path, rows: list[dict[str, Any]]) -> None:
    import pandas as pd

    with atomic_path(path) as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False)


def _group(
    name: str, fits: list[FitRecord], group: list[law_figures.Panel], folder: Path, influences: Mapping[str, Influence]
) -> dict[str, Any]:
    """A group of laws, drawn as the panels `group`, as the template needs it; writes the group's figures."""
    fitted = laws_among(fits)
    law, title = fitted[0] if fitted else None, page_content.group_title(fits, group[0].column)
    files = write_figure(folder, law_figures.group_drawing(name, title, group))["files"]
    return {
        "name": name,
        "title": title,
        "caption": fits[0].caption,
        "simulated": any(fit.simulated for fit in fits),
        "quantity": fits[0].quantity,
        "expression": law and law.expression,
        "x_scale": [numbers(each.scales) for each in fitted],
        "path": law and law_figures.panel_of(law).path,
        "mode": " and ".join(dict.fromkeys(fit.mode for fit in fits)),
        "rows_used": page_content.common_filters(fits),
        "loss": law and law.loss,
        "bootstraps": law and {"n": law.bootstraps.n, "seed": law.bootstraps.seed, "of": _drawn(fitted)},
        "panels": [_panel(shared) for shared in law_figures.by_axes(group)],
        "scales": page_content.scales(fits),
        "files": files,
        "rows": [page_content.law_row(fit) for fit in fits],
        "stands_on": _stands_on(fits, folder, influences),
    }


def _stands_on(fits: list[FitRecord], folder: Path, influences: Mapping[str, Influence]) -> dict[str, Any]:
    """What a group of laws stands on, in words and tables; writes the plot of the one that is drawn."""
    named = [(fit, influences[fit.name]) for fit in fits if fit.name in influences and influences[fit.name].groups]
    drawn = law_influence.drawn_of(fits, influences)
    return {
        "rule": law_influence.RULE,
        "laws": [
            {
                "name": fit.name,
                "title": law_figures.panel_of(fit).title,
                "verdict": found.verdict,
                "groups": law_influence.influence_rows(found),
                "points": law_influence.point_words(found),
            }
            for fit, found in named
        ],
        "figure": _forest(folder, *drawn) if drawn else None,
    }


def _forest(folder: Path, law: FinishedLaw, influence: Influence) -> dict[str, Any]:
    """The plot of the groups, written to `folder`, with its picture for the page."""
    figure = write_figure(folder, law_influence.forest_drawing(law, influence))
    return figure | {"src": data_uri((folder / figure["files"][0]).read_text(encoding="utf-8"))}


def _panel(shared: list[law_figures.Panel]) -> dict[str, Any]:
    """The fits of one axes in words."""
    n = sum(len(panel.fit.points) for panel in shared)
    return {"title": explorer.title_of(shared), "n": n, "alt": "; ".join(map(_alt, shared))}


def _drawn(laws: list[FinishedLaw]) -> str:
    """What the bootstraps of a group draw, such as `points (parity), clusters (corrected)`."""
    found = {law.mode: law.bootstraps.of for law in laws}
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return ", ".join(f"{what} ({mode})" for mode, what in found.items())


def _alt(panel: law_figures.Panel) -> str:
    """The panel in words, for readers who don't see it."""
    fit, curve = panel.fit, panel.curve
    simulated = "simulated data; " if fit.simulated else ""
    what = f"{panel.title}: {page_content.group_title([fit], panel.column)}; {simulated}"
    if not isinstance(fit, FinishedLaw) or curve is None:
        return what + ("no curve" if isinstance(fit, FinishedLaw) else "not testable")
    (first, last), ends = curve.ends, (float(curve.fit[0]), float(curve.fit[-1]))
    return (
        f"{what}{fit.n} points; the fitted law goes from {number(ends[0])} "
        f"at {number(first)} to {number(ends[1])} at {number(last)}"
    )


def _render(**values: Any) -> str:
    css = "\n".join(template_text(name) for name in STYLES)
    scripts = [explorer.library(), *map(template_text, SCRIPTS)]
    return render("page.html", css=css, scripts=scripts, **values)
