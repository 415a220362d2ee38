"""A place shows where something stands as people write it, and is compared by its parts."""

from pathlib import Path

import pytest

from neuroscaling.core.errors import Place, Problem
from neuroscaling.study.sections.yaml_document import Document, read_document

STUDY = """\
runs:
  - archs: [resnet18]
    recipe: sgd100
layers: {resnet18: {IT: layer4}}
brainscore: {mem_mb: 100}
"""


@pytest.fixture
def document(tmp_path: Path) -> Document:
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return read_document(path, "study file", "")


def test_a_place_shows_file_line_keys_and_note():
    place = Place("study.yaml") / "runs" / 0 / "recipe"
    assert str(place) == "study.yaml: runs[0].recipe"
    assert str(Place("study.yaml", place.keys, 12)) == "study.yaml line 12: runs[0].recipe"
    assert str(Place("study.yaml", line=3)) == "study.yaml line 3" and str(Place(Path("a"), note="b")) == "a, b"
    assert place == Place("study.yaml", ("runs", 0, "recipe")) and len(str(Place("a") / ("k" * 200))) < 80


def test_a_problem_shows_its_place():
    assert str(Problem(what="not a number", where=Place("a.json") / "macs")) == "a.json: macs: not a number"
    assert str(Problem(what="not a number", where="run x")) == "run x: not a number"


def test_a_problem_of_a_key_of_the_file_gets_its_line(document: Document):
    where = Place(document.file) / "brainscore" / "mem_mb"
    assert document.placed(Problem(what="", where=where)).where == Place(document.file, where.keys, 5)
    strange = Problem(what="", where=Place(document.file) / "brainscore" / "fit a: b")
    assert document.placed(strange) == strange


def test_a_problem_of_a_network_gets_the_line_that_names_it(document: Document):
    for where in ("resnet18", Place("resnet18", note="small.py")):
        found = document.placed(Problem(what="", where=where)).where
        assert found == Place(document.file, ("layers", "resnet18"), 4, str(where))
    other = Problem(what="", where="resnet50")
    assert document.placed(other) == other
