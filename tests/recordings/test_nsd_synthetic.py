"""NSD-synthetic as a second test set of NSD, on a small SIMULATED tree in the true layout with planted truth."""

import io
import json
import shutil

import h5py
import nibabel
import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from neuroscaling.core.array_files import open_hdf5
from neuroscaling.core.errors import DataError
from neuroscaling.recordings.nsd_check import check_nsd_tree
from neuroscaling.recordings.nsd_preparation import prepare_nsd_subject
from neuroscaling.recordings.nsd_synthetic import read_session, synthetic_blocks
from neuroscaling.recordings.prepared import open_recording, read_manifest
from neuroscaling.regression.scores import pearson
from neuroscaling.stimuli.manifest import image_files
from neuroscaling.stimuli.nsd_synthetic import read_synthetic_order
from neuroscaling.stimuli.preparation import prepare_stimuli
from neuroscaling.stimuli.sources import find_stimuli
from neuroscaling.study.nsd_tree import NsdPlace
from neuroscaling.study.preparation_jobs import NsdJob
from neuroscaling.study.recording_jobs import StimuliJob
from neuroscaling.study.stimulus_sources import NsdTree
from tests.support.simulated_nsd import NsdSettings, image_features, write_nsd_tree
from tests.support.simulated_nsd_synthetic import add_nsd_synthetic

