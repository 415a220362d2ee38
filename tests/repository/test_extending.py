"""What docs/extending.md promises of recipes: a file beside the study is all that a new one takes."""

import json
from pathlib import Path

import pytest
import yaml

from neuroscaling.cli import main
from neuroscaling.study.loaded_study import load_study

RECIPE = {"epochs": 2, "batch_size": 32, "optimizer": "sgd", "learning_rate": 0.1, "augmentation": "shift"}
GROUP = {"archs": ["resnet_w8"], "datasets": ["digits"], "samples_per_class": [1], "seeds": [0]}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study file in a lab's folder, read from another one; its recipe has to lie beside it."""
    (tmp_path / "lab").mkdir()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    content = {"study": "s", "store": str(tmp_path / "store"), "datasets": {"digits": {"format": "digits"}}}
    path = tmp_path / "lab" / "study.yaml"
    path.write_text(yaml.safe_dump(content | {"runs": [GROUP | {"recipe": "ours.yaml"}]}))
    return path


def write_recipe(study: Path, **changes: object) -> None:
    study.with_name("ours.yaml").write_text(yaml.safe_dump(RECIPE | changes))


def names_of(study: Path, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """The names of the study's runs, as `neuroscaling runs` prints them."""
    assert main.main(["runs", str(study), "--format", "json"]) == 0
    return [row["run"] for row in json.loads(capsys.readouterr().out)]


def test_a_recipe_beside_the_study_is_trained_by_and_determines_the_name(study, capsys):
    write_recipe(study)
    (first,) = names_of(study, capsys)
    (run,) = load_study(study).runs.values()
    assert run.recipe.name == "ours" and RECIPE.items() <= run.recipe.model_dump().items()
    assert run.recipe.loss == "cross_entropy", "a key that the file leaves out has its default"
    write_recipe(study, learning_rate=0.2)
    assert names_of(study, capsys) != [first]
    write_recipe(study)
    assert names_of(study, capsys) == [first]


def test_its_parity_section_holds_under_that_protocol_alone(study):
    write_recipe(study, parity={"learning_rate": 0.4})
    content = yaml.safe_load(study.read_text())
    found = {}
    for protocol in ("corrected", "parity"):
        study.write_text(yaml.safe_dump(content | {"protocol": protocol}))
        (run,) = load_study(study).runs.values()
        found[protocol] = run.recipe.learning_rate
    assert found == {"corrected": 0.1, "parity": 0.4}


def test_all_faults_of_a_recipe_are_told_with_the_nearest_key(study, capsys):
    write_recipe(study, epoch=3, augmentation="shft")
    assert main.main(["check", str(study)]) == 1
    told = capsys.readouterr()
    text = told.out + told.err
    assert "ours.yaml" in text and "nearest:  epochs" in text and "nearest:  shift" in text
