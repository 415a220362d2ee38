"""The challenge's test split rebuilt from raw NSD: equal to what was withheld, or refused with the reason."""

import shutil

import numpy as np
import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.recordings.algonauts_recording import read_recording
from neuroscaling.recordings.nsd_challenge import rebuild_challenge
from neuroscaling.regression.scores import algonauts_score, pearson
from tests.support.simulated_nsd import NsdSettings, write_nsd_tree

TRAINING = "training_split/training_fmri/{}_training_fmri.npy"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    root = tmp_path_factory.mktemp("nsd")
    write_nsd_tree(root, NsdSettings(spaces=("fsaverage",)))
    return root


@pytest.fixture
def tree(simulated, tmp_path):
    """A fresh copy of the challenge's SIMULATED tree."""
    return shutil.copytree(simulated / "algonauts2023", tmp_path / "algonauts2023")


def _files(tree):
    return sorted(path for path in tree.rglob("*.npy") if "roi_masks" not in path.parts)


def _change(path, change):
    values = np.load(path)
    change(values)
    np.save(path, values)


@pytest.mark.parametrize("subject", ["subj01", "subj04"])
def test_what_was_withheld_is_rebuilt(simulated, tree, subject):
    written = rebuild_challenge(simulated / "nsd", tree, [subject])
    folder = tree / subject
    assert len(written) == 8 and all(path.is_file() for path in written)
    for side in ("lh", "rh"):
        truth = np.load(simulated / "truth" / f"{subject}-challenge-{side}.npz")
        planted = np.load(simulated / "truth" / f"{subject}-fsaverage-{side}.npz")["ncsnr"]
        test = np.load(folder / f"test_split/test_fmri/{side}_test_fmri.npy")
        ceiling = np.load(folder / f"test_split/noise_ceiling/{side}_noise_ceiling.npy")
        assert test.dtype == ceiling.dtype == np.float32
        np.testing.assert_allclose(test, truth["test"], atol=2e-6)
        np.testing.assert_allclose(ceiling, truth["ceiling"], rtol=1e-6)
        ncsnr = np.load(folder / f"test_split/noise_ceiling/{side}_ncsnr.npy")
        np.testing.assert_array_equal(ncsnr, planted[truth["vertices"]])
        assert np.load(folder / "test_split/repeats.npy").tolist() == truth["repeats"].tolist()
        assert np.load(folder / "training_split/repeats.npy").tolist() == truth["training_repeats"].tolist()
        # What can be predicted without noise scores 100 % at most, and much of it.
        assert algonauts_score(pearson(test, test), ceiling).mean() == 100


def test_the_reader_of_the_challenge_s_layout_finds_what_was_rebuilt(simulated, tree):
    assert read_recording(tree, "subj04").test.responses is None
    rebuild_challenge(simulated / "nsd", tree)
    recording = read_recording(tree, "subj04")
    truth = [np.load(simulated / "truth" / f"subj04-challenge-{side}.npz") for side in ("lh", "rh")]
    test = recording.test.responses.read(0, recording.n_targets)
    np.testing.assert_allclose(test, np.hstack([t["test"] for t in truth]), atol=2e-6)
    np.testing.assert_allclose(recording.test.ceiling, np.concatenate([t["ceiling"] for t in truth]), rtol=1e-6)
    assert recording.fsaverage.tolist() == np.concatenate([t["vertices"] for t in truth]).tolist()
    assert recording.test.repeats.tolist() == truth[0]["repeats"].tolist()
    rows = np.arange(len(recording.test.repeats))
    np.testing.assert_allclose(recording.ceiling_of(recording.test, rows), recording.test.ceiling, rtol=1e-6)


def test_memory_and_order_of_subjects_change_nothing(simulated, tree, tmp_path):
    other = shutil.copytree(tree, tmp_path / "other")
    rebuild_challenge(simulated / "nsd", tree)
    rebuild_challenge(simulated / "nsd", other, ["subj04", "subj01"], memory_mb=0.01)
    assert [path.relative_to(other) for path in _files(other)] == [path.relative_to(tree) for path in _files(tree)]
    for first, second in zip(_files(tree), _files(other), strict=True):
        np.testing.assert_array_equal(np.load(first), np.load(second))


def test_what_is_there_already_stays_where_it_is_equal_and_stops_all_where_it_is_not(simulated, tree):
    rebuild_challenge(simulated / "nsd", tree, ["subj01"])
    before = {path: path.stat().st_mtime_ns for path in _files(tree)}
    rebuild_challenge(simulated / "nsd", tree, ["subj01"])
    assert {path: path.stat().st_mtime_ns for path in _files(tree)} == before
    ceiling = tree / "subj01/test_split/noise_ceiling/rh_noise_ceiling.npy"
    _change(ceiling, lambda values: values.__imul__(100))
    (tree / "subj01/test_split/repeats.npy").unlink()
    with pytest.raises(DataError, match="is there already and differs") as error:
        rebuild_challenge(simulated / "nsd", tree, ["subj01"])
    assert str(ceiling) in str(error.value)
    assert not (tree / "subj01/test_split/repeats.npy").exists(), "nothing is written beside what differs"


