"""One thing changes; Snakemake's own dry run says which jobs would run, and they are exactly those affected."""

import copy
from collections import Counter

import pytest
import yaml

from tests.workflow.conftest import SMALL

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
ENCODED = {"accuracy": 1, "encoding_figures": 1}
DOWNSTREAM = {"table": 1, "fit": 2, **ENCODED, "report": 1, "all": 1}


def changed(**changes):
    return copy.deepcopy(SMALL) | changes


def edit(workdir, file, old, new):
    path = workdir.path / "src/neuroscaling" / file
    text = path.read_text()
    assert old in text, f"{file} no longer holds {old!r}"
    path.write_text(text.replace(old, new, 1))


def test_nothing_to_do_after_a_run(workdir):
    assert workdir.planned() == Counter()
    assert "Nothing to be done" in workdir.snakemake().stdout


def test_copying_the_folder_elsewhere_reruns_nothing(workdir):
    moved = workdir.path.rename(workdir.path.with_name("moved"))
    workdir.path = moved
    assert workdir.planned() == Counter()


def test_bootstrap_count_reruns_that_fit_and_the_report(workdir):
    path = workdir.path / "fits/small.yaml"
    fits = yaml.safe_load(path.read_text())
    fits["fits"][0]["bootstraps"] += 1
    path.write_text(yaml.safe_dump(fits))
    assert workdir.planned() == Counter(fit=1, encoding_figures=1, report=1, all=1)
    assert fits["fits"][0]["name"] in workdir.planned_jobs()


def test_one_more_architecture_runs_itself_and_what_depends_on_it(workdir):
    study = copy.deepcopy(SMALL)
    study["runs"][1]["untrained"].append("vit_w32")
    workdir.write_study(study)
    assert workdir.planned() == Counter(train=1, activations=1, brainscore=1, encoding=1) + Counter(DOWNSTREAM)
    jobs = workdir.planned_jobs()
    assert "vit_w32_untrained" in jobs and "resnet_w8" not in jobs


def test_a_benchmark_added_scores_it_for_all_runs_and_keeps_the_scores_there_are(workdir):
    study = copy.deepcopy(SMALL)
    study["brainscore"]["benchmarks"].append("MajajHong2015public.V4-pls")
    workdir.write_study(study)
    # No accuracy of fMRI is touched.
    assert workdir.planned() == Counter(brainscore=3) + Counter(DOWNSTREAM) - Counter(accuracy=1)
    files = list(workdir.path.glob("store/scores/*/*/MajajHong2015public.IT-pls.json"))
    before = {path: path.read_bytes() for path in files}
    workdir.snakemake()
    # Bytes, not times: Snakemake touches what a job is declared to make. A score made again has other seconds.
    assert len(before) == 3 and before == {path: path.read_bytes() for path in files}
    assert len(list(workdir.path.glob("store/scores/*/*/MajajHong2015public.V4-pls.json"))) == 3
    assert workdir.planned() == Counter()


def test_a_learning_rate_makes_new_runs_and_keeps_the_old(workdir):
    old = sorted(p.name for p in workdir.path.glob("store/runs/*"))
    path = workdir.path / "recipes/brief.yaml"
    recipe = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(recipe | {"learning_rate": recipe["learning_rate"] * 2}))
    plan = workdir.planned()
    assert plan == Counter(train=2, activations=2, brainscore=2, encoding=2) + Counter(DOWNSTREAM)
    assert not any(name in workdir.planned_jobs() for name in old if "untrained" not in name)
    assert sorted(p.name for p in workdir.path.glob("store/runs/*")) == old


def test_a_comment_or_a_docstring_reruns_nothing(workdir):
    for path in (workdir.path / "src/neuroscaling").rglob("*.py"):
        text = path.read_text()
        if text.startswith('"""'):
            path.write_text('"""Another docstring. ' + text[3:] + "\n# A comment.\n")
    for script in (workdir.path / "workflow/scripts").glob("*.py"):
        script.write_text(script.read_text() + "\n# A comment.\n")
    assert workdir.planned() == Counter()


def test_a_changed_formula_in_the_ridge_code_reruns_the_ridge_scores_onward(workdir):
    edit(workdir, "regression/voxelwise/primal.py", "\ndef ", "\nCHANGED = 1\n\n\ndef ")
    assert workdir.planned() == Counter(encoding=3) + Counter(DOWNSTREAM)


@pytest.mark.parametrize("file", ["laws/solver.py", "laws/forms/logistic.py"])
def test_a_changed_law_reruns_the_fits_onward(workdir, file):
    edit(workdir, file, "\ndef ", "\nCHANGED = 1\n\n\ndef ")
    plan = workdir.planned()
    assert plan["fit"] == 2 and plan["report"] == 1
    assert not plan.keys() & {"train", "activations", "brainscore", "encoding", "table"}


def test_a_second_study_with_the_same_runs_trains_nothing(workdir):
    workdir.write_study(changed(study="second"), "second.yaml")
    plan = workdir.planned("second.yaml")
    assert plan == Counter(DOWNSTREAM) + Counter(rulegraph=1)
    workdir.snakemake(study="second.yaml")
    assert workdir.planned("second.yaml") == Counter()
    assert workdir.planned() == Counter(), "the first study must not become stale"


def test_packs_of_runs_share_a_job_and_keep_what_is_done(workdir):
    study = changed(pack=2)
    workdir.write_study(study)
    first = {path: path.read_bytes() for path in workdir.path.glob("store/scores/*/*/*.json")}
    workdir.snakemake()
    assert workdir.planned() == Counter()
    study["runs"][1]["untrained"].append("vit_w32")
    workdir.write_study(study)
    plan = workdir.planned()
    new = {rule: n for rule, n in plan.items() if rule.startswith(("activations", "brainscore", "encoding_3"))}
    assert list(new.values()) == [1, 1, 1] and plan["train"] == 1
    assert first == {path: path.read_bytes() for path in first}
