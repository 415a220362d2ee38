"""A table of one's own becomes a score table, and all that is wrong with it is told at once, by lines."""

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.score_table import COLUMNS, read_score_table
from neuroscaling.score_tables import conversion, reading
from neuroscaling.score_tables.mapping import Source, Spread, TableMapping
from neuroscaling.score_tables.writing import check_own_table, write_own_table

LOSS = {"score": Source("loss"), "scale": Source(value="loss")}
SIZES = {"n_params": Source("Params", times=(1e6,)), "total_flops": Source("FLOP")}
ROWS = "Params,FLOP,loss,series,code,done\n1,6e15,3.5,a,007,true\n2,1.2e16,3.1,b,010,false\n2.5,NA,,b,,\n"


def mapping(columns=LOSS, **others):
    return TableMapping(dict(columns), **others)


def made(folder, files, about, data="t"):
    files = files if isinstance(files, list) else [files]
    facts = write_own_table(folder / "scores.parquet", files, about, data, [file_sha256(file) for file in files])
    return read_score_table(folder / "scores.parquet").scores, facts


def told(files, about):
    with pytest.raises(DataError) as error:
        check_own_table(files if isinstance(files, list) else [files], about, "t")
    return error.value.problems


def written(path, text):
    path.write_text(text)
    return path


def test_columns_are_mapped_and_the_others_kept(tmp_path):
    tokens = {"n_samples_seen": Source("FLOP", divide_by=("Params", 6e6))}
    table, facts = made(tmp_path, written(tmp_path / "t.csv", ROWS), mapping({**LOSS, **SIZES, **tokens}))
    assert table["n_params"].tolist() == [1e6, 2e6, 2.5e6] and table["n_samples_seen"].tolist()[:2] == [1e9, 1e9]
    assert table["run"].tolist() == ["row 1", "row 2", "row 3"] and set(table["data"]) == {"t"}
    assert table["series"].tolist() == ["a", "b", "b"] and table["code"].tolist()[:2] == ["007", "010"]
    assert table["done"].tolist()[:2] == [True, False] and table["done"].isna().tolist() == [False, False, True]
    assert np.isnan(table["total_flops"][2]) and table["reason"][2] == "the table has no number"
    assert (facts.rows, facts.empty) == (3, 1) and list(table)[: len(COLUMNS)] == list(COLUMNS)
    assert {name: str(kind) for name, kind in table.dtypes.items() if name in COLUMNS} == COLUMNS


def test_words_constants_and_scores_in_several_columns(tmp_path):
    text = "model;where;V1;IT\nm1;left;0.3;0.4\nm2;;0.5;\n"
    columns = {
        "run": Source("model"),
        "subject": Source("where", words=(("left", "L"),)),
        "scale": Source("region", words=(("V1", "r"), ("IT", "r/c"))),
        "simulated": Source(value=True),
    }
    about = mapping(columns, spread=Spread(("V1", "IT"), "region"), filters={"region": {"not": "V2"}})
    table, _ = made(tmp_path, written(tmp_path / "t.csv", text), about)
    assert table[["run", "region", "scale"]].values.tolist() == [
        ["m1", "V1", "r"],
        ["m2", "V1", "r"],
        ["m1", "IT", "r/c"],
        ["m2", "IT", "r/c"],
    ]
    assert table["subject"].fillna("").tolist() == ["L", "", "L", ""] and table["simulated"].all()


