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


def opened(page: Path, address: str = "", log: Path | None = None) -> Opened:
    """Open the file `page` with `address` (`#...`) behind it. log: where what was fetched is noted."""
    options = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--virtual-time-budget=5000",
        "--enable-logging=stderr", f"--user-data-dir={page.parent / 'profile'}",
    ]  # fmt: skip
    options += [f"--log-net-log={log}"] if log else []
    command = [CHROMIUM, *options, "--dump-dom", f"file://{page}{address}"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    return Opened(done.stdout, CONSOLE.findall(done.stderr))
