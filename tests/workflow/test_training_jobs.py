"""Small runs in one job: each has its own outputs, one that diverges holds up nothing, a killed job goes on."""

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
import yaml

from neuroscaling.planning.submissions import OF_NETWORKS, OTHERS, submissions
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.wanted import Absent, Inventory, Targets
from tests.support import waiting_network
from tests.support.processes import kill_all, wait_for
from tests.workflow.conftest import ROOT, SMALL, Workdir, jobs, make_workdir

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
RUNS = {"archs": ["resnet_w8"], "datasets": ["digits"], "samples_per_class": [1, 3], "seeds": [0, 1]}


def study(**changes):
    """Two packs: four runs that end as they should, one of them scored at two epochs, and two that diverge."""
    followed = {**RUNS, "recipe": "recipes/brief.yaml", "samples_per_class": [3], "seeds": [0], "epochs": "all"}
    wild = {**RUNS, "recipe": "recipes/wild.yaml", "samples_per_class": [3]}
    laws = {"name": "accuracy", "form": "power_law", "x": "n_samples", "bootstraps": 20, "holdout": "largest"}
    return {
        "study": "packed",
        "store": "store",
        "datasets": SMALL["datasets"],
        "runs": [{**RUNS, "recipe": "recipes/brief.yaml"}, followed, wild],
        "runs_per_job": 10,
        "training": {"runs_per_job": 4, "checkpoint_seconds": 1},
        "simulated": SMALL["simulated"],
        "brainscore": SMALL["brainscore"],
        "reduction": SMALL["reduction"],
        "accuracy": True,
        "fits": ["fits/accuracy.yaml"],
        "laws": laws,
    } | changes


def prepared(folder: Path, **changes) -> Workdir:
    workdir = make_workdir(folder)
    content = study(**changes)
    law = {**content.pop("laws"), "filters": {"benchmark": "validation"}, "group_by": ["run"]}
    (folder / "fits/accuracy.yaml").write_text(yaml.safe_dump({"fits": [law]}))
    brief = yaml.safe_load((folder / "recipes/brief.yaml").read_text()) | {"checkpoints": [1]}
    (folder / "recipes/brief.yaml").write_text(yaml.safe_dump(brief))
    wild = {**brief, "optimizer": "sgd", "learning_rate": 1e20, "warmup_epochs": 0, "epochs": 8}
    (folder / "recipes/wild.yaml").write_text(yaml.safe_dump(wild))
    workdir.write_study(content, "packed.yaml")
    return workdir


def records(workdir: Workdir) -> dict[str, dict]:
    files = sorted(workdir.path.glob("store/runs/*/run.json"))
    return {path.parent.name: json.loads(path.read_text()) for path in files}


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    workdir = prepared(tmp_path_factory.mktemp("packed") / "work")
    workdir.snakemake(study="packed.yaml")
    return workdir


def test_runs_of_one_job_have_their_own_folders_and_those_that_diverge_are_marked(packed):
    found = records(packed)
    assert Counter(record["status"] for record in found.values()) == Counter(done=5, failed=2)
    failed = [record for record in found.values() if record["status"] == "failed"]
    assert all("no longer finite" in record["problem"] and record["weights"] is None for record in failed)
    assert all(record["learning_rate"] > 1e18 and record["batch"] for record in failed)
    logs = sorted(path.name for path in (packed.path / "logs/train").glob("*.log"))
    assert len(logs) == 3, "six runs were trained by two jobs, and one more took the weights of an epoch"


def test_scores_of_failed_runs_are_missing_by_name_and_the_rest_is_there(packed):
    failed = {name for name, record in records(packed).items() if record["status"] == "failed"}
    table = pd.read_parquet(packed.path / "results/packed/scores.parquet")
    assert not failed & set(table["run"]) and table["run"].nunique() == 5
    fit = json.loads((packed.path / "results/packed/fits/accuracy.json").read_text())
    assert set(fit["left_out"]["runs missing: they failed"]) == failed
    assert "the loss is no longer finite" in (packed.path / "results/packed/report/index.html").read_text()


def test_the_epochs_of_a_training_are_rows_of_one_trajectory_and_a_figure(packed):
    table = pd.read_parquet(packed.path / "results/packed/scores.parquet").query("benchmark != 'validation'")
    followed = table[table.duplicated("trajectory", keep=False)].sort_values("epoch")
    assert followed["epoch"].tolist() == [1, 2] and followed["kind"].tolist() == ["checkpoint", "trained"]
    assert followed["n_samples_seen"].tolist() == [30, 60] and followed["passes"].tolist() == [1, 2]
    assert followed["score"].nunique() == 2
    page = (packed.path / "results/packed/report/index.html").read_text()
    assert 'id="dynamics-images"' in page and (packed.path / "results/packed/report/dynamics").is_dir()
    weights = {path.parent.name for path in packed.path.glob("store/runs/*/weights-ep1.safetensors")}
    of_epoch, trained = followed["run"]
    assert trained in weights and of_epoch not in weights, "the weights stay with their training"


@pytest.mark.parametrize("lost", ["run", "record", "weights"])
def test_a_run_that_is_gone_is_trained_again_and_one_without_weights_is_not(packed, tmp_path, lost):
    """Also in a working directory that knows nothing of how the store's files were made."""
    folder = tmp_path / "work"
    shutil.copytree(packed.path, folder, symlinks=True, ignore=shutil.ignore_patterns(".snakemake"))
    workdir = Workdir(folder)
    found = records(workdir).items()
    run = next(name for name, record in found if (record["status"], record["kind"]) == ("done", "trained"))
    match lost:
        case "run":
            shutil.rmtree(folder / "store/runs" / run)
        case "record":
            (folder / "store/runs" / run / "run.json").unlink()
        case "weights":
            next((folder / "store/runs" / run).glob("weights-*")).unlink()
    planned = workdir.planned("packed.yaml")
    assert planned["train"] == planned["table"] == planned["report"] == (0 if lost == "weights" else 1)


