"""A study of a table of one's own: what its header and the study file tell of faults before anything starts."""

import copy

import pytest
import yaml

from neuroscaling.study.loaded_study import load_study, read_study

STUDY = {
    "study": "s",
    "scores": {
        "file": "t.csv",
        "columns": {
            "run": "model",
            "n_params": {"column": "Params", "times": 1e6},
            "score": "loss",
            "scale": {"value": "loss"},
        },
    },
    "fits": ["f.yaml"],
}
FIT = {"name": "a", "form": "power_law", "x": "n_params", "cluster": ["series"]}
TABLE = "model,Params,loss,series\nm1,1,3.5,x\nm2,2,3.0,x\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a table and a file of fits, to work in."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.csv").write_text(TABLE)
    (tmp_path / "f.yaml").write_text(yaml.safe_dump({"fits": [FIT]}))
    return tmp_path


def study(folder, **scores):
    content = copy.deepcopy(STUDY)
    content["scores"] |= scores
    (folder / "s.yaml").write_text(yaml.safe_dump(content, sort_keys=False))
    return folder / "s.yaml"


def columns(**changes):
    return {"columns": STUDY["scores"]["columns"] | changes}


def told(path):
    return {str(problem.where).partition(": ")[2]: problem for problem in read_study(path).problems}


def test_a_sound_study_has_no_runs_and_its_laws_are_of_losses(folder):
    loaded = load_study(study(folder))
    assert loaded.runs == {} and loaded.fits["a"].settings["invert_y"] is False
    table = loaded.own_table
    assert [file.name for file in table.files] == ["t.csv"] and table.data == "t" and table.is_small
    assert "series" in table.columns and table.mapping.is_loss
    scores = load_study(study(folder, **columns(scale={"value": "none"})))
    assert scores.fits["a"].settings["invert_y"] is True


@pytest.mark.parametrize(
    ("changes", "where", "phrase"),
    [
        ({"file": "u.csv"}, "scores.file", "file is missing"),
        ({"file": ["t.csv", "t.txt"]}, "scores.file[1]", "file is missing"),
        ({"file": "empty"}, "scores.file", "no table is in this folder"),
        (columns(n_params="Param"), "scores.columns.n_params", "nearest:  Params"),
        (columns(n_param="Params"), "scores.columns.n_param", "nearest:  n_params"),
        (columns(scale={"value": "los"}), "scores.columns.scale.value", "nearest:  loss"),
        (columns(simulated={"value": "yes"}), "scores.columns.simulated.value", "true or false"),
        (columns(n_params={"value": True}), "scores.columns.n_params.value", "this column holds a number"),
        (columns(region={"each": ["Params"], "into": "metric"}), "scores.columns.region", "`each` is for `score`"),
        (columns(n_params={"column": "Params", "time": 2}), "scores.columns.n_params.time", "nearest:  times"),
        (columns(n_params={"column": "Params", "times": 0}), "scores.columns.n_params.times", "above 0"),
        ({"keep": ["serie"]}, "scores.keep", "nearest:  series"),
        ({"key": ["run", "serie"]}, "scores.key", "nearest:  series"),
        ({"filters": {"n_params": {"mim": 1}}}, "scores.filters.n_params", "a filter may hold"),
        ({"columns": "c.yaml"}, "scores.columns", "missing"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_faults_are_told_at_their_place(folder, changes, where, phrase):
    (folder / "empty").mkdir()
    found = told(study(folder, **changes))
    assert any(place.startswith(where) and phrase in str(problem) for place, problem in found.items()), found


def test_a_file_of_columns_is_read_and_its_faults_are_told(folder):
    (folder / "c.yaml").write_text(yaml.safe_dump(columns()))
    assert load_study(study(folder, columns="c.yaml")).own_table.mapping == load_study(study(folder)).own_table.mapping
    (folder / "c.yaml").write_text(yaml.safe_dump(columns(n_params="Param", loss={"colum": "x"})))
    text = "\n".join(map(str, read_study(study(folder, columns="c.yaml")).problems))
    assert "c.yaml line" in text and "colum" in text
    (folder / "c.yaml").write_text(yaml.safe_dump(columns(n_params="Param")))
    text = "\n".join(map(str, read_study(study(folder, columns="c.yaml")).problems))
    assert "columns.n_params" in text and "nearest:  Params" in text


def test_fits_may_name_the_columns_of_the_table_and_no_others(folder):
    (folder / "f.yaml").write_text(yaml.safe_dump({"fits": [FIT | {"cluster": ["serie"]}]}))
    (problem,) = read_study(study(folder)).problems
    assert problem.what == "unknown column" and problem.nearest == "series"
    # Of a table that can't be read nobody knows the columns: its own fault is told alone.
    (problem,) = read_study(study(folder, file="u.csv")).problems
    assert problem.what == "file is missing"


def test_a_table_stands_in_place_of_networks_and_published_scores(folder):
    content = STUDY | {"published": {}, "runs": [{"untrained": ["resnet_w8"]}]}
    (folder / "s.yaml").write_text(yaml.safe_dump(content))
    text = "\n".join(map(str, read_study(folder / "s.yaml").problems))
    assert "stands in place of runs and data: drop scores, runs" in text


def test_the_columns_of_the_successor_are_those_of_its_tables(folder):
    header = "benchmark_name,model_id,layer_name,subject,roi,cv_score,pearsonr_nc,rsa,cka,data_pct,lora_rank,exp_type"
    (folder / "t.csv").write_text(f"{header}\nTVSD,resnet50,layer4,monkeyF,IT,0.2,0.5,0.3,0.4,1.0,,pretraining\n")
    content = {"study": "s", "scores": {"file": "t.csv", "columns": "config/columns/multimodal.yaml"}}
    (folder / "s.yaml").write_text(yaml.safe_dump(content))
    table = load_study(folder / "s.yaml").own_table
    assert {"data_pct", "lora_rank", "exp_type", "metric", "region"} <= table.columns
