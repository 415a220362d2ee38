"""Leaderboard, tables and a network's page in Chromium, used as a reader uses them."""

import csv
import json

import pandas as pd
import pytest
from tests.browser.chromium import MARKS
from tests.report.test_report import DOT, simulated_study

from neuroscaling.report.page import build_report

pytestmark = MARKS

ROWS = """[...document.querySelectorAll("#NAME-table .tabulator-row")].map((row) => Object.fromEntries(
    [...row.querySelectorAll(".tabulator-cell")].filter((cell) => cell.style.display !== "none")
        .map((cell) => [cell.getAttribute("tabulator-field"), cell.textContent])))"""
CHOSEN = """[...document.querySelectorAll("#leaderboard-table .chosen [tabulator-field=run]")]
    .map((cell) => cell.textContent)"""
IT, V1 = "score1", "score0"


def rows(shown, name="leaderboard"):
    """The rows that are drawn, as text by column."""
    return shown.evaluate(ROWS.replace("NAME", name))


def column(shown, field, name="leaderboard"):
    return [row[field] for row in rows(shown, name)]


def count(shown, name="leaderboard"):
    return shown.evaluate(f"document.querySelector('[data-count={name}]').textContent")


@pytest.fixture
def shown(browser, page):
    shown = browser.open(page)
    yield shown
    assert shown.console == []
    shown.close()


def head(field, name="leaderboard"):
    return f'#{name}-table .tabulator-col[tabulator-field="{field}"] .head button'


def where(shown, field, text, name="leaderboard"):
    """Type into the filter below a head."""
    shown.type(f'#{name}-table input[data-where="{field}"]', text)


def test_leaderboard_ranks_networks_by_their_mean_and_baselines_have_no_rank(shown):
    means = [float(text) for text in column(shown, "mean")]
    assert means == sorted(means, reverse=True) and count(shown) == "42 of 42 rows"
    assert [row["rank"] for row in rows(shown)[:3]] == ["1", "2", "3"]
    first = rows(shown)[0]
    assert abs((float(first[V1][:5]) + float(first[IT][:5])) / 2 - means[0]) <= 0.001 and "±0.010" in first[IT]
    assert "ceiling 0.900" in shown.evaluate("document.querySelector('#leaderboard').textContent")
    shown.click(head("kind"))
    shown.click(head("kind"))
    untrained = [row for row in rows(shown) if row["kind"] == "untrained"]
    assert len(untrained) == 2 and {row["rank"] for row in untrained} == {"–"}


def test_heads_sort_by_pointer_and_keyboard_and_a_link_restores_it(browser, page, shown):
    shown.click(head("n_params"))
    sizes = column(shown, "n_params")
    assert sizes[0] == "102,400" and sizes[-1] == "6,400"
    shown.evaluate(f"document.querySelector('{head('n_params')}').focus()")
    shown.press("Enter")
    shown.wait("location.hash.includes('order=ascending')")
    assert column(shown, "n_params")[0] == "6,400"
    again = browser.open(page, shown.evaluate("location.hash"))
    assert rows(again) == rows(shown)


def test_missing_values_come_last_in_both_orders(shown):
    for order in ("ascending", "descending"):
        shown.click(head("dataset", "runs"))
        shown.wait(f"location.hash.includes('{order}') && {ROWS.replace('NAME', 'runs')}[0].dataset === 'digits'")
        shown.evaluate("document.querySelector('#runs-table .tabulator-tableholder').scrollTop = 1e6")
        shown.wait("document.querySelector('#runs-table .tabulator-row:last-child').textContent.includes('untrained')")
        assert column(shown, "dataset", "runs")[-3:] == ["digits", "–", "–"]
        shown.evaluate("document.querySelector('#runs-table .tabulator-tableholder').scrollTop = 0")


@pytest.mark.parametrize(
    ("field", "text", "passes"),
    [
        ("n_params", "> 10k", 20),
        ("n_samples", "100..300", 16),
        ("n_samples", ">= 30 and < 300", 16),
        ("n_params", "= 6400", 22),
        ("n_samples", "10, 30", 0),
        ("n_samples", "is it?", 42),
        ("arch", "vit", 21),
        ("arch", "w8", 22),
    ],
)
def test_filters_of_columns(shown, field, text, passes):
    where(shown, field, text)
    assert count(shown) == f"{passes} of 42 rows"
    wrong = shown.evaluate(f"document.querySelector('[data-where={field}]').getAttribute('aria-invalid')")
    assert (wrong == "true") is (text == "is it?")


