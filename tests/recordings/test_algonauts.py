"""The Algonauts layout: read as it stands, and everything that is wrong with a tree said at once."""

import shutil

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from neuroscaling.core.errors import DataError
from neuroscaling.recordings import algonauts_recording
from neuroscaling.recordings.algonauts_recording import read_recording
from neuroscaling.study.algonauts_tree import read_mapping, tree_problems, tree_subjects

N_TRAIN, N_TEST, WIDTH = 24, 8, {"lh": 14, "rh": 11}


def write_tree(root, subjects=("subj01",), train=N_TRAIN, test=N_TEST, respond=None, seed=0):
    """A small simulated tree. respond(ids, vertices) gives responses (images, vertices)."""
    rng = np.random.default_rng(seed)
    respond = respond or (lambda ids, n: rng.standard_normal((len(ids), n)))
    for subject in subjects:
        folder = root / subject
        for split, prefix, count, first in (("training", "train", train, 100), ("test", "test", test, 900)):
            place = folder / f"{split}_split"
            (place / f"{split}_images").mkdir(parents=True)
            (place / f"{split}_fmri").mkdir()
            ids = [f"nsd-{first + 3 * i:05d}" for i in range(count)]
            for i, stimulus in enumerate(ids, start=1):
                Image.new("RGB", (4, 4)).save(place / f"{split}_images" / f"{prefix}-{i:04d}_{stimulus}.png")
            for side, width in WIDTH.items():
                np.save(place / f"{split}_fmri" / f"{side}_{split}_fmri.npy", respond(ids, width).astype(np.float32))
        (folder / "test_split" / "noise_ceiling").mkdir()
        (folder / "roi_masks").mkdir()
        for side, width in WIDTH.items():
            np.save(folder / "test_split" / "noise_ceiling" / f"{side}_noise_ceiling.npy", np.full(width, 0.5, "f4"))
            # Integers unlike the challenge's own: the mapping must be read.
            streams, areas = np.arange(width) % 3, np.arange(width) % 4
            np.save(folder / "roi_masks" / f"{side}.streams_challenge_space.npy", streams)
            np.save(folder / "roi_masks" / f"{side}.prf-visualrois_challenge_space.npy", areas)
        np.save(folder / "roi_masks" / "mapping_streams.npy", {0: "Unknown", 1: "ventral", 2: "early"})
        mapping = {0: "Unknown", 1: "hV4", 2: "V1d", 3: "V1v"}
        np.save(folder / "roi_masks" / "mapping_prf-visualrois.npy", mapping)
    return root


@pytest.fixture
def tree(tmp_path):
    return write_tree(tmp_path, ("subj01", "subj02"))


def test_a_sound_tree_has_no_problems(tree):
    assert tree_problems(tree) == []
    assert tree_subjects(tree) == ["subj01", "subj02"]


def test_reading_pools_hemispheres_and_reads_the_mapping(tree):
    subject = read_recording(tree, "subj01")
    assert subject.training.responses.shape == (N_TRAIN, 25)
    assert subject.test.responses.shape == (N_TEST, 25)
    assert subject.training.stimulus_ids[:2] == ["nsd-00100", "nsd-00103"]
    left = np.load(tree / "subj01/training_split/training_fmri/lh_training_fmri.npy")
    np.testing.assert_array_equal(subject.training.responses.read(0, 14), left)
    positions = np.concatenate([np.arange(14), np.arange(11)])
    np.testing.assert_array_equal(subject.regions["V1"], np.isin(positions % 4, [2, 3]))
    np.testing.assert_array_equal(subject.regions["hV4"], positions % 4 == 1)
    np.testing.assert_array_equal(subject.regions["early"], positions % 3 == 2)
    assert not subject.regions["V2"].any()
    assert "FFA" not in subject.regions


def test_nan_vertices_are_masked_and_named(tree):
    file = tree / "subj01/test_split/test_fmri/rh_test_fmri.npy"
    responses = np.load(file)
    responses[3, 4] = np.nan
    np.save(file, responses)
    ceiling = tree / "subj01/test_split/noise_ceiling/lh_noise_ceiling.npy"
    values = np.load(ceiling)
    values[7] = np.nan
    np.save(ceiling, values)
    subject = read_recording(tree, "subj01")
    assert subject.masked == {"lh": [7], "rh": [4]}
    assert subject.n_targets == subject.test.responses.shape[1] == len(subject.test.ceiling) == 23
    assert np.isfinite(subject.test.responses.read(0, 23)).all()
    assert all(len(mask) == 23 for mask in subject.regions.values())


