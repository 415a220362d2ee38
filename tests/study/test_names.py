"""Names in the store: what determines an artefact changes its name, what does not, doesn't."""

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml

from neuroscaling.study import session
from neuroscaling.study.jobs import Jobs
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.paths import Store
from neuroscaling.study.wanted import Absent, Inventory, Targets
from neuroscaling.study.wanted_lists import read_wanted
from tests.support.run_records import run_content, write_run

IT, V1 = "MajajHong2015public.IT-pls", "FreemanZiemba2013public.V1-pls"
STUDY: dict[str, Any] = {
    "study": "small",
    "store": "store",
    "datasets": {"digits": {"format": "digits"}},
    "runs": [
        {"archs": ["resnet_w8"], "datasets": ["digits"], "recipe": "sgd100", "samples_per_class": [1], "seeds": [0]},
        {"untrained": ["resnet_w8"], "seeds": [0]},
    ],
    "reduction": {"kind": "grid", "size": 2},
    "simulated": {"brain": {"stimuli": 100, "algonauts_train": 40, "algonauts_test": 12, "algonauts_subjects": 1}},
    "brainscore": {"data": {"simulated": "brain"}, "benchmarks": [V1, IT]},
    "encoding": [{"source": "algonauts2023", "data": {"simulated": "brain"}, "samples": [20, "all"]}],
}
STAGES = ("subsets", "runs", "simulated", "stimuli", "activations", "commitments", "scores")


@pytest.fixture
def wanted(tmp_path: Path, monkeypatch) -> Callable[..., dict[str, set[str]]]:
    """Names in the store that a changed study wants, by stage. Keys: `a.b` for `b` of section `a`."""
    monkeypatch.chdir(tmp_path)

    def names(**changes: Any) -> dict[str, set[str]]:
        content = deepcopy(STUDY)
        for key, value in changes.items():
            *path, last = key.split("__")
            place: Any = content
            for part in path:
                place = place[int(part)] if isinstance(place, list) else place.setdefault(part, {})
            place[last] = value
        Path("small.yaml").write_text(yaml.safe_dump(content))
        targets = Targets(load_study("small.yaml"))
        paths = {targets.store.name_of(path) for path in targets.all_paths()}
        return {stage: {path for path in paths if path.startswith(f"{stage}/")} for stage in STAGES}

    return names


LATER = ("activations", "commitments", "scores")
OTHER = [  # a change, and the stages whose names it changes
    ({"runs__0__recipe": "convnext300"}, ("runs", *LATER)),
    ({"runs__0__samples_per_class": [3]}, ("subsets", "runs", *LATER)),
    ({"simulated__brain__seed": 1}, ("simulated", "stimuli", *LATER)),
    ({"brainscore__visual_degrees": 6.0}, ("stimuli", *LATER)),
    ({"reduction__size": 3}, LATER),
    ({"reduction": {"kind": "none"}}, LATER),
    ({"extraction__dtype": "float16"}, LATER),
    ({"extraction__autocast": "bf16"}, LATER),
    ({"extraction__normalise": False}, LATER),
    ({"extraction__crop": False}, LATER),
    ({"extraction__keep": "both"}, LATER),
    ({"layers": {"resnet_w8": {"candidates": ["layer1.0", "layer4.0"]}}}, LATER),
    ({"brainscore__layers": {"inner_splits": 5}}, ("commitments", "scores")),
    ({"brainscore__engine": "stock"}, ("scores",)),
    ({"brainscore__samples": [30, "all"]}, ("commitments", "scores")),
    ({"brainscore__samples": {IT: [30, "all"]}}, ("commitments", "scores")),
    ({"encoding__0__samples": [30, "all"]}, ("scores",)),
    ({"encoding__0__repeats": 2}, ("scores",)),
    ({"encoding__0__draws": 10}, ("scores",)),
    ({"encoding__0__regions": ["V2"]}, ("scores",)),
    ({"encoding__0__ridge": {"folds": 4}}, ("scores",)),
    ({"encoding__0__evaluate": "validation", "encoding__0__validation": 10}, ("scores",)),
]


@pytest.mark.parametrize(("change", "stages"), OTHER, ids=[next(iter(change)) for change, _ in OTHER])
def test_what_determines_a_result_is_in_its_name(wanted, change: dict, stages: tuple[str, ...]):
    before, after = wanted(), wanted(**change)
    assert {stage for stage in STAGES if before[stage] != after[stage]} == set(stages)


