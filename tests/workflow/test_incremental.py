"""One thing changes; Snakemake's own dry run says which jobs would run, and they are exactly those affected."""

import copy
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import PACKED, SMALL, TABLE, Workdir

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
AFTER_TABLE = Counter(table=1, fits=1, fit=2, resolution=1, encoding_figures=1, report=1, all=1)
AFTER_SCORES = AFTER_TABLE + Counter(accuracy=1)
OF_A_RUN = Counter(activations=1, brainscore=1, encoding=1)


def study_with(workdir: Workdir, change: Callable[[dict], object]) -> None:
    study = copy.deepcopy(SMALL)
    change(study)
    workdir.write_study(study)


def edit(workdir: Workdir, file: str, old: str, new: str) -> None:
    path = workdir.path / "src/neuroscaling" / file
    text = path.read_text()
    assert old in text, f"{file} no longer holds {old!r}"
    path.write_text(text.replace(old, new, 1))


def recipe(workdir: Workdir, **changes) -> None:
    path = workdir.path / "recipes/brief.yaml"
    path.write_text(yaml.safe_dump(yaml.safe_load(path.read_text()) | changes))


def fit(workdir: Workdir) -> None:
    path = workdir.path / "fits/small.yaml"
    fits = yaml.safe_load(path.read_text())
    fits["fits"][0]["bootstraps"] += 1
    path.write_text(yaml.safe_dump(fits))


def comments(workdir: Workdir) -> None:
    for path in (workdir.path / "src/neuroscaling").rglob("*.py"):
        text = path.read_text()
        if text.startswith('"""'):
            path.write_text('"""Another docstring. ' + text[3:] + "\n# A comment.\n")
    for script in (workdir.path / "workflow/scripts").glob("*.py"):
        script.write_text(script.read_text() + "\n# A comment.\n")


def touched(workdir: Workdir) -> None:
    """As a backup that is restored without dates leaves a store, in an order of its own."""
    for i, path in enumerate(sorted((workdir.path / "store").rglob("*"), reverse=True)):
        os.utime(path, (2e9 + i, 2e9 + i))


def elsewhere(workdir: Workdir) -> None:
    workdir.path = workdir.path.rename(workdir.path.with_name("moved"))


def moved_store(workdir: Workdir) -> None:
    (workdir.path / "store").rename(workdir.path.with_name("lab"))
    study_with(workdir, lambda study: study.update(store=str(workdir.path.with_name("lab")), runs_per_job=2))


def without(pattern: str) -> Callable[[Workdir], None]:
    """What is deleted: the first that the pattern finds in the store."""

    def delete(workdir: Workdir) -> None:
        first = sorted((workdir.path / "store").glob(pattern))[0]
        shutil.rmtree(first) if first.is_dir() else first.unlink()

    return delete


def without_inputs(workdir: Workdir) -> None:
    """What scores were made from goes; they stay."""
    shutil.rmtree(workdir.path / "store/activations")
    for weights in (workdir.path / "store/runs").glob("*/weights-*"):
        weights.unlink()


def without_run(workdir: Workdir) -> None:
    """A run is deleted with all that was made of it, and nothing else of it is there."""
    run = next(path.name for path in sorted((workdir.path / "store/runs").iterdir()) if "_digits_" in path.name)
    for path in [*(workdir.path / "store").glob(f"scores/*/{run}.json"), workdir.path / "store/activations" / run]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    next((workdir.path / "store/runs" / run).glob("weights-*")).unlink()


def more_networks(study: dict) -> None:
    study["runs"][1]["untrained"].append("vit_w32")
    study["runs"][1]["seeds"].append(1)
    study["runs"][0]["samples_per_class"].append(10)


