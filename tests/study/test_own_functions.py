"""A source of recordings that is a function: what is wrong with its entry is told while the study is checked."""

import sys
from pathlib import Path

import pytest
import yaml

from neuroscaling.cli.deep_checks import deep_problems
from neuroscaling.core.errors import StudyError
from neuroscaling.study.loaded_study import load_study
from tests.support.own_functions import ENTRY, write_module

FITS = "fits: [{name: law, form: logistic, x: n_mapping, y: raw, filters: {benchmark: ours, region: V1}}]"


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    write_module(tmp_path)
    Path("arrays").mkdir()
    Path("fits.yaml").write_text(FITS)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "ourlab"]:
        del sys.modules[name]


def loaded(*entries):
    content = {"study": "own", "runs": [{"untrained": ["resnet_w8"]}], "encoding": list(entries), "fits": ["fits.yaml"]}
    Path("own.yaml").write_text(yaml.safe_dump(content))
    return load_study("own.yaml")


def fault(*entries) -> str:
    with pytest.raises(StudyError) as caught:
        loaded(*entries)
    return str(caught.value)


def test_a_study_is_read_without_an_import(root):
    assert loaded(ENTRY).config.encoding[0].subjects == ["anna", "bert"]
    assert "ourlab.recordings" not in sys.modules


def test_everything_is_told_at_once(root):
    text = fault({**ENTRY, "source": "ourlab.recordings:raed", "files": ["arrays", "none.npy"], "images": "pictures"})
    assert "encoding[0].source" in text and "nearest:  read" in text
    assert "encoding[0].files[1]" in text and "none.npy" in text
    assert "encoding[0].images" in text and "not a folder of images" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"source": "ourlab.records:read"}, ["no module `ourlab.records`", "PYTHONPATH"]),
        ({"source": "ourlab:read:this"}, ["encoding[0].source", "a dotted path `package.module:name`"]),
        ({"subjects": "all"}, ["encoding[0].subjects", "a list"]),
        ({"subjects": ["anna", "anna"]}, ["`anna` is there twice"]),
        ({"option": {}}, ["unknown key", "nearest:  options"]),
        ({"visual_degrees": 8}, ["needs the width of the images"]),
        ({"data": {"local": "arrays"}}, ["unknown key", "data"]),
    ],
)
def test_faults_of_an_entry(root, changes, words):
    text = fault({**ENTRY, **changes})
    assert all(word in text for word in words), text


def test_a_listed_source_is_still_told_when_it_is_misspelt(root):
    assert "unknown source" in fault({**ENTRY, "source": "tvds"})


def test_two_entries_of_one_name(root):
    assert "is asked for twice" in fault(ENTRY, ENTRY)


def test_the_check_imports_the_module(root):
    write_module(root, "import nothing_of_this_name\n\ndef read(options, subject):\n    pass\n")
    (problem,) = deep_problems(loaded(ENTRY))
    assert "the module can't be imported: ModuleNotFoundError" in problem.what