@pytest.mark.parametrize(
    "change",
    [
        {"extraction__batch": 7},
        {"extraction__codec": "none"},
        {"extraction__workers": 3},
        {"extraction__scratch_gb": 1.0},
        {"runs_per_job": 4},
        {"sets_per_job": 1},
        {"training": {"runs_per_job": 3, "cpus": 2}},
        {"title": "another"},
        {"study": "another"},
        {"store": "elsewhere"},
        {"brainscore__mem_mb": 5000},
        {f"{section}__hang_seconds": 99.0 for section in ("extraction", "brainscore", "encoding__0")},
        {"encoding__0__ridge": {"memory_mb": 999, "gpu": True}},
        {"fits": []},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_does_not_change_a_result_is_in_no_name(wanted, change: dict):
    assert wanted(**change) == wanted()


def test_a_score_takes_its_name_from_the_layers_it_is_given(wanted):
    before, after = wanted(), wanted(layers={"resnet_w8": {"regions": {"IT": "layer1.0"}}})
    changed = {name.split("/")[1].rpartition("-")[0] for name in after["scores"] - before["scores"]}
    assert IT in changed


def test_numbers_of_mapping_images_are_in_the_names_of_what_they_concern(wanted):
    behavior = "Rajalingham2018public-i2n"
    before = wanted(brainscore__benchmarks=[V1, IT, behavior])
    after = wanted(brainscore__benchmarks=[V1, IT, behavior], brainscore__samples={IT: [30, "all"]})
    changed = {name.split("/")[1].rpartition("-")[0] for name in after["scores"] - before["scores"]}
    assert changed == {IT}
    for same in ({IT: ["all", 30]}, {IT: [30, "all"], V1: ["all"]}):
        assert wanted(brainscore__benchmarks=[V1, IT, behavior], brainscore__samples=same) == after
    everything = wanted(brainscore__benchmarks=[V1, IT, behavior], brainscore__samples=[30, "all"])
    other = {name.split("/")[1].rpartition("-")[0] for name in everything["scores"] - before["scores"]}
    assert other == {V1, IT}


def test_layers_that_are_not_chosen_inside_mapping_images_are_the_same_for_all_numbers(wanted):
    protocol = {"protocol": "parity", "runs__0__samples_per_class": ["all"]}
    before, after = wanted(**protocol), wanted(brainscore__samples=[30, "all"], **protocol)
    assert before["commitments"] == after["commitments"] and before["scores"] != after["scores"]


def test_other_protocols_are_other_scores(wanted):
    runs = {"runs": [{"untrained": ["resnet_w8"], "seeds": [0]}], "brainscore__layers": {"choose": "depth"}}
    assert wanted(**runs)["scores"].isdisjoint(wanted(protocol="parity", **runs)["scores"])


def test_adding_a_benchmark_or_a_network_leaves_the_other_names(wanted):
    assert wanted()["scores"] > wanted(brainscore__benchmarks=[IT])["scores"]
    more = wanted(runs=[*STUDY["runs"], {"untrained": ["resnet_w8"], "seeds": [1]}])
    assert more["scores"] > wanted()["scores"] and more["activations"] > wanted()["activations"]


def absent(name: str = "small.yaml") -> Absent:
    targets = Targets(load_study(name))
    return Absent(targets, Inventory(targets.store))


def touch(path: Path, text: str = "{}") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_deleted_weights_are_trained_again_only_where_something_absent_needs_them(wanted):
    wanted()
    found = absent()
    assert [run.run for run in found.runs] == list(found.targets.study.runs)
    store = found.targets.store
    for name in found.targets.study.runs:
        touch(store.run(name) / "run.json", '{"weights": "weights-ep1.safetensors", "status": "done"}')
    assert [run.run for run in absent().runs] == list(found.targets.study.runs)  # no activations, no weights
    for path in found.targets.all_activations.values():
        touch(path)
    assert absent().runs == []
    (run, _), path = next(iter(found.targets.all_activations.items()))
    path.unlink()
    assert [one.run for one in absent().runs] == [run]
    touch(store.run(run) / "weights-ep1.safetensors")
    assert absent().runs == [] and {pair[0] for pair in absent().activations} == {run}
    (store.run(run) / "weights-ep1.safetensors").unlink()
    for path in found.targets.score_files:
        touch(path)
    assert absent().runs == [] and not absent().activations  # scores are there: nothing needs either
    assert absent().results == []  # nor the stimuli, which are not there


def test_a_run_that_failed_for_good_is_there_and_asks_for_nothing(wanted):
    wanted()
    found = absent()
    for name in found.targets.study.runs:
        touch(found.targets.store.run(name) / "run.json", '{"status": "failed", "problem": "NaN", "lasting": true}')
    assert absent().runs == [] and absent().failed == set(found.targets.study.runs)


def test_networks_whose_layers_are_chosen_on_a_failed_one_hold_up_nothing(wanted):
    group = {**STUDY["runs"][0], "samples_per_class": [1, "all"]}
    wanted(runs=[group], brainscore__layers={"scope": "arch"}, encoding=[])
    found = absent()
    store, runs = found.targets.store, found.targets.study.runs
    (on,) = [run for run in runs if "_all_" in run]
    session.begin_session(found)
    scores = found.targets.study.results.wanted("scores")
    assert len(read_wanted(scores, store.folders)) == 4
    for name in runs:
        failed = {"status": "failed", "problem": "the loss is NaN", "lasting": True} if name == on else {}
        write_run(store.run(name) / "run.json", run_content(name, **failed))
    again = absent()
    assert again.failed == {on} and again.runs == [] and not again.activations
    assert not Jobs(again).left(
        job for run in runs.values() for job in Jobs(again).brainscore(run, again.targets.names.jobs[0])
    )
    assert read_wanted(scores, store.folders) == [path for path in found.targets.score_files if path.stem == on]


def test_a_dry_run_beside_a_driver_leaves_what_that_one_goes_by(wanted, tmp_path: Path):
    wanted()
    session.begin_session(absent())
    results = absent().targets.study.results
    kept = [results.wanted("scores"), results.artefacts, session.session_marker(absent().targets.study.config.study)]
    before = [path.read_bytes() for path in kept]
    touch(tmp_path / ".snakemake/locks/0.output.lock")
    wanted(encoding=[], brainscore__layers={"choose": "depth"})
    session.begin_session(absent())
    assert [path.read_bytes() for path in kept] == before
    (tmp_path / ".snakemake/locks/0.output.lock").unlink()
    session.begin_session(absent())
    assert [path.read_bytes() for path in kept] != before


def test_a_list_of_folders_is_read_whole_and_the_first_is_written_to(wanted, tmp_path: Path):
    (tmp_path / "lab").mkdir()
    wanted(store=["mine", "lab"])
    found = absent()
    run = next(iter(found.targets.study.runs))
    touch(tmp_path / "lab/runs" / run / "run.json", '{"status": "done"}')
    again, store = absent(), found.targets.store
    assert run not in {one.run for one in again.runs}
    assert again.folder(run) == Path("lab/runs") / run and store.run(run) == Path("mine/runs") / run
    assert store.name_of(again.folder(run)) == store.name_of(store.run(run)) == f"runs/{run}"
    assert {Store.of(Path(place)).name_of(Store.of(Path(place)).run("r")) for place in (".", "a/b")} == {"runs/r"}
    assert again(store.run(run) / "weights.safetensors") and not again(store.run(run) / "run.json")


def test_downloads_are_read_where_their_list_lies(wanted, tmp_path: Path):
    (tmp_path / "lab").mkdir()
    runs = [{"untrained": ["resnet_w8"], "seeds": [0]}]
    wanted(
        store=["mine", "lab"],
        runs=runs,
        simulated={},
        encoding=[{"source": "v4", "sessions": ["210325"]}],
        brainscore={"data": {"download": True}, "benchmarks": [IT]},
    )
    (job,) = absent().targets.names.jobs
    assert job.made is not None and job.folder == Path("mine/data/brainscore")
    touch(tmp_path / "lab" / job.made.relative_to("mine"))
    touch(tmp_path / "lab/data/v4/images/images_210325.zip")
    (job,) = absent().targets.names.jobs
    (session,) = absent().targets.names.subjects
    assert job.folder == Path("lab/data/brainscore") and job.stimuli.sources[0].root == Path("lab/data/brainscore")
    assert session.stimuli.sources[0].root == session.folder == Path("lab/data/v4")
