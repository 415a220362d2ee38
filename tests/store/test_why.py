"""What changed since a study last ended: settings, formulas, what was deleted."""

from copy import deepcopy
from pathlib import Path

import pytest
import yaml

from neuroscaling.cli.main import main
from neuroscaling.core.files import write_json
from neuroscaling.core.records import sealed, write_record
from neuroscaling.store.changes import FIRST, GONE, NEVER, Cause, Change, changes_since
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.session import artefacts_of, end_session
from neuroscaling.study.wanted import Targets

IT, V1 = "MajajHong2015public.IT-pls", "FreemanZiemba2013public.V1-pls"
STUDY = {
    "study": "small",
    "store": "store",
    "datasets": {"digits": {"format": "digits"}},
    "runs": [
        {"archs": ["resnet_w8"], "datasets": ["digits"], "recipe": "digits", "samples_per_class": [1, 2], "seeds": [0]},
        {"untrained": ["vit_w16"]},
    ],
    "simulated": {"brain": {"stimuli": 100}},
    "brainscore": {"data": {"simulated": "brain"}, "benchmarks": [V1, IT]},
}


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A function that writes the study, as `edit` leaves it, and loads it."""
    monkeypatch.chdir(tmp_path)

    def loaded(edit=lambda content: None):
        content = deepcopy(STUDY)
        edit(content)
        Path("small.yaml").write_text(yaml.safe_dump(content))
        return load_study("small.yaml")

    return loaded


@pytest.fixture
def told(study):
    """What is told of a study that `edit` changed, when nothing of it was made but what had been wanted before."""

    def changes(edit, absent=None):
        before, now = (sealed(artefacts_of(Targets(one))) for one in (study(), study(edit)))
        missing = sorted(set(now["names"]) - set(before["names"])) if absent is None else absent(now)
        return {(one.stage, one.cause.what): one for one in changes_since(before, now, missing)}

    return changes


def test_nothing_is_told_where_nothing_changed(told):
    assert told(lambda content: None) == {}


def test_a_setting_is_told_from_what_to_what_and_how_much_is_absent_because_of_it(told):
    found = told(lambda content: content["brainscore"].update(engine="stock"))
    assert found == {("scores", "engine"): Change("scores", Cause("engine", "kernel", "stock"), 6)}


def test_a_setting_of_extraction_is_told_of_activations_and_of_what_is_made_of_them(told):
    found = told(lambda content: content.update(reduction={"kind": "grid", "size": 3}))
    assert found["activations", "reduction.size"] == Change("activations", Cause("reduction.size", None, "3"), 3)
    assert found["scores", "activations.reduction.size"].absent == 6
    assert {stage for stage, _ in found} == {"activations", "layers", "scores"}


def test_a_recipe_is_told_key_by_key_and_what_follows_without_the_names_of_all_runs(told, tmp_path):
    def edit(content):
        recipe = (Path(__file__).parents[2] / "config" / "recipes" / "digits.yaml").read_text()
        (tmp_path / "digits.yaml").write_text(recipe.replace("learning_rate: 3.0e-3", "learning_rate: 4.0e-3"))
        content["runs"][0]["recipe"] = str(tmp_path / "digits.yaml")

    found = told(edit)
    assert found["runs", "recipe.learning_rate"] == Change("runs", Cause("recipe.learning_rate", "0.003", "0.004"), 2)
    assert [what for stage, what in found if stage == "runs"] == ["recipe.learning_rate"]
    assert found["activations", "its run is another one: see runs"].absent == 2
    assert found["scores", "its run is another one: see runs"].absent == 2 * 2


def test_another_brain_is_told_through_all_stages(told):
    found = told(lambda content: content["simulated"]["brain"].update(seed=7))
    assert found["simulated", "seed"] == Change("simulated", Cause("seed", "0", "7"), 1)
    assert {stage for stage, _ in found} >= {"simulated", "stimuli", "activations", "scores"}


def test_what_is_asked_for_the_first_time_is_no_change(told):
    found = told(lambda content: content["runs"][0].update(seeds=[0, 1]))
    assert {what for _, what in found} == {FIRST}
    assert found["runs", FIRST].absent == 2
    assert found["scores", FIRST].absent == 4
    assert found["subsets", FIRST].absent == 2


def test_what_was_deleted_is_told_as_such(told):
    gone = "scores/MajajHong2015public"
    found = told(lambda content: None, lambda now: [name for name in now["names"] if name.startswith(gone)])
    assert found == {("scores", GONE): Change("scores", Cause(GONE), 3)}


def test_a_change_is_told_when_somebody_else_made_what_it_asks_for(told):
    found = told(lambda content: content["brainscore"].update(engine="stock"), lambda now: [])
    assert found["scores", "engine"].absent == 0


def test_a_formula_is_told_by_its_module(study):
    before = sealed(artefacts_of(Targets(study())))
    now = deepcopy(before)
    before["code"]["brainscore"]["regression/pls.py"] = "0" * 64
    from neuroscaling.study.code_fingerprints import fingerprint_of

    old, new = (fingerprint_of(side["code"]["brainscore"]) for side in (before, now))
    names = [name for name in before["stages"]["scores"] if name.startswith(IT)]
    for i, name in enumerate(names):
        definition = before["stages"]["scores"].pop(name)
        before["stages"]["scores"][f"{IT}-0000000{i}"] = definition | {"code": old}
    missing = [name for name in now["names"] if name.startswith(f"scores/{IT}")]
    before["names"] = [name for name in before["names"] if name not in missing]
    (change,) = changes_since(before, now, missing)
    assert change == Change("scores", Cause("code of regression/pls.py", old, new), len(missing))


def test_fits_are_told_without_a_count(study):
    before = sealed(artefacts_of(Targets(study())))
    now = deepcopy(before)
    before["fits"] = {"a": {"form": "power", "bootstraps": 10}}
    now["fits"] = {"a": {"form": "power", "bootstraps": 20}, "b": {"form": "power"}}
    found = changes_since(before, now, [])
    assert found == [Change("fits", Cause(FIRST), None), Change("fits", Cause("bootstraps", "10", "20"), None)]


def test_an_upgrade_is_told_though_nothing_is_made_anew(study):
    before = sealed(artefacts_of(Targets(study())))
    now = deepcopy(before)
    now["packages"]["torch"] = "99.0"
    assert changes_since(before, now, []) == [
        Change("packages", Cause("torch", before["packages"]["torch"], "99.0"), None)
    ]
    assert before["packages"]["torch"]


def test_a_study_that_never_ended_has_nothing_to_compare_with(study):
    now = sealed(artefacts_of(Targets(study())))
    found = changes_since(None, now, now["names"])
    assert {change.cause.what for change in found} == {NEVER}
    assert sum(change.absent for change in found) == len(now["names"])


def test_the_command_tells_changes_and_upgrades(study, capsys):
    first = study()
    write_record(first.results.artefacts, artefacts_of(Targets(first)))
    end_session(first.results)
    for i, path in enumerate(Targets(first).run_files):
        write_json(path, {"provenance": {"versions": {"torch": f"2.{i % 2}", "numpy": "2.0"}}})
    study(lambda content: content["brainscore"].update(engine="stock"))
    assert main(["status", "small.yaml", "--why", "--format", "csv"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "stage,why,before,now,absent"
    assert "scores,engine,kernel,stock,6" in lines
    assert 'runs,made with several versions of torch,,"2.0 (2), 2.1 (1)",' in lines
    assert not [line for line in lines if "numpy" in line]
