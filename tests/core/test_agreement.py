"""The last line of defence: settings that a study asks for once are refused where score files of a table differ."""

from copy import deepcopy

import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.core.score_files import read_score, setting_problems
from neuroscaling.core.score_table import build_table
from tests.core.test_table import score_record
from tests.support.run_records import run_content, write_run
from tests.support.score_records import write_score

BRAINSCORE = {
    "benchmark": "b-pls", "defined": {"region": "V4"}, "data": "simulated-demo-00000000", "stimuli": "demo-8deg-1",
    "activations": {"reduction": "none", "options": {"dtype": "float32"}, "layers": ["a", "b"], "version": 1},
    "layers": {"IT": "a"}, "readout": None, "choice": {"way": "reported"}, "reference": None, "engine": "stock",
    "protocol": "corrected", "code": "c0de",
}  # fmt: skip
FMRI = {
    "benchmark": "algonauts2023-subj01", "data": "tree", "stimuli": "tree-1", "activations": {"reduction": "none"},
    "entry": {"samples": [10, 30, "all"], "ridge": {}}, "protocol": "corrected", "code": "c0de",
}  # fmt: skip


def changed(definition, key, value):
    """The definition with another value of a key with dots."""
    definition = deepcopy(definition)
    *above, last = key.split(".")
    place = definition
    for name in above:
        place = place[name]
    place[last] = value
    return definition


def two(folder, key, value, **content):
    """Score files of two runs on one benchmark, of which the second has another setting."""
    first = write_score(folder, score_record("run0-00000000"), BRAINSCORE)
    return first, write_score(folder, score_record("run1-00000000", **content), changed(BRAINSCORE, key, value))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("activations.reduction", "projection"),
        ("activations.options.dtype", "float16"),
        ("activations.version", 2),
        ("stimuli", "demo-4deg-1"),
        ("defined.region", "IT"),
        ("choice.way", "nested"),
        ("code", "0ther"),
    ],
)
def test_files_of_one_benchmark_that_differ_in_a_setting_are_refused_and_both_are_named(tmp_path, key, value):
    files = two(tmp_path, key, value)
    runs = [tmp_path / f"r{i}.json" for i in range(2)]
    for number, path in enumerate(runs):
        write_run(path, run_content(f"run{number}-00000000"))
    with pytest.raises(DataError, match="two settings in one table") as caught:
        build_table(files, runs)
    text = str(caught.value)
    assert all(str(part) in text for part in (*files, key.split(".")[-1], repr(value)))


@pytest.mark.parametrize(
    ("key", "value"),
    [("layers", {"IT": "b"}), ("readout", "fc"), ("reference", "teacher"), ("activations.layers", ["c"])],
)
def test_what_belongs_to_an_architecture_may_differ(tmp_path, key, value):
    files = two(tmp_path, key, value)
    assert list(setting_problems([(path, read_score(path)) for path in files])) == []


def test_a_protocol_or_engine_that_differs_between_benchmarks_is_refused_once(tmp_path):
    first = write_score(tmp_path, score_record(), BRAINSCORE)
    other = changed(changed(BRAINSCORE, "engine", "kernel"), "benchmark", "c-pls")
    second = write_score(tmp_path, score_record(benchmark="c-pls", engine="kernel"), other)
    third = write_score(
        tmp_path, score_record(benchmark="d-pls", protocol="parity"), changed(BRAINSCORE, "protocol", "parity")
    )
    problems = list(setting_problems([(path, read_score(path)) for path in (first, second, third)]))
    assert [str(problem.where) for problem in problems] == [f"{second}: engine", f"{third}: protocol"]
    assert all(str(first) in problem.allowed for problem in problems)


def test_engines_of_two_stages_may_differ_and_so_may_benchmarks_on_other_data(tmp_path):
    rows = score_record(benchmark="algonauts2023", engine="exact", n_mapping=30)
    files = [write_score(tmp_path, score_record(), BRAINSCORE), write_score(tmp_path, rows, FMRI)]
    elsewhere = changed(changed(BRAINSCORE, "data", "other"), "stimuli", "other")
    files.append(write_score(tmp_path, score_record(data="other"), elsewhere))
    assert list(setting_problems([(path, read_score(path)) for path in files])) == []


@pytest.mark.parametrize(
    ("sizes", "samples", "refused"),
    [
        ([10, 30, 85], [10, 30, "all"], None),
        ([10, 85], [10, 30], "85"),
        ([10, 40, 85], [10, 30, "all"], "40"),
        ([10], [10], None),
    ],
)
def test_numbers_of_mapping_images_that_were_not_asked_for_are_refused(tmp_path, sizes, samples, refused):
    content = score_record(benchmark="algonauts2023", engine="exact")
    content["rows"] = [content["rows"][0] | {"n_mapping": size} for size in sizes]
    path = write_score(tmp_path, content, changed(FMRI, "entry.samples", samples))
    problems = list(setting_problems([(path, read_score(path))]))
    assert [str(problem.value) for problem in problems] == ([refused] if refused else [])


@pytest.mark.parametrize("key", ["protocol", "engine"])
def test_a_file_that_says_another_setting_than_its_definition_is_refused(tmp_path, key):
    path = write_score(tmp_path, score_record(**{key: "parity"}), BRAINSCORE)
    (problem,) = setting_problems([(path, read_score(path))])
    assert str(problem.where) == f"{path}: {key}" and problem.value == "parity"
