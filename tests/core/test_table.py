"""The score table: columns, missing numbers, and what it refuses."""

import pandas as pd
import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.core.score_table import COLUMNS, ScoreTable, build_table, read_score_table, read_table, write_table
from neuroscaling.laws.filters import failed_runs
from tests.support.run_records import run_content, write_run
from tests.support.score_records import reseal, write_score


def score_record(run="resnet_w8_digits_10_s0-00000000", **changes):
    row = {"region": "IT", "subject": None, "score": 0.4, "raw": 0.5, "ceiling": 0.8, "error": 0.01,
           "layer": "layer4", "n_targets": 20, "n_mapping": 90, "scale": "r2/c", "reason": None}  # fmt: skip
    row_changes = {key: changes.pop(key) for key in list(changes) if key in row}
    record = {"run": run, "data": "simulated-demo-00000000", "simulated": True, "benchmark": "b-pls", "metric": "pls",
              "engine": "stock", "protocol": "corrected", "rows": [row | row_changes]}  # fmt: skip
    return record | changes


def table_of(*files, **options):
    return build_table(*files, **options).scores


@pytest.fixture
def write(tmp_path):
    def write_one(name, content):
        if "rows" in content:
            return write_score(tmp_path, content)
        return write_run(tmp_path / name, content)

    return write_one


def test_has_exactly_the_columns_of_the_formats_page(write):
    table = table_of([write("s.json", score_record())], [write("r.json", run_content())])
    assert list(table.columns) == list(COLUMNS)
    assert table.loc[0, ["run", "arch_family", "samples_per_class", "score", "region"]].tolist() == [
        "resnet_w8_digits_10_s0-00000000", "ResNet", 10, 0.4, "IT",
    ]  # fmt: skip
    assert table["flops"][0] == 2 * table["macs"][0]
    assert bool(table["simulated"][0]) and not table["is_random"][0]


def test_a_row_says_on_which_run_its_layers_were_chosen(tmp_path):
    choice, frozen = {"way": "reported"}, "resnet_w8_digits_all_s0-00000001"
    runs = [write_run(tmp_path / f"{i}.json", run_content(f"run{i}-00000000")) for i in range(3)]
    definitions = [{"reference": "itself", "choice": choice}, {"reference": frozen, "choice": choice}, {}]
    names = ("b-pls", "b-pls", "readout-i2n")
    scores = [
        write_score(tmp_path, score_record(f"run{i}-00000000", benchmark=name), own | {"benchmark": name})
        for i, (own, name) in enumerate(zip(definitions, names, strict=True))
    ]
    table = table_of(scores, runs).set_index("run")
    assert table["layers_from"].fillna("").tolist() == ["run0-00000000", frozen, ""]
    assert table["layer_choice"].fillna("").tolist() == ["reported", "reported", ""]


def test_null_numbers_stay_missing_and_all_is_0(write):
    score = score_record()
    score["rows"][0] |= {"score": None, "ceiling": None, "reason": "the ceiling is not finite: nan"}
    run = run_content(kind="untrained", dataset=None, samples_per_class="all", acc=None)
    table = table_of([write("s.json", score)], [write("r.json", run)])
    assert table[["score", "ceiling", "acc"]].isna().all(axis=None)
    assert table["samples_per_class"][0] == 0 and table["is_random"][0]


def test_order_of_files_is_of_no_matter(write):
    runs = [write(f"r{i}.json", run_content(f"run{i}-00000000")) for i in range(3)]
    scores = [write(f"s{i}.json", score_record(f"run{i}-00000000")) for i in range(3)]
    assert table_of(scores, runs).equals(table_of(scores[::-1], runs[::-1]))


def test_rows_may_name_their_own_metric(write):
    score = score_record()
    score["rows"] = [score["rows"][0] | {"metric": metric} for metric in ("pls", "ridge")]
    table = table_of([write("s.json", score)], [write("r.json", run_content())])
    assert table["metric"].tolist() == ["pls", "ridge"]


def test_score_of_a_run_without_record_is_refused_by_name(write):
    with pytest.raises(DataError, match=r"without run\.json") as caught:
        table_of([write("s.json", score_record("other-00000000"))], [write("r.json", run_content())])
    assert "other-00000000" in str(caught.value) and "other-00000000.json" in str(caught.value)


def test_two_ceiling_scales_are_refused(write):
    paths = [
        write("a.json", score_record(benchmark="V1-pls")),
        write("b.json", score_record(benchmark="IT-pls", scale="r/c")),
    ]
    with pytest.raises(DataError, match="two scales with a ceiling") as caught:
        table_of(paths, [write("r.json", run_content())])
    assert "r/c in" in str(caught.value) and "r2/c in" in str(caught.value)


