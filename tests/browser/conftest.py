"""One Chromium for all tests that use a page."""

import pytest
from tests.browser.devtools import Browser


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("browser")) as started:
        yield started
