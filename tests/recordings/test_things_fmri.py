"""THINGS-fMRI is read as its authors wrote it, on SIMULATED subjects of the true layout; nothing is unpickled."""

import csv
import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.recordings.pandas_hdf5 import opened_frame
from neuroscaling.recordings.prepared import open_recording, read_manifest
from neuroscaling.recordings.things_check import check_things_fmri_tree
from neuroscaling.recordings.things_fmri_recording import prepare_things_fmri_subject
from neuroscaling.study.preparation_jobs import ThingsFmriJob
from tests.support.simulated_things import ThingsSettings, write_frame, write_things

PANDAS_FILES = Path(__file__).parent / "pandas_files"
FEW = ThingsSettings(concepts=8, exemplars=4, known=6, monkeys=(), people=("sub-01", "sub-02"))


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    root = tmp_path_factory.mktemp("things")
    write_things(root, FEW)
    return root


@pytest.fixture
def tree(sound, tmp_path):
    shutil.copytree(sound / "things_fmri", tmp_path / "things_fmri")
    shutil.copy(sound / "manifest.json", tmp_path)  # says SIMULATED
    return tmp_path / "things_fmri"


def prepared(root: Path, out: Path, **changes):
    return open_recording(prepare_things_fmri_subject(ThingsFmriJob(root, "sub-01", out, **changes)).parent)


def file_of(tree: Path, ending: str, subject: str = "sub-01") -> Path:
    return tree / "betas_csv" / f"{subject}_{ending}"


