"""Laws of two variables and published studies on the page of the report. All scores here are simulated."""

import json
import re
from dataclasses import asdict

import pytest

from neuroscaling.laws.finished_law import fit_record
from neuroscaling.laws.number_words import numbers
from neuroscaling.laws.study_fit import fit_table
from neuroscaling.report import law_figures
from neuroscaling.report.figure import drawing_settings
from neuroscaling.report.page import build_report, write_report
from neuroscaling.report.style import LOOKS
from neuroscaling.reproductions.gokce2025.figures_of_study import page_section
from neuroscaling.study.sections.fit_files import FitFile, expand_fits
from tests.laws.test_fit_job import job, two_variable_table
from tests.report.test_report import DOT, own_text, simulated_study

PAIR = {"forms": ["chinchilla"], "x": ["n_params", "n_samples_seen"], "x_scale": [1e5, 1e4]}


@pytest.fixture(scope="module")
def two():
    """A law of two variables in both modes, with its allocation."""
    common = PAIR | {"compute": "total_flops", "name": "sizes", "fit": "sizes"}
    settings = [job(**common, mode="parity"), job(**common | {"name": "sizes.corrected"})]
    return [fit_table(two_variable_table(), each)[0] for each in settings]


def test_a_law_of_two_variables_is_drawn_against_compute(two):
    drawn = law_figures.panel_of(fit_record(two[1]))
    assert drawn.column == "total_flops" and drawn.x.tolist() == two[1]["points"]["total_flops"]
    assert len(drawn.curve.x) > 10 and drawn.x.min() <= drawn.curve.ends[0] < drawn.curve.ends[1] <= drawn.x.max()
    assert drawn.curve.low95.shape == drawn.curve.fit.shape == drawn.curve.x.shape


def test_without_an_allocation_it_is_drawn_against_the_product(two):
    drawn = law_figures.panel_of(fit_record(two[0] | {"allocation": None}))
    assert drawn.column == "n_params x n_samples_seen" and drawn.curve is None
    n, d = two[0]["points"]["x"][7]
    assert drawn.x[7] == n * d


def test_both_modes_of_a_fit_are_two_panels_of_one_figure(two, tmp_path):
    table, runs = simulated_study()
    build_report(tmp_path / "index.html", table, list(map(fit_record, two)), {"name": "s", "title": "t"}, [], DOT, runs)
    text = (tmp_path / "index.html").read_text()
    assert "drawn along the best sizes of model and data" in text
    assert "parity and corrected" in text and '<th scope="row">parity</th>' in text
    assert f"x in units of {numbers([1e5, 1e4])}" in text
    assert {path.name for path in tmp_path.glob("sizes.*")} == {"sizes.svg", "sizes.pdf"}


def test_laws_that_differ_in_the_family_alone_share_a_panel(tmp_path):
    table, runs = simulated_study()
    by = {"region": ["V1", "IT"], "arch_family": ["ResNet", "ViT", "CORnet"]}
    entry = {"name": "samples", "form": "power_law", "x": "n_samples", "caption": "V1 < IT.", "bootstraps": 20}
    jobs = expand_fits(FitFile(fits=[{**entry, "by": by, "filters": {"kind": "trained"}}]))
    fits = [fit_record(fit_table(table, job.settings)[0]).worded({"samples": job.words}) for job in jobs]
    v1, it = law_figures.by_axes([law_figures.panel_of(fit) for fit in fits])
    assert [panel.family for panel in v1] == ["ResNet", "ViT", "CORnet"] and it[0].shared_title == "IT"
    build_report(tmp_path / "index.html", table, fits, {"name": "s", "title": "t"}, [], DOT, runs)
    text = (tmp_path / "index.html").read_text()
    first, second = re.findall(r'<div class="plot" [^>]*aria-label="([^"]*)"', text)
    assert first.count("20 points; the fitted law") == 2 and "V1, CORnet" in first and "IT, ViT" in second
    assert text.count('<th scope="row">IT, ViT</th>') == 1 and "V1 &lt; IT." in text
    with drawing_settings("families", fonttype="none"):
        law_figures.draw_group(v1, "Samples").savefig(tmp_path / "v1.svg")
    picture = (tmp_path / "v1.svg").read_text()
    colours = [LOOKS["resnet"].color.lower(), LOOKS["vit"].color.lower()]
    assert all(f"stroke: {colour}; stroke-width: 1.6" in picture for colour in colours)
    assert ">V1<" in picture and "n = 40" in picture and "CORnet: not testable" in picture


def test_laws_of_one_family_in_other_modes_or_regions_keep_panels_of_their_own(tmp_path):
    table, _ = simulated_study()
    fit = {"name": "a", "form": "power_law", "x": "n_samples", "modes": ["parity", "corrected"], "bootstraps": 0}
    jobs = expand_fits(FitFile(fits=[{**fit, "filters": {"arch_family": "ViT", "kind": "trained"}}]))
    panels = [law_figures.panel_of(fit_record(fit_table(table, job.settings)[0])) for job in jobs]
    assert len(law_figures.by_axes(panels)) == len(panels) == 2


def test_figures_of_a_published_study_stand_on_the_page(two, tmp_path):
    table, _ = simulated_study()
    table.to_parquet(tmp_path / "scores.parquet")
    (tmp_path / "graph.dot").write_text(DOT)
    (tmp_path / "fit.json").write_text(json.dumps(two[1]))
    figure = {"name": "fig1", "title": "Title <1>", "caption": "Shows.", "limits": "Shows not.", "files": ["fig1.svg"]}
    content = {"figures": [figure], "left_out": ["A figure of other laws"]}
    index = tmp_path / "published" / "figures.json"
    index.parent.mkdir()
    index.write_text(json.dumps(content | asdict(page_section(content, "published"))))
    index.with_name("fig1.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    study = {"name": "s", "title": "t", "jobs": [], "files": {}, "laws": {}}
    page = tmp_path / "report/index.html"
    write_report(
        page, tmp_path / "scores.parquet", [], [tmp_path / "fit.json"], tmp_path / "graph.dot", study, [],
        [index],
    )  # fmt: skip
    text = own_text(page)
    assert set(re.findall(r'src="([^":]*)', text)) == {"data", "sizes.svg"}
    for phrase in ("Title &lt;1&gt;", "Shows not.", "left out: A figure of other laws."):
        assert phrase in text
    assert "42 published models" in text and 'id="runs"' not in text
