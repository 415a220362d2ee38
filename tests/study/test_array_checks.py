"""What is wrong with recordings of one's own is told before anything runs, all of it at once."""

import json
from pathlib import Path

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import zarr
from pydantic import ValidationError

from neuroscaling.study.array_checks import array_problems
from neuroscaling.study.name_checks import name_faults
from neuroscaling.study.recording_checks import fmri_problems
from neuroscaling.study.sections.whole_study import Study
from neuroscaling.study.sections.yaml_document import Document
from tests.support.own_arrays import (
    ENTRY,
    N_IMAGES,
    N_UNITS,
    UNITS,
    entry_of,
    stimulus_rows,
    write_own,
    write_responses,
    write_table,
)

TRUTH = np.random.default_rng(0).standard_normal((N_IMAGES, N_UNITS))


@pytest.fixture
def root(tmp_path):
    return write_own(tmp_path, TRUTH)


def found(root, **changes):
    return "\n".join(
        f"{'.'.join(map(str, place))}: {problem}" for place, problem in array_problems(entry_of(root, **changes))
    )


def rewritten(root, name, rows):
    write_table(root / name, rows)
    return found(root)


def test_sound_files_have_no_problem(root):
    assert found(root) == ""


def test_everything_is_told_at_once(root):
    (root / "responses.npy").unlink()
    write_table(root / "units.csv", [row | {"ceiling": 50} for row in UNITS])
    write_table(root / "stimuli.csv", [row | {"filename": "none.png"} for row in stimulus_rows()])
    text = found(root)
    assert "units: " in text and "ceiling in per cent" in text and "next:     divide by 100" in text
    assert "stimuli: " in text and "12 images of stimuli.csv are missing" in text
    assert "responses: " in text and "file is missing" in text


@pytest.mark.parametrize("name", ["stimuli.csv", "units.csv"])
def test_missing_tables(root, name):
    (root / name).unlink()
    assert f"{name}: file is missing" in found(root)


def test_a_missing_folder_of_images(root):
    assert "not a folder of images" in found(root, images="pictures")


def test_axes_in_another_order_than_is_said(root):
    np.save(root / "responses.npy", TRUTH.T)
    assert found(root) == ""  # the lengths tell
    text = found(root, axes=["images", "units"])
    assert "axes of other lengths than the tables" in text and "these fit: axes: [units, images]" in text


def test_axes_in_doubt(root):
    np.save(root / "responses.npy", np.zeros((N_IMAGES, N_UNITS, N_UNITS)))
    text = found(root)
    assert "the lengths of the axes leave a doubt" in text
    assert "axes: [images, units, repetitions] or axes: [images, repetitions, units]" in text
    assert found(root, axes=["images", "repetitions", "units"]) == ""
    square = TRUTH[:N_UNITS]
    np.save(root / "responses.npy", square)
    assert "axes: [images, units] or axes: [units, images]" in rewritten(root, "stimuli.csv", stimulus_rows(N_UNITS, 2))


def test_axes_that_the_file_names(root):
    square, rows = TRUTH[:N_UNITS], stimulus_rows(N_UNITS, 2)
    write_table(root / "stimuli.csv", rows)
    write_responses(root / "named.nc", square)
    assert found(root, responses="named.nc") == ""


def test_a_table_of_another_length(root):
    text = rewritten(root, "units.csv", UNITS[:-1])
    assert "12 images (rows of their table, or ids), 4 units" in text and "one row too many or too few" in text
    assert "a table has a row for each image" in rewritten(root, "units.csv", [*UNITS, *UNITS])


def test_one_axis_and_four(root):
    for shape in ((N_IMAGES,), (N_IMAGES, N_UNITS, 1, 1)):
        np.save(root / "responses.npy", np.zeros(shape))
        assert "save two axes, images and units, or three" in found(root)


