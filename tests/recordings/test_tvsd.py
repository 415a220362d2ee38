"""TVSD is read as its authors wrote it, on SIMULATED monkeys of the true layout, and faults are told all at once."""

import shutil
from pathlib import Path

import h5py
import numpy as np
import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.recordings.prepared import open_recording, read_manifest
from neuroscaling.recordings.things_check import check_tvsd_tree, tvsd_notes
from neuroscaling.recordings.tvsd_recording import prepare_tvsd_subject
from neuroscaling.regression.scores import repeat_ceiling
from neuroscaling.stimuli.things_images import read_tvsd_images
from neuroscaling.study.preparation_jobs import TvsdJob
from neuroscaling.study.things_tree import Monkey
from tests.support.simulated_things import AREAS, DEAD, ThingsSettings, write_things

FEW = ThingsSettings(concepts=8, exemplars=4, people=())


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    root = tmp_path_factory.mktemp("things")
    write_things(root, FEW)
    return root


@pytest.fixture
def tree(sound, tmp_path):
    shutil.copytree(sound / "tvsd", tmp_path / "tvsd")
    return tmp_path / "tvsd"


def prepared(root: Path, monkey: str, out: Path, **changes):
    return open_recording(prepare_tvsd_subject(TvsdJob(root, monkey, out / monkey, **changes)).parent)


def change(tree: Path, monkey: str, **values: np.ndarray) -> None:
    with h5py.File(tree / monkey / "THINGS_normMUA.mat", "r+") as file:
        for name, array in values.items():
            del file[name]
            file[name] = array


def content(tree: Path, monkey: str) -> dict[str, np.ndarray]:
    with h5py.File(tree / monkey / "THINGS_normMUA.mat") as file:
        return {name: file[name][()] for name in file}


def told(tree: Path, *args) -> str:
    return "\n".join(map(str, check_tvsd_tree(tree, *args)))


@pytest.mark.parametrize("monkey", ["monkeyF", "monkeyN"])
def test_a_monkey_is_prepared_as_it_was_written(sound, tmp_path, monkey):
    recording, wrote = prepared(sound / "tvsd", monkey, tmp_path), content(sound / "tvsd", monkey)
    manifest = read_manifest(tmp_path / monkey)
    reliability = wrote["reliab"].mean(0)
    kept = np.flatnonzero(reliability >= 0.1)  # NaN isn't
    assert 600 < len(kept) < 1000
    assert manifest.settings["reliability"] == 0.1
    assert sorted([*kept.tolist(), *manifest.settings["unreliable_sites"]]) == list(range(1024))
    assert set(range(1024)[DEAD[monkey]]) <= set(manifest.settings["unreliable_sites"])
    np.testing.assert_allclose(recording.training.responses.read(0, len(kept)), wrote["train_MUA"][:, kept], rtol=1e-6)
    np.testing.assert_allclose(recording.test.responses.read(0, len(kept)), wrote["test_MUA"][:, kept], rtol=1e-5)
    for area in ("V1", "V4", "IT"):
        np.testing.assert_array_equal(recording.regions[area], np.array(AREAS[monkey])[kept] == area)
    expected = repeat_ceiling(wrote["test_MUA_reps"][:, :, kept].transpose(2, 1, 0))
    np.testing.assert_allclose(recording.test.ceiling, expected, rtol=1e-6)
    # The signal-to-noise ratio of single repetitions gives the same ceiling of means over all of them.
    of_test = recording.ceiling_of(recording.test, range(len(recording.test.stimulus_ids)))
    np.testing.assert_allclose(of_test, recording.test.ceiling, rtol=1e-4, atol=1e-5)
    assert set(recording.test.repeats) == {FEW.repetitions[0]} and set(recording.training.repeats) == {1}
    assert recording.simulated


def test_both_monkeys_saw_the_images_that_their_paths_name(sound):
    ids = [read_tvsd_images(Monkey(sound / "tvsd", monkey)) for monkey in AREAS]
    assert ids[0] == ids[1]
    assert (len(ids[0]["training"]), len(ids[0]["test"])) == (32, 8)
    assert all(stimulus.split("/")[1].startswith(stimulus.split("/")[0] + "_") for stimulus in ids[0]["test"])


def test_fewer_sites_are_reliable_by_a_higher_bound_and_none_is_an_error(sound, tmp_path):
    some = prepared(sound / "tvsd", "monkeyF", tmp_path / "some", reliability=0.5).n_targets
    every = prepared(sound / "tvsd", "monkeyF", tmp_path / "every", reliability=-1.0).n_targets
    assert some < 900 < every == 1024
    with pytest.raises(DataError, match="no site is as reliable") as caught:
        prepared(sound / "tvsd", "monkeyF", tmp_path / "none", reliability=0.999)
    assert "the highest here is 0." in str(caught.value)


