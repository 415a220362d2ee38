"""Training on a real Slurm: small runs share a job, and one run has two GPUs, on one node and on two.

The GPUs of the test cluster are fake: the processes of a run speak gloo and compute on the CPU.
"""

import json
import shutil
from collections import Counter
from pathlib import Path

import pytest
import yaml

from tests.support.clones import copy_clone

from .lab import HERE, Driver

pytestmark = [pytest.mark.slurm, pytest.mark.slow]
RUNS = {"datasets": ["digits"], "recipe": "recipe.yaml", "seeds": [0]}
STUDY = {
    "store": "store",
    "datasets": {"digits": {"format": "digits"}},
    "runs": [
        {**RUNS, "archs": ["resnet_w8", "vit_w32"], "samples_per_class": [1, 3]},
        {**RUNS, "archs": ["resnet_w8"], "samples_per_class": ["all"]},
    ],
    "accuracy": True,
}


def finished(start, folder: Path, nodes: int, gpus: int, size: int | str) -> Driver:
    """A study whose large run has so many GPUs on each of so many nodes, run to its end. size: runs_per_job."""
    folder.mkdir()
    shutil.copy(HERE / "study/recipe.yaml", folder)
    copy_clone(folder)
    training = {"runs_per_job": size, "small": 100, "nodes": nodes, "gpus": gpus}
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY | {"study": "trained", "training": training}))
    # Of a site, for all trainings; an expression may ask for the job, which is called by its run or its runs.
    site = ["--set-resources", "train:mem_mb=4100", "train:runtime=33 if 'digits' in wildcards.job else 0"]
    driver = start(folder, *site, "--config", "study=study.yaml", snakefile=folder / "Snakefile")
    driver.finish()
    return driver


@pytest.mark.parametrize(("nodes", "gpus", "size"), [(1, 2, 4), (2, 1, "auto")])
def test_small_runs_share_a_job_and_a_large_one_has_its_gpus(start, tmp_path, nodes, gpus, size):
    driver = finished(start, tmp_path / "work", nodes, gpus, size)
    trained = [job for job in driver.jobs() if job.rule.startswith("train")]
    assert Counter(job.gpus for job in trained) == Counter({1: 1, 2: 1})
    assert {job.state for job in trained} == {"COMPLETED"}
    memory = {job.memory for job in trained}  # of a job on all of its nodes
    assert memory == {"4100M", f"{4100 * nodes}M"} and {job.minutes for job in trained} == {33}
    large = next(job for job in trained if job.gpus == 2)
    assert large.rule == "train" and ("gpu[1-2]" in large.node) == (nodes == 2)
    records = [json.loads(path.read_text()) for path in (tmp_path / "work/store/runs").glob("*/run.json")]
    assert len(records) == 5 and {record["status"] for record in records} == {"done"}
    log = next((tmp_path / "work/logs/train").glob("resnet_w8_digits_all*.log")).read_text()
    assert "run 1 of 1" in log
