"""A law reads the rows that its filters let pass, and no others; losses have laws of their own."""

import pandas as pd
import pyarrow as pa
import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.core.hashing import file_sha256
from neuroscaling.core.row_filters import row_filter
from neuroscaling.core.score_table import ScoreTable, read_score_table, write_table
from neuroscaling.laws.filters import filtered
from neuroscaling.laws.points import select_points
from neuroscaling.laws.row_reading import read_rows
from neuroscaling.score_tables.mapping import Source, TableMapping
from neuroscaling.score_tables.writing import write_own_table
from neuroscaling.study.sections.fit_files import FitFile, expand_fits
from neuroscaling.study.sections.fits import Fit

FRAME = pd.DataFrame({
    "name": pd.array(["a", "b", None, "a", "c"], dtype="string"),
    "size": [1.0, 2.0, 3.0, None, 5.0],
    "seed": [0, 1, 2, 3, 4],
    "done": pd.array([True, False, None, True, False], dtype="boolean"),
})  # fmt: skip
FILTERS = [
    {"name": "a"},
    {"name": ["a", "c", 3]},
    {"name": {"not": "a"}},
    {"name": {"not": ["a", "b"]}},
    {"size": 2},
    {"size": [1, 5.0, "a"]},
    {"size": {"min": 2}},
    {"size": {"max": 3, "not": 2}},
    {"size": {"min": 1, "max": 5, "not": {"min": 2, "max": 3}}},
    {"seed": {"min": 3}},
    {"seed": [1, True]},
    {"done": True},
    {"done": [False]},
    {"done": {"not": True}},
    {"name": {"not": "c"}, "size": {"max": 3}, "seed": {"min": 0}},
    {},
]


@pytest.mark.parametrize("filters", FILTERS, ids=str)
def test_filters_of_files_are_those_of_tables(filters):
    block = pa.RecordBatch.from_pandas(FRAME, preserve_index=False)
    expected = filtered(FRAME, filters).index.tolist()
    assert row_filter(block, filters).nonzero()[0].tolist() == expected


def settings(**keys):
    (job,) = expand_fits(FitFile(fits=[Fit(**({"name": "f", "form": "power_law", "x": "n_params"} | keys))]))
    return job.settings


def table_of(folder, text, columns, **others):
    (folder / "t.csv").write_text(text)
    files = [folder / "t.csv"]
    about = TableMapping(columns, **others)
    write_own_table(folder / "scores.parquet", files, about, "t", [file_sha256(files[0])])
    return folder / "scores.parquet"


ROWS = "run,fold,lora,n_params,loss,acc2\n" + "".join(
    f"m{i},{fold},{i % 2},{10 ** (i + 3)},{2 + 5 / (i + 1) + fold / 100:.4f},{i}\n"
    for i in range(8)
    for fold in range(2)
)
LOSS = {"score": Source("loss"), "scale": Source(value="loss")}


def test_only_the_rows_and_columns_of_a_law_are_read(tmp_path):
    path = table_of(tmp_path, ROWS, LOSS, key=("run", "fold"))
    asked = settings(filters={"lora": 1, "fold": 0}, cluster=["run"], invert_y=False)
    read = read_rows(path, asked).scores
    assert set(read["run"]) == {"m1", "m3", "m5", "m7"} and "lora" in read and "acc2" not in read
    whole = read_score_table(path).scores
    assert len(whole) == 16
    found, expected = select_points(read, asked), select_points(whole, asked)
    assert found.points["y"].tolist() == expected.points["y"].tolist() and found.rows == expected.rows


def test_a_filter_that_lets_nothing_pass_and_a_missing_column_are_told_with_what_there_is(tmp_path):
    path = table_of(tmp_path, ROWS, LOSS, key=("run", "fold"))
    with pytest.raises(DataError, match=r"filters.lora(.|\n)*allowed:  0.0, 1.0"):
        select_points(read_rows(path, s := settings(filters={"lora": 7}, invert_y=False)).scores, s)
    with pytest.raises(DataError, match=r"unknown column(.|\n)*lorra"):
        select_points(read_rows(path, s := settings(cluster=["lorra"], invert_y=False)).scores, s)


def test_rows_are_told_apart_by_the_key_of_their_table(tmp_path):
    path = table_of(tmp_path, ROWS, LOSS, key=("run", "fold"))
    s = settings(invert_y=False)
    table = read_rows(path, s)
    assert select_points(table.scores, s).rows == 16  # one point a run: the mean of its folds
    write_table(tmp_path / "twice.parquet", ScoreTable(pd.concat([table.scores, table.scores[:1]])))
    with pytest.raises(DataError, match="duplicate rows: 2 of 17"):
        select_points(read_rows(tmp_path / "twice.parquet", s).scores, s)


def test_merged_families_are_filtered_after_they_are_merged(tmp_path):
    text = "run,arch_family,n_params,score\n" + "".join(
        f"m{i},{f},{i + 1},0.{i}\n" for i, f in enumerate(["ResNet", "ResNetFlex"] * 4)
    )
    path = table_of(tmp_path, text, {"scale": Source(value="r")})
    s = settings(filters={"arch_family": "ResNet"})
    assert len(select_points(read_rows(path, s).scores, s).points) == 8


def test_a_law_of_1_less_a_loss_is_refused(tmp_path):
    path = table_of(tmp_path, ROWS, LOSS, key=("run", "fold"))
    with pytest.raises(DataError, match=r"law of 1 - y was asked of losses(.|\n)*invert_y: false"):
        select_points(read_rows(path, s := settings(invert_y=True)).scores, s)


def test_laws_of_a_study_of_losses_describe_the_loss_unless_a_fit_says_otherwise():
    common = {"form": "power_law", "x": "n_params"}
    several = Fit(name="c", y="acc", modes=["parity", "corrected"], **common)
    fits = FitFile(fits=[Fit(name="a", **common), Fit(name="b", invert_y=True, **common), several])
    of_losses = {job.name: job.settings["invert_y"] for job in expand_fits(fits, of_losses=True)}
    assert of_losses == {"a": False, "b": True, "c": True, "c.corrected": True}
    assert all(job.settings["invert_y"] for job in expand_fits(fits))
