"""Raw NSD: every format read alike, trials given to the right images, planted truth found in what is prepared."""

import json
import tracemalloc

import h5py
import nibabel
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.io import loadmat

from neuroscaling.recordings.nsd_betas import averaged_blocks, betas_shape, read_betas, zscored
from neuroscaling.recordings.nsd_preparation import prepare_nsd_subject
from neuroscaling.recordings.nsd_splits import split_rows
from neuroscaling.recordings.prepared import open_recording
from neuroscaling.regression.scores import ncsnr_ceiling, pearson, repeat_ceiling
from neuroscaling.stimuli.manifest import image_files
from neuroscaling.stimuli.nsd_design import Design, read_design
from neuroscaling.stimuli.preparation import prepare_stimuli
from neuroscaling.study.preparation_jobs import NsdJob
from neuroscaling.study.recording_jobs import StimuliJob
from neuroscaling.study.stimulus_sources import NsdTree
from tests.support.simulated_nsd import NsdSettings, image_features, write_nsd_tree

SPACES = ("func1pt8mm", "nativesurface", "fsaverage")


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A whole SIMULATED experiment: subj01 with all 40 scan sessions, subj04 with 30."""
    root = tmp_path_factory.mktemp("nsd")
    write_nsd_tree(root)
    return root


@pytest.fixture(scope="module")
def recordings(simulated):
    """The prepared folders of subj01, by space."""
    jobs = {space: NsdJob(simulated / "nsd", "subj01", simulated / space, space) for space in SPACES}
    return {space: prepare_nsd_subject(job).parent for space, job in jobs.items()}


def _all(split):
    return split.responses.read(0, split.responses.shape[1])


def _numbers(split):
    return np.array([int(stimulus.removeprefix("nsd-")) for stimulus in split.stimulus_ids])


def _planted(root, subject, space, recording):
    """Truth of the used targets of a recording: ncsnr (targets,) and weights (features, targets)."""
    ncsnr, weights = [], []
    for part in dict.fromkeys(recording.hemisphere):
        truth = np.load(root / "truth" / f"{subject}-{space}-{part}.npz")
        index = np.flatnonzero(truth["nsdgeneral"].ravel() > 0)[recording.vertex[recording.hemisphere == part]]
        ncsnr.append(truth["ncsnr"][index])
        weights.append(truth["weights"][:, index])
    return np.concatenate(ncsnr), np.hstack(weights)


def test_volumes_are_turned_and_scaled_alike_from_hdf5_and_nifti(tmp_path):
    x, y, z = np.indices((4, 3, 2))
    values = np.stack([300 * (10 * x + 3 * y + z - 1), 30 * (x - y), 0 * x], axis=-1).astype(np.int16)
    with h5py.File(tmp_path / "betas_session01.hdf5", "w") as file:
        file["betas"] = values.transpose(3, 2, 1, 0)
    nibabel.save(nibabel.Nifti1Image(values, np.eye(4)), tmp_path / "betas_session01.nii.gz")
    targets = np.array([1, 5, 6, 13, 23])
    for name in ("betas_session01.hdf5", "betas_session01.nii.gz"):
        assert betas_shape(tmp_path / name) == (3, (4, 3, 2))
        read = read_betas(tmp_path / name, targets)
        places = np.unravel_index(targets, (4, 3, 2))
        np.testing.assert_allclose(read[0], 10 * places[0] + 3 * places[1] + places[2] - 1, rtol=1e-6)
        np.testing.assert_allclose(read[1], (places[0] - places[1]) / 10, rtol=1e-6)
        assert read.dtype == np.float32


def test_surfaces_are_scaled_where_they_are_integers_only(tmp_path):
    values = np.arange(5 * 9000).reshape(5, 9000) % 977
    with h5py.File(tmp_path / "lh.betas_session01.hdf5", "w") as file:
        file["betas"] = values.astype(np.int16)
    stored = (values / 300).astype(np.float32).T[:, None, None, :]
    nibabel.save(nibabel.MGHImage(stored, np.eye(4)), tmp_path / "lh.betas_session01.mgh")
    targets = np.array([0, 4095, 4096, 8999])
    for name in ("lh.betas_session01.hdf5", "lh.betas_session01.mgh"):
        assert betas_shape(tmp_path / name) == (5, (9000,))
        np.testing.assert_allclose(read_betas(tmp_path / name, targets), values[:, targets] / 300, rtol=1e-6)


def test_reading_some_vertices_holds_little_more_than_these(tmp_path):
    file = tmp_path / "lh.betas_session01.hdf5"
    with h5py.File(file, "w") as opened:
        opened.create_dataset("betas", shape=(100, 200_000), dtype=np.int16, chunks=(100, 64), fillvalue=7)
    targets = np.arange(0, 200_000, 1000)
    tracemalloc.start()
    read_betas(file, targets)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4e6 < 100 * 200_000 * 2


def test_z_scores_divide_by_the_number_of_trials_and_mark_what_does_not_vary():
    betas = np.random.default_rng(0).normal(3, 2, (40, 4)).astype(np.float32)
    betas[:, 1], betas[5, 2] = 8, np.nan
    scored = zscored(betas)
    assert np.isnan(scored[:, 1:3]).all()
    np.testing.assert_allclose(scored[:, [0, 3]].mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(scored[:, [0, 3]].std(0, ddof=0), 1, rtol=1e-6)


def test_the_image_of_a_trial_follows_the_manual_s_formula(simulated):
    file = loadmat(simulated / "nsd/nsddata/experiments/nsd/nsd_expdesign.mat")
    shown = read_design(simulated / "nsd").shown("subj04", [3, 7])
    for session, row in ((3, 0), (7, 1)):
        for trial in (0, 14):
            j = (session - 1) * 15 + trial
            expected = file["subjectim"][3, int(file["masterordering"][0, j]) - 1] - 1
            assert shown[row, trial] == expected


@pytest.mark.parametrize("space", SPACES)
def test_responses_follow_the_planted_features_of_their_images_and_of_no_neighbours(simulated, recordings, space):
    recording = open_recording(recordings[space])
    features = np.load(simulated / "truth" / "features.npz")["features"]
    ncsnr, weights = _planted(simulated, "subj01", space, recording)
    numbers, responses = _numbers(recording.training), _all(recording.training)
    r = pearson(features[numbers] @ weights, responses)
    expected = np.sqrt(ncsnr_ceiling(ncsnr, {3: 1}))
    # z-scoring sessions of 15 trials takes a little away.
    assert abs(np.mean(r - expected)) < 0.04 and np.corrcoef(r, expected)[0, 1] > 0.8
    for shift in (-1, 1):
        off = pearson(features[(numbers + shift) % len(features)] @ weights, responses)
        assert abs(np.mean(off)) < 0.06 and np.abs(off).max() < 0.35


def test_pixels_of_the_stimulus_set_are_those_that_the_responses_follow(simulated, recordings, tmp_path):
    manifest = prepare_stimuli(StimuliJob(tmp_path, (NsdTree(simulated / "nsd", ["subj01"]),), 8.0))
    files = image_files(manifest)
    recording = open_recording(recordings["nativesurface"])
    assert set(files) == {*recording.training.stimulus_ids, *recording.test.stimulus_ids}
    pixels = np.stack([np.asarray(Image.open(files[stimulus].path)) for stimulus in recording.test.stimulus_ids])
    _, weights = _planted(simulated, "subj01", "nativesurface", recording)
    features = image_features(pixels)
    features = (features - features.mean(0)) / features.std(0)
    assert np.mean(pearson(features @ weights, _all(recording.test))) > 0.5
    assert json.loads(manifest.read_text())["simulated"] is True


@pytest.mark.parametrize("space", SPACES)
def test_shared_images_are_the_test_set_and_targets_that_a_session_lacks_are_left_out(simulated, recordings, space):
    recording = open_recording(recordings[space])
    shared = read_design(simulated / "nsd").shared
    assert _numbers(recording.test).tolist() == shared.tolist()
    assert not np.isin(_numbers(recording.training), shared).any()
    assert recording.name == "subj01" and recording.simulated
    for part, left_out in recording.masked.items():
        truth = np.load(simulated / "truth" / f"subj01-{space}-{part}.npz")
        general = np.flatnonzero(truth["nsdgeneral"].ravel() > 0)
        assert general[left_out].tolist() == truth["broken"].tolist()
    assert np.isfinite(_all(recording.training)).all() and np.isfinite(_all(recording.test)).all()
    assert (recording.fsaverage is not None) == (space == "fsaverage")


def test_ceilings_follow_from_the_planted_ncsnr_and_the_trials_of_each_test_image(simulated, tmp_path):
    prepare_nsd_subject(NsdJob(simulated / "nsd", "subj04", tmp_path / "out", "fsaverage"))
    recording = open_recording(tmp_path / "out")
    ncsnr, _ = _planted(simulated, "subj04", "fsaverage", recording)
    assert set(recording.test.repeats) > {3}, "a subject without all sessions saw some images less often"
    np.testing.assert_allclose(recording.ncsnr, ncsnr)
    expected = ncsnr**2 / (ncsnr**2 + np.mean(1 / recording.test.repeats))
    np.testing.assert_allclose(recording.test.ceiling, expected, rtol=1e-5)
    rows = np.arange(len(recording.test.repeats))
    np.testing.assert_allclose(recording.ceiling_of(recording.test, rows), expected, rtol=1e-5)


@pytest.mark.parametrize("space", ["func1pt8mm", "nativesurface"])
def test_the_planted_ncsnr_is_what_the_trials_say(tmp_path, space):
    write_nsd_tree(
        tmp_path, NsdSettings(sessions=(("subj02", 40),), spaces=(space,), trials=150, nifti=(), image_size=4)
    )
    prepare_nsd_subject(NsdJob(tmp_path / "nsd", "subj02", tmp_path / "out", space, repeats="keep"))
    recording = open_recording(tmp_path / "out")
    trials = _all(recording.training).reshape(-1, 3, recording.n_targets).transpose(2, 0, 1)
    ids = np.array(recording.training.stimulus_ids).reshape(-1, 3)
    assert (ids == ids[:, :1]).all() and (recording.training.repeats == 1).all()
    planted = ncsnr_ceiling(_planted(tmp_path, "subj02", space, recording)[0], {3: 1})
    np.testing.assert_allclose(repeat_ceiling(trials), planted, atol=0.09)
    assert abs(np.mean(repeat_ceiling(trials) - planted)) < 0.015


def test_averages_are_the_means_of_what_is_kept_apart(simulated, recordings, tmp_path):
    prepare_nsd_subject(NsdJob(simulated / "nsd", "subj01", tmp_path / "kept", "nativesurface", repeats="keep"))
    averaged, kept = open_recording(recordings["nativesurface"]), open_recording(tmp_path / "kept")
    for split, single in ((averaged.training, kept.training), (averaged.test, kept.test)):
        ids, responses = np.array(single.stimulus_ids), _all(single)
        means = np.stack([responses[ids == stimulus].mean(0) for stimulus in split.stimulus_ids])
        np.testing.assert_allclose(_all(split), means, atol=1e-6)
        assert [int((ids == stimulus).sum()) for stimulus in split.stimulus_ids] == split.repeats.tolist()


def test_blocks_of_targets_give_what_one_block_gives(simulated):
    design = read_design(simulated / "nsd")
    splits = split_rows(design, "subj04", [1, 2, 3], "shared1000")
    folder = simulated / "nsd/nsddata_betas/ppdata/subj04/nativesurface/betas_fithrf_GLMdenoise_RR"
    files = [folder / f"rh.betas_session{session:02d}.hdf5" for session in (1, 2, 3)]
    targets = np.arange(2, 29)
    (whole,) = averaged_blocks(files, targets, splits, 100)
    parts = list(averaged_blocks(files, targets, splits, 0.003))
    assert len(parts) > 3
    for name in splits:
        joined = np.hstack([part.responses[name] for part in parts])
        np.testing.assert_array_equal(joined, whole.responses[name])
    np.testing.assert_array_equal(np.concatenate([part.usable for part in parts]), whole.usable)


@settings(max_examples=40)
@given(st.integers(0, 10_000), st.integers(4, 40), st.sampled_from(["average", "keep"]))
def test_each_trial_belongs_to_one_row_of_one_split(seed, n_sessions, repeats):
    rng = np.random.default_rng(seed)
    images = rng.permutation(90).reshape(1, 90)
    design = Design(rng.permutation(np.repeat(np.arange(90), 3))[:240], images, np.sort(images[0, :9]))
    shown = design.shown("subj01", range(1, n_sessions + 1))
    splits = split_rows(design, "subj01", range(1, n_sessions + 1), "shared1000", repeats)
    assert ((splits["training"].row >= 0) ^ (splits["test"].row >= 0)).all()
    assert sum(rows.repeats.sum() for rows in splits.values()) == shown.size
    for rows in splits.values():
        assert (shown[rows.row >= 0] == rows.ids[rows.row[rows.row >= 0]]).all()
        assert (np.bincount(rows.row[rows.row >= 0], minlength=len(rows.ids)) == rows.repeats).all()
        assert (np.diff(rows.ids) >= 0).all()


def test_the_challenge_split_of_each_subject_is_that_of_its_tree(simulated):
    design = read_design(simulated / "nsd")
    for subject, sessions in (("subj01", 40), ("subj04", 30)):
        splits = split_rows(design, subject, range(1, sessions + 1), "challenge")
        for name, rows in splits.items():
            folder = simulated / "algonauts2023" / subject / f"{name}_split" / f"{name}_images"
            assert rows.stimulus_ids == [path.stem.split("_")[1] for path in sorted(folder.iterdir())]
        assert not np.isin(splits["training"].ids, splits["test"].ids).any()
        shared = np.isin(splits["test"].ids, design.shared)
        assert shared.any() == (sessions == 40), "shared images are tested in subjects with all sessions only"


def test_the_challenge_split_can_be_prepared_in_any_space(simulated, tmp_path):
    prepare_nsd_subject(NsdJob(simulated / "nsd", "subj04", tmp_path / "out", "func1pt8mm", tests=("challenge",)))
    recording = open_recording(tmp_path / "out")
    tree = simulated / "algonauts2023" / "subj04"
    assert len(recording.test.stimulus_ids) == len(list((tree / "test_split" / "test_images").iterdir()))
    assert len(recording.training.stimulus_ids) == len(
        np.load(tree / "training_split/training_fmri/lh_training_fmri.npy")
    )