def test_words_filters_columns_and_baselines_stand_in_the_address(browser, page, shown):
    where(shown, "mean", "> 0.3")
    few = int(count(shown).split()[0])
    shown.type('[data-filter="leaderboard"]', "vit")
    assert 0 < int(count(shown).split()[0]) < few < 42
    shown.click("[data-baselines]")
    kept = rows(shown)
    assert {row["arch_family"] for row in kept if row["kind"] == "trained"} == {"ViT"}
    assert sum(row["kind"] == "untrained" for row in kept) == 2
    shown.click("#leaderboard .chooser summary")
    shown.click("#leaderboard .chooser input[value=seed]")
    assert "seed" not in rows(shown)[0]
    again = browser.open(page, shown.evaluate("location.hash"))
    assert rows(again) == rows(shown) and count(again) == count(shown)
    again.evaluate("location.hash = '#table.leaderboard.where.mean=none'")
    again.wait("document.querySelector('[data-count=leaderboard]').textContent === '0 of 42 rows'")
    assert again.console == []


def test_words_find_starts_of_words_in_all_cells(browser, page):
    shown = browser.open(page, "#table.scores.filter=vit+pls+IT")
    assert count(shown, "scores") == "21 of 84 rows"
    assert set(column(shown, "region", "scores")) == {"IT"} and set(column(shown, "arch_family", "scores")) == {"ViT"}
    assert shown.console == []


def test_csv_holds_what_is_seen(shown):
    where(shown, "n_samples", ">= 1300")
    shown.click("[data-csv=leaderboard]")
    with shown.downloaded("small-leaderboard.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    assert len(found) == 8 and {row["training images"] for row in found} == {"1300"}
    assert [row["network"] for row in found] == column(shown, "run")
    assert 0.1 < float(found[0]["IT pls r2/c"]) < 1


def test_a_row_selects_its_network_everywhere_and_its_name_opens_its_page(browser, page, shown):
    run = rows(shown)[2]["run"]
    shown.click("#leaderboard-table .tabulator-row:nth-child(3) [tabulator-field=mean]")
    assert shown.evaluate("neuroscaling.state.get('run')") == run
    assert shown.evaluate(CHOSEN) == [run] and run in shown.evaluate("document.querySelector('#selection').textContent")
    shown.evaluate("neuroscaling.state.set('run', 'vit_w8_digits_0_s0-00000029')")  # as a figure does it
    shown.wait("!!document.querySelector('#leaderboard-table .chosen')")  # it was scrolled to
    shown.click("#leaderboard-table .chosen a")
    shown.wait("document.activeElement.id === 'model-name'")
    other = shown.evaluate("neuroscaling.state.get('run')")
    assert other != run and other in shown.evaluate("document.querySelector('#model-name').textContent")
    shown.wait("!!document.querySelector('#model .vega-embed svg')")  # nothing moves any more
    shown.click("#model .controls button")
    assert shown.evaluate("document.querySelector('#model').hidden && document.querySelector('#selection').hidden")
    assert shown.evaluate(CHOSEN) == [] and shown.evaluate("neuroscaling.state.get('run')") is None


@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("dark", [False, True])
def test_page_of_a_network(browser, page, width, dark):
    run = "resnet_w8_digits_10_s0-00000000"
    shown = browser.open(page, f"#run={run}", width=width, dark=dark)
    text = shown.wait("document.querySelector('#model').textContent")
    for words in (run, "ResNet resnet_w8", "rank", "Nearest by parameters", "optimizer", "torch"):
        assert words in text
    # The scores, loss by epoch, and the scores of layers: each a chart with words, of which none is left empty.
    charts = "[...document.querySelectorAll('#model .vega-embed')]"
    shown.wait(f"{charts}.length === 3 && {charts}.every((one) => one.querySelector('svg path'))")
    said = shown.evaluate(f"{charts}.map((one) => one.getAttribute('aria-label'))")
    assert "IT 0." in said[0] and "0.23 (training)" in said[1] and "layer10 for x.IT-pls" in said[2]
    assert shown.evaluate("document.documentElement.scrollWidth") <= width
    shown.click("[data-model=neighbours] a")
    shown.wait(f"!document.querySelector('#model-name').textContent.includes('{run}')")
    assert shown.console == []
    shown.close()


def test_thousands_of_rows_are_drawn_where_one_scrolls_to(browser, tmp_path):
    table, _ = simulated_study()
    copies = [table.assign(run=table["run"] + f"-{i}", score=table["score"] + i / 1e4) for i in range(120)]
    whole = pd.concat(copies, ignore_index=True)
    build_report(tmp_path / "index.html", whole, [], {"name": "large", "title": ""}, [], DOT, [])
    shown = browser.open(tmp_path / "index.html")
    assert count(shown) == "5040 of 5040 rows" and len(rows(shown)) < 100
    best = rows(shown)[0]["run"]
    shown.evaluate("document.querySelector('#leaderboard-table .tabulator-tableholder').scrollTop = 1e7")
    shown.wait(f"!document.querySelector('#leaderboard-table').textContent.includes({json.dumps(best)})")
    assert 10 < len(rows(shown)) < 100
    where(shown, "rank", "<= 5")
    assert sorted(column(shown, "rank")) == ["1", "2", "3", "4", "5"]
    assert shown.console == []
    shown.close()
