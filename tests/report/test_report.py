"""The report: figures, page, graph of the rules, timings. All scores here are simulated."""

import re
import xml.etree.ElementTree as ET
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from neuroscaling.core.commitments import Commitment
from neuroscaling.core.score_table import COLUMNS
from neuroscaling.laws.finished_law import fit_record
from neuroscaling.laws.number_words import number
from neuroscaling.laws.study_fit import fit_table
from neuroscaling.report import explorer, figure, law_figures, rulegraph, style
from neuroscaling.report.network_pages import NetworkPage, pages_content
from neuroscaling.report.page import build_report
from neuroscaling.report.page_content import frame_data, packed, table_data
from neuroscaling.report.sections import TEMPLATES
from neuroscaling.report.style import looks
from neuroscaling.report.timings import Timing, read_timings
from neuroscaling.study.sections.fit_files import FitFile, expand_fits

DOT = """digraph snakemake_dag {
    graph[bgcolor=white, margin=0];
    node[shape=box, style=rounded, fontname=sans, fontsize=10, penwidth=2];
    edge[penwidth=2, color=grey];
	0[label = "report", color = "0.53 0.6 0.85", style="rounded"];
	1[label = "table", color = "0.13 0.6 0.85", style="rounded"];
	2[label = "fit", color = "0.23 0.6 0.85", style="rounded"];
	1 -> 0
	2 -> 0
	1 -> 2
}"""


def simulated_study():
    """Score table and run records of 2 families x 2 sizes x 5 numbers of images x 2 seeds, and 2 untrained networks."""
    rng = np.random.default_rng(0)
    cells = [(f, w, n, s) for f in ("ResNet", "ViT") for w in (8, 32) for n in (10, 30, 100, 300, 1300) for s in (0, 1)]
    cells += [("ResNet", 8, 0, 0), ("ViT", 8, 0, 0)]
    runs, rows = [], []
    for i, (family, width, n, seed) in enumerate(cells):
        run = {
            "run": f"{family.lower()}_w{width}_digits_{n}_s{seed}-{i:08x}", "arch": f"{family.lower()}_w{width}",
            "dataset": "digits" if n else None, "samples_per_class": n // 10, "seed": seed, "n_params": width**2 * 100,
            "macs": width**2 * 1000, "n_samples": n, "n_epochs": 10 if n else 0, "n_samples_seen": 10 * n,
            "total_flops": 60000.0 * width**2 * n, "acc": 0.5, "kind": "trained" if n else "untrained",
        }  # fmt: skip
        runs.append({**run, "family": family, "seconds": 3.2})
        for region, gain in (("V1", 0.0), ("IT", 0.4)):
            score = 0.2 + gain * (1 - (max(n, 5) / 10) ** -0.3) + 0.02 * np.log10(width) + rng.normal(0, 0.01)
            rows.append(
                {**run, "arch_family": family, "flops": 2.0 * run["macs"], "is_pretrained": False, "is_random": not n,
                 "data": "simulated-demo-00000000", "simulated": True, "benchmark": f"x.{region}-pls", "metric": "pls",
                 "region": region, "n_mapping": 180, "n_targets": 20, "score": score, "raw": score**0.5, "ceiling": 0.9,
                 "error": 0.01, "scale": "r2/c", "protocol": "corrected", "engine": "stock"}
            )  # fmt: skip
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS), runs


def fits_of(table):
    common = {"form": "power_law", "filters": {"kind": "trained"}, "bootstraps": 30}
    fits = FitFile(
        fits=[
            {**common, "name": "samples", "x": "n_samples", "by": {"region": ["V1", "IT", "V4"]}},
            {**common, "name": "forms", "x": "total_flops", "form": None, "forms": ["log_linear", "logistic"]},
        ]
    )
    return [fit_record(fit_table(table, job.settings)[0]) for job in expand_fits(fits)]


def write_simulated_report(folder):
    table, runs = simulated_study()
    study = {"name": "small", "title": "A small simulated study <&>", "runs": [run["run"] for run in runs]}
    timings = [Timing("train", 40, 3.2, 128.0, 512.0), Timing("fit", 4, 1.0, 4.0, None)]
    pages = pages_content({run["run"]: simulated_page(run) for run in runs}, [simulated_choice(runs[0]["run"])])
    build_report(folder / "index.html", table, fits_of(table), study, timings, DOT, runs, pages=pages)
    return folder / "index.html"


