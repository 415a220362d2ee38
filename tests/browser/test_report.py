"""The report in Chromium, opened from disk: tables are there, sorting and filtering work, nothing is fetched."""

import importlib.util
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
UNIT = Path(__file__).parents[1] / "unit" / "test_report.py"

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
]


class Tables(HTMLParser):
    """Text of the cells of the tables, by the table's id; the pages' headings; how each column is sorted."""

    def __init__(self, text):
        super().__init__()
        self.rows, self.sorted, self._table, self._cell = {}, {}, None, False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "table":
            self._table = attributes.get("id", "")
            self.rows.setdefault(self._table, [])
        elif tag == "tr" and self._table is not None:
            self.rows[self._table].append([])
        elif tag in ("td", "th") and self._table is not None:
            self._cell = True
            self.rows[self._table][-1].append("")
            if attributes.get("aria-sort", "none") != "none":
                self.sorted[self._table] = (attributes["data-column"], attributes["aria-sort"])

    def handle_endtag(self, tag):
        if tag == "table":
            self._table = None
        if tag in ("td", "th"):
            self._cell = False

    def handle_data(self, data):
        if self._cell and self._table is not None:
            self.rows[self._table][-1][-1] += data


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    """A report of simulated scores, made as in the unit tests."""
    spec = importlib.util.spec_from_file_location("unit_test_report", UNIT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.write_simulated_report(tmp_path_factory.mktemp("report"))


def dom(page, address="", log=None):
    """The page's HTML after its script has run."""
    options = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--virtual-time-budget=5000",
        f"--user-data-dir={page.parent / 'profile'}",
    ]  # fmt: skip
    options += [f"--log-net-log={log}"] if log else []
    command = [CHROMIUM, *options, "--dump-dom", f"file://{page}{address}"]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def column(rows, name):
    place = rows[0].index(name)
    return [row[place] for row in rows[1:]]


def test_tables_hold_all_rows(page):
    tables = Tables(dom(page)).rows
    assert len(tables["scores-table"]) == 1 + 84
    assert len(tables["runs-table"]) == 1 + 42
    assert "score" in tables["scores-table"][0]


@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_address_sorts(page, order):
    tables = Tables(dom(page, f"#scores?sort=score&order={order}"))
    values = [float(value) for value in column(tables.rows["scores-table"], "score")]
    assert values == sorted(values, reverse=order == "descending") and len(set(values)) > 50
    assert tables.sorted == {"scores-table": ("score", order)}


def test_address_filters(page):
    rows = Tables(dom(page, "#scores?filter=vit+pls+IT")).rows["scores-table"]
    assert len(rows) == 1 + 21
    assert set(column(rows, "region")) == {"IT"} and set(column(rows, "arch family")) == {"ViT"}


def test_numbers_sort_as_numbers_and_missing_ones_come_last(page):
    values = column(Tables(dom(page, "#runs?sort=n_samples&order=descending")).rows["runs-table"], "n samples")
    assert [float(v) for v in values] == sorted(map(float, values), reverse=True)
    names = column(Tables(dom(page, "#runs?sort=dataset&order=descending")).rows["runs-table"], "dataset")
    assert names[-2:] == ["–", "–"] and names[0] == "digits"


def test_page_fetches_nothing(page, tmp_path):
    log = tmp_path / "net.json"
    text = dom(page, log=log)
    assert not re.findall(r"""(?:src|href)=["'](?:https?:)?//""", text)
    fetched = {url for url in re.findall(r'"url":"([^"]+)"', log.read_text()) if url.startswith("file:")}
    assert all("index.html" in url for url in fetched)
