"""The figures of the laws in Chromium, used as a reader uses them."""

import csv

import pytest
from tests.browser.chromium import MARKS

pytestmark = MARKS
FIGURE = '[data-figure="samples"]'
HIDDEN = "#fit=samples&hidden=ViT&fit.samples.x=n_params&fit.samples.scale=linear&fit.samples.residuals=1"


def drawn(browser, page, address="#fit=samples", **how):
    shown = browser.open(page, address, **how)
    shown.wait(f"document.querySelector('{FIGURE} .plot').dataset.drawn")
    return shown


def rows(shown, name):
    """The rows of a data set of the first panel, as its chart has them."""
    return shown.evaluate(f"neuroscaling.figures[0].panels[0].view.data('{name}')")


def place(shown, i):
    """Where a point of the first panel is on the screen, and its network."""
    return shown.evaluate(f"""(() => {{ const {{ view, plot }} = neuroscaling.figures[0].panels[0];
        const point = view.data("points")[{i}], box = plot.querySelector("canvas").getBoundingClientRect();
        const [x, y] = view.origin().map((start) => start + view.padding().left);
        return [box.x + x + view.scale("x")(point.x), box.y + y + view.scale("y")(point.y), point.run]; }})()""")


def choose(shown, setting, value):
    shown.evaluate(f"""(() => {{ const box = document.querySelector('{FIGURE} [data-setting={setting}]');
        box.value = "{value}"; box.dispatchEvent(new Event("change")); }})()""")


def test_hover_names_the_network_and_a_click_selects_it(browser, page):
    shown = drawn(browser, page)
    x, y, run = place(shown, 39)
    shown.hover(x, y)
    tip = shown.wait("document.querySelector('#vg-tooltip-element.visible')?.innerText")
    for words in (run.split("_")[1], "± 0.01", "ceiling", "images per class", "parameters", "digits"):
        assert words in tip, words
    shown.click((x, y))
    shown.wait("document.querySelector('#selection').textContent.startsWith('Selected: ')")
    selected = shown.evaluate("neuroscaling.state.get('run')")
    assert selected in tip and f"run={selected}" in shown.evaluate("decodeURIComponent(location.hash)")
    assert [row["run"] for row in shown.wait("(() => { const found = neuroscaling.figures[0].panels[0].view.data("
            "'selected'); return found.length && found; })()")] == [selected]  # fmt: skip
    shown.click("#selection button:last-child")
    assert shown.evaluate("neuroscaling.state.get('run')") is None and shown.console == []


def test_families_forms_and_parts_are_toggled(browser, page):
    shown = drawn(browser, page)
    assert len(rows(shown, "points")) == 40 and len(rows(shown, "errors")) == 40
    assert len(rows(shown, "rules")) == 1 and "untrained" in str(rows(shown, "words"))
    assert "ceiling" in str(rows(shown, "words"))
    shown.click(f"{FIGURE} .key")  # the first: ResNet
    shown.wait("neuroscaling.figures[0].panels[0].view.data('points').length === 20")
    assert shown.evaluate(f"document.querySelector('{FIGURE} .key').ariaPressed") == "false"
    assert shown.evaluate("location.hash").endswith("hidden=ResNet")
    assert "40 of 80 points" in shown.evaluate(f"document.querySelector('{FIGURE} [data-part=said]').textContent")


def test_x_is_switched_and_curves_stand_where_the_law_is(browser, page):
    shown = drawn(browser, page)
    assert rows(shown, "curves")
    choose(shown, "x", "n_params")
    shown.wait("neuroscaling.figures[0].panels[0].view.data('curves').length === 0")
    sizes = [row["x"] for row in rows(shown, "points")]  # families stand a little apart
    assert all(min(abs(x / size - 1) for size in (6400, 102400)) < 0.03 for x in sizes)
    said = shown.evaluate(f"document.querySelector('{FIGURE} [data-part=said]').textContent")
    assert "The laws are over training images" in said and "fit.samples.x=n_params" in shown.evaluate("location.hash")