def own_text(page):
    """The text of a page without its libraries, which could fetch and aren't asked to."""
    text = page.read_text().replace(explorer.library(), "")
    return re.sub(r"<script>/\* Tabulator .*?</script>", "", text, flags=re.S)


def simulated_page(run):
    """What a run's record and history would give."""
    epochs = list(range(1, run["n_epochs"] + 1))
    curves = {"train_loss": (epochs, [2.3 / epoch for epoch in epochs])} if epochs else {}
    recipe = {"optimizer": "sgd", "learning_rate": 0.1} if epochs else None
    return NetworkPage(curves, {"subset": "30"}, recipe, {"width": 8}, {"versions": {"torch": "2"}}, 3.2)


def simulated_choice(run):
    """Layers as they would be chosen on `run`."""
    values = {"benchmark": "x.IT-pls", "region": "IT", "candidates": ["layer2", "layer10"], "layer": "layer10"}
    scores = {"layers": ["layer10"], "scores": [[0.1, 0.3], [0.3, 0.5]], "near_ties": {}, "why": None}
    way = {"run": run, "way": "nested", "hierarchy": False, "inner_splits": 2}
    return Commitment(**values, **scores, **way, definition={}, made_from={}, provenance={})


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return write_simulated_report(tmp_path_factory.mktemp("report"))


def test_values_that_pandas_calls_missing_are_null_on_the_page():
    table = pd.DataFrame({"subject": pd.array(["a", pd.NA], "string"), "raw": [np.nan, 0.5], "none": [None, None]})
    assert frame_data(table, ["subject", "raw", "none"])["rows"] == [["a", None], [None, 0.5]]


def test_a_packed_table_has_each_text_of_a_column_once():
    table = {"columns": ["run", "n", "mixed"], "rows": [["a", 1, "x"], [None, 2, 3], ["a", 3, None]], "total": 3}
    assert packed(table)["words"] == {"run": ["a"]}
    assert packed(table)["rows"] == [(0, 1, "x"), (None, 2, 3), (0, 3, None)]
    assert packed({"columns": [], "rows": [], "total": 0})["rows"] == []


def test_writes_page_figures_and_table(page):
    names = {path.name for path in page.parent.iterdir()}
    figures = {f"{stem}.{ending}" for stem in ("samples", "forms") for ending in ("svg", "pdf")}
    assert names == figures | {"index.html", "scores.csv", "answers.csv", "rulegraph.svg"}
    assert page.stat().st_size < 3e6
    for name in ("samples.svg", "rulegraph.svg"):
        assert ET.parse(page.parent / name).getroot().tag.endswith("svg")
    assert (page.parent / "samples.pdf").read_bytes().startswith(b"%PDF")


def test_page_needs_no_network_and_no_other_file(page):
    own = own_text(page)
    assert not re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", own)
    without_script = "".join(re.findall(r"<noscript>.*?</noscript>", own, re.S))
    assert set(re.findall(r'src="([^":]*):', own.replace(without_script, ""))) == {"data"}
    assert set(re.findall(r'src="([^"]*)"', without_script)) == {"samples.svg", "forms.svg"}
    assert "@import" not in own and "url(" not in own and "fetch(" not in own


def test_page_says_simulated_and_escapes(page):
    text = page.read_text()
    assert "SIMULATED DATA." in text and "A small simulated study &lt;&amp;&gt;" in text
    order = ("answer", "laws", "scores", "runs", "method", "workflow", "provenance", "limits")
    places = [text.index(f'<section id="{section}"') for section in order]
    assert places == sorted(places)  # first the answer, last how it was made
    assert text.index('class="answers"') < places[1] and text.count('<svg class="spark"') == 4


def test_page_says_what_is_not_testable_and_not_identified(page):
    text = page.read_text()
    assert "Not testable: filters.region: no row passes this filter" in text
    assert "not identified" in text
    assert "Forms compared" in text


