"""The page holds all figures and tables of a study in one file."""

from __future__ import annotations

import base64
import json
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuroscaling.core.files import atomic_path, read_object
from neuroscaling.core.provenance import provenance
from neuroscaling.core.records import read_outcome
from neuroscaling.core.score_table import VALIDATION, read_table
from neuroscaling.report import law_figures, page_content
from neuroscaling.report.rulegraph import draw_rulegraph
from neuroscaling.report.style import DASHES
from neuroscaling.report.timings import Timing, read_timings

if TYPE_CHECKING:
    import pandas as pd


TEMPLATES = Path(__file__).parent / "templates"
PACKAGES = ("numpy", "pandas", "matplotlib", "torch", "timm", "zarr", "himalaya", "lmfit", "snakemake")
logger = logging.getLogger(__name__)


def write_report(
    page: str | Path,
    table: str | Path,
    runs: list[str | Path],
    fits: list[str | Path],
    rulegraph: str | Path,
    study: dict[str, Any],
    benchmarks: list[str | Path],
    published: str | Path | None = None,
    encoding: str | Path | None = None,
) -> None:
    """Read the files of a study and write its report; see `build_report`.

    study: name, title, jobs (names of its runs and packs, which begin the names of their benchmark files);
    benchmarks: folders with Snakemake's benchmark files; published: list of figures and claims of a published study;
    encoding: list of figures of voxel-wise encoding.
    """
    read = [read_outcome(path) for path in runs]
    records = [record.content() | {"seconds": record.provenance.get("seconds")} for record in read]
    build_report(
        page,
        read_table(table),
        [read_object(path, "name", "status") for path in fits],
        study,
        read_timings(benchmarks, study["jobs"], records),
        Path(rulegraph).read_text(encoding="utf-8"),
        records,
        _figures(Path(published)) if published else None,
        _figures(Path(encoding)) if encoding else None,
    )


def build_report(
    page: str | Path,
    table: pd.DataFrame,
    fits: list[dict[str, Any]],
    study: dict[str, Any],
    timings: list[Timing],
    rulegraph: str,
    runs: list[dict[str, Any]],
    published: dict[str, Any] | None = None,
    encoding: dict[str, Any] | None = None,
) -> None:
    """Write `page` (index.html), and beside it every figure as SVG and PDF, rulegraph.svg and scores.csv.

    table: the score table; fits: contents of the fit files; study: name, title; rulegraph: DOT text; runs: contents of
    run.json; published: figures and claims of a published study; encoding: figures of voxel-wise encoding. The page
    needs no other file and no network.
    """
    page = Path(page)
    folder = page.parent
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_path(folder / "scores.csv") as temporary:
        table.to_csv(temporary, index=False)
    draw_rulegraph(rulegraph, folder / "rulegraph.svg")
    laws = [_group(name, group, folder) for name, group in page_content.groups(fits).items()]
    text = _render(
        study=study,
        simulated=bool(table["simulated"].any()),
        all_simulated=bool(len(table) and table["simulated"].all()),
        accuracy_alone=bool(len(table) and (table["benchmark"] == VALIDATION).all()),
        counts={"runs": len(runs), "models": table["run"].nunique(), "scores": len(table), "laws": len(fits)},
        published=published,
        encoding=encoding,
        laws=laws,
        rulegraph=_data_uri((folder / "rulegraph.svg").read_text(encoding="utf-8")),
        timings=timings,
        scores=page_content.table_data(table.to_dict("records"), page_content.SCORE_COLUMNS),
        runs=page_content.table_data(runs, page_content.RUN_COLUMNS),
        sources=page_content.sources(table),
        limits=page_content.limits(table, fits),
        provenance=provenance(PACKAGES),
    )
    with atomic_path(page) as temporary:
        temporary.write_text(text, encoding="utf-8")
    logger.info("%s: %d laws, %.1f MB", page, len(fits), len(text) / 1e6)