@pytest.mark.parametrize("block", [7, 100], ids=["small blocks", "one block"])
def test_parquet_csv_and_a_folder_of_parts_give_one_table(tmp_path, monkeypatch, block):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({
        "model": [f"m{i}" for i in range(50)],
        "Params": rng.integers(1, 1000, 50),
        "FLOP": rng.uniform(1e15, 1e16, 50),
        "loss": np.where(np.arange(50) % 7, rng.uniform(2, 4, 50), np.nan),
        "fold": np.arange(50) % 3,
        "note": ["" if i % 5 else f'with "quotes",\nand lines {i}' for i in range(50)],
    })  # fmt: skip
    monkeypatch.setattr(reading, "BLOCK_ROWS", block)
    monkeypatch.setattr(reading, "BLOCK_BYTES", 40 * block)
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.astype({"model": "category"}).to_parquet(tmp_path / "t.parquet")
    parts = [tmp_path / "parts" / f"{i}.parquet" for i in range(2)]
    parts[0].parent.mkdir()
    for i, part in enumerate(parts):
        frame[25 * i : 25 * (i + 1)].to_parquet(part, index=False)
    about = mapping({**LOSS, **SIZES, "run": Source("model")})
    found = [made(tmp_path, files, about)[0] for files in ([tmp_path / "t.csv"], [tmp_path / "t.parquet"], parts)]
    assert reading.table_files(parts[0].parent) == parts
    for other in found[1:]:
        pd.testing.assert_frame_equal(found[0], other)
    assert found[0]["fold"].tolist() == frame["fold"].tolist() and found[0]["note"][0] == frame["note"][0]


def test_everything_that_is_wrong_is_told_at_once_with_lines(tmp_path):
    text = (
        'model;Params;FLOP;loss;seed;note\nm1;1e3;1e15;3.1;0;"two\nlines"\n\nm2;1,5;inf;x;0.5;\n'
        "m1;1e3;1e15;3.2;0;\nm3;;-Infinity;2;1;\n;;;;;\nm1;1e3;1e15;3.3;0;\n"
    )
    about = mapping({**LOSS, **SIZES, "run": Source("model"), "n_samples": Source("FLOP")}, keep=())
    found = {
        f"{str(one.where).rpartition(': column ')[2]}: {one.what}": one
        for one in told(written(tmp_path / "t.csv", text), about)
    }
    assert set(found) == {
        "Params: not a number",
        "FLOP: an infinite number (2 rows)",
        "seed: not whole",
        "loss: not a number",
        "scores: rows that stand in the table twice: 2",
    }
    assert found["Params: not a number"].value == "line 5: '1,5'"
    assert found["FLOP: an infinite number (2 rows)"].value == "line 5: 'inf'; line 7: '-Infinity'"
    twice = found["scores: rows that stand in the table twice: 2"].value
    assert "line 2" in twice and "line 6" in twice and "line 9" in twice


def test_rows_that_filters_leave_out_may_be_faulty(tmp_path):
    text = "run,loss,kind\na,1.5,good\nb,oops,bad\nb,oops,bad\n"
    table, facts = made(tmp_path, written(tmp_path / "t.csv", text), mapping(filters={"kind": "good"}))
    assert facts.rows == 1 and table["run"].tolist() == ["a"]
    (problem,) = told(tmp_path / "t.csv", mapping(filters={"kind": "neither"}))
    assert problem.what == "no row is left" and "filters" in problem.fix


def test_scales_are_known_correlations_within_1_and_ceilings_of_one_kind(tmp_path):
    text = (
        "run,score,scale,metric\na,0.4,r/c,pls\nb,45,r,pls\nc,0.2,r/C,pls\nd,.3,(r/c)2,pls\ne,.3,(r/c)2,rsa\nf,1,,pls\n"
    )
    found = {one.what: one for one in told(written(tmp_path / "t.csv", text), mapping({}))}
    assert found["a correlation beyond 1"].value == "line 3: 45.0" and "0.01" in found["a correlation beyond 1"].fix
    unknown = found["unknown scale of a score"]
    assert unknown.value == "line 4: 'r/C'" and unknown.nearest == "r/c"
    assert found["a score without a scale"].value == "line 7: None"
    mixed = found["scores on two scales with a ceiling in one table"]
    assert "metric pls" in mixed.where and len(found) == 4


def test_without_names_of_runs_only_equal_rows_are_twice_and_a_key_decides_otherwise(tmp_path):
    file = written(tmp_path / "t.csv", "Params,loss\n1,2.5\n1,2.6\n1,2.5\n")
    (problem,) = told(file, mapping())
    assert problem.value.count("line") == 2 and "line 2" in problem.value and "line 4" in problem.value
    assert check_own_table([file], mapping(key=("run",)), "t").rows == 3
    (problem,) = told(
        [file, written(tmp_path / "u.csv", "Params,loss\n7,9\n1,2.6\n")], mapping(key=("Params", "score"))
    )
    assert "u.csv: line 3" in problem.value


