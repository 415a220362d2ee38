"""The package, the changelog and the citation name one version and one date."""

import re
import tomllib

import yaml

import neuroscaling
from tests.support.doc_blocks import ROOT

CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())
RELEASES = re.findall(r"^## (\d+\.\d+\.\d+) - (\d{4}-\d\d-\d\d)$", (ROOT / "CHANGELOG.md").read_text(), re.M)


def test_the_newest_release_of_the_changelog_is_the_package_and_what_is_cited():
    version, date = RELEASES[0]
    assert (neuroscaling.__version__, CITATION["version"], str(CITATION["date-released"])) == (version, version, date)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    assert "version" in project["project"]["dynamic"]
    assert project["tool"]["hatch"]["version"] == {"path": "src/neuroscaling/__init__.py"}


def test_releases_stand_newest_first_below_what_is_unreleased():
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert headings[0] == "Unreleased" and len(headings) == 1 + len(RELEASES), headings
    versions = [tuple(map(int, version.split("."))) for version, _ in RELEASES]
    assert versions == sorted(versions, reverse=True) and len(set(versions)) == len(versions)
