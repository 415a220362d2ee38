"""The report in Chromium, opened from disk: tables are there, sorting and filtering work, nothing is fetched."""

import re

import pytest
from tests.browser.chromium import MARKS, Tables, opened
from tests.report.test_report import write_simulated_report

pytestmark = MARKS


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A report of simulated scores, made as in the unit tests."""
    return write_simulated_report(tmp_path_factory.mktemp("report"))


def dom(page, address="", log=None):
    return opened(page, address, log).html


def column(rows, name):
    place = rows[0].index(name)
    return [row[place] for row in rows[1:]]


def test_tables_hold_all_rows(page):
    shown = opened(page)
    tables = Tables(shown.html).rows
    assert shown.console == []
    assert len(tables["scores-table"]) == 1 + 84
    assert len(tables["runs-table"]) == 1 + 42
    assert "score" in tables["scores-table"][0]


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_address_sorts(page, order):
    tables = Tables(dom(page, f"#table.scores.sort=score&table.scores.order={order}"))
    values = [float(value) for value in column(tables.rows["scores-table"], "score")]
    assert values == sorted(values, reverse=order == "descending") and len(set(values)) > 50
    assert tables.sorted == {"scores-table": ("score", order)}


def test_address_filters(page):
    rows = Tables(dom(page, "#table.scores.filter=vit+pls+IT")).rows["scores-table"]
    assert len(rows) == 1 + 21
    assert set(column(rows, "region")) == {"IT"} and set(column(rows, "arch family")) == {"ViT"}


def test_numbers_sort_as_numbers_and_missing_ones_come_last(page):
    descending = "#table.runs.order=descending&table.runs.sort="
    values = column(Tables(dom(page, f"{descending}n_samples")).rows["runs-table"], "n samples")
    assert [float(v) for v in values] == sorted(map(float, values), reverse=True)
    names = column(Tables(dom(page, f"{descending}dataset")).rows["runs-table"], "dataset")
    assert names[-2:] == ["–", "–"] and names[0] == "digits"


def test_page_fetches_nothing(page, tmp_path):
    log = tmp_path / "net.json"
    text = dom(page, log=log)
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", text)
    fetched = {url for url in re.findall(r'"url":"([^"]+)"', log.read_text()) if url.startswith("file:")}
    assert all("index.html" in url for url in fetched)


def test_scheme_follows_the_system_until_the_reader_chooses(browser, page):
    shown = browser.open(page, dark=True)
    paper = "getComputedStyle(document.body).backgroundColor"
    assert shown.evaluate(paper) == "rgb(22, 25, 29)"
    shown.click("#scheme")
    assert shown.evaluate(paper) == "rgb(255, 255, 255)" and shown.evaluate("location.hash") == "#scheme=light"
    assert browser.open(page, "#scheme=dark").evaluate(paper) == "rgb(22, 25, 29)"
    assert shown.console == []