def test_an_index_that_counts_from_1(root):
    rows = stimulus_rows()
    text = rewritten(root, "stimuli.csv", [row | {"index": i + 1} for i, row in enumerate(rows)])
    assert "rows are counted from 1" in text and "subtract 1" in text
    text = rewritten(root, "stimuli.csv", [row | {"index": max(i, 1)} for i, row in enumerate(rows)])
    assert "named twice, or not there" in text
    text = rewritten(root, "stimuli.csv", [row | {"index": "first"} for row in rows])
    assert "not a row of the responses" in text


def test_ids_off_by_one(root):
    rows = [row | {"stimulus_id": i} for i, row in enumerate(stimulus_rows())]
    write_responses(root / "ids.parquet", TRUTH, [str(i + 1) for i in range(N_IMAGES)])
    write_table(root / "stimuli.csv", rows)
    text = found(root, responses="ids.parquet")
    assert "ids of images are off by one: the file counts from 1 where the table counts from 0" in text
    assert "found:    1 to 12" in text and "allowed:  0 to 11" in text


def test_ids_that_one_side_lacks(root):
    write_responses(root / "ids.h5", TRUTH, ["other", *(f"s{i}" for i in range(1, N_IMAGES))])
    text = found(root, responses="ids.h5")
    assert "1 images of the table are not in the file of responses" in text and "found:    s0" in text
    assert "1 images of the file of responses are not in the table" in text and "found:    other" in text


def test_columns_that_look_misspelt_and_columns_that_are_missing(root):
    text = rewritten(root, "units.csv", [{"subject": "anna", "Region": "V1", "reliabilty": 0.5} for _ in UNITS])
    assert "column is missing" in text and "nearest:  Region" in text
    text = rewritten(root, "units.csv", [row | {"reliabilty": 0.5, "depth": 3} for row in UNITS])
    assert "unknown column" in text and "nearest:  reliability" in text and "depth" not in text


def test_a_split_without_its_column_or_its_words(root):
    text = found(root, split={"column": "splitt"})
    assert "the column of the split is missing" in text and "nearest:  split" in text
    text = rewritten(root, "stimuli.csv", [row | {"split": "learn"} for row in stimulus_rows()])
    assert "no training image" in text and "no test image" in text
    rows = stimulus_rows()
    text = rewritten(root, "stimuli.csv", [*rows[:-1], rows[-1] | {"split": "out of distribution"}])
    assert "not a name of a test set" in text


def test_rows_of_one_image_that_differ(root):
    rows = stimulus_rows()
    text = rewritten(root, "stimuli.csv", [*rows[:-1], rows[0] | {"split": "test"}])
    assert "1 stimuli have rows that differ in `split`" in text and "s0 (line 2, line 13)" in text


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"ceiling": -0.2}, "not a ceiling"),
        ({"ceiling": "high"}, "not a number"),
        ({"ceiling": ""}, "ceiling is missing"),
        ({"ceiling": 0.5, "reliability": 0.5}, "two columns tell of ceilings"),
        ({"subject": "anna/left"}, "not a name of a subject"),
        ({"region": ""}, "empty cells"),
        ({"id": "same"}, "several units have one id"),
    ],
)
def test_faulty_units(root, change, told):
    assert told in rewritten(root, "units.csv", [row | change for row in UNITS])


def test_a_pickled_array_is_refused(root):
    np.save(root / "responses.npy", TRUTH.astype(object), allow_pickle=True)
    assert "pickled Python objects, whose reading would run their code" in found(root)


@pytest.mark.parametrize("key", ["filters", "compressor"])
def test_a_zarr_array_whose_chunks_are_pickles_is_refused(root, key):
    zarr.create_array(root / "p.zarr", shape=TRUTH.shape, dtype="f8", chunks=TRUTH.shape, zarr_format=2)
    file = root / "p.zarr" / ".zarray"
    pickled = {"filters": [{"id": "pickle"}], "compressor": {"id": "pickle"}}
    file.write_text(json.dumps(json.loads(file.read_text()) | {key: pickled[key]}))
    assert "pickled Python objects" in found(root, responses="p.zarr")


