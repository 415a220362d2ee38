"""The report in Chromium, opened from disk: nothing is fetched, and it is light or dark."""

import re

from tests.browser.chromium import MARKS, opened

from neuroscaling.report.explorer import library

pytestmark = MARKS


def test_page_fetches_nothing(page, tmp_path):
    log = tmp_path / "net.json"
    text = opened(page, log=log).html.replace(library(), "")
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


def test_the_answer_is_the_first_thing_that_is_seen(browser, page):
    for width, dark in ((1400, False), (390, True)):
        shown = browser.open(page, width=width, dark=dark)
        headings = shown.evaluate("[...document.querySelectorAll('h2')].map((h) => h.textContent)")
        assert headings[0] == "What this study found" and headings[-2:] == ["How it was made", "Limits"]
        assert shown.evaluate("document.querySelector('#answer').getBoundingClientRect().top") < 900
        assert shown.evaluate("document.querySelector('.answers .spark').getBoundingClientRect().width") == 120
        assert shown.evaluate("document.documentElement.scrollWidth") <= width
        shown.click(".answers a[href='#fit-samples']")
        assert shown.evaluate("location.hash.includes('fit-samples')") and shown.console == []
