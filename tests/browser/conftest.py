"""One Chromium, and one report, for all tests that use a page."""

import pytest
from tests.browser.devtools import Browser
from tests.report.test_report import write_simulated_report


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture(scope="session")
def page(tmp_path_factory):
    """A report of simulated scores, made as in the unit tests."""
    return write_simulated_report(tmp_path_factory.mktemp("report"))
