"""Which runs share jobs: on a cluster as many as take up to an hour by their plan, on one machine none by itself."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from neuroscaling.planning.job_groups import job_groups
from neuroscaling.planning.job_resources import Asked
from neuroscaling.planning.planned_work import PlannedWork
from neuroscaling.planning.training_jobs import training_groups
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.run_groups import MOST_RUNS, PLANNED_SECONDS, RunGroup, shared
from neuroscaling.study.wanted import Absent, Inventory, Targets

RUNS = {"archs": ["resnet_w8"], "datasets": ["digits"], "recipe": "digits", "samples_per_class": [1, 3, 10]}


@pytest.fixture
def absent(tmp_path: Path):
    """A study of 180 small networks and an untrained one, with nothing made."""

    def make(**changes: Any) -> Absent:
        content = {
            "study": "small",
            "store": str(tmp_path / "store"),
            "datasets": {"digits": {"format": "digits"}},
            "runs": [{**RUNS, "seeds": list(range(60))}, {"untrained": ["resnet_w8"]}],
            "simulated": {"brain": {"stimuli": 100, "algonauts_subjects": 2}},
            "encoding": [{"source": "algonauts2023", "data": {"simulated": "brain"}}],
        } | changes
        path = tmp_path / "small.yaml"
        path.write_text(yaml.safe_dump(content))
        study = load_study(path)
        return Absent(Targets(study), Inventory(study.store))

    return make


def sizes(groups: tuple[RunGroup, ...]) -> list[int]:
    return [len(group.runs) for group in groups]


def test_on_one_machine_each_network_has_jobs_of_its_own_and_on_a_cluster_small_ones_share_them(absent):
    study = absent()
    here, there = job_groups(study), job_groups(study, on_cluster=True)
    assert set(sizes(here.training)) == set(sizes(here.networks)) == {1}
    assert sizes(there.networks) == [50, 50, 50, 31], "of one architecture"
    assert sum(sizes(there.training)) == 181 and len(there.training) < 181 / 20
    work = PlannedWork(Asked(study.targets))
    runs = study.targets.study.runs
    for group in there.training:
        planned = sum(work.making_and_extraction(runs[run]) or 0 for run in group.runs)
        assert planned <= PLANNED_SECONDS and len(group.runs) <= MOST_RUNS
        assert len({(runs[run].kind, runs[run].dataset) for run in group.runs}) == 1 and group.extracts


def test_runs_that_are_made_leave_their_groups_and_the_others_stay_together(absent):
    study = absent()
    before = job_groups(study, on_cluster=True)
    names = list(study.targets.study.runs)
    left = [study.targets.study.runs[run] for run in names[1:60:2]]
    work = PlannedWork(Asked(study.targets))
    after = training_groups(study.targets.study, left, work.making_and_extraction)
    assert {run for group in after for run in group.runs} == {run.run for run in left}
    for group in after:
        assert len({before.trained_by[run] for run in group.runs}) == 1
    assert [one.label for one in job_groups(study, on_cluster=True).networks] == [one.label for one in before.networks]


@pytest.mark.parametrize(
    ("changes", "networks", "training"),
    [
        ({"runs_per_job": 3, "training": {"runs_per_job": 7}}, 3, 7),
        ({"runs_per_job": 1, "training": {"runs_per_job": 1}}, 1, 1),
        ({"extraction": {"slices": 2}}, 1, 50),
        ({"training": {"small": 0}}, 50, 1),
        ({"training": {"gpu": "a100"}}, 50, 50),
    ],
    ids=["numbers", "ones", "slices", "none is small", "a GPU"],
)
def test_a_number_counts_as_it_stands_and_slices_are_of_one_network(absent, changes, networks, training):
    found = job_groups(absent(**changes), on_cluster=True)
    assert max(sizes(found.networks)) == networks and max(sizes(found.training)) == training


def test_networks_that_are_fetched_share_jobs_as_their_files_and_their_extraction_allow(absent):
    study = absent(runs=[{"pretrained": ["resnet18", "resnet34", "resnet50"]}], training={"gpu": "a100"})
    work = PlannedWork(Asked(study.targets))
    (group,) = job_groups(study, on_cluster=True).training
    assert len(group.runs) == 3 and group.label.startswith("pretrained-") and group.extracts
    runs = [study.targets.study.runs[run] for run in group.runs]
    seconds = [work.making_and_extraction(run) or 0 for run in runs]
    assert 0 < seconds[0] < seconds[-1] and sum(seconds) <= PLANNED_SECONDS
    asked = Asked(study.targets)
    assert asked.making(runs).mem_mb == max(asked.making([run]).mem_mb for run in runs)
    # Weights that are not kept go before the next ones come.
    study.targets.study.runs.update({run.run: replace(run, keep=False) for run in runs})
    assert sizes(job_groups(study, on_cluster=True).training) == [1, 1, 1]


def test_what_is_not_known_is_not_shared(absent):
    """Such as what Brain-Score's stock engine takes."""
    brain = {"data": {"simulated": "brain"}, "benchmarks": ["MajajHong2015public.IT-pls"], "engine": "stock"}
    assert set(sizes(job_groups(absent(brainscore=brain), on_cluster=True).networks)) == {1}
    study = absent()
    runs = list(study.targets.study.runs.values())[:6]
    seconds = dict(zip((run.run for run in runs), [None, 0.0, 1800.0, None, 1800.0, 1801.0], strict=True))
    found = [[seconds[run.run] for run in group] for group in shared(runs, "auto", lambda run: seconds[run.run])]
    assert found == [[None], [0.0, 1800.0], [None], [1800.0], [1801.0]]