def test_rows_with_and_without_a_ceiling_stand_beside_each_other_and_say_so(write):
    without = score_record(benchmark="190923", scale="r2", ceiling=None)
    table = table_of([write("a.json", score_record()), write("b.json", without)], [write("r.json", run_content())])
    assert dict(zip(table["benchmark"], table["scale"], strict=True)) == {"b-pls": "r2/c", "190923": "r2"}


def test_a_missing_score_keeps_its_reason_as_data(write, tmp_path):
    reason = "the ceiling is not above 0: -0.035"
    record = score_record(score=None, reason=reason)
    table = table_of([write("s.json", record)], [write("r.json", run_content(acc_kind="top1"))], accuracy=True)
    write_table(tmp_path / "t.parquet", ScoreTable(table))
    again = read_table(tmp_path / "t.parquet").set_index("region")
    assert again.loc["IT", "reason"] == reason and again.loc["IT", "raw"] == 0.5
    assert again.loc["accuracy", "scale"] == "none" and again["reason"].isna().sum() == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"score": None}, ["a score is null without a reason", "00000000.json", "region IT", "delete the file"]),
        ({"reason": "why not"}, ["a score has a reason for being null", "why not"]),
        ({"ceiling": None}, ["disagree on whether there is a ceiling", "scale r2/c, ceiling None"]),
        ({"scale": "r2"}, ["disagree on whether there is a ceiling", "scale r2, ceiling 0.8"]),
        ({"scale": "r2/C"}, ["unknown scale", "r2/C", "nearest:  r2/c"]),
    ],
)
def test_rows_that_break_the_contract_are_refused_with_the_next_step(write, changes, words):
    with pytest.raises(DataError) as caught:
        table_of([write("s.json", score_record(**changes))], [write("r.json", run_content())])
    assert all(word in str(caught.value) for word in words), caught.value


def test_scales_of_different_metrics_may_differ(write):
    paths = [
        write("a.json", score_record()),
        write("b.json", score_record(benchmark="x", metric="i2n", scale="r/c")),
    ]
    assert len(table_of(paths, [write("r.json", run_content())])) == 2


def test_a_number_given_twice_is_refused(write):
    paths = [write("a.json", score_record()), write("b.json", score_record())]
    with pytest.raises(DataError, match="twice"):
        table_of(paths, [write("r.json", run_content())])


def test_run_record_without_a_key_is_refused(write):
    run = run_content()
    del run["total_flops"]
    with pytest.raises(DataError, match="key is missing") as caught:
        table_of([write("s.json", score_record())], [write("r.json", run)])
    assert "total_flops" in str(caught.value)


def test_survives_parquet(write, tmp_path):
    table = table_of([write("s.json", score_record())], [write("r.json", run_content())])
    write_table(tmp_path / "t.parquet", ScoreTable(table))
    again = read_table(tmp_path / "t.parquet")
    assert list(again.columns) == list(COLUMNS)
    assert again["score"].tolist() == table["score"].tolist()


def test_damaged_table_is_named(tmp_path):
    path = tmp_path / "t.parquet"
    path.write_bytes(b"no parquet")
    with pytest.raises(DataError, match=r"t\.parquet"):
        read_table(path)


def failed_record(name, **changes):
    return (
        run_content(name, status="failed", problem="the loss is no longer finite", n_params=None, macs=None) | changes
    )


def test_runs_that_failed_have_no_rows_and_are_named_with_the_reason(write, tmp_path):
    runs = [write("r0.json", run_content("run0-00000000")), write("r1.json", failed_record("run1-00000000"))]
    scores = [write("s0.json", score_record("run0-00000000"))]
    absent = [scores[0].with_name(f"run{i}-00000000.json") for i in range(3)]
    table = build_table(scores, runs, wanted=absent[:2])
    assert table.scores["run"].tolist() == ["run0-00000000"]
    write_table(tmp_path / "scores.parquet", table)
    kept = read_score_table(tmp_path / "scores.parquet")
    assert kept.failed == table.failed and kept.scores.equals(table.scores)
    assert [(run.run, run.problem) for run in kept.failed] == [("run1-00000000", "the loss is no longer finite")]
    runs[1].rename(runs[1].with_name("failed.json"))  # it may be mended: there is no run.json
    assert build_table(scores, runs, wanted=absent[:2]).failed[0].run == "run1-00000000"
    with pytest.raises(DataError, match="a score that the study asks for is not there") as caught:
        table_of(scores, runs, wanted=absent)
    assert [problem.where for problem in caught.value.problems] == [str(absent[2])]


def test_fits_list_failed_runs_that_their_filters_select(write):
    runs = [write(f"r{i}.json", run_content(f"run{i}-00000000")) for i in range(2)]
    runs += [
        write("f1.json", failed_record("run2-00000000")),
        write("f2.json", failed_record("run3-00000000", dataset="x")),
    ]
    scores = [write(f"s{i}.json", score_record(f"run{i}-00000000")) for i in range(2)]
    failed = build_table(scores, runs).failed
    assert failed_runs(failed, {"dataset": "digits", "region": "IT"}, merge_families=True) == ["run2-00000000"]
    assert failed_runs(failed, {"region": "IT"}, merge_families=False) == ["run2-00000000", "run3-00000000"]