def test_a_box_zooms_and_is_reset(browser, page):
    shown = drawn(browser, page)
    x, y, _ = place(shown, 0)
    shown.drag((x - 20, y - 30), (x + 60, y + 30))
    shown.wait("location.hash.includes('zoom')")
    zoom = shown.evaluate("neuroscaling.figures[0].zoom()")
    assert zoom["x"][0] < zoom["x"][1] and zoom["y"][0] < zoom["y"][1]
    shown.evaluate(f"document.querySelector('{FIGURE} .plot').focus()")
    shown.press("0")
    assert shown.evaluate("neuroscaling.figures[0].zoom()") is None and shown.console == []


def test_a_link_restores_the_view(browser, page):
    shown = drawn(browser, page, HIDDEN + "&fit.samples.zoom=0:5000,90000,-1,1&run=nothing")
    chosen = f"[...document.querySelectorAll('{FIGURE} select')].map((box) => box.value)"
    assert shown.evaluate(chosen) == ["n_params", "linear"]
    assert {row["x"] for row in rows(shown, "points")} == {6400, 102400} and len(rows(shown, "points")) == 20
    ends = "(() => { const { view } = neuroscaling.figures[0].panels[0]; return [view.scale('x').domain(), "
    assert shown.evaluate(ends + "view.scale('y').domain()]; })()") == [[5000, 90000], [-1, 1]]
    for address in ("#fit.samples.zoom=x&fit.samples.x=no&hidden=|", "#fit=nothing&fit.samples.zoom=9:1,2,3,4"):
        shown = browser.open(page, address)
        shown.evaluate(f"document.querySelector('{FIGURE}').scrollIntoView()")
        shown.wait(f"document.querySelector('{FIGURE} .plot').dataset.drawn")
        assert shown.console == []


def test_what_is_seen_is_downloaded(browser, page):
    shown = drawn(browser, page, HIDDEN)
    for kind in ("CSV", "SVG", "PNG"):
        shown.evaluate(
            f"[...document.querySelectorAll('{FIGURE} button')].find((b) => b.textContent === '{kind}').click()"
        )
    table = list(csv.DictReader(shown.downloaded("samples.csv").read_text().splitlines()))
    assert len(table) == 40 and {row["arch_family"] for row in table} == {"ResNet"}
    assert {row["law"] for row in table} == {"samples.V1", "samples.IT"} and all(row["residual"] for row in table)
    assert "SIMULATED" in shown.downloaded("samples.svg").read_text().upper()
    assert shown.downloaded("samples.png").read_bytes().startswith(b"\x89PNG") and shown.console == []


def test_keys_select_networks_and_the_points_are_a_table(browser, page):
    shown = drawn(browser, page)
    shown.evaluate(f"document.querySelector('{FIGURE} .plot').focus()")
    for key in ("ArrowRight", "ArrowRight", "+"):
        shown.press(key)
    assert shown.evaluate("neuroscaling.state.get('run')") and shown.evaluate("neuroscaling.figures[0].zoom().x")
    shown.press("Escape")
    assert shown.evaluate("neuroscaling.state.get('run')") is None
    shown.press("0")
    shown.click(f"{FIGURE} summary")
    shown.wait(f"document.querySelectorAll('{FIGURE} details tbody tr').length === 80")


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [390, 1400])
def test_figures_fit_the_page(browser, page, width, dark):
    shown = drawn(browser, page, width=width, dark=dark)
    shown.wait("neuroscaling.figures[0].panels[1].plot.dataset.drawn")
    assert shown.evaluate("document.documentElement.scrollWidth") <= width and shown.console == []
    wide = "[...document.querySelectorAll('.plot canvas')].map((node) => node.getBoundingClientRect().right)"
    assert max(shown.evaluate(wide)) <= width
    assert shown.evaluate("neuroscaling.scheme()") == ("dark" if dark else "light")
