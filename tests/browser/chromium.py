"""Chromium without a window: a page's HTML after its script has run, and what the page wrote to its console."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
MARKS = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
]
CONSOLE = re.compile(r':CONSOLE[:(]\d+\)?\] "(.*?)", source: ', re.S)


@dataclass
class Opened:
    """A page that was opened. html: after its script; console: its messages, and exceptions that nothing caught."""

    html: str
    console: list[str]


class Tables(HTMLParser):
    """Rows of the page's tables that are drawn, by the table's name, each as text by column; how each is sorted.

    A long table draws the rows that are in sight, and some around them.
    """

    def __init__(self, text):
        super().__init__()
        self.rows, self.sorted, self._table, self._cell, self._depth = {}, {}, None, None, 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        classes = (attributes.get("class") or "").split()
        if tag == "section":
            self._table = attributes.get("id")
        elif self._cell is not None:
            self._depth += tag == "div"
        elif "tabulator-row" in classes:
            self.rows.setdefault(self._table, []).append({})
        elif "tabulator-cell" in classes:
            self._cell, self._depth = attributes["tabulator-field"], 1
            self.rows[self._table][-1][self._cell] = ""
        elif attributes.get("aria-sort", "none") != "none":
            self.sorted[self._table] = (attributes["tabulator-field"], attributes["aria-sort"])

    def handle_endtag(self, tag):
        self._depth -= tag == "div"
        if self._depth == 0:
            self._cell = None

    def handle_data(self, data):
        if self._cell is not None:
            self.rows[self._table][-1][self._cell] += data


def opened(page: Path, address: str = "", log: Path | None = None) -> Opened:
    """Open the file `page` with `address` (`#...`) behind it. log: where what was fetched is noted."""
    options = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--virtual-time-budget=5000",
        "--enable-logging=stderr", f"--user-data-dir={page.parent / 'profile'}",
    ]  # fmt: skip
    options += [f"--log-net-log={log}"] if log else []
    command = [CHROMIUM, *options, "--dump-dom", f"file://{page}{address}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    return Opened(done.stdout, CONSOLE.findall(done.stderr))