def test_nothing_is_left_to_do_and_more_runs_train_those_alone(packed):
    assert packed.planned("packed.yaml") == Counter()
    more = study()
    more["runs"][0] |= {"samples_per_class": [1, 3, 10]}
    more.pop("laws")
    packed.write_study(more, "packed.yaml")
    (named,) = [line for line in packed.planned_jobs("packed.yaml").splitlines() if line.startswith("Train")]
    assert re.fullmatch(r"Train 2 networks \(trained-digits-brief-[0-9a-f]{8}\)", named)


def test_a_packed_job_that_is_killed_repeats_only_what_is_unfinished(tmp_path):
    """It is killed in its second run, which waits half-way."""
    arch = "waiting_network:network@32"
    runs = [{**RUNS, "archs": [arch], "recipe": "recipes/long.yaml", "samples_per_class": ["all"], "seeds": [0, 1, 2]}]
    layers = {arch: {"candidates": ["2"], "readout": "5"}}
    workdir = prepared(tmp_path / "work", runs=runs, layers=layers, brainscore=None, simulated={})
    brief = yaml.safe_load((workdir.path / "recipes/brief.yaml").read_text())
    (workdir.path / "recipes/long.yaml").write_text(yaml.safe_dump({**brief, "epochs": 8}))
    shutil.copy(waiting_network.__file__, workdir.path)
    (workdir.path / waiting_network.FILE).write_text("1")
    command = workdir.command("--until", "train", study="packed.yaml")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"} | {"OMP_NUM_THREADS": "1"}
    output = workdir.path / "driver.txt"
    with open(output, "w") as file:
        driver = subprocess.Popen(command, cwd=workdir.path, env=environment, start_new_session=True,
                                  stdout=file, stderr=subprocess.STDOUT)  # fmt: skip
    try:
        wait_for(lambda: records(workdir) or driver.poll() is not None, output.read_text)
    finally:
        driver.kill()
        kill_all(workdir.path)
        driver.wait()
    (first,) = records(workdir)
    weights = next((workdir.path / "store/runs" / first).glob("weights-*"))
    before = weights.stat().st_mtime_ns
    (workdir.path / waiting_network.FILE).unlink()
    log = workdir.snakemake("--until", "train", study="packed.yaml").stdout
    assert len(records(workdir)) == 3 and weights.stat().st_mtime_ns == before
    assert f": {first}" not in log, "a finished run is in no job"


def test_what_a_profile_says_of_a_rule_holds_for_its_jobs_of_several_runs(tmp_path):
    workdir = prepared(tmp_path / "work", runs_per_job=4)
    rules = ("train", "activations")
    site = [f"{rule}:runtime=print('{rule} of', wildcards.job) or 7" for rule in rules]
    text = workdir.snakemake("--dry-run", "--set-resources", *site, study="packed.yaml").stdout
    planned = jobs(text)
    for rule in rules:
        asked = set(re.findall(rf"^{rule} of ((?:trained|checkpoint)-\S+-[0-9a-f]{{8}}|resnet_w8_\S+)$", text, re.M))
        assert len(asked) == planned[rule] > 0


def test_a_study_without_its_images_can_be_planned_and_dry_run_but_not_started(tmp_path):
    workdir = make_workdir(tmp_path / "work")
    images = {"format": "imagefolder", "root": "", "classes": 5, "images": 100}
    runs = [{"archs": ["resnet18"], "datasets": ["mine"], "recipe": "sgd100", "samples_per_class": [1, "all"]}]
    workdir.write_study({"study": "away", "store": "store", "datasets": {"mine": images}, "runs": runs}, "away.yaml")
    refused = workdir.snakemake("--dry-run", study="away.yaml", check=False)
    assert refused.returncode != 0 and "no root" in refused.stdout
    planned = workdir.snakemake("--dry-run", "--config", "study=away.yaml", "planning=true", study=None)
    assert "train" in planned.stdout
    started = workdir.snakemake("--config", "study=away.yaml", "planning=true", study=None, check=False)
    assert started.returncode != 0 and "no root" in started.stdout
    assert not list(workdir.path.glob("store/runs/*")) and (ROOT / "Snakefile").is_file()


def test_on_a_cluster_a_dry_run_shows_the_jobs_of_the_start_and_decides_nothing(tmp_path):
    """What submits is told by the command line or its profile; what was chosen is kept by a start alone."""
    workdir = prepared(tmp_path / "work", runs=[{**RUNS, "recipe": "recipes/brief.yaml"}], runs_per_job=1)
    study = load_study(workdir.path / "packed.yaml")
    told = submissions(Absent(Targets(study), Inventory(study.store)))
    shown = workdir.snakemake("--dry-run", "--profile", "profiles/slurm", study="packed.yaml").stdout
    planned = jobs(shown)
    assert (planned["train"], planned["activations"], planned["brainscore"]) == (1, 0, 4)
    assert re.search(r"^Job \d+: Train 4 networks \(trained-digits-brief-[0-9a-f]{8}\), with activations$", shown, re.M)
    assert not list(workdir.path.glob(".snakemake/neuroscaling/packed/executor.json"))
    assert told.by_rule == {rule: n for rule, n in planned.items() if rule in (*OTHERS, *OF_NETWORKS)}
    assert (told.networks, told.of_networks) == (4, 5)
