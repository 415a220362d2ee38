"""Rules ask for what is absent alone, and each job waits for the jobs that make what it needs."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from neuroscaling.planning import training_time
from neuroscaling.planning.job_groups import job_groups
from neuroscaling.planning.job_resources import Asked
from neuroscaling.study.benchmark_names import benchmark_files
from neuroscaling.study.job_parts import WHOLE, parted
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.rules import Rules, dataset_name
from neuroscaling.study.run_groups import RunGroup
from neuroscaling.study.wanted import Absent, Inventory, Targets

IT = "MajajHong2015public.IT-pls"
ALONE = {"runs_per_job": 1, "training": {"runs_per_job": 1}}
TRAINED = {"archs": ["resnet_w8"], "datasets": ["digits"], "recipe": "digits"}


@pytest.fixture
def rules(tmp_path: Path):
    """The rules of a small study: two trained networks, an untrained one and pixels."""

    def make(on_cluster: bool = False, **changes: Any) -> Rules:
        content = {
            "study": "small",
            "store": str(tmp_path / "store"),
            "datasets": {"digits": {"format": "digits"}},
            "runs": [
                {**TRAINED, "samples_per_class": [1, "all"], "seeds": [0]},
                {"untrained": ["resnet_w8"]},
                {"baselines": ["pixels"]},
            ],
            "simulated": {"brain": {"stimuli": 100, "algonauts_subjects": 2}},
            "brainscore": {"data": {"simulated": "brain"}, "benchmarks": [IT], "layers": {"choose": "nested"}},
            "encoding": [{"source": "algonauts2023", "data": {"simulated": "brain"}}],
        } | changes
        path = tmp_path / "small.yaml"
        path.write_text(yaml.safe_dump(content))
        study = load_study(path)
        absent = Absent(Targets(study), Inventory(study.store))
        return Rules(absent, job_groups(absent, on_cluster))

    return make


def names(rules: Rules, markers: list[Path]) -> list[str]:
    """Markers without their folder and without hashes."""
    return sorted(str(marker.relative_to(rules.made)) for marker in markers if marker.is_relative_to(rules.made))


def put(rules: Rules, path: Path) -> None:
    """Something in the store, so that it is no longer absent."""
    path = rules.study.store.root / rules.study.store.name_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("{}")


def test_a_run_alone_is_labelled_by_its_name_and_a_group_by_what_its_runs_share(rules):
    alone, shared = rules(), rules(runs_per_job=2, training={"runs_per_job": 9})
    assert [group.label for group in alone.groups.training] == list(alone.study.runs)
    assert [group.label for group in alone.groups.networks] == list(alone.study.runs)
    labels = [group.label for group in shared.groups.training]
    trained, untrained, baseline = labels
    assert trained.startswith("trained-digits-digits-") and "untrained" in untrained and "baseline" in baseline
    first, rest, pixels = shared.groups.networks
    assert first.label.startswith("trained-resnet_w8-") and len(first.runs) == 2
    assert rest.label == rest.runs[0] and "untrained" in rest.label and pixels.label.startswith("pixels_baseline")
    assert first.title == f"2 networks ({first.label})" and rest.title == rest.runs[0]


def test_other_runs_in_a_group_are_another_label():
    assert RunGroup.of(["a"], ["x", "y"]).label != RunGroup.of(["a"], ["x", "z"]).label
    assert RunGroup.of(["a/b", None], ["x", "y"]).label.startswith("a-b-")


@pytest.mark.parametrize("size", [1, 2])
def test_every_job_waits_for_the_jobs_that_make_what_it_needs(rules, size: int):
    ask = rules(runs_per_job=size, training={"runs_per_job": size})
    network = ask.groups.networks[0]
    (stimuli,) = ask.targets.sets
    trained = {f"train/{ask.groups.trained_by[run]}" for run in network.runs}
    extracted = f"activations/{network.label}/all"
    assert set(names(ask, ask.before_extraction(network.label, WHOLE))) == trained | {
        f"stimuli/{stimuli}/manifest.json"
    }
    assert extracted in names(ask, ask.before_choice(network.label))
    assert extracted in names(ask, ask.before_brainscore(network.label, WHOLE))
    assert [one.run for one in ask.brainscore(network.label, WHOLE)] == list(network.runs)
    table = names(ask, ask.before_table())
    encoded = [name for name in table if name.startswith("scores/encoding/")]
    assert encoded == sorted(f"scores/encoding/all/{group.label}" for group in ask.groups.networks)
    subjects = [one.benchmark for one in ask.encoding(network.label, WHOLE)]
    assert len(subjects) == 2 * len(network.runs) and len(set(subjects)) == 2
    assert len([name for name in table if name.startswith("scores/brainscore/")]) == (3 if size == 1 else 2)


def jobs_of_networks(ask: Rules) -> dict[str, int]:
    """How many jobs of each kind there are for the networks of a study with nothing made yet."""
    scored = names(ask, ask.before_table())
    extracted = {
        marker for group in ask.groups.networks for marker in names(ask, ask.before_encoding(group.label, WHOLE))
    }
    kinds = ("train/", "scores/brainscore/", "scores/encoding/")
    found = {kind: sum(name.startswith(kind) for name in scored) for kind in kinds}
    return found | {"activations/": sum(name.startswith("activations/") for name in extracted)}


def test_a_network_has_four_jobs_whatever_it_is_scored_on_and_packed_ones_share_them(rules):
    """Eight subjects and three benchmarks; each benchmark was a job once, and each subject."""
    brain = {"simulated": {"brain": {"stimuli": 100, "algonauts_subjects": 8}}}
    brain["brainscore"] = {
        "data": {"simulated": "brain"},
        "benchmarks": [IT, "MajajHong2015public.V4-pls", "FreemanZiemba2013public.V1-pls"],
        "layers": {"choose": "nested"},
    }
    alone = rules(**brain, runs=[{**TRAINED, "samples_per_class": ["all"], "seeds": [0]}])
    assert set(jobs_of_networks(alone).values()) == {1}
    assert len(alone.encoding(alone.groups.networks[0].label, WHOLE)) == 8
    many = [{**TRAINED, "samples_per_class": [1, "all"], "seeds": list(range(20))}]
    packed = rules(**brain, runs=many, runs_per_job=20, training={"runs_per_job": 20})
    assert sum(jobs_of_networks(packed).values()) <= 0.3 * len(packed.study.runs) == 12


def test_on_a_cluster_the_job_that_makes_a_network_extracts_its_activations_too(rules):
    ask = rules(on_cluster=True, **ALONE)
    network = ask.groups.networks[0].label
    (stimuli,) = ask.targets.sets
    assert f"stimuli/{stimuli}/manifest.json" in names(ask, ask.before_training(network))
    assert [(job.run.run, job.output.parent.name) for job in ask.extractions_of(
        ask.extracted_after_training(network))] == [(network, network)]  # fmt: skip
    assert ask.extractions(network, WHOLE) == []
    for before in (ask.before_encoding(network, WHOLE), ask.before_brainscore(network, WHOLE)):
        assert f"train/{network}" in names(ask, before) and not any("activations/" in one for one in names(ask, before))
    jobs = jobs_of_networks(ask)
    assert jobs["activations/"] == 0 and jobs["train/"] == jobs["scores/encoding/"] == len(ask.study.runs)
    alone, with_it = (Asked(ask.targets).making(ask.trained_runs(network), 2, pairs) for pairs in (
        [], ask.extracted_after_training(network)))  # fmt: skip
    extraction = Asked(ask.targets).extraction(ask.extracted_after_training(network)).at(2)
    assert with_it.mem_mb == max(alone.mem_mb, extraction.mem_mb)
    assert with_it.gpu_memory_mb == max(alone.gpu_memory_mb, extraction.gpu_memory_mb)
    assert with_it.minutes == alone.minutes + extraction.minutes


def test_a_network_that_is_there_is_extracted_by_a_job_of_its_own_also_on_a_cluster(rules):
    size = {"runs_per_job": 2, "training": {"runs_per_job": 1}}
    ask = rules(on_cluster=True, **size)
    first, second = ask.groups.networks[0].runs
    put(ask, ask.study.store.run(first) / "run.json")
    (ask.study.store.run(first) / "run.json").write_text('{"weights": "weights-ep1.safetensors"}')
    put(ask, ask.study.store.run(first) / "weights-ep1.safetensors")
    again = rules(on_cluster=True, **size)
    label = again.groups.networks[0].label
    assert [job.run.run for job in again.extractions(label, WHOLE)] == [first]
    before = names(again, again.before_encoding(label, WHOLE))
    assert {f"activations/{label}/all", f"train/{second}"} <= set(before)


@pytest.mark.parametrize(
    "changes",
    [{"extraction": {"slices": 3}}, {"training": {"small": 0, "gpus": 2}}, {"training": {"small": 0, "nodes": 2}}],
    ids=["slices", "GPUs", "nodes"],
)
def test_an_extraction_that_is_split_up_or_would_keep_gpus_from_work_is_a_job_of_its_own(rules, changes):
    ask = rules(on_cluster=True, **(ALONE | changes))
    network = ask.groups.networks[0].label
    assert ask.extracted_after_training(network) == [] and len(ask.extractions(network, WHOLE)) == 1
    assert f"activations/{network}/all" in names(ask, ask.before_encoding(network, WHOLE))


def test_pixels_have_no_scores_of_brain_score(rules):
    ask = rules()
    pixels = ask.groups.networks[-1].label
    assert ask.brainscore(pixels, WHOLE) == [] and ask.choices(pixels) == []
    assert len(ask.encoding(pixels, WHOLE)) == 2


@pytest.mark.parametrize(("size", "first"), [(1, [False, True, False]), (2, [False, False])])
def test_a_job_of_scores_chooses_the_layers_that_no_other_job_needs(rules, size: int, first: list[bool]):
    """Layers of a trained network are chosen on the one with all images, which is alone or in the same job."""
    layers = {"choose": "nested", "scope": "arch"}
    ask = rules(
        runs_per_job=size,
        brainscore={"data": {"simulated": "brain"}, "benchmarks": [IT], "layers": layers},
    )
    labels = [group.label for group in ask.groups.networks[:-1]]
    before = {label: names(ask, ask.before_brainscore(label, WHOLE)) for label in labels}
    assert [any(f"commitments/{label}" in asked for asked in before.values()) for label in labels] == first
    own = {label: {one.run for one in ask.own_choices(label, WHOLE)} for label in labels}
    # What is chosen is chosen once: by a job that the others wait for, or before the scores.
    for label, waited_for in zip(labels, first, strict=True):
        assert bool(own[label]) == (bool(ask.choices(label)) and not waited_for), label


def test_a_study_that_asks_for_it_has_jobs_of_few_sets_each(rules):
    assert parted("abcde", None) == {"all": tuple("abcde")} and parted("", 2) == {}
    assert parted("abcde", 2) == {"1-of-3": ("a", "b"), "2-of-3": ("c", "d"), "3-of-3": ("e",)}
    ask = rules(sets_per_job=1)
    table = names(ask, ask.before_table())
    label = ask.groups.networks[0].label
    assert {f"scores/encoding/{part}/{label}" for part in ("1-of-2", "2-of-2")} <= set(table)
    assert [one.benchmark for one in ask.encoding(label, "2-of-2")] == ["algonauts2023-subj02"]
    assert {str(one) for one in ask.targets.scores} == {str(one) for one in rules().targets.scores}


def test_what_is_there_is_asked_for_by_no_job(rules):
    ask = rules()
    scores = [score.path(ask.study.store) for score in ask.targets.scores]
    for path in [*scores, *ask.targets.run_files]:
        put(ask, path)
    again = rules()
    assert again.before_table() == [] and again.before_accuracy() == [] and again.groups.training == ()
    (ask.study.store.root / ask.study.store.name_of(scores[0])).unlink()
    left = names(again := rules(), again.before_table())
    # Its activations are gone, and so are the weights that they are made with.
    assert [name.split("/")[0] for name in left] == ["scores", "train"] and left[0].endswith(scores[0].stem)
    (network, *_) = again.groups.networks
    assert [job.output.stem for job in again.extractions(network.label, WHOLE)] != []


def test_slices_and_lists_of_images_are_found_by_their_names(rules):
    ask = rules(extraction={"slices": 3})
    (stimuli,) = ask.targets.sets
    label = ask.groups.networks[0].label
    slices = ask.slices(label, WHOLE)
    assert [path.name for path in slices] == ["0", "1", "2"] and slices[0].parent.name == f"{stimuli}.slices"
    assert rules().slices(label, WHOLE) == []
    paths = [ask.targets.subset(run) for run in list(ask.study.runs.values())[:2]]
    path = paths[0]
    assert [job.path for job in ask.subsets(path.parent.name)] == paths and dataset_name(path.parent.name) == "digits"
    put(ask, path)
    assert [job.path for job in rules(extraction={"slices": 3}).subsets(path.parent.name)] == paths[1:]
    assert ask.dataset_settings(path.parent.name).format == "digits"


def test_benchmark_files_are_those_that_the_rules_of_this_study_write(rules):
    ask = rules(extraction={"slices": 2})
    (stimuli,), (job,), run = ask.targets.sets, ask.targets.names.jobs, next(iter(ask.study.runs.values()))
    found = benchmark_files(ask)
    assert found["activations"] == ["all", f"{stimuli}-0", f"{stimuli}-1"] and found["stimuli"] == [stimuli]
    assert found["brainscore"] == found["encoding"] == ["all"] and found["simulate"] == [job.data]
    assert run.run in found["layers"] and found["subset"] == [ask.targets.subset(run).parent.name]
    assert found["submission"] == [] and "fit" not in found and "v4_data" not in found


def test_a_large_run_has_its_gpus_and_nodes_and_others_at_most_one(rules):
    ask = rules(training={"small": 500, "gpus": 4, "nodes": 2, "runs_per_job": 9, "max_minutes": 700})
    asked = {
        (runs[0].kind, runs[0].subset): (
            training_time.job_gpus(ask.study, runs),
            training_time.job_nodes(ask.study, runs),
        )
        for runs in (ask.trained_runs(group.label) for group in ask.groups.training)
    }
    assert asked == {
        ("trained", "1"): (1, 1), ("trained", "all"): (8, 2), ("untrained", None): (0, 1), ("baseline", None): (0, 1),
    }  # fmt: skip
    runs = ask.trained_runs(ask.groups.training[0].label)
    once, ninth = (Asked(ask.targets).making(runs, attempt) for attempt in (1, 9))
    assert ninth.mem_mb == 3 * once.mem_mb and ninth.gpu_memory_mb == once.gpu_memory_mb > 0
    assert (once.minutes, ninth.minutes) == (600, 700)


def test_earlier_rows_of_the_run_table_start_earlier(rules, tmp_path):
    """Snakemake's scheduler, as the profile sets it, on one core: jobs that are asked for in another order."""
    small = rules(runs=[{"untrained": ["vit_w16"], "seeds": [0, 1]}, {"untrained": ["resnet_w8"], "seeds": [0]}])
    priorities = {job: small.priority(job) for job in small.study.runs}
    assert list(priorities.values()) == pytest.approx([1, 2 / 3, 1 / 3])
    snakefile = tmp_path / "Snakefile"
    snakefile.write_text(
        f"PRIORITIES = {priorities}\nrule all:\n    input: sorted(PRIORITIES)\nrule train:\n"
        "    output: touch('{job}')\n    priority: lambda w: PRIORITIES[w.job]\n    message: 'Train {wildcards.job}'\n"
    )
    profile = Path(__file__).parents[2] / "profiles" / "default"
    command = [sys.executable, "-m", "snakemake", "--profile", str(profile), "--cores", "1", "-d", str(tmp_path)]
    done = subprocess.run([*command, "-s", str(snakefile)], capture_output=True, text=True, check=True)
    assert re.findall(r"^Job \d+: Train (\S+)$", done.stderr, re.M) == list(priorities)


def test_a_group_of_runs_starts_with_its_earliest(rules):
    packed = rules(training={"runs_per_job": 10})
    groups = packed.groups.to_train
    assert [packed.priority(label) for label in groups] == [
        1 - min(list(packed.study.runs).index(run) for run in group.runs) / len(packed.study.runs)
        for group in groups.values()
    ]