def test_repetitions_that_matlab_filled_up_with_zeros_are_missing_ones(tree, tmp_path):
    wrote = content(tree, "monkeyF")
    repeated, test = wrote["test_MUA_reps"], wrote["test_MUA"]
    repeated[-2:, 3] = 0
    test[3] = repeated[:-2, 3].mean(0)
    change(tree, "monkeyF", test_MUA_reps=repeated, test_MUA=test)
    recording = prepared(tree, "monkeyF", tmp_path)
    assert recording.test.repeats[3] == FEW.repetitions[0] - 2
    assert sorted(set(recording.test.repeats)) == [FEW.repetitions[0] - 2, FEW.repetitions[0]]


def test_a_site_with_a_nan_is_left_out_by_the_reader(tree, tmp_path):
    wrote = content(tree, "monkeyF")
    site = int(np.flatnonzero(wrote["reliab"].mean(0) > 0.3)[0])
    wrote["train_MUA"][5, site] = np.nan
    change(tree, "monkeyF", train_MUA=wrote["train_MUA"])
    recording = prepared(tree, "monkeyF", tmp_path)
    kept = np.flatnonzero(wrote["reliab"].mean(0) >= 0.1)
    assert [kept[column] for column in recording.masked["both"]] == [site]


def test_a_sound_tree_has_no_problems(sound):
    assert check_tvsd_tree(sound / "tvsd", "all", sound / "things") == []
    assert tvsd_notes(sound / "tvsd") == []


def test_everything_is_told_at_once(tree):
    shutil.rmtree(tree / "monkeyF" / "_logs")
    wrote = content(tree, "monkeyN")
    with h5py.File(tree / "monkeyF" / "THINGS_normMUA.mat", "r+") as file:
        del file["reliab"]
    change(tree, "monkeyN", train_MUA=wrote["train_MUA"].T, test_MUA=wrote["test_MUA"][1:])
    text = told(tree)
    assert "things_imgs.mat: file is missing" in text
    assert "variables are missing" in text and "reliab" in text
    assert "train_MUA: sites are on the first axis: the file was written again, not by MATLAB" in text
    assert "test_MUA: another number of test images than the log's" in text and "found:    7" in text


def test_rows_without_a_number_are_named_from_1(tree):
    wrote = content(tree, "monkeyN")
    wrote["train_MUA"][[2, 10]] = np.nan
    change(tree, "monkeyN", train_MUA=wrote["train_MUA"])
    text = told(tree, ["monkeyN"])
    assert "2 images have no response at any site" in text and "found:    3, 11" in text


def test_test_images_in_another_order_than_their_repetitions(tree, tmp_path):
    wrote = content(tree, "monkeyF")
    change(tree, "monkeyF", test_MUA=np.roll(wrote["test_MUA"], 1, axis=0))  # off by one
    assert "8 test images whose response isn't the mean of their repetitions" in told(tree)
    with pytest.raises(DataError, match="another order, or file"):
        prepared(tree, "monkeyF", tmp_path)


def test_a_file_under_the_other_monkey_s_name(tree):
    shutil.copy(tree / "monkeyN" / "THINGS_normMUA.mat", tree / "monkeyF" / "THINGS_normMUA.mat")
    assert "both monkeys' files hold the same responses" in told(tree)
    notes = tvsd_notes(tree)
    assert len(notes) == 1 and "is this file monkeyN's?" in str(notes[0]) and "monkeyF" in str(notes[0].where)


def test_images_that_stand_in_the_log_twice_or_in_both_splits(tree):
    with h5py.File(tree / "monkeyF" / "_logs" / "things_imgs.mat", "r+") as file:
        cells = file["train_imgs/things_path"]
        cells[0, 0], cells[1, 0] = cells[2, 0], file["test_imgs/things_path"][0, 0]
    text = told(tree)
    assert "1 training images stand in the log twice" in text
    assert "1 test images are training images too" in text
    assert "the monkeys' logs list different images" in text


def test_unknown_monkeys_and_missing_images(sound, tmp_path):
    assert "nearest:  monkeyN" in told(sound / "tvsd", ["monkeyM"])
    assert "no subject here" in told(tmp_path)
    assert "40 of 40 images are missing" in told(sound / "tvsd", "all", tmp_path)