def _figures(index: Path) -> dict[str, Any]:
    """Figures of a list with their images inside, what else the list holds, and the name of its `folder`."""
    content = {**read_object(index, "figures"), "folder": index.parent.name}
    for figure in content["figures"]:
        image = next(name for name in figure["files"] if name.endswith(".svg"))
        figure["src"] = _data_uri((index.parent / image).read_text(encoding="utf-8"))
    return content


def _group(name: str, fits: list[dict[str, Any]], folder: Path) -> dict[str, Any]:
    """A group of laws as the template needs it; writes the group's figure."""
    fits = [law_figures.on_one_axis(fit) for fit in fits]
    files = law_figures.write_figure(fits, page_content.group_title(fits), folder / name)
    fitted = next((fit for fit in fits if fit["status"] == "fitted"), None)
    return {
        "name": name,
        "title": page_content.group_title(fits),
        "simulated": any(fit.get("simulated") for fit in fits),
        "expression": fitted and fitted["expression"],
        "x_scale": fitted and [page_content.unit(fit["x_scale"]) for fit in fits if fit["status"] == "fitted"],
        "path": fitted and fitted.get("path"),
        "mode": " and ".join(dict.fromkeys(fit["mode"] for fit in fits)),
        "rows_used": page_content.common_filters(fits),
        "loss": fitted and fitted["loss_name"],
        "bootstraps": fitted and {**fitted["bootstraps"], "of": _drawn(fits)},
        "legend": [{"family": family, "look": look} for family, look in law_figures.group_looks(fits).items()],
        "other_forms": [(DASHES[form][1], row["expression"]) for form, row in law_figures.other_forms(fits).items()],
        "panels": [{"src": _data_uri(_panel(fit, fits)), "alt": _alt(fit)} for fit in fits],
        "scales": page_content.scales(fits),
        "files": [path.name for path in files],
        "rows": [page_content.law_row(fit) for fit in fits],
    }


def _panel(fit: dict[str, Any], fits: list[dict[str, Any]]) -> str:
    return law_figures.panel_svg(fit, law_figures.y_limits(law_figures.on_scale_of(fit, fits)))


def _drawn(fits: list[dict[str, Any]]) -> str:
    """What the bootstraps of a group draw, such as `points (parity), clusters (corrected)`."""
    found = {fit["mode"]: fit["bootstraps"]["of"] for fit in fits if fit["status"] == "fitted"}
    if len(set(found.values())) == 1:
        return next(iter(found.values()))
    return ", ".join(f"{what} ({mode})" for mode, what in found.items())


def _alt(fit: dict[str, Any]) -> str:
    """The panel in words, for readers who don't see it."""
    simulated = "simulated data; " if fit.get("simulated") else ""
    what = f"{law_figures.panel_title(fit)}: {page_content.group_title([fit])}; {simulated}"
    if not fit.get("curve"):
        return what + ("no curve" if fit["status"] == "fitted" else "not testable")
    ends = fit["curve"]["fit"][0], fit["curve"]["fit"][-1]
    x = fit["curve"]["x"][0], fit["curve"]["x"][-1]
    return (
        f"{what}{fit['n']} points; the fitted law goes from {page_content.number(ends[0])} "
        f"at {page_content.number(x[0])} "
        f"to {page_content.number(ends[1])} at {page_content.number(x[1])}"
    )


def _data_uri(svg: str) -> str:
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


def _render(**values: Any) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.filters["number"] = page_content.number
    # `<` must not end the script element that holds the data.
    environment.filters["data"] = lambda value: Markup(json.dumps(value, allow_nan=False).replace("<", "\\u003c"))
    own = {name: Markup((TEMPLATES / name).read_text(encoding="utf-8")) for name in ("page.css", "page.js")}
    return environment.get_template("page.html").render(css=own["page.css"], js=own["page.js"], **values)