SPACES = ("func1pt8mm", "nativesurface", "fsaverage")
TESTS = ("shared1000", "nsd_synthetic")
FOLDER = "nsdsyntheticbetas_fithrf_GLMdenoise_RR"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A SIMULATED tree of two subjects with a few scan sessions, and NSD-synthetic."""
    root = tmp_path_factory.mktemp("nsd")
    write_nsd_tree(root, NsdSettings(sessions=(("subj01", 10), ("subj04", 6))))
    add_nsd_synthetic(root)
    return root


@pytest.fixture(scope="module")
def recordings(simulated):
    """The prepared recordings of subj01, by space."""
    jobs = {space: NsdJob(simulated / "nsd", "subj01", simulated / space, space, tests=TESTS) for space in SPACES}
    return {space: open_recording(prepare_nsd_subject(job).parent) for space, job in jobs.items()}


@pytest.fixture
def copied(simulated, tmp_path):
    """A copy of the tree, to spoil."""
    shutil.copytree(simulated, tmp_path / "copy")
    return tmp_path / "copy" / "nsd"


def _all(split):
    return split.responses.read(0, split.responses.shape[1])


def _stored(root, subject, space, part):
    """Responses (trials, targets) in per cent signal change as the file has them."""
    folder = root / "nsd/nsddata_betas/ppdata" / subject / space / FOLDER
    if space == "fsaverage":
        return np.array(nibabel.load(folder / f"{part}.betas_nsdsynthetic.mgh").dataobj)[:, 0, 0].T
    with h5py.File(folder / f"{'' if part == 'both' else part + '.'}betas_nsdsynthetic.hdf5") as file:
        betas = file["betas"][:] / 300
    return betas.transpose(0, 3, 2, 1).reshape(len(betas), -1) if part == "both" else betas


def _truth(root, recording, space, name, key):
    """What was planted in the used targets of a recording."""
    parts = []
    for part in dict.fromkeys(recording.hemisphere):
        general = np.load(root / "truth" / f"{recording.name}-{space}-{part}.npz")["nsdgeneral"].ravel() > 0
        planted = np.load(root / "truth" / f"{recording.name}-{space}-{part}{name}.npz")[key]
        parts.append(planted[..., np.flatnonzero(general)[recording.vertex[recording.hemisphere == part]]])
    return np.concatenate(parts, axis=-1)


@pytest.mark.parametrize("space", SPACES)
def test_rows_are_averages_of_the_z_scored_trials_of_each_image(simulated, recordings, space):
    recording = recordings[space]
    order = read_synthetic_order(simulated / "nsd")
    assert list(recording.tests) == list(TESTS) and recording.test is recording.tests["shared1000"]
    synthetic = recording.tests["nsd_synthetic"]
    assert synthetic.stimulus_ids[0] == "nsdsynthetic-001" and synthetic.stimulus_ids[219] == "nsdsynthetic-220"
    assert synthetic.stimulus_ids[220] == "nsdsynthetic-subj01-221" and len(synthetic.stimulus_ids) == 284
    assert synthetic.repeats.tolist() == [int((order == n).sum()) for n in range(1, 285)]
    assert sum(synthetic.repeats) == 744 and set(synthetic.repeats) == {2, 4, 8, 10}
    responses = _all(synthetic)
    for part in dict.fromkeys(recording.hemisphere):
        stored = _stored(simulated, "subj01", space, part)
        general = np.load(simulated / "truth" / f"subj01-{space}-{part}.npz")["nsdgeneral"].ravel() > 0
        chosen = np.flatnonzero(general)[recording.vertex[recording.hemisphere == part]]
        scored = (stored[:, chosen] - stored[:, chosen].mean(0)) / stored[:, chosen].std(0)
        expected = np.stack([scored[order == n].mean(0) for n in range(1, 285)])
        np.testing.assert_allclose(responses[:, recording.hemisphere == part], expected, atol=2e-5)


@pytest.mark.parametrize("space", SPACES)
def test_a_target_that_the_session_lacks_is_left_out_of_all_test_sets(simulated, recordings, space):
    recording = recordings[space]
    for part, left_out in recording.masked.items():
        planted = np.load(simulated / "truth" / f"subj01-{space}-{part}.npz")
        lost = np.load(simulated / "truth" / f"subj01-{space}-{part}-synthetic.npz")["lost"]
        general = np.flatnonzero(planted["nsdgeneral"].ravel() > 0)
        assert general[left_out].tolist() == sorted([*planted["broken"].tolist(), int(lost)])
    shapes = {split.responses.shape[1] for split in [recording.training, *recording.tests.values()]}
    assert shapes == {recording.n_targets}


@pytest.mark.parametrize("space", SPACES)
def test_ceilings_come_from_the_session_s_own_trials(simulated, recordings, space):
    found = recordings[space].tests["nsd_synthetic"].ceiling
    planted = _truth(simulated, recordings[space], space, "-synthetic", "ceiling")
    np.testing.assert_allclose(found, planted, atol=0.12)
    assert abs(np.mean(found - planted)) < 0.02
    of_photographs = recordings[space].tests["shared1000"].ceiling
    assert not np.allclose(found, of_photographs, atol=0.1), "NSD's ncsnr would not do"


def test_single_trials_have_the_ceiling_of_single_trials(simulated, recordings, tmp_path):
    job = NsdJob(simulated / "nsd", "subj01", tmp_path / "kept", "nativesurface", repeats="keep", tests=TESTS)
    kept = open_recording(prepare_nsd_subject(job).parent).tests["nsd_synthetic"]
    averaged = recordings["nativesurface"].tests["nsd_synthetic"]
    assert len(kept.stimulus_ids) == 744 and set(kept.repeats) == {1}
    ids = np.array(kept.stimulus_ids)
    means = np.stack([_all(kept)[ids == stimulus].mean(0) for stimulus in averaged.stimulus_ids])
    np.testing.assert_allclose(_all(averaged), means, atol=1e-5)
    weight = np.mean(1 / averaged.repeats)
    ratio = averaged.ceiling * weight / (1 - averaged.ceiling)
    np.testing.assert_allclose(kept.ceiling, ratio / (ratio + 1), rtol=1e-4)


def test_a_mapping_that_was_fitted_on_photographs_predicts_the_synthetic_images(simulated, recordings, tmp_path):
    source = NsdTree(simulated / "nsd", ["subj01"], synthetic=True)
    manifest = prepare_stimuli(StimuliJob(tmp_path, (source,), None))
    files = image_files(manifest)
    assert json.loads(manifest.read_text())["source"] == [{"kind": "nsd", "subjects": ["subj01"], "synthetic": True}]
    recording = recordings["fsaverage"]
    splits = [recording.training, *recording.tests.values()]
    assert set(files) == {stimulus for split in splits for stimulus in split.stimulus_ids}
    features = [
        image_features(np.stack([np.asarray(Image.open(files[stimulus].path)) for stimulus in split.stimulus_ids]))
        for split in splits
    ]
    training = np.hstack([features[0], np.ones((len(features[0]), 1))])
    weights = np.linalg.lstsq(training, _all(recording.training), rcond=None)[0]
    synthetic, ceiling = splits[2], splits[2].ceiling
    r = pearson(features[2] @ weights[:-1], _all(synthetic))
    assert np.mean(r) > 0.85 * np.mean(np.sqrt(ceiling)) and (r <= np.sqrt(ceiling) + 0.15).all()
    off_by_one = pearson(np.roll(features[2], 1, axis=0) @ weights[:-1], _all(synthetic))
    assert abs(np.mean(off_by_one)) < 0.1


def test_networks_see_the_middle_square_as_bright_as_the_authors_show_it(simulated):
    found = {s.stimulus_id: s for s in find_stimuli(NsdTree(simulated / "nsd", "all", synthetic=True))}
    assert len([name for name in found if name.startswith("nsdsynthetic-")]) == 220 + 2 * 64
    folder = simulated / "nsd/nsddata_stimuli/stimuli/nsdsynthetic"
    for name, file, row in (
        ("nsdsynthetic-001", "stimuli", 0),
        ("nsdsynthetic-220", "stimuli", 219),
        ("nsdsynthetic-subj04-221", "colorstimuli_subj04", 0),
        ("nsdsynthetic-subj01-284", "colorstimuli_subj01", 63),
    ):
        with open_hdf5(folder / f"nsdsynthetic_{file}.hdf5") as opened:
            stored = opened["imgBrick"][row]
        bright = Image.fromarray((np.sqrt(stored / 255) * 255).astype(np.uint8))
        side, left = bright.height, (bright.width - bright.height) // 2
        expected = np.asarray(bright.crop((left, 0, left + side, side)))
        pixels = np.asarray(Image.open(io.BytesIO(found[name].read())))
        np.testing.assert_array_equal(pixels, expected)
    assert "nsdsynthetic_colorstimuli_subj04.hdf5: imgBrick[0]" in found["nsdsynthetic-subj04-221"].name


def test_blocks_of_targets_give_what_one_block_gives(simulated):
    place = NsdPlace(simulated / "nsd", "subj01", "nativesurface")
    session = read_session(place, [(30,), (31,)], "average")
    targets = np.arange(1, 29)
    (whole,) = synthetic_blocks(session, 0, targets, 100)
    parts = list(synthetic_blocks(session, 0, targets, 0.5))
    assert len(parts) > 3
    np.testing.assert_array_equal(np.hstack([part.responses for part in parts]), whole.responses)
    np.testing.assert_array_equal(np.concatenate([part.ceiling for part in parts]), whole.ceiling)
    np.testing.assert_array_equal(np.concatenate([part.usable for part in parts]), whole.usable)


def test_compressed_volumes_are_read_alike(simulated, recordings, tmp_path):
    write_nsd_tree(tmp_path, NsdSettings(sessions=(("subj01", 10), ("subj04", 6))))
    add_nsd_synthetic(tmp_path, nifti=True)
    out = prepare_nsd_subject(NsdJob(tmp_path / "nsd", "subj01", tmp_path / "out", "func1pt8mm", tests=TESTS)).parent
    np.testing.assert_array_equal(
        _all(open_recording(out).tests["nsd_synthetic"]), _all(recordings["func1pt8mm"].tests["nsd_synthetic"])
    )


def test_the_main_test_set_is_the_same_without_the_second(simulated, recordings, tmp_path):
    prepare_nsd_subject(NsdJob(simulated / "nsd", "subj01", tmp_path / "out", "fsaverage"))
    alone, both = open_recording(tmp_path / "out"), recordings["fsaverage"]
    assert list(alone.tests) == ["shared1000"] and alone.test.stimulus_ids == both.test.stimulus_ids
    place = [f"{h}{v}" for h, v in zip(alone.hemisphere, alone.vertex, strict=True)]
    kept = np.isin(place, [f"{h}{v}" for h, v in zip(both.hemisphere, both.vertex, strict=True)])
    np.testing.assert_array_equal(_all(alone.test)[:, kept], _all(both.test))


def test_the_synthetic_images_can_be_the_main_test_set(simulated, tmp_path):
    job = NsdJob(simulated / "nsd", "subj04", tmp_path / "out", "nativesurface", tests=("nsd_synthetic", "shared1000"))
    folder = prepare_nsd_subject(job).parent
    assert read_manifest(folder).test_sets == ["nsd_synthetic", "shared1000"]
    assert open_recording(folder).test.stimulus_ids[-1] == "nsdsynthetic-subj04-284"


@pytest.mark.parametrize("tests", [("nsd_synthetic",), ("shared1000", "challenge"), ()])
def test_one_test_set_is_of_nsd_itself(simulated, tmp_path, tests):
    with pytest.raises(DataError, match="one test set is of NSD itself"):
        prepare_nsd_subject(NsdJob(simulated / "nsd", "subj01", tmp_path / "out", "fsaverage", tests=tests))


def _told(tree, **options):
    return "\n".join(map(str, check_nsd_tree(tree, **options)))


def test_a_sound_tree_has_no_problems_and_one_without_it_only_where_it_is_asked_for(copied):
    assert check_nsd_tree(copied, synthetic=True) == []
    shutil.rmtree(copied / "nsddata_betas/ppdata/subj04/fsaverage" / FOLDER)
    assert check_nsd_tree(copied) == [], "a space may be without it"
    text = _told(copied, synthetic=True)
    assert f"subj04/fsaverage/{FOLDER}/lh.betas_nsdsynthetic.mgh: file is missing" in text
    (copied / "nsddata_stimuli/stimuli/nsdsynthetic/nsdsynthetic_colorstimuli_subj04.hdf5").unlink()
    assert "nsdsynthetic_colorstimuli_subj04.hdf5: file is missing" in _told(copied)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda order: order[:-1], "not that of NSD-synthetic's session"),
        (lambda order: order - 1, "does it count from 0?"),
        (lambda order: order + 1, "doesn't show each image, counted from 1"),
        (lambda order: np.where(order == 7, 8, order), "without 7"),
    ],
)
def test_a_design_of_another_order_is_refused(simulated, tmp_path, change, message):
    order = read_synthetic_order(simulated / "nsd")
    folder = tmp_path / "nsddata/experiments/nsdsynthetic"
    folder.mkdir(parents=True)
    savemat(folder / "nsdsynthetic_expdesign.mat", {"masterordering": change(order)[None].astype(float)})
    with pytest.raises(DataError) as error:
        read_synthetic_order(tmp_path)
    assert message in str(error.value) and "nsdsynthetic_expdesign.mat" in str(error.value)


def test_files_of_other_shapes_and_types_are_named_all_at_once(copied, tmp_path):
    betas = copied / "nsddata_betas/ppdata/subj01"
    with h5py.File(betas / "nativesurface" / FOLDER / "lh.betas_nsdsynthetic.hdf5", "w") as file:
        file["betas"] = np.zeros((744, 30), np.float32)  # per cent already
    with h5py.File(betas / "nativesurface" / FOLDER / "rh.betas_nsdsynthetic.hdf5", "w") as file:
        file["betas"] = np.zeros((743, 31), np.int16)
    with h5py.File(betas / "func1pt8mm" / FOLDER / "betas_nsdsynthetic.hdf5", "w") as file:
        file["betas"] = np.zeros((744, 5, 4, 3), np.int16)  # not turned: X, Y, Z
    (betas / "fsaverage" / FOLDER / "rh.betas_nsdsynthetic.mgh").unlink()
    images = copied / "nsddata_stimuli/stimuli/nsdsynthetic/nsdsynthetic_stimuli.hdf5"
    images.unlink()
    with h5py.File(images, "w") as file:
        file["imgBrick"] = np.zeros((219, 12, 22, 3), np.uint8)
    text = _told(copied)
    assert "lh.betas_nsdsynthetic.hdf5: not the betas of a scan session" in text and "float32" in text
    assert "rh.betas_nsdsynthetic.hdf5: the number of trials is not that of NSD-synthetic" in text and "743" in text
    assert "another shape than the subject's sessions of NSD" in text and "(3, 4, 5)" in text
    assert "rh.betas_nsdsynthetic.mgh: file is missing" in text
    assert "nsdsynthetic_stimuli.hdf5: not NSD's images" in text and "(220, height, width, 3) uint8" in text
    with pytest.raises(DataError, match="not NSD's images"):
        find_stimuli(NsdTree(copied, ["subj01"], synthetic=True))
    with pytest.raises(DataError, match="743"):
        prepare_nsd_subject(NsdJob(copied, "subj01", tmp_path / "out", "nativesurface", tests=TESTS))
    assert not (tmp_path / "out").exists()


def test_a_real_tree_must_have_the_real_canvas(copied):
    (copied.parent / "manifest.json").unlink()
    assert "(220, 714, 1360, 3) uint8" in _told(copied) and "(64, 714, 1360, 3) uint8" in _told(copied)


def test_a_session_of_nothing_but_nan_is_refused(copied, tmp_path):
    file = copied / "nsddata_betas/ppdata/subj01/fsaverage" / FOLDER / "rh.betas_nsdsynthetic.mgh"
    nibabel.save(nibabel.MGHImage(np.full((36, 1, 1, 744), np.nan, np.float32), np.eye(4)), file)
    with pytest.raises(DataError, match="no target of this session is finite and varies") as error:
        prepare_nsd_subject(NsdJob(copied, "subj01", tmp_path / "out", "fsaverage", tests=TESTS))
    assert str(file) in str(error.value) and not (tmp_path / "out").exists()