def test_columns_that_are_missing_are_told_with_the_nearest(tmp_path):
    about = mapping({**LOSS, "n_params": Source("Parms")}, keep=("Series",), key=("runs",), filters={"kindd": "x"})
    found = told(written(tmp_path / "t.csv", ROWS), about)
    assert [(one.value, one.nearest) for one in found] == [
        ("Parms", "Params"),
        ("Series", "series"),
        ("runs", "run"),
        ("kindd", "kind"),
    ]
    assert {one.what for one in told(tmp_path / "t.csv", mapping({}))} == {
        "no column gives `score`",
        "no column gives `scale`",
    }


@pytest.mark.parametrize(
    ("content", "phrase"),
    [
        ("run,loss\na,1\nb,2,3\n", "line 3: 3 cells"),
        ("run,loss\na,1\ncaf\xe9,2\n".encode("latin-1"), "line 3, run"),
        ('run,loss\na,1\n"b,2\n', "line 3"),
        ("", "the table is empty"),
        ("run,run,loss\n1,2,3\n", "columns of one name"),
    ],
    ids=["cells", "encoding", "quotes", "empty", "names"],
)
def test_a_damaged_file_is_named_with_its_line(tmp_path, content, phrase):
    path = tmp_path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    found = told(path, mapping({"score": Source("loss"), "scale": Source(value="loss"), "run": Source("run")}))
    assert any(phrase in str(one) for one in found) and all("t.csv" in str(one) for one in found)


def test_a_cut_parquet_file_is_named(tmp_path):
    pq.write_table(pa.table({"score": [0.1] * 1000, "scale": ["r"] * 1000}), tmp_path / "t.parquet")
    whole = (tmp_path / "t.parquet").read_bytes()
    (tmp_path / "t.parquet").write_bytes(whole[:-200])
    assert "t.parquet" in str(told(tmp_path / "t.parquet", mapping({}))[0])


def test_a_table_that_changed_since_the_start_is_refused_and_nothing_is_left(tmp_path):
    file = written(tmp_path / "t.csv", ROWS)
    with pytest.raises(DataError, match="has changed since the study was started"):
        write_own_table(tmp_path / "o.parquet", [file], mapping(), "t", ["0" * 64])
    assert [path.name for path in tmp_path.iterdir()] == ["t.csv"]


@pytest.mark.parametrize(
    ("cells", "expected", "faults"),
    [
        (["1", " 2.5e-3 ", ".5", "-7.", "+1"], [1, 0.0025, 0.5, -7, 1], {}),
        (["", "NA", "nan", "None", None], [None] * 5, {}),
        (["1_000", "1,5", "0x10", "five", "1e"], [None] * 5, {conversion.NOT_NUMBER: [0, 1, 2, 3, 4]}),
        (["inf", "-Infinity", "3"], [None, None, 3], {conversion.IS_INFINITE: [0, 1]}),
        ([1.5, float("nan"), float("inf")], [1.5, None, None], {conversion.IS_INFINITE: [2]}),
        ([True, False, None], [1, 0, None], {}),
        ([[1], [2]], [None, None], {conversion.NOT_NUMBER: [0, 1]}),
    ],
)
def test_numbers(cells, expected, faults):
    found = conversion.numbers(pa.array(cells))
    assert found.values.to_pylist() == expected
    assert {what: rows.tolist() for what, rows in found.faults.items()} == faults


def test_texts_of_numbers_have_no_point_where_they_are_whole():
    assert conversion.texts(pa.array([1.0, 2.5, None, float("nan"), 1e20])).values.to_pylist() == [
        "1",
        "2.5",
        None,
        None,
        "1e+20",
    ]
    assert conversion.texts(pa.array(["", "a"])).values.to_pylist() == [None, "a"]
