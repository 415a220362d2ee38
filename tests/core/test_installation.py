"""What is missing is named with the way to get it; files of a study are found by one rule."""

import os
from pathlib import Path

import pytest

from neuroscaling.core import installation
from neuroscaling.core.errors import DataError, NeuroscalingError
from neuroscaling.core.installation import EXTRAS, PIPELINE, extras_told, interpreter, with_library
from neuroscaling.study.paths import find_file


@pytest.mark.parametrize(("extra", "module"), [(extra, m) for extra, all_of in EXTRAS.items() for m in all_of.split()])
def test_a_package_of_an_extra_is_told_with_the_extra(extra, module):
    with pytest.raises(NeuroscalingError, match=rf"`{module}`[\s\S]*neuroscaling\[{extra}\]"), extras_told():
        raise ModuleNotFoundError(name=f"{module}.part")


def test_another_package_is_an_error_of_its_own():
    with pytest.raises(ModuleNotFoundError), extras_told():
        raise ModuleNotFoundError(name="a_module_of_a_lab")


def test_an_interpreter_is_named_or_that_of_the_checkout(tmp_path, monkeypatch):
    for file in (mine := tmp_path / "mine", made := tmp_path / ".venv/brainscore/bin/python"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    monkeypatch.setattr(installation, "CHECKOUT", tmp_path)
    monkeypatch.setattr(installation, "PIPELINE", tmp_path)
    monkeypatch.delenv("NEUROSCALING_BRAINSCORE_PYTHON", raising=False)
    assert interpreter("brainscore") == made and interpreter("brainscore", str(mine)) == mine
    monkeypatch.setenv("NEUROSCALING_BRAINSCORE_PYTHON", str(tmp_path / "gone"))
    with pytest.raises(DataError, match=r"gone[\s\S]*make env"):
        interpreter("brainscore")
    monkeypatch.delenv("NEUROSCALING_BRAINSCORE_PYTHON")
    monkeypatch.setattr(installation, "PIPELINE", tmp_path / "pipeline")
    with pytest.raises(DataError, match=r'pip install "neuroscaling\[brainscore\]"'):
        interpreter("brainscore")


def test_the_library_stands_once_in_the_path(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/lab", str(installation.LIBRARY)]))
    assert with_library()["PYTHONPATH"].split(os.pathsep) == [str(installation.LIBRARY), "/lab"]


def test_a_file_is_found_beside_the_study_then_here_then_in_the_pipeline(tmp_path, monkeypatch):
    name, places = Path("config/fits/neuro.yaml"), [tmp_path / "lab/studies", tmp_path / "lab", tmp_path / "here"]
    for place in places:
        (place / name).parent.mkdir(parents=True)
        (place / name).touch()
    monkeypatch.chdir(tmp_path / "here")
    for place in (*places, PIPELINE):
        assert find_file(name, tmp_path / "lab/studies/study.yaml").samefile(place / name)
        if place != PIPELINE:
            (place / name).unlink()