def test_files_with_several_arrays_ask_for_a_name(root):
    with h5py.File(root / "two.h5", "w") as file:
        file["first"] = TRUTH
        file["all/second"] = TRUTH
    text = found(root, responses="two.h5")
    assert "several variables could be meant" in text and "variable: NAME" in text
    assert found(root, responses="two.h5", variable="all/second") == ""
    text = found(root, responses="two.h5", variable="all/secnd")
    assert "no such variable" in text and "nearest:  all/second" in text
    assert "drop `variable`" in found(root, variable="first")


def test_files_of_other_kinds(root):
    (root / "old.mat").write_bytes(b"MATLAB 5.0 MAT-file".ljust(128))
    assert "-v7.3" in found(root, responses="old.mat")
    (root / "r.txt").write_text("1 2 3")
    assert "no array can be read from a file of this ending" in found(root, responses="r.txt")
    pyarrow.parquet.write_table(pyarrow.table({"note": ["a"] * N_IMAGES, "unit": [0.5] * N_IMAGES}), root / "t.parquet")
    assert "columns that hold no numbers" in found(root, responses="t.parquet")
    np.save(root / "words.npy", np.array([["a"] * N_UNITS] * N_IMAGES))
    assert "numbers" in found(root, responses="words.npy")


@pytest.mark.parametrize("ending", [".npy", ".parquet", ".nc", ".h5", ".mat"])
def test_damaged_files(root, ending):
    path = write_responses(root / f"cut{ending}", TRUTH)
    path.write_bytes(path.read_bytes()[:60])
    assert f"cut{ending}: not " in found(root, responses=path.name)


def test_a_damaged_zarr_folder(root):
    write_responses(root / "cut.zarr", TRUTH)
    (root / "cut.zarr" / "zarr.json").write_text("{")
    assert "not a Zarr folder, or cut short" in found(root, responses="cut.zarr")


def test_a_folder_whose_order_is_in_doubt(root):
    drawn = {"stimuli": None, "split": {"test": 0.2}}
    assert found(root, **drawn) == ""
    for file in sorted((root / "images").iterdir()):
        file.rename(file.with_name(f"image{int(file.stem)}.png"))
    text = found(root, **drawn)
    assert "the order of these names is in doubt" in text
    assert "image 2 is image10.png by letters, image2.png by numbers" in text


def test_subjects_and_regions_that_no_unit_has(root):
    text = found(root, subjects=["anna", "bertha"], regions=["V1", "V5"])
    assert "subjects.1: no unit of this subject" in text and "nearest:  bert" in text
    assert "regions.1: no unit of this region" in text


def study_of(root, **changes):
    return Study.model_validate(
        {"study": "own", "runs": [{"untrained": ["resnet_w8"]}], "encoding": [entry_of(root, **changes)]}
    )


def test_sizes_that_the_images_cannot_give(root):
    study = study_of(root, samples=[20])
    text = "\n".join(str(problem) for _, problem in fmri_problems(study, study.encoding[0]))
    assert "more mapping images than the subject has" in text and "anna: at most 9" in text


def test_a_name_that_another_benchmark_has():
    content = {"encoding": [{**ENTRY, "name": "nsd"}, {**ENTRY, "name": "mine"}]}
    faults = [
        fault for fault in name_faults(Document("s.yaml", content), Path("s.yaml")) if "benchmark" in fault.problem.what
    ]
    assert [fault.location for fault in faults] == [("encoding", 0, "name")]


@pytest.mark.parametrize(
    "changes",
    [
        {"axes": ["images", "repetitions"]},
        {"stimuli": None},
        {"visual_degrees": 8.0},
        {"name": "with space"},
        {"split": {"test": 1.0}},
    ],
)
def test_keys_that_do_not_go_together(root, changes):
    with pytest.raises(ValidationError):
        entry_of(root, **changes)