def test_columns_tell_supervised_from_other_objectives(write):
    recipe = {"name": "simclr100", "objective": "simclr"}
    table = table_of([write("s.json", score_record())], [write("r.json", run_content(recipe=recipe))])
    assert table[["recipe", "objective", "is_ssl", "is_adv"]].iloc[0].tolist() == ["simclr100", "simclr", True, False]


def compute_of(write, objective, protocol, **changes):
    facts = {"macs": 10.0, "paper_macs": 11.0, "n_samples": 100, "n_samples_seen": 450, "n_samples_nominal": 500}
    facts |= {"recipe": {"name": "r", "objective": objective}, "total_flops": 123.0}
    run = write("r.json", run_content(**facts | changes))
    table = table_of([write("s.json", score_record())], [run], protocol=protocol)
    return table[["flops", "n_samples_seen", "total_flops", "passes"]].iloc[0].tolist()


@pytest.mark.parametrize(("objective", "times"), [("supervised", 1), ("dino", 1), ("simclr", 2), ("adversarial", 2)])
def test_parity_has_the_compute_that_the_published_table_states(write, objective, times):
    assert compute_of(write, objective, "corrected") == [20.0, 450.0, 123.0, 4.5]
    assert compute_of(write, objective, "parity") == [22.0 * times, 500.0, 3 * 22.0 * times * 500, 5.0]


def test_parity_knows_no_compute_of_a_run_whose_images_nobody_knows(write):
    found = compute_of(write, "supervised", "parity", n_samples_nominal=None, n_samples=None)
    assert found[0] == 22.0 and pd.isna(found[1:]).all()


def test_validation_accuracy_is_a_row_where_asked_for(write):
    runs = [write("r0.json", run_content("a-00000000")), write("r1.json", run_content("b-00000000", acc=None))]
    assert table_of([], runs).empty
    table = table_of([], runs, accuracy=True)
    assert table[["run", "benchmark", "region", "metric", "score"]].values.tolist() == [
        ["a-00000000", "validation", "accuracy", "top1", 0.5]
    ]
    assert not table["simulated"].any()


def test_run_records_that_lack_a_key_are_named_or_read_though_their_checksums_hold(write):
    content, score = run_content(), write("s.json", score_record())
    broken = [{k: v for k, v in content.items() if k != key} for key in content] + [{"run": 3}]
    broken += [content | {key: ["x"]} for key in content]
    refused = 0
    for damaged in broken:
        try:
            table_of([score], [write("r.json", damaged)])
        except DataError as error:
            refused += 1
            assert ".json" in str(error)
    assert refused > 20


@pytest.mark.parametrize("of", ["score", "run"])
def test_no_flipped_bit_of_a_score_file_or_run_record_changes_the_table(write, of):
    files = {"score": write("s.json", score_record()), "run": write("r.json", run_content())}
    path, expected = files[of], table_of([files["score"]], [files["run"]])
    whole, refused = path.read_bytes(), 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << place % 8]) + whole[place + 1 :])
        try:
            assert table_of([files["score"]], [files["run"]]).equals(expected)
        except DataError as error:
            refused += 1
            assert path.name in str(error)
    assert refused > 0.8 * len(whole)


def test_score_files_that_lack_a_key_are_named_though_their_checksums_hold(write):
    content, runs = score_record(), [write("r.json", run_content())]
    path = write("s.json", content)
    definition = {"benchmark": content["benchmark"]}
    faulty = [{k: v for k, v in content.items() if k != key} for key in ("run", "data", "benchmark", "metric", "rows")]
    faulty += [content | {key: ["x"]} for key in content] + [content | {"rows": [3]}]
    for damaged in faulty:
        reseal(path, damaged, definition)
        with pytest.raises(DataError, match=path.name):
            table_of([path], runs)


def test_a_score_file_under_the_name_of_another_is_refused_and_both_are_named(write):
    runs = [write(f"r{i}.json", run_content(f"run{i}-00000000")) for i in range(2)]
    one, other = (write("s.json", score_record(f"run{i}-00000000")) for i in range(2))
    other.write_bytes(one.read_bytes())
    with pytest.raises(DataError, match="the file of another run") as caught:
        table_of([other], runs)
    assert "run0-00000000" in str(caught.value) and "run1-00000000" in str(caught.value)
    moved = one.parents[1] / "b-pls-00000000" / one.name
    moved.parent.mkdir()
    moved.write_bytes(one.read_bytes())
    with pytest.raises(DataError, match="the file of another artefact") as caught:
        table_of([moved], runs)
    assert "00000000" in str(caught.value) and one.parent.name[-8:] in str(caught.value)
