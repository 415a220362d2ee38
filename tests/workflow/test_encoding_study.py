"""Encoding from images to a submission: a simulated tree of the challenge and simulated raw NSD in one study."""

import json
from collections import Counter

import pandas as pd
import pytest

from tests.support.simulated_nsd import NsdSettings, write_nsd_tree
from tests.support.simulated_nsd_synthetic import add_nsd_synthetic
from tests.workflow.conftest import make_workdir, told_here

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
BRAIN = {"stimuli": 100, "algonauts_subjects": 2, "algonauts_train": 60, "algonauts_test": 12, "vertices": 40}
CHALLENGE = {
    "source": "algonauts2023",
    "data": {"simulated": "brain"},
    "evaluate": "validation",
    "validation": 15,
    "samples": [10, 20, "all"],
    "repeats": 2,
    "draws": 20,
    "submissions": {"mean": {"average": "plain"}, "networks": {"archs": ["resnet_w8"]}},
}
NSD = {
    "source": "nsd",
    "data": {"local": "made/nsd"},
    "space": "func1pt8mm",
    "subjects": ["subj01"],
    "trials": "keep",
    "test": ["shared1000", "nsd_synthetic"],
    "samples": [30, "all"],
    "draws": 20,
}
STUDY = {
    "study": "mappings",
    "runs": [{"untrained": ["resnet_w8"], "seeds": [0, 1]}, {"baselines": ["pixels"]}],
    "runs_per_job": 2,
    "training": {"runs_per_job": 2},
    "reduction": {"kind": "max", "sizes": [1, 2]},
    "simulated": {"brain": BRAIN},
    "encoding": [CHALLENGE, NSD],
    "fits": ["fits/mapping.yaml"],
}
FITS = """
fits:
  - name: mapping
    forms: [log_linear, sqrt_saturating]
    x: n_mapping
    y: raw
    filters: {metric: ridge, benchmark: algonauts2023}
    group_by: [run, subject, n_mapping]
    by: {region: [all-vertices]}
    cluster: [subject]
    bootstraps: 20
  - name: distribution
    form: log_linear
    x: n_mapping
    y: raw
    filters: {metric: ridge, benchmark: nsd, region: all-vertices}
    by: {test_set: [shared1000, nsd_synthetic]}
    group_by: [run, n_mapping]
    bootstraps: 0
"""
DOWNSTREAM = Counter(
    accuracy=1, submission=2, table=1, fits=1, fit=3, resolution=1, encoding_figures=1, report=1, all=1
)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """The study, run to its report."""
    workdir = make_workdir(tmp_path_factory.mktemp("encoding") / "work")
    write_nsd_tree(workdir.path / "made", NsdSettings(sessions=(("subj01", 40),), spaces=("func1pt8mm",)))
    add_nsd_synthetic(workdir.path / "made")
    (workdir.path / "fits/mapping.yaml").write_text(FITS)
    workdir.write_study(STUDY, "mappings.yaml")
    workdir.snakemake(study="mappings.yaml")
    return workdir


def rewritten(workdir, **changes):
    workdir.write_study(STUDY | changes, "mappings.yaml")
    return workdir.planned("mappings.yaml")


def test_submissions_are_valid_and_scored_at_home(study):
    tree = next(study.path.glob("store/simulated/*/algonauts2023"))
    for name, runs in (("mean", 3), ("networks", 2)):
        file = study.path / f"results/mappings/submissions/{name}.zip"
        assert "no problem found" in told_here(study.path, "submission", "check", file, tree)
        facts = json.loads(file.with_suffix(".json").read_text())
        assert facts["simulated"] is True and len(facts["runs"]) == runs and facts["scores"]
    assert "all" in told_here(study.path, "submission", "score", file, tree)


def test_every_subject_has_rows_of_each_number_of_mapping_images(study):
    table = pd.read_parquet(study.path / "results/mappings/scores.parquet")
    assert table.simulated.all()
    found = table[table.region == "all-vertices"].groupby(["benchmark", "subject"]).n_mapping.unique()
    assert sorted(found["algonauts2023", "subj01"]) == [10, 20, 45]
    assert {subject for _, subject in found.index} == {"subj01", "subj02"}
    assert 30 in found["nsd", "subj01"]
    accuracy = pd.read_parquet(study.path / "results/mappings/encoding/accuracy.parquet")
    assert set(accuracy.interval_over) == {"subjects and images", "images"}


def test_each_test_set_of_nsd_has_rows_by_the_same_mappings_and_a_law(study):
    table = pd.read_parquet(study.path / "results/mappings/scores.parquet")
    rows = table[(table.benchmark == "nsd") & (table.region == "all-vertices")]
    assert rows.groupby("test_set").size().to_dict() == {"nsd_synthetic": 3 * 2, "shared1000": 3 * 2}
    assert table[table.benchmark == "algonauts2023"].test_set.isna().all()
    laws = {
        name: json.loads((study.path / f"results/mappings/fits/distribution.{name}.json").read_text())
        for name in ("shared1000", "nsd_synthetic")
    }
    assert all(law["status"] == "fitted" and law["simulated"] for law in laws.values())
    assert laws["shared1000"]["points"]["y"] != laws["nsd_synthetic"]["points"]["y"]


def test_the_report_shows_the_figures_and_says_simulated(study):
    figures = json.loads((study.path / "results/mappings/report/encoding/figures.json").read_text())["figures"]
    assert len(figures) >= 3 and all("SIMULATED" in figure["caption"] for figure in figures)
    page = (study.path / "results/mappings/report/index.html").read_text()
    assert all(figure["title"] in page for figure in figures)


def test_a_second_run_has_nothing_to_do(study):
    assert "Nothing to be done" in study.snakemake(study="mappings.yaml").stdout


def test_other_sizes_score_again_and_prepare_and_extract_nothing(study):
    plan = rewritten(study, encoding=[CHALLENGE | {"samples": [10, "all"]}, NSD])
    assert plan == DOWNSTREAM + Counter(encoding=2)


def test_another_average_writes_that_submission_alone(study):
    submissions = CHALLENGE["submissions"] | {"mean": {"average": "weighted"}}
    plan = rewritten(study, encoding=[CHALLENGE | {"submissions": submissions}, NSD])
    assert plan == Counter(submission=1, encoding_figures=1, report=1, all=1)


def test_where_inner_products_are_kept_each_subject_has_a_stimulus_set_of_its_own(study):
    plan = rewritten(study, extraction={"keep": "gram"})
    assert plan["stimuli"] == 3 and plan["activations"] == 2 and not plan["nsd"]
