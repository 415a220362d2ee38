"""The page of each kind of study in Chromium: its tables are drawn and its console is clean."""

import numpy as np
import pandas as pd
import pytest
from tests.browser.chromium import MARKS, Tables, opened
from tests.report.test_report import DOT, fits_of, simulated_study
from tests.support import made_up_encoding
from tests.support.finished_studies import made_up_law, write_finished_study
from tests.support.made_up_study import made_up_fits, made_up_tables

from neuroscaling.core.files import write_json
from neuroscaling.core.score_table import COLUMNS, read_table
from neuroscaling.report import encoding_figures
from neuroscaling.report.comparison import read_studies
from neuroscaling.report.comparison_page import write_comparison
from neuroscaling.report.page import build_report
from neuroscaling.report.sections import encoding_section, read_section
from neuroscaling.reproductions.gokce2025 import figures_of_study

pytestmark = MARKS


def build(folder, table, runs, fits=(), **parts):
    study = {"name": "small", "title": "</script><script>throw new Error('title')</script>"}
    build_report(folder / "index.html", table, list(fits), study, [], DOT, runs, **parts)
    return folder / "index.html"


def published(folder, patch):
    """Scores that others published: figures, and no run of the study's own."""
    tables = dict(zip(("scores", "checkpoints", "brainscore"), made_up_tables(), strict=True))
    tables["scores"].to_parquet(folder / "scores.parquet")
    for name in ("checkpoints", "brainscore"):
        tables[name].to_csv(folder / f"{name}.csv", index=False)
    files = [folder / "fits" / f"{name}.json" for name in made_up_fits()]
    for file, content in zip(files, made_up_fits().values(), strict=True):
        write_json(file, content)
    patch.setattr(figures_of_study, "FIGURES", figures_of_study.FIGURES[:1])
    figures = folder / "figures" / "figures.json"
    paths = (folder / "scores.parquet", folder / "checkpoints.csv", folder / "brainscore.csv")
    figures_of_study.write_index(figures, *paths, files)
    table, _ = simulated_study()
    return build(folder, table.assign(simulated=False), [], sections=[read_section(figures)])


def encoding(folder, patch):
    """fMRI of three subjects: a figure, three that are left out, and an averaged submission."""
    networks = made_up_encoding.runs()[:2]
    patch.setattr(made_up_encoding, "runs", lambda: networks)
    patch.setattr(made_up_encoding, "SIZES", [10, 1000])
    scores, table, _, accuracy = made_up_encoding.write_study(folder)
    figures, found = folder / "encoding" / "figures.json", encoding_figures.all_figures
    patch.setattr(encoding_figures, "all_figures", lambda *given: list(found(*given))[:4])
    row = {"subject": "all", "r": 0.4, "challenge": 41.0, "unclipped": 40.0}
    submission = {"average": "mean", "simulated": True, "runs": ["a", "b"], "subjects": ["subj01"], "scores": [row]}
    write_json(folder / "average.json", submission)
    encoding_figures.encoding_figures(scores, table, [], accuracy, figures, submissions=[folder / "average.json"])
    return build(folder, read_table(table), networks, sections=[encoding_section(figures)])


def v4(folder, patch):
    """One neuron's rows, without an architecture's counts: most cells are missing."""
    table, runs = simulated_study()
    table = table.assign(
        simulated=False, region="V4", metric="ridge", n_params=pd.NA, ceiling=np.nan, total_flops=np.nan
    )
    return build(folder, table, [{"run": "pixels", "kind": "baseline"}, *runs[:3]])


def failed(folder, patch):
    """Some runs failed, with their reasons; scores are missing."""
    table, runs = simulated_study()
    table["score"] = np.nan
    reason = 'loss is not finite\n    found: "nan"\n    next: <b>lower</b> the rate & try again'
    runs = [{**run, "status": "failed", "problem": reason, "acc": None} for run in runs]
    return build(folder, table, runs, fits_of(table))


def empty(folder, patch):
    return build(folder, pd.DataFrame(columns=list(COLUMNS)).astype(COLUMNS), [])


# Rows of the tables of scores and of runs (None: there is no such table). The demo's page is in test_report.py.
KINDS = {published: (84, None), encoding: (36, 2), v4: (84, 4), failed: (84, 42), empty: (0, None)}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_page_draws_its_tables_and_writes_nothing_to_the_console(kind, tmp_path, monkeypatch):
    page = opened(kind(tmp_path, monkeypatch))
    assert page.console == []
    rows, (scores, runs) = Tables(page.html).rows, KINDS[kind]
    assert min(scores, 10) <= len(rows.get("scores", [])) <= scores  # the rest is drawn where one scrolls to
    assert f"{scores} of {scores} rows" in page.html
    assert ('id="runs"' in page.html) is (runs is not None) and min(runs or 0, 10) <= len(rows.get("runs", []))
    assert f"{runs} of {runs} rows" in page.html or runs is None
    if kind is published:
        assert 'id="figures"' in page.html
    if kind is encoding:
        assert "average.zip" in page.html and page.html.count("<figure") == 1 and "left out" in page.html
    if kind is failed:
        assert "loss is not finite" in str(rows["runs"])


def test_addresses_of_tables_that_are_not_there_do_no_harm(tmp_path, monkeypatch):
    page = empty(tmp_path, monkeypatch)
    for address in ("#table.runs.sort=acc", "#table.scores.sort=nothing&table.scores.filter=(%5B", "#%E0%A4%A=1"):
        assert opened(page, address).console == []


def test_the_console_is_heard(tmp_path):
    (tmp_path / "index.html").write_text("<script>console.warn('one\\ntwo'); undefined.three</script>")
    said = opened(tmp_path / "index.html").console
    assert said[0] == "one\ntwo" and "Uncaught TypeError" in said[1]


def test_studies_stand_side_by_side(browser, tmp_path):
    laws = [made_up_law("compute.V1", 0.5, "V1"), made_up_law("compute.IT", 0.4, "IT")]
    table, _ = simulated_study()
    folders = [write_finished_study(tmp_path / name, name, laws, table) for name in ("one", "two")]
    write_comparison(tmp_path / "compare.html", read_studies(folders))
    for width in (1400, 390):
        shown = browser.open(tmp_path / "compare.html", width=width, dark=width == 390)
        assert shown.evaluate("[...document.images].map((one) => one.complete && one.naturalWidth > 0)") == [True, True]
        assert shown.evaluate("document.querySelectorAll('.answers tbody tr').length") == 4
        shown.wait("document.querySelector('.plot').dataset.drawn")
        of_study = "neuroscaling.figures[0].panels[0].view.data('points').length"
        points = shown.evaluate(of_study)
        shown.evaluate("document.querySelector('.key').click()")  # the first study is hidden
        shown.wait(f"{of_study} === {points // 2}")
        assert shown.evaluate("document.documentElement.scrollWidth") <= width and shown.console == []