def test_without_noise_ceiling_there_is_none(tree):
    for file in (tree / "subj01/test_split/noise_ceiling").iterdir():
        file.unlink()
    assert tree_problems(tree) == []
    assert read_recording(tree, "subj01").test.ceiling is None


def test_missing_subject_comes_with_the_nearest(tree):
    problem = tree_problems(tree, ["subj01", "sub02"])[0]
    assert (problem.what, problem.value, problem.nearest) == ("subject folder is missing", "sub02", "subj02")
    with pytest.raises(DataError, match="sub02"):
        tree_subjects(tree, ["sub02"])


def test_a_folder_without_subjects(tmp_path):
    assert "no subject folder" in str(tree_problems(tmp_path)[0])


def test_all_problems_are_told_at_once(tree):
    next((tree / "subj01/training_split/training_images").glob("train-0005_*")).unlink()
    mask = tree / "subj02/roi_masks/lh.streams_challenge_space.npy"
    np.save(mask, np.zeros(9, int))
    text = "\n".join(map(str, tree_problems(tree)))
    assert f"{N_TRAIN - 1} images but {N_TRAIN} rows of responses" in text
    assert "1 image numbers missing" in text
    assert "9 vertices, but the lh training responses have 14" in text
    assert str(mask) in text


def test_missing_test_split_and_responses(tree):
    for file in (tree / "subj01/test_split/test_fmri").iterdir():
        file.unlink()
    (tree / "subj02/test_split").rename(tree / "subj02/elsewhere")
    text = "\n".join(map(str, tree_problems(tree)))
    assert "rebuild them from NSD" in text
    assert "test split is missing" in text


def test_a_region_without_vertices_is_named_with_those_that_have_some(tree):
    problems = tree_problems(tree, "all", ["V1", "V2"])
    assert [problem.value for problem in problems] == ["V2"]
    assert "V1" in problems[0].allowed


def test_truncated_responses_are_named(tree):
    file = tree / "subj01/training_split/training_fmri/lh_training_fmri.npy"
    file.write_bytes(file.read_bytes()[:300])
    (problem,) = tree_problems(tree)
    assert "cut short" in problem.what
    assert problem.where == str(file)


def test_a_recording_reads_blocks_of_both_hemispheres_from_the_disk(tree):
    recording = read_recording(tree, "subj01")
    left, right = (np.load(tree / f"subj01/training_split/training_fmri/{side}_training_fmri.npy") for side in WIDTH)
    both = np.hstack([left, right])
    assert recording.training.responses.shape == (N_TRAIN, 25)
    for start, stop in ((0, 25), (10, 20), (13, 15), (24, 25), (5, 5)):
        np.testing.assert_array_equal(recording.training.responses.read(start, stop), both[:, start:stop])
    assert recording.training.stimulus_ids[:2] == ["nsd-00100", "nsd-00103"]
    assert recording.test.responses.shape == (N_TEST, 25)
    np.testing.assert_array_equal(recording.vertex, np.concatenate([np.arange(14), np.arange(11)]))
    assert recording.hemisphere.tolist() == ["lh"] * 14 + ["rh"] * 11
    np.testing.assert_array_equal(recording.test.ceiling, np.full(25, 0.5, np.float32))
    assert recording.ncsnr is recording.training.repeats is recording.test.repeats is recording.fsaverage is None


def test_a_recording_has_areas_and_their_parts_by_the_mapping(tree):
    regions = read_recording(tree, "subj01").regions
    positions = np.concatenate([np.arange(14), np.arange(11)])
    np.testing.assert_array_equal(regions["V1d"], positions % 4 == 2)
    np.testing.assert_array_equal(regions["V1v"], positions % 4 == 3)
    np.testing.assert_array_equal(regions["V1"], regions["V1v"] | regions["V1d"])
    np.testing.assert_array_equal(regions["early"], positions % 3 == 2)
    assert regions["all-vertices"].all()
    assert not regions["V2"].any()
    assert "FFA" not in regions