def test_every_picture_has_a_description(page):
    pictures = re.findall(r"<img [^>]*>", own_text(page))
    assert len(pictures) == 3 and all(re.search(r'alt="[^"]{20,}"', picture) for picture in pictures)
    plots = re.findall(r'<div class="plot" [^>]*aria-label="([^"]*)"', page.read_text())
    assert len(plots) == 4 and plots[0].startswith("V1: Score of V1 against training images; simulated data; 40 points")


def test_same_input_gives_the_same_files(page, tmp_path):
    again = write_simulated_report(tmp_path)
    for name in ("index.html", "samples.svg", "scores.csv"):
        assert (again.parent / name).read_bytes() == (page.parent / name).read_bytes()


def test_figure_of_real_data_does_not_say_simulated(tmp_path):
    table, runs = simulated_study()
    table["simulated"] = False
    build_report(tmp_path / "index.html", table, fits_of(table), {"name": "s", "title": ""}, [], DOT, runs)
    assert "SIMULATED" not in (tmp_path / "index.html").read_text()
    assert "No measured times" in (tmp_path / "index.html").read_text()


def test_page_tells_scales_apart_and_why_scores_are_missing(tmp_path):
    table, runs = simulated_study()
    in_it = table["region"] == "IT"
    table.loc[in_it, "scale"] = "r/sqrt(c)"
    table.loc[0, ["score", "reason"]] = [float("nan"), "the ceiling is not above 0: -0.035"]
    table.loc[2, ["score", "reason"]] = [float("nan"), "the ceiling is not above 0: -0.2"]
    by_region = {"name": "samples", "form": "power_law", "x": "n_samples", "by": {"region": ["V1", "IT"]}}
    jobs = expand_fits(FitFile(fits=[{**by_region, "filters": {"kind": "trained"}, "bootstraps": 0}]))
    fits = [fit_record(fit_table(table, job.settings)[0]) for job in jobs]
    build_report(tmp_path / "index.html", table, fits, {"name": "s", "title": ""}, [], DOT, runs)
    text = (tmp_path / "index.html").read_text()
    assert "scale of the scores: r2/c; r/sqrt(c) (panels of one scale share their y axis)" in text
    assert "fits leave them out and say so: 2 because the ceiling is not above 0." in text
    assert "the ceiling is not above 0: -0.035" in text and "left out: 2 points with an empty score" in text
    group = [law_figures.panel_of(fit) for fit in fits]
    assert [panel.y_label for panel in group] == ["Score (r2/c)", "Score (r/sqrt(c))"]
    low, high = (law_figures.y_limits(law_figures.on_scale_of(panel, group)) for panel in group)
    assert low[1] < high[1] and low == law_figures.y_limits(group[:1])


def test_study_without_laws(tmp_path):
    table, runs = simulated_study()
    build_report(tmp_path / "index.html", table, [], {"name": "s", "title": ""}, [], DOT, runs)
    assert "This study fits no law." in (tmp_path / "index.html").read_text()


def test_dot_is_understood():
    graph = rulegraph.parse_dot(DOT)
    assert graph.labels == {"0": "report", "1": "table", "2": "fit"}
    assert graph.edges == [("1", "0"), ("2", "0"), ("1", "2")]
    assert rulegraph.layers(graph) == [["1"], ["2"], ["0"]]


def test_graph_is_drawn(tmp_path):
    rulegraph.draw_rulegraph(DOT, tmp_path / "g.svg")
    root = ET.parse(tmp_path / "g.svg").getroot()
    assert root.tag.endswith("svg") and len(list(root.iter())) > 30


