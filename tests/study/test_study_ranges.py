"""Values that a study, a recipe or a file of fits may not have: refused as it is read, with line and key."""

import json
import os
from pathlib import Path

import pytest
import yaml

from neuroscaling.cli import schema
from neuroscaling.core.errors import StudyError
from neuroscaling.study.recipes import load_recipe
from neuroscaling.study.sections import recordings
from neuroscaling.study.sections.fit_files import load_fit_file
from neuroscaling.study.sections.key_types import LARGEST_SEED
from neuroscaling.study.sections.simulated_brains import LIMITS, check_brain
from neuroscaling.study.sections.validation import validated
from tests.support.study_files import read_study_file

RUN = {"archs": ["resnet_w8"], "datasets": ["d"], "samples_per_class": [1], "recipe": "digits"}
FMRI = {"source": "algonauts2023", "data": {"simulated": "b"}}
V4 = {"source": "v4", "sessions": ["190923"]}
DEFINED = {"region": "V4", "metric": "pls", "degrees": 8, "assembly": "a.nc", "stimuli": "s.csv", "images": "images"}
TWELVE = list(range(12))
BRAINSCORE = {"data": {"simulated": "b"}, "benchmarks": ["x"]}


def refused(tmp_path: Path, **changes):
    """The problems of a study with these changes."""
    path = tmp_path / "s.yaml"
    path.write_text(yaml.safe_dump({"study": "s", "runs": [RUN]} | changes))
    with pytest.raises(StudyError) as caught:
        read_study_file(path)
    return caught.value.problems


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"runs_per_job": True}, "runs_per_job"), ({"runs_per_job": "3"}, "runs_per_job"),
        ({"runs_per_job": "Auto"}, "runs_per_job"), ({"training": {"runs_per_job": 0}}, "training.runs_per_job"),
        ({"runs_per_job": 1.0}, "runs_per_job"), ({"runs_per_job": 10**30}, "runs_per_job"),
        ({"accuracy": "yes"}, "accuracy"), ({"accuracy": 1}, "accuracy"), ({"title": 3}, "title"),
        *(({"runs": [RUN | {"seeds": [seed]}]}, "runs[0].seeds[0]") for seed in (-1, LARGEST_SEED + 1, 1.5, True, "0")),
        *(({"runs": [RUN | {"samples_per_class": [k]}]}, "runs[0].samples_per_class[0]") for k in ("yes", True, 2.0)),
        ({"runs": [{**RUN, "samples_per_class": [], "images": [0]}]}, "runs[0].images[0]"),
        ({"runs": [RUN | {"subset_seed": -1}]}, "runs[0].subset_seed"),
        ({"encoding": [V4 | {"samples": [-5]}]}, "encoding[0].samples[0]"),
        ({"encoding": [V4 | {"samples": [3]}]}, "encoding[0].samples[0]"),
        ({"encoding": [V4 | {"sessions": []}]}, "encoding[0].sessions"),
        ({"encoding": [V4 | {"sessions": [190923]}]}, "encoding[0].sessions[0]"),
        ({"encoding": [V4 | {"sessions": ["a", "a"]}]}, "encoding[0].sessions"),
        ({"encoding": [V4 | {"sessions": ["../x"]}]}, "encoding[0].sessions[0]"),
        ({"runs": [RUN | {"archs": ["x" * 101]}]}, "runs[0].archs[0]"),
        ({"encoding": [FMRI | {"ridge": {"penalties": [1, 2, 3.0]}}]}, "encoding[0].ridge.penalties[2]"),
        ({"encoding": [FMRI | {"ridge": {"penalties": [2, 1, 3]}}]}, "encoding[0].ridge.penalties"),
        ({"encoding": [FMRI | {"ridge": {"penalties": [1, float("inf"), 3]}}]}, "encoding[0].ridge.penalties[1]"),
        ({"layers": {"resnet_w8": {"candidates": []}}}, "layers.resnet_w8.candidates"),
        ({"brainscore": BRAINSCORE | {"visual_degrees": float("inf")}}, "brainscore.visual_degrees"),
        ({"brainscore": BRAINSCORE | {"visual_degrees": float("nan")}}, "brainscore.visual_degrees"),
        ({"brainscore": BRAINSCORE | {"benchmarks": ["x", "x"]}}, "brainscore.benchmarks"),
        *(({"brainscore": BRAINSCORE | {"define": {"m": DEFINED | change}}},
           f"brainscore.define.m.{next(iter(change))}{end}")
          for change, end in (({"time_window": [150, 50]}, ""), ({"time_window": [0, float("nan")]}, "[1]"),
                              ({"assembly": ""}, ""), ({"degrees": float("inf")}, ""), ({"degrees": 0}, ""))),
        *(({"simulated": {"b": {name: high + 1}}}, f"simulated.b.{name}") for name, (_, high, _) in LIMITS.items()),
        *(({"simulated": {"b": {name: low - 1}}}, f"simulated.b.{name}") for name, (low, _, _) in LIMITS.items()),
        ({"store": "a" * 300}, "store"), ({"store": "/".join(["a" * 200] * 20)}, "store"), ({"store": 3}, "store"),
        ({"reduction": {"kind": "projection", "seed": -1}}, "reduction.seed"),
        ({"extraction": {"scratch_gb": float("inf")}}, "extraction.scratch_gb"),
        ({"training": {"checkpoint_seconds": float("nan")}}, "training.checkpoint_seconds"),
        ({"study": "x" * 200}, "study"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_a_value_out_of_range_or_of_another_type(tmp_path, changes, key):
    (problem,) = refused(tmp_path, **changes)
    assert (
        str(problem.where).endswith(f": {key}")
        and " line " in str(problem.where)
        and "Input should" not in problem.what
    )


def test_bounds_of_simulated_brains_are_one_for_file_schema_and_run():
    properties = json.loads(schema.json_schema("schema.json"))["$defs"]["SimulatedBrain"]["properties"]
    fewest = {"algonauts_train": 20, "algonauts_test": 10}
    for name, (low, high, _) in LIMITS.items():
        assert (properties[name]["minimum"], properties[name]["maximum"]) == (low, high)
        for value in (low, high - 30 if name in fewest else high):
            check_brain(recordings.SimulatedBrain(**fewest | {name: value}).settings("brain"))


@pytest.mark.parametrize(
    ("changes", "fix"),
    [
        ({"runs": ["resnet_w8"]}, "- {archs: ["),
        ({"runs": "resnet_w8"}, "`runs: [{archs: ["),
        ({"runs": RUN}, "`- ` before each entry"),
        ({"runs": [RUN | {"archs": "resnet_w8"}]}, "`archs: [resnet_w8]`"),
        ({"runs": [RUN | {"recipe": ["digits"]}]}, "`recipe: digits`"),
        ({"fits": "fits.yaml"}, "`fits: [fits.yaml]`"),
        ({"brainscore": BRAINSCORE | {"data": "b"}}, "`data: {simulated: demo}`"),
        ({"datasets": {"d": "digits"}}, "`d: {format: "),
        ({"simulated": ["demo"]}, "`simulated: {demo: ...}`"),
        ({"reduction": "grid"}, "`reduction: {kind: grid, size: 2}`"),
        ({"encoding": ["v4"]}, "- {source: "),
        ({"published": True}, "`published: {}`"),
        ({"runs_per_job": "3"}, "3 without quotes"), ({"runs_per_job": 3.0}, "write 3"),
        ({"accuracy": "yes"}, "write true"),
        ({"encoding": [V4 | {"sessions": [190923]}]}, "'190923' in quotes"), ({"runs_per_job": "1_000"}, "write 1000"),
        ({"runs_per_job": "007"}, "write 7 without"), ({"runs_per_job": "100"}, "write 100 without"),
    ],
)  # fmt: skip
def test_a_common_slip_gets_the_yaml_to_write(tmp_path, changes, fix):
    (problem,) = refused(tmp_path, **changes)
    assert fix in problem.fix, str(problem)


def test_a_key_that_had_another_name_is_told_its_name_of_today(tmp_path):
    (problem,) = refused(tmp_path, pack=3)
    assert (problem.what, problem.nearest) == ("unknown key", "runs_per_job") and "`runs_per_job:`" in problem.fix


def test_contradictions_and_wrong_values_come_at_once(tmp_path):
    problems = refused(
        tmp_path,
        runs=[RUN | {"images": [5]}, RUN | {"seeds": ["a"]}],
        runs_per_job=3,
        extraction={"slices": 2, "keep": "x"},
    )
    where = [str(problem.where).partition(": ")[2] for problem in problems]
    assert sorted(where) == ["", "extraction.keep", "runs[0]", "runs[1].seeds[0]"]
    assert any("drop one" in problem.what for problem in problems)


def test_a_contradiction_with_what_is_faulty_is_not_told(tmp_path):
    (problem,) = refused(tmp_path, runs=[RUN | {"samples_per_class": [0]}])
    assert str(problem.where).endswith("runs[0].samples_per_class[0]")


@pytest.mark.parametrize("make", ["folder", "pipe", "binary", "big"])
@pytest.mark.parametrize("read", [read_study_file, load_fit_file, lambda path: load_recipe(str(path))])
def test_a_folder_a_pipe_a_binary_file_and_a_big_one_are_refused(tmp_path, make, read):
    path = tmp_path / "x.yaml"
    match make:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "binary":
            path.write_bytes(b"a: \xff\xfe")
        case "big":
            path.write_text("# " + "x" * 5_000_000)
    with pytest.raises(StudyError, match="not a readable"):
        read(path)


@pytest.mark.parametrize(
    ("change", "key"),
    [
        ("epochs: true", "epochs"), ("epochs: 2.0", "epochs"), ("epochs: '2'", "epochs"),
        ("evaluations: 0", "evaluations"),
        ("micro_batches: {resnet_w8: 0}", "micro_batches.resnet_w8"), ("learning_rate: 'a'", "learning_rate"),
        ("drop_last: no", "drop_last"), ("dino: [1]", "dino"),
    ],
)  # fmt: skip
def test_types_of_recipes_are_strict_and_have_lines(tmp_path, change, key):
    lines = ["epochs: 2", "batch_size: 8", "optimizer: sgd", "learning_rate: 0.1"]
    kept = [line for line in lines if line.partition(":")[0] != change.partition(":")[0]]
    path = tmp_path / "mine.yaml"
    path.write_text("\n".join([*kept, change]))
    with pytest.raises(StudyError) as caught:
        load_recipe(str(path))
    assert f"line {len(kept) + 1}: {key}" in str(caught.value.problems[0].where)


@pytest.mark.parametrize(
    ("fit", "key"),
    [
        ("x_scale: .inf", "x_scale"), ("x_scale: '3'", "x_scale"), ("holdout: {last: -1}", "holdout.last"),
        ("holdout: {last: true}", "holdout.last"), ("holdout: {}", "holdout"), ("seed: -1", "seed"),
        ("seed: 4294967296", "seed"), ("bootstraps: 1e3", "bootstraps"), ("filters: {seed: .nan}", "filters.seed"),
        ("filters: {seed: {min: -.inf}}", "filters.seed"),
        ("filters: {seed: '0'}", "filters.seed"), ("filters: {benchmark: 190923}", "filters.benchmark"),
        ("filters: {is_ssl: 'no'}", "filters.is_ssl"), ("filters: {benchmark: {min: 3}}", "filters.benchmark"),
        ("by: {benchmark: [190923]}", "by.benchmark"), ("by: {seed: [.inf]}", "by"), ("invert_y: no", "invert_y"),
        ("samples_per_class_of: {ViT: [-1]}", "samples_per_class_of.ViT[0]"),
        (f"by: {{seed: {TWELVE}, n_params: {TWELVE}, n_mapping: {TWELVE}, flops: {TWELVE}}}", "by"),
    ],
)  # fmt: skip
def test_ranges_and_types_of_fits(tmp_path, fit, key):
    path = tmp_path / "f.yaml"
    path.write_text(f"fits:\n  - name: a\n    form: log_linear\n    x: n_samples\n    {fit}\n")
    with pytest.raises(StudyError) as caught:
        load_fit_file(path)
    assert [str(problem.where) for problem in caught.value.problems] == [f"{path} line 5: fits[0].{key}"], caught.value


def test_no_words_of_pydantic_are_left(tmp_path):
    """Each key of each section with a value of each kind: every fault is put in our words."""
    from neuroscaling.study.sections.yaml_document import Document

    for _, models in schema.PAGES:
        for model in models:
            for name in model.model_fields:
                for value in (None, True, -1, 1.5, float("nan"), "x", "", [], [[]], {}, {"a": []}, ["a", 3]):
                    _, _, faults = validated(model, Document("f", {name: value}))
                    for fault in faults:
                        words = str(fault.problem)
                        raw = ("Input", "should", "Unable", "Field required", "at least 1 item after", "permitted")
                        assert not any(word in words.split("found:")[0] for word in raw), words