def test_a_recording_leaves_out_vertices_that_any_file_has_no_number_for(tree):
    set_value(tree / "subj01/training_split/training_fmri/lh_training_fmri.npy", (5, 2), np.nan)
    set_value(tree / "subj01/training_split/training_fmri/lh_training_fmri.npy", (slice(None), 9), 0.1)
    set_value(tree / "subj01/test_split/test_fmri/rh_test_fmri.npy", (3, 4), np.inf)
    set_value(tree / "subj01/test_split/noise_ceiling/rh_noise_ceiling.npy", 10, np.nan)
    recording = read_recording(tree, "subj01")
    assert recording.masked == {"lh": [2, 9], "rh": [4, 10]}
    assert recording.n_targets == len(recording.hemisphere) == len(recording.test.ceiling) == 21
    for split in (recording.training, recording.test):
        assert split.responses.shape[1] == 21
        assert np.isfinite(split.responses.read(0, 21)).all()
    right = np.load(tree / "subj01/training_split/training_fmri/rh_training_fmri.npy")
    kept = [0, 1, 2, 3, 5, 6, 7, 8, 9]
    np.testing.assert_array_equal(recording.training.responses.read(12, 21), right[:, kept])
    assert recording.vertex[12:].tolist() == kept
    np.testing.assert_array_equal(recording.regions["hV4"][12:], np.array(kept) % 4 == 1)


def test_a_recording_without_test_responses_has_none(tree):
    shutil.rmtree(tree / "subj01/test_split/test_fmri")
    shutil.rmtree(tree / "subj01/test_split/noise_ceiling")
    recording = read_recording(tree, "subj01")
    assert recording.test.responses is recording.test.ceiling is None
    assert len(recording.test.stimulus_ids) == N_TEST
    assert recording.training.responses.shape == (N_TRAIN, 25)


def test_the_ceiling_follows_from_signal_to_noise_and_repetitions(tree):
    folder = tree / "subj01/test_split"
    shutil.rmtree(folder / "noise_ceiling")
    (folder / "noise_ceiling").mkdir()
    for side, width in WIDTH.items():
        np.save(folder / "noise_ceiling" / f"{side}_ncsnr.npy", np.full(width, 2.0, "f4"))
    np.save(folder / "repeats.npy", np.array([3, 3, 1, 1, 2, 2, 2, 2]))
    recording = read_recording(tree, "subj01")
    weight = (2 / 3 + 4 / 2 + 2) / 8
    np.testing.assert_allclose(recording.test.ceiling, 4 / (4 + weight), rtol=1e-6)  # it is kept in float32
    np.testing.assert_allclose(recording.ceiling_of(recording.test, [2, 3]), 4 / (4 + 1), rtol=1e-6)
    assert recording.ceiling_of(recording.training, [0]) is None


def test_a_damaged_folder_is_refused_with_all_its_problems(tree):
    (tree / "subj01/roi_masks/mapping_streams.npy").unlink()
    next((tree / "subj01/training_split/training_images").glob("train-0005_*")).unlink()
    with pytest.raises(DataError) as error:
        read_recording(tree, "subj01")
    assert len(error.value.problems) == 4


@given(st.data())
@settings(max_examples=25)
def test_the_scan_does_not_depend_on_the_size_of_its_blocks(data):
    n_rows, n_columns = data.draw(st.integers(2, 9)), data.draw(st.integers(1, 6))
    values = data.draw(hnp.arrays(np.float32, (n_rows, n_columns), elements=st.sampled_from([0.0, 0.1, 1.0, np.nan])))
    finite, low, high = algonauts_recording.column_summary(values)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(algonauts_recording, "BLOCK_BYTES", 4 * n_columns * data.draw(st.integers(1, n_rows)))
        assert_same = np.testing.assert_array_equal
        for one, other in zip((finite, low, high), algonauts_recording.column_summary(values), strict=True):
            assert_same(one, other)
    expected = [np.isfinite(column).all() and len(set(column.tolist())) > 1 for column in values.T]
    assert (finite & (low < high)).tolist() == expected


def set_value(file, place, value):
    array = np.load(file)
    array[place] = value
    np.save(file, array)


class Harmful:
    def __reduce__(self):
        return (print, ("run by a pickle",))


def test_a_mapping_that_is_not_plain_data_is_refused_and_not_run(tmp_path, capsys):
    np.save(tmp_path / "mapping_streams.npy", np.array({0: Harmful()}, dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="not a mapping of ROIs"):
        read_mapping(tmp_path / "mapping_streams.npy")
    assert capsys.readouterr().out == ""
