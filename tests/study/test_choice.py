"""How a study's layers are chosen, on which network, and what is kept of the choice."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from neuroscaling.brainscore.commitment import Swept, commitments
from neuroscaling.cli.deep_checks import deep_problems
from neuroscaling.core.errors import StudyError
from neuroscaling.study import layer_choice, wanted
from neuroscaling.study.brainscore_jobs import brainscore_jobs
from neuroscaling.study.loaded_study import LoadedStudy, load_study
from neuroscaling.study.run_groups import network_groups

V1, IT, BEHAVIOR = "FreemanZiemba2013public.V1-pls", "MajajHong2015public.IT-pls", "Rajalingham2018public-i2n"
TRAINED = {"archs": ["resnet_w8"], "datasets": ["digits"], "recipe": "digits"}


@pytest.fixture()
def study(tmp_path: Path):
    def load(layers: dict[str, Any], protocol: str = "corrected", **others: Any) -> LoadedStudy:
        content = {
            "study": "small",
            "store": str(tmp_path / "store"),
            "protocol": protocol,
            "datasets": {"digits": {"format": "digits"}},
            "runs": [
                {**TRAINED, "samples_per_class": [1, "all"], "seeds": [0, 1]},
                {"untrained": ["resnet_w8"], "seeds": [0]},
            ],
            "simulated": {"brain": {"stimuli": 100}},
            "brainscore": {"data": {"simulated": "brain"}, "benchmarks": [V1, IT, BEHAVIOR], "layers": layers},
        } | others
        path = tmp_path / "small.yaml"
        path.write_text(yaml.safe_dump(content))
        return load_study(path)

    return load


def chosen_on_all(study: LoadedStudy) -> tuple[str, ...]:
    """Names of the layers that are chosen on the seed-0 network with all images."""
    on = next(run for run in study.runs.values() if (run.samples_per_class, run.seed) == ("all", 0))
    return tuple(str(one.name) for one in wanted.Targets(study).commitments(on))


@pytest.mark.parametrize(
    ("protocol", "layers", "expected"),
    [
        ("corrected", {}, "nested"),
        ("parity", {}, "reported"),
        ("parity", {"choose": "nested"}, "nested"),
        ("corrected", {"choose": "depth"}, "depth"),
    ],
)
def test_the_way_follows_the_protocol_unless_the_study_names_one(study, protocol: str, layers: dict, expected: str):
    loaded = study(layers, protocol)
    assert layer_choice.choice_of_layers(loaded.config) == expected
    chosen = layer_choice.chosen_benchmarks(loaded, brainscore_jobs(loaded)[0])
    assert chosen == ([] if expected == "depth" else [V1, IT])


def test_frozen_layers_are_chosen_on_the_seed_0_network_with_all_images(study):
    frozen, own = study({"scope": "arch"}), study({})
    for run in frozen.runs.values():
        on = layer_choice.reference_run(frozen, run)
        if run.kind == "untrained":
            assert on is run
        else:
            assert (on.samples_per_class, on.seed, on.kind) == ("all", 0, "trained")
    assert all(layer_choice.reference_run(own, run) is run for run in own.runs.values())
    parity = study({"scope": "run"}, "parity")
    assert {layer_choice.reference_run(parity, run).seed for run in parity.runs.values()} == {0}


def test_a_study_without_the_network_to_choose_on_is_told(study):
    loaded = study({"scope": "arch"}, runs=[{**TRAINED, "samples_per_class": [1, 3], "seeds": [0]}])
    (problem,) = layer_choice.choice_problems(loaded)
    assert "seed 0, all training images" in problem.what and problem.value == "resnet_w8 on digits"
    assert list(layer_choice.choice_problems(study({"scope": "run"}))) == []


def test_another_way_of_choosing_has_another_name_and_another_scope_has_not(study):
    ways: tuple[dict, ...] = ({}, {"inner_splits": 5}, {"hierarchy": True}, {"choose": "reported"})
    keys = [chosen_on_all(study(layers)) for layers in ways]
    assert len(set(keys)) == 4
    assert chosen_on_all(study({"scope": "arch"})) == keys[0]  # the same choice on the same network


def test_published_layers_are_the_ones_extracted(study, tmp_path: Path):
    entry = {"region2layer": {"V1": "layer1.0", "IT": "layer4.0"}, "behavioral_readout_layer": "global_pool"}
    file = tmp_path / "layer_commitments.json"
    file.write_text(json.dumps({"ResNet_w8": {"digits_full": {"seed-0": entry}, "imagenet_full": {"seed-0": entry}}}))
    loaded = study({"choose": "published", "commitments": str(file)}, runs_per_job=2)
    run = next(iter(loaded.runs.values()))
    assert layer_choice.extracted_layers(loaded.config, run) == {
        "candidates": ["layer1.0", "layer4.0"],
        "regions": {"V1": "layer1.0", "IT": "layer4.0"},
        "readout": "global_pool",
    }
    parts = [group.label.rpartition("-")[0] for group in network_groups(loaded)]
    assert parts[:2] == ["trained-resnet_w8-digits", "trained-resnet_w8-digits"] and "untrained" in parts[-1]
    file.write_text(json.dumps({"resnet_w9": {}}))
    other = study({"choose": "published", "commitments": str(tmp_path / "other.json")})
    assert [problem.what for problem in layer_choice.choice_problems(other)] == ["file is missing"]


def test_a_published_layer_that_the_network_does_not_have_is_named_before_the_first_job(study, tmp_path: Path):
    entry = {"region2layer": {"V1": "layer1.7"}, "behavioral_readout_layer": "global_pool"}
    file = tmp_path / "others.json"
    file.write_text(json.dumps({"resnet_w8": {"digits_full": {"seed-0": entry}, "imagenet_full": {"seed-0": entry}}}))
    (problem,) = deep_problems(study({"choose": "published", "commitments": str(file)}))
    assert (problem.what, problem.value) == ("unknown layer", "layer1.7") and problem.nearest.startswith("layer1")


def test_too_little_memory_for_the_gram_matrices_is_told_before_the_first_job(study):
    assert deep_problems(study({})) == []
    brainscore = {"data": {"simulated": "brain"}, "benchmarks": [V1, IT], "mem_mb": 500}
    (problem,) = deep_problems(study({}, brainscore=brainscore))
    assert "and its jobs have 500 MB" in problem.what and problem.fix.startswith("`mem_mb: 1")


def test_published_needs_its_file(study):
    with pytest.raises(StudyError, match="go together"):
        study({"choose": "published"})


def test_nothing_named_leaves_the_layers_to_the_architecture(study):
    loaded = study({})
    assert layer_choice.extracted_layers(loaded.config, next(iter(loaded.runs.values()))) == {}
    pattern = study({}, candidates="relu")
    assert layer_choice.extracted_layers(pattern.config, next(iter(pattern.runs.values())))["candidates"] == "relu"


def test_a_choice_keeps_its_layers_scores_and_near_ties():
    scores = [
        np.array([[0.5, 0.5], [0.2, 0.2]]),
        np.array([[0.1, 0.1], [0.3, 0.3]]),
        np.array([[0.4, 0.5], [0.5, 0.4]]),
    ]
    found = commitments([Swept(V1, "V1", scores), Swept("X.IT-rdm", "IT", [])], ["early", "late"], hierarchy=False)
    assert found[V1].layers == ["early", "late", "early"] and found[V1].layer == "early"
    assert found[V1].scores[1] == pytest.approx([0.1, 0.3]) and found[V1].near_ties == {"late": 1}
    assert found["X.IT-rdm"].layer == "late" and "no images are left" in str(found["X.IT-rdm"].why)


def test_with_a_hierarchy_no_region_is_earlier_than_the_one_before():
    v1 = [np.array([[0.1], [0.2], [0.6]])]
    it = [np.array([[0.7], [0.1], [0.5]]), np.array([[0.1], [0.1], [0.5]])]
    free = commitments([Swept(V1, "V1", v1), Swept(IT, "IT", it)], ["a", "b", "c"], hierarchy=False)
    ordered = commitments([Swept(V1, "V1", v1), Swept(IT, "IT", it)], ["a", "b", "c"], hierarchy=True)
    assert (free[V1].layers, free[IT].layers) == (["c"], ["a", "c"])
    assert (ordered[V1].layers, ordered[IT].layers) == (["c"], ["c", "c"])


OWN = {"region": "V1", "assembly": "a.nc", "stimuli": "s.csv", "images": "images", "degrees": 8, "ceiling": "none"}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"engine": "stock"}, ["brainscore.engine: stock"]),
        ({"define": {"own": {**OWN, "metric": "neuron_to_neuron"}}, "benchmarks": [V1, "own"]}, ["own"]),
        ({"define": {"own": {**OWN, "metric": "ridge"}}, "benchmarks": [V1, "own"]}, []),
        ({}, []),
    ],
)
def test_what_needs_features_is_named_where_only_inner_products_are_kept(
    study, tmp_path: Path, changes: dict, named: list[str]
):
    brainscore = {"data": {"local": str(tmp_path)}, "benchmarks": [V1]} | changes
    try:
        study({}, brainscore=brainscore, extraction={"keep": "gram"})
        found = []
    except StudyError as error:
        found = [problem.value for problem in error.problems]
    assert found == named
