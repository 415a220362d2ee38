"""`neuroscaling job` makes what the pipeline would, with the same names and contents, in one process."""

from pathlib import Path

import pytest
import yaml

from neuroscaling.cli.job import steps_of
from neuroscaling.cli.main import main
from neuroscaling.core.records import checked_weights, read_run
from neuroscaling.core.score_files import read_score
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.wanted import Targets

STUDY = {
    "study": "small",
    "store": "store",
    "datasets": {"digits": {"format": "digits"}},
    "runs": [
        {"archs": ["resnet_w8"], "datasets": ["digits"], "recipe": "digits", "samples_per_class": [1], "seeds": [0]},
        {"untrained": ["resnet_w8"], "seeds": [0]},
    ],
    "reduction": {"kind": "grid", "size": 2},
    "simulated": {"brain": {"stimuli": 100, "algonauts_train": 40, "algonauts_test": 12, "algonauts_subjects": 1}},
    "encoding": [{"source": "algonauts2023", "data": {"simulated": "brain"}, "samples": [20]}],
}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("small.yaml").write_text(yaml.safe_dump(STUDY))
    return "small.yaml"


def test_each_artefact_is_made_by_its_name(study: str, capsys: pytest.CaptureFixture[str]):
    loaded = load_study(study)
    run = next(run for run in loaded.runs.values() if run.kind == "untrained")
    names = [name for name, _ in steps_of(loaded) if "_digits_" not in name and not name.startswith("subsets/")]
    assert [name.partition("/")[0] for name in names] == ["runs", "simulated", "stimuli", "activations", "scores"]
    for name in names:
        assert main(["job", study, name]) == 0, name
        assert Path(capsys.readouterr().out.strip()).exists()
    targets = Targets(loaded)
    score = read_score(targets.encoding(run, targets.names.subjects[0]).path(loaded.store))
    assert score.run == run.run and score.rows


def test_a_run_is_trained_in_a_folder_of_ones_own(study: str, capsys: pytest.CaptureFixture[str]):
    loaded = load_study(study)
    run = next(run for run in loaded.runs.values() if run.kind == "trained")
    (subset,) = [name for name, _ in steps_of(loaded) if name.startswith("subsets/")]
    assert main(["job", study, subset]) == 0 and main(["job", study, run.run, "--folder", "mine"]) == 0
    folder = Path("mine/runs") / run.run
    assert checked_weights(folder).is_file() and read_run(folder / "run.json").status == "done"
    assert not loaded.store.run(run.run).exists()
    capsys.readouterr()
    assert main(["job", study, subset]) == 1
    assert "--folder FOLDER" in capsys.readouterr().err


def test_unknown_names_and_those_of_the_other_environment_are_refused(study: str, capsys: pytest.CaptureFixture[str]):
    benchmarks = {"data": {"simulated": "brain"}, "benchmarks": ["MajajHong2015public.IT-pls"]}
    Path(study).write_text(yaml.safe_dump(STUDY | {"brainscore": benchmarks}))
    loaded = load_study(study)
    run = next(iter(loaded.runs))
    assert main(["job", study, f"runs/{run}x"]) == 1
    assert f"nearest:  runs/{run}" in capsys.readouterr().err
    score = next(score for score in Targets(loaded).scores if score.stage == "brainscore")
    name = loaded.store.name_of(score.path(loaded.store)).removesuffix(".json")
    assert main(["job", study, name]) == 1
    assert "Brain-Score's environment" in capsys.readouterr().err
