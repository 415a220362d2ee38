"""The documentation keeps its word: examples run, links lead somewhere, generated pages are in step."""

import re
from pathlib import Path

import pytest

from neuroscaling import schema
from neuroscaling.laws.forms import FORMS

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("profiles/*/*.md"), ROOT / "config/README.md"])


def test_the_example_of_the_laws_page_runs():
    (example,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs/laws.md").read_text(), re.S)
    names: dict = {}
    exec(example, names)
    assert names["law"].params["alpha"] == pytest.approx(0.35, abs=1e-6)


def test_the_laws_page_lists_every_form():
    listed = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs/laws.md").read_text(), re.M)
    assert sorted(listed) == sorted(FORMS)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#:]+)\)", page.read_text())
    missing = [link for link in links if not (page.parent / link).exists()]
    assert not missing


def test_config_reference_is_in_step_with_the_definition():
    assert (ROOT / "config/README.md").read_text() == schema.reference(), "run `make schema`"
    assert (ROOT / "config/schema.json").read_text() == schema.schema(), "run `make schema`"


def test_every_key_of_a_study_has_a_description():
    undescribed = [
        f"{model.__name__}.{name}"
        for _, models in schema.PAGES
        for model in models
        for name, field in model.model_fields.items()
        if not field.description
    ]
    assert not undescribed