CHANGES: dict[str, tuple[Callable[[Workdir], object], Counter]] = {
    "a learning rate": (
        lambda w: recipe(w, learning_rate=0.5),
        Counter(train=2, activations=2, brainscore=2, encoding=2) + AFTER_SCORES,
    ),
    "a fit": (fit, Counter(fits=1, fit=2, encoding_figures=1, report=1, all=1)),
    "the title": (lambda w: study_with(w, lambda s: s.update(title="Another")), Counter(report=1, all=1)),
    "the reduction": (
        lambda w: study_with(w, lambda s: s["reduction"].update(size=3)),
        Counter(activations=3, brainscore=3, encoding=3) + AFTER_SCORES,
    ),
    "the engine": (
        lambda w: study_with(w, lambda s: s["brainscore"].update(engine="stock")),
        Counter(brainscore=3) + AFTER_TABLE,
    ),
    "a benchmark": (
        lambda w: study_with(w, lambda s: s["brainscore"]["benchmarks"].append("MajajHong2015public.V4-pls")),
        Counter(brainscore=3) + AFTER_TABLE,
    ),
    "the formula of ridge": (
        lambda w: edit(w, "regression/voxelwise/primal.py", "\ndef ", "\nCHANGED = 1\n\n\ndef "),
        Counter(encoding=3) + AFTER_SCORES,
    ),
    "weights and activations deleted": (without_run, Counter(train=1) + OF_A_RUN + AFTER_SCORES),
    "a record of a run deleted": (without("runs/*/run.json"), Counter(train=1) + AFTER_TABLE),
    "a score deleted": (without("scores/Majaj*/*.json"), Counter(brainscore=1) + AFTER_TABLE),
}
# One dry run for all of them: what any of them would run shows.
NO_CHANGES: dict[str, Callable[[Workdir], object]] = {
    "comments and docstrings": comments,
    "the code of training, its version not raised": lambda w: edit(
        w, "training/loop.py", "\ndef ", "\nCHANGED = 1\n\n\ndef "
    ),
    "groups of runs": lambda w: study_with(w, lambda s: s.update(runs_per_job=2)),
    "the folder": elsewhere,
    "all weights and activations deleted": without_inputs,
    "a stimulus set deleted": without("stimuli/*"),
    "dates": touched,
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_runs_when_one_thing_changes(workdir: Workdir, what: str):
    change, expected = CHANGES[what]
    change(workdir)
    assert workdir.planned() == expected


def test_what_changes_no_result_runs_nothing(workdir: Workdir):
    assert workdir.planned() == Counter()
    for change in NO_CHANGES.values():
        change(workdir)
    assert workdir.planned() == Counter()
    moved_store(workdir)
    assert workdir.planned() == Counter()


def test_more_networks_run_themselves_and_what_depends_on_them(workdir: Workdir):
    """An architecture, a seed and a number of images more."""
    before = [path.name for path in (workdir.path / "store/runs").iterdir()]
    study_with(workdir, more_networks)
    new = Counter(subset=1, train=4, activations=4, brainscore=4, encoding=4)
    assert workdir.planned() == new + AFTER_SCORES
    jobs = workdir.planned_jobs()
    assert not any(run in jobs for run in before) and "vit_w32_untrained" in jobs


def artefacts(workdir: Workdir) -> dict[str, bytes]:
    """Every file of the store by its name, but for what can be thrown away."""
    store = workdir.path / "store"
    files = [path for path in store.rglob("*") if path.is_file() and ".cache" not in path.parts]
    return {path.relative_to(store).as_posix(): path.read_bytes() for path in files}


@pytest.mark.parametrize("file", ["laws/solver.py", "laws/forms.py"])
def test_a_changed_law_reruns_the_fits_onward(workdir: Workdir, file: str):
    edit(workdir, file, "\ndef ", "\nCHANGED = 1\n\n\ndef ")
    plan = workdir.planned()
    assert plan["fits"] == 1 and plan["fit"] == 2 and plan["report"] == 1
    assert not plan.keys() & {"train", "activations", "brainscore", "encoding", "table"}


def test_what_is_made_beside_leaves_every_file_that_was_there(workdir: Workdir):
    """Another reduction, and a benchmark more: other files beside the old ones, and nothing of the store is left."""
    before = artefacts(workdir)
    study = copy.deepcopy(SMALL) | PACKED
    study["reduction"]["size"] = 3
    study["brainscore"]["benchmarks"].append("MajajHong2015public.V4-pls")
    workdir.write_study(study)
    workdir.snakemake(TABLE)
    after = artefacts(workdir)
    assert before.items() <= after.items()
    scores = {name for name in after.keys() - before.keys() if name.startswith("scores/") and name.endswith(".json")}
    assert len(scores) == 3 * 3
    assert workdir.planned() == AFTER_SCORES - Counter(table=1)
    workdir.write_study(SMALL)
    assert not workdir.planned().keys() & {"train", "activations", "brainscore", "encoding"}


def test_a_second_study_with_the_same_runs_trains_nothing(workdir: Workdir):
    workdir.write_study({**SMALL, "study": "second"}, "second.yaml")
    plan = workdir.planned("second.yaml")
    assert plan == AFTER_SCORES + Counter(rulegraph=1)
    assert workdir.planned() == Counter(), "the first study must not become stale"


def test_a_corrupted_score_is_refused_by_name_and_its_job_is_planned_when_it_is_deleted(workdir: Workdir):
    path = sorted((workdir.path / "store/scores").glob("Majaj*/*.json"))[0]
    content = json.loads(path.read_text())
    content["rows"][0]["raw"] = 0.5
    path.write_text(json.dumps(content))
    shutil.rmtree(workdir.path / "results/small")
    refused = workdir.snakemake(TABLE, check=False)
    assert refused.returncode != 0 and path.name in refused.stdout and "checksum" in refused.stdout
    path.unlink()
    assert workdir.planned() == Counter(brainscore=1, rulegraph=1) + AFTER_SCORES


def test_no_target_of_snakemake_deletes_anything_of_the_store(workdir: Workdir):
    before = artefacts(workdir)
    workdir.snakemake("--delete-all-output")
    assert artefacts(workdir) == before and not (workdir.path / "results/small/scores.parquet").exists()
    assert not workdir.planned().keys() & {"train", "activations", "brainscore", "encoding"}


def test_versions_of_packages_are_in_every_record(workdir: Workdir):
    """An upgrade makes nothing stale, since they are in no name; the records tell of it."""
    for pattern in ("runs/*/run.json", "activations/*/*.json", "scores/*/*.json"):
        for path in (workdir.path / "store").glob(pattern):
            record = json.loads(Path(path).read_text())
            assert record["provenance"]["versions"]["numpy"], path
            assert record["checksum"]