def test_training_responses_that_differ_are_refused_with_the_largest_difference(simulated, tree):
    path = tree / "subj01" / TRAINING.format("rh")
    published = np.load(path)
    _change(path, lambda values: values.__setitem__((4, 7), values[4, 7] + 0.25))
    _change(path, lambda values: values.__setitem__((2, 3), values[2, 3] - 0.5))
    with pytest.raises(DataError, match=r"largest difference is 0\.5") as error:
        rebuild_challenge(simulated / "nsd", tree)
    (problem,) = error.value.problems
    vertices = np.flatnonzero(np.load(tree / "subj01/roi_masks/rh.all-vertices_fsaverage_space.npy"))
    image = sorted((tree / "subj01/training_split/training_images").iterdir())[2].stem.split("_")[1]
    assert f"of {image} (row 2) in column 3 (fsaverage vertex {vertices[3]})" in problem.what
    assert problem.where == str(path) and problem.value == pytest.approx(published[2, 3] - 0.5)
    assert not (tree / "subj01/test_split/test_fmri").exists()
    assert (tree / "subj04/test_split/test_fmri/lh_test_fmri.npy").is_file(), "other subjects are rebuilt"


@pytest.mark.parametrize(
    "change",
    [
        lambda values: values.__imul__(np.sqrt(14 / 15)),  # z-scored with ddof 1
        lambda values: values.__setitem__(slice(None), values[:, ::-1].copy()),  # vertices in another order
        lambda values: values.__setitem__(slice(None), np.roll(values, 1, axis=0)),  # images off by one
        lambda values: values.__setitem__((0, 0), np.nan),
    ],
)
def test_other_conventions_are_no_rounding(simulated, tree, change):
    _change(tree / "subj04" / TRAINING.format("lh"), change)
    with pytest.raises(DataError, match="not those of the tree: the largest difference"):
        rebuild_challenge(simulated / "nsd", tree, ["subj04"])


def test_file_names_that_count_from_one_are_found(simulated, tree):
    folder = tree / "subj01/training_split/training_images"
    for path in sorted(folder.iterdir(), reverse=True):
        stem, number = path.stem.split("_nsd-")
        path.rename(folder / f"{stem}_nsd-{int(number) + 1:05d}.png")
    with pytest.raises(DataError, match="all are off by one") as error:
        rebuild_challenge(simulated / "nsd", tree, ["subj01"])
    assert "the first in row 1" in str(error.value)


def test_images_of_another_number_and_folders_that_are_missing_are_all_named(simulated, tree):
    next((tree / "subj01/test_split/test_images").iterdir()).unlink()
    shutil.rmtree(tree / "subj04/training_split/training_images")
    with pytest.raises(DataError) as error:
        rebuild_challenge(simulated / "nsd", tree)
    text = str(error.value)
    assert "4 test images, but NSD's design gives 5" in text
    assert "folder of images is missing" in text and "subj04" in text


def test_two_subjects_exchanged_are_found(simulated, tree):
    for name in ("lh", "rh"):
        source = tree / "subj04" / TRAINING.format(name)
        shutil.copyfile(source, tree / "subj01" / TRAINING.format(name))
    with pytest.raises(DataError, match="not the training responses of this subject"):
        rebuild_challenge(simulated / "nsd", tree, ["subj01"])


def test_masks_and_responses_that_are_missing_or_of_another_space_are_named(simulated, tree):
    mask = tree / "subj01/roi_masks/lh.all-vertices_fsaverage_space.npy"
    np.save(mask, np.load(mask)[:-1])
    (tree / "subj01" / TRAINING.format("rh")).unlink()
    cut = tree / "subj04" / TRAINING.format("lh")
    cut.write_bytes(cut.read_bytes()[:90])
    with pytest.raises(DataError) as error:
        rebuild_challenge(simulated / "nsd", tree)
    text = str(error.value)
    assert "not a mask of the fsaverage vertices" in text and "(35,)" in text
    assert f"{tree / 'subj01' / TRAINING.format('rh')}: file is missing" in text
    assert "not a NumPy file, or cut short" in text and str(cut) in text


def test_all_scan_sessions_are_needed(simulated, tree, tmp_path):
    nsd = tmp_path / "simulated" / "nsd"
    shutil.copytree(simulated / "nsd", nsd)
    shutil.copyfile(simulated / "manifest.json", nsd.parent / "manifest.json")
    folder = nsd / "nsddata_betas/ppdata/subj04/fsaverage/betas_fithrf_GLMdenoise_RR"
    for side in ("lh", "rh"):
        (folder / f"{side}.betas_session30.mgh").unlink()
    with pytest.raises(DataError, match="needs all scan sessions") as error:
        rebuild_challenge(nsd, tree, ["subj04"])
    assert "1 to 30" in str(error.value)
    with pytest.raises(DataError, match="nearest:  subj04"):
        rebuild_challenge(nsd, tree, ["subj40"])
    with pytest.raises(DataError, match="no subject of the NSD tree"):
        rebuild_challenge(nsd, tmp_path)