def test_timings_are_those_of_this_study_alone(tmp_path):
    """Two studies ran in one folder: a run that both have was extracted to another set for the other one."""
    for name, seconds, memory in (
        ("encoding/a-1/fmri-subj01", 2, "100"),
        ("encoding/a-2/fmri-subj01", 4, "-"),
        ("encoding/b-1/fmri-subj01", 9, "1"),
        ("encoding/a-1/fmri-subj02", 9, "1"),
        ("encoding/a-11/fmri-subj01", 9, "1"),
        ("stimuli/fmri-8deg", 3, "1"),
        ("stimuli/other-8deg", 9, "1"),
        ("subset/other-1-s0", 9, "1"),
        ("train/a-1", 7, "1"),
        ("table", 1, "5"),
        ("fit/samples", 1, "5"),
        ("fit/dropped-since", 9, "5"),
    ):
        path = tmp_path / f"{name}.tsv"
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_text(f"s\th:m:s\tmax_rss\n{seconds}\t0:00:0{seconds}\t{memory}\n")
    records = [{"run": "a-1", "seconds": 5.0}, {"run": "a-2", "seconds": 1.0}, {"run": "a-3", "seconds": 0.0}]
    files = {"encoding": ["fmri-subj01"], "stimuli": ["fmri-8deg"], "subset": ["digits-1-s0"], "fit": ["samples"]}
    assert read_timings([tmp_path], ["a-1", "a-2"], files, records) == [
        Timing("train", 2, 3.0, 6.0, None),
        Timing("stimuli", 1, 3.0, 3.0, 1.0),
        Timing("encoding", 2, 3.0, 6.0, 100.0),
        Timing("table", 1, 1.0, 1.0, 5.0),
        Timing("fit", 1, 1.0, 1.0, 5.0),
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.12345, "0.123"), (0, "0"), (1234.5, "1234"), (1.5e13, "1.50e13"), (2e-7, "2.00e-7"), (None, "–")],
)
def test_numbers(value, text):
    assert number(value) == text


def test_families_are_told_apart():
    found = looks(["ResNet", "ViT", "Swin", "DaViT", "ConvNeXt"])
    assert len({(look.color, look.marker) for look in found.values()}) == 5


def test_tables_keep_missing_values_and_drop_empty_columns():
    table = table_data([{"a": 1.0, "b": None, "c": float("nan")}, {"a": 0.123456789, "c": "x"}], ["a", "b", "c"])
    assert table == {"columns": ["a", "c"], "rows": [[1, None], [0.12346, "x"]], "total": 2}


def _luminance(color):
    """Relative luminance as WCAG 2.2 defines it."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(one, other):
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_marks_stand_out_on_white_paper_and_on_a_dark_page():
    marks = [*style.LOOKS.values(), *style.OTHER, style.NO_FAMILY, *style.FORM_LOOKS.values()]
    for color in {mark.color for mark in marks} | {style.WARNING}:
        assert contrast(color, style.PAPER) > 3 and contrast(style.ON_DARK[color], style.DARK_PAPER) > 3, color
    css = (TEMPLATES / "page.css").read_text()
    light, dark = (dict(re.findall(r"--(\w+): (#\w+)", line)) for line in css.splitlines()[:2])
    assert dark["paper"] == style.DARK_PAPER and css.splitlines()[1].count("#") == css.splitlines()[2].count("#")
    for scheme in (light, dark):
        full = {
            name: color if len(color) == 7 else "#" + "".join(2 * c for c in color[1:])
            for name, color in scheme.items()
        }
        for word in ("ink", "muted", "accent", "warn"):
            assert min(contrast(full[word], full[paper]) for paper in ("paper", "soft", "alert")) > 4.5, word


@pytest.mark.parametrize(
    "ends", [(1e7, 1.2e7), (2.35e7, 2.6e7), (8e6, 1.3e7), (2e3, 9e3), (3e6, 4e7), (12, 110), (1, 1e3), (1e-2, 1e14)]
)
def test_labels_of_a_logarithmic_axis_stand_apart(ends):
    with figure.drawing_settings("a"):
        drawn, (ax,) = figure.panels(1, 1, panel=law_figures.PANEL, foot=0.0, fixed=True)
        ax.plot(ends, (0, 1))
        figure.label(ax, log=True)
        drawn.draw_without_rendering()
        boxes = [tick.get_window_extent() for tick in ax.get_xticklabels(which="both") if tick.get_text()]
    inside = sorted((box.x0, box.x1) for box in boxes if ax.bbox.x0 - 1 <= (box.x0 + box.x1) / 2 <= ax.bbox.x1 + 1)
    assert len(inside) >= 2 and all(left[1] < right[0] for left, right in pairwise(inside))
