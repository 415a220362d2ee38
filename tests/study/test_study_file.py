"""A study file with faults: all of them at once, each with place, value, what is allowed and the nearest."""

import pytest
import yaml

from neuroscaling.core.errors import DataError, StudyError
from neuroscaling.core.files import require_writable
from neuroscaling.study.sections.whole_study import Study
from tests.support.study_files import read_study_file

GOOD = {
    "study": "s",
    "datasets": {"digits": {"format": "digits"}},
    "runs": [{"archs": ["resnet_w8"], "datasets": ["digits"], "samples_per_class": [1, "all"], "recipe": "digits"}],
}


def faults(tmp_path, **changes):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(GOOD | changes))
    with pytest.raises(StudyError) as raised:
        read_study_file(path)
    return raised.value.problems


def test_a_good_file_is_read(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(GOOD))
    study = read_study_file(path)
    assert isinstance(study, Study) and study.runs[0].samples_per_class == [1, "all"]


def test_a_key_that_is_there_twice_is_no_silent_choice(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("study: s\nruns: &runs\n  - {untrained: [resnet_w8], seeds: [0], seeds: [1]}\n")
    with pytest.raises(StudyError, match=r"line 3(?s:.)*`seeds` is there twice"):
        read_study_file(path)


def test_a_merged_mapping_may_change_keys(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(
        "study: s\nruns:\n  - &first {untrained: [resnet_w8], seeds: [0]}\n  - &second {<<: *first, seeds: [1]}\n"
        "  - {<<: *second, seeds: [2]}\n"
    )
    assert [group.seeds for group in read_study_file(path).runs] == [[0], [1], [2]]


def test_unknown_key_names_the_nearest(tmp_path):
    (problem,) = faults(tmp_path, brainscor={})
    assert problem.what == "unknown key" and problem.nearest == "brainscore" and problem.value == "brainscor"


def test_unknown_key_inside_a_list_of_runs(tmp_path):
    (problem,) = faults(tmp_path, runs=[GOOD["runs"][0] | {"seedz": [1]}])
    assert str(problem.where).endswith("runs[0].seedz") and problem.nearest == "seeds"


@pytest.mark.parametrize("k", [0, -3])
def test_zero_or_negative_samples_per_class(tmp_path, k):
    (problem,) = faults(tmp_path, runs=[GOOD["runs"][0] | {"samples_per_class": [k]}])
    assert "at least 1 or `all`" in problem.what and str(k) in problem.what


def test_all_faults_at_once(tmp_path):
    problems = faults(
        tmp_path,
        study="a b",
        datasets={"a": {"format": "imgfolder"}, "b": {"format": "imagefolder", "rot": "x"}},
        reduction={"kind": "gird"},
        encoding=[{"source": "v5"}],
    )
    text = "\n".join(map(str, problems))
    for phrase in ("study", "imgfolder", "imagefolder", "datasets.b.root: key is missing", "rot", "gird", "grid", "v5"):
        assert phrase in text
    assert len(problems) == 6


def test_a_number_that_is_neither_int_nor_all_is_one_fault(tmp_path):
    (problem,) = faults(tmp_path, runs=[GOOD["runs"][0] | {"samples_per_class": ["al"]}])
    assert problem.value == "al" and problem.nearest == "all"


def test_variables_are_replaced_and_unset_ones_named(tmp_path, monkeypatch):
    monkeypatch.setenv("NS_TEST_ROOT", "/some/where")
    monkeypatch.delenv("NS_TEST_UNSET", raising=False)
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(GOOD | {"store": "${NS_TEST_UNSET:-fallback}/$NS_TEST_ROOT"}))
    assert str(read_study_file(path).store) == "fallback/some/where"
    monkeypatch.setenv("HOME", "/home/of/mine")
    path.write_text(yaml.safe_dump(GOOD | {"store": "~/store"}))
    assert str(read_study_file(path).store) == "/home/of/mine/store"
    (problem,) = faults(tmp_path, store="$NS_TEST_UNSET/x")
    assert "$NS_TEST_UNSET is not set" in problem.what and "export" in problem.fix


def test_missing_file_names_the_nearest(tmp_path):
    (tmp_path / "demo.yaml").write_text("")
    with pytest.raises(StudyError, match=r"missing[\s\S]*demo.yaml"):
        read_study_file(tmp_path / "dmo.yaml")


def test_a_folder_or_a_binary_file_is_no_study(tmp_path):
    with pytest.raises(StudyError, match=r"not a readable study file \(Is a directory\)"):
        read_study_file(tmp_path)
    (tmp_path / "study.yaml").write_bytes(b"\x7fELF\xff\xfe")
    with pytest.raises(StudyError, match=r"not a readable study file \(no text\)"):
        read_study_file(tmp_path / "study.yaml")


def test_a_store_at_or_below_a_file_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "disk").symlink_to("/nowhere/disk")
    for what in ("file", "disk"):
        told = rf"{tmp_path / what}: the store can't be written: a (file|link to nowhere) is in place of a folder"
        for folder in (tmp_path / what, tmp_path / what / "store"):
            with pytest.raises(DataError, match=rf"{told}[\s\S]*next: .*another `store:`"):
                require_writable(folder, "store")


def test_broken_yaml_names_the_line(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("study: a\nruns: [\n")
    with pytest.raises(StudyError, match="line 3"):
        read_study_file(path)


def test_empty_file(tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text("")
    with pytest.raises(StudyError):
        read_study_file(path)