def table(tree: Path, ending: str) -> list[dict[str, str]]:
    with open(file_of(tree, ending), encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def rewrite(tree: Path, ending: str, rows: list[dict[str, str]]) -> None:
    with open(file_of(tree, ending), "w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def responses(tree: Path) -> np.ndarray:
    """(voxels, trials)."""
    with h5py.File(file_of(tree, "ResponseData.h5")) as file:
        return file["ResponseData/block0_values"][()]


def told(tree: Path, *args) -> str:
    return "\n".join(map(str, check_things_fmri_tree(tree, *args)))


def expected(tree: Path) -> tuple[np.ndarray, list[str], np.ndarray, list[str]]:
    """Training and test rows and their file names, computed trial by trial."""
    trials, values = table(tree, "StimulusMetadata.csv"), responses(tree)
    training = [i for i, trial in enumerate(trials) if trial["trial_type"] == "train"]
    names = sorted({trial["stimulus"] for trial in trials if trial["trial_type"] == "test"})
    means = [values[:, [i for i, trial in enumerate(trials) if trial["stimulus"] == name]].mean(1) for name in names]
    return values[:, training].T, [trials[i]["stimulus"] for i in training], np.stack(means), names


@pytest.mark.parametrize("layout", ["fixed", "pickled", "table"])
def test_a_subject_is_prepared_as_it_was_written_in_each_of_pandas_layouts(tree, tmp_path, layout):
    training, trained, test, tested = expected(tree)
    write_frame(file_of(tree, "ResponseData.h5"), responses(tree), layout)
    recording = prepared(tree, tmp_path / "out", voxels="all", memory_mb=0.05)  # blocks of a few voxels
    np.testing.assert_allclose(recording.training.responses.read(0, FEW.voxels), training, rtol=1e-6)
    np.testing.assert_allclose(recording.test.responses.read(0, FEW.voxels), test, rtol=1e-5, atol=1e-6)
    assert [f"{name.split('/')[1]}.jpg" for name in recording.training.stimulus_ids] == trained
    assert [f"{name.split('/')[1]}.jpg" for name in recording.test.stimulus_ids] == tested
    assert set(recording.test.repeats) == {FEW.repetitions[1]}
    voxels = table(tree, "VoxelMetadata.csv")
    ceilings = [float(voxel["nc_testset"]) / 100 for voxel in voxels]
    np.testing.assert_allclose(recording.test.ceiling, ceilings, rtol=1e-6)
    single = [float(voxel["nc_singletrial"]) / 100 for voxel in voxels]
    rows = range(len(recording.training.stimulus_ids))
    np.testing.assert_allclose(recording.ceiling_of(recording.training, rows), single, rtol=1e-4)
    assert recording.simulated


def test_voxels_of_named_regions_alone_and_both_sides_of_an_area_as_one(sound, tmp_path):
    voxels = table(sound / "things_fmri", "VoxelMetadata.csv")
    recording = prepared(sound / "things_fmri", tmp_path / "regions")
    inside = [i for i, v in enumerate(voxels) if any(v[r] == "1" for r in ("V1", "V2", "V3", "hV4", "LO1 (prf)", "IT"))]
    inside += [i for i, v in enumerate(voxels) if v["lLOC"] == "1" or v["rLOC"] == "1"]
    assert recording.n_targets == len(set(inside)) < FEW.voxels
    assert set(recording.regions) == {"V1", "V2", "V3", "hV4", "LO1 (prf)", "FFA", "LOC", "IT", "all-vertices"}
    faces = sum(v["lFFA"] == "1" or v["rFFA"] == "1" for v in voxels)
    assert recording.regions["FFA"].sum() == faces > 0
    assert (recording.regions["FFA"] & recording.regions["IT"]).sum() == faces  # an area may lie in another
    parcels = prepared(sound / "things_fmri", tmp_path / "parcels", voxels=["V1", "glasser-FFC"])
    assert parcels.regions["glasser-FFC"].sum() == sum(v["glasser-FFC"] == "1" for v in voxels)
    with pytest.raises(DataError, match="nearest:  glasser-FFC"):
        prepared(sound / "things_fmri", tmp_path / "none", voxels=["glasser-FCC"])


def test_z_scores_within_sessions(sound, tmp_path):
    recording = prepared(sound / "things_fmri", tmp_path / "out", voxels="all", zscore="session")
    trials, values = table(sound / "things_fmri", "StimulusMetadata.csv"), responses(sound / "things_fmri")
    days = np.array([int(trial["session"]) for trial in trials])
    for day in set(days):
        part = values[:, days == day]
        values[:, days == day] = (part - part.mean(1, keepdims=True)) / part.std(1, keepdims=True)
    training = [i for i, trial in enumerate(trials) if trial["trial_type"] == "train"]
    got = recording.training.responses.read(0, FEW.voxels)
    np.testing.assert_allclose(got, values[:, training].T, rtol=1e-5, atol=1e-6)
    assert read_manifest(tmp_path / "out").settings["zscore"] == "session"


def test_voxels_with_a_nan_are_left_out_by_the_reader(tree, tmp_path):
    values = responses(tree)
    values[3, 5] = np.nan
    write_frame(file_of(tree, "ResponseData.h5"), values)
    assert prepared(tree, tmp_path / "out", voxels="all").masked == {"both": [3]}


def test_a_trial_without_a_number_is_refused(tree, tmp_path):
    values = responses(tree)
    values[:, 7] = np.nan
    write_frame(file_of(tree, "ResponseData.h5"), values)
    with pytest.raises(DataError, match="1 trials have no response in any voxel"):
        prepared(tree, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_sound_tree_has_no_problems(sound):
    assert check_things_fmri_tree(sound / "things_fmri", "all", sound / "things") == []
    assert check_things_fmri_tree(sound / "things_fmri" / "betas_csv") == []


def test_everything_is_told_at_once(tree):
    rewrite(tree, "StimulusMetadata.csv", table(tree, "StimulusMetadata.csv")[:-1])
    voxels = table(tree, "VoxelMetadata.csv")
    shares = [voxel | {"nc_testset": float(voxel["nc_testset"]) / 100} for voxel in voxels[:-1]]
    rewrite(tree, "VoxelMetadata.csv", shares)
    file_of(tree, "ResponseData.h5", "sub-02").unlink()
    text = told(tree)
    assert "another number of trials than the table of trials" in text
    assert "another number of voxels than the table of voxels" in text and "found:    66" in text
    assert "noise ceilings that aren't per cent" in text
    assert "sub-02_ResponseData.h5: file is missing" in text


def test_numbers_that_count_from_1_and_rows_of_another_order(tree):
    values = responses(tree)
    with h5py.File(file_of(tree, "ResponseData.h5"), "r+") as file:
        file["ResponseData/block0_items"][()] = np.arange(values.shape[1]) + 1
        file["ResponseData/block1_values"][[0, 1]] = [[1], [0]]
    voxels = table(tree, "VoxelMetadata.csv")
    text = told(tree)
    assert "columns don't count trials from 0" in text and f"found:    1 to {values.shape[1]}" in text
    assert "voxel_id isn't that of the table of voxels" in text and "row 1: 1" in text
    rewrite(tree, "VoxelMetadata.csv", [voxel | {"voxel_id": i + 1} for i, voxel in enumerate(voxels)])
    assert "voxel_id doesn't count voxels from 0" in told(tree)


def test_tables_of_another_subject_and_missing_columns(tree):
    rows = table(tree, "VoxelMetadata.csv")
    shutil.copy(file_of(tree, "VoxelMetadata.csv"), file_of(tree, "VoxelMetadata.csv", "sub-02"))
    assert "two subjects have the same table of voxels" in told(tree)
    renamed = [{("nc_test" if key == "nc_testset" else key): cell for key, cell in row.items()} for row in rows]
    rewrite(tree, "VoxelMetadata.csv", renamed)
    assert "nearest:  nc_test" in told(tree)
    rewrite(tree, "VoxelMetadata.csv", [row | {"hV4": "2" if i == 4 else row["hV4"]} for i, row in enumerate(rows)])
    assert "VoxelMetadata.csv: hV4: a region whose column isn't 0 or 1" in told(tree)


def test_test_images_that_were_shown_unequally_often_or_in_training(tree):
    trials = table(tree, "StimulusMetadata.csv")
    test = [i for i, trial in enumerate(trials) if trial["trial_type"] == "test"]
    trials[test[0]]["trial_type"] = "train"
    rewrite(tree, "StimulusMetadata.csv", trials)
    text = told(tree)
    assert "test images were shown unequally often" in text and "1 test images are training images too" in text


@pytest.mark.parametrize("name", ["fixed", "table", "objects"])
def test_files_of_pandas_itself_are_read(name):
    """The files hold row + trial / 100; pandas_files/write.py wrote them."""
    with opened_frame(PANDAS_FILES / f"{name}.h5", "") as blocks:
        responses = max(blocks, key=lambda block: block.width)
        ids = next(block for block in blocks if block.width == 1)
        np.testing.assert_array_equal(responses.read(0, 6), np.arange(6)[:, None] + np.arange(24) / 100)
        assert responses.kind == "f"
        np.testing.assert_array_equal(ids.column(0), np.arange(6))


def test_a_compression_that_hdf5_has_no_filter_for_is_named_with_the_way_out(monkeypatch):
    monkeypatch.setattr(h5py.h5z, "filter_avail", lambda code: code < 256)  # a library of another test may bring blosc
    said = r"compressed in a way that can't be read here(?s:.*)blosc(?s:.*)without `complib`"
    with pytest.raises(DataError, match=said), opened_frame(PANDAS_FILES / "blosc.h5", ""):
        pass


def test_a_frame_of_objects_is_refused_and_not_unpickled(tree):
    path = file_of(tree, "ResponseData.h5")
    with h5py.File(path, "r+") as file:
        for name in ("block0_values", "block1_values"):
            del file[f"ResponseData/{name}"]
            array = file.create_dataset(f"ResponseData/{name}", (1,), h5py.vlen_dtype(np.uint8))
            array[0] = np.frombuffer(b"cos\nsystem\n(S'false'\ntR.", np.uint8)
    assert "holds no numbers, or only pickled ones" in told(tree)
    with h5py.File(path, "w") as file:
        file["something"] = np.arange(3)
    assert "no data frame of pandas in the file" in told(tree)
