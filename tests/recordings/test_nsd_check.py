"""Everything that is wrong with a tree of NSD is told at once, before anything is read."""

import h5py
import nibabel
import numpy as np
import pytest
from scipy.io import loadmat, savemat

from neuroscaling.core.errors import DataError
from neuroscaling.core.files import write_json
from neuroscaling.recordings.nsd_check import check_nsd_tree
from neuroscaling.recordings.nsd_regions import read_label_names
from neuroscaling.stimuli.nsd_design import design_file, read_design
from neuroscaling.stimuli.nsd_images import nsd_stimuli_file
from neuroscaling.stimuli.sources import find_stimuli
from neuroscaling.study.stimulus_sources import NsdTree
from tests.support.simulated_nsd import NsdSettings, write_nsd_tree

BETAS = "nsddata_betas/ppdata/{}/{}/betas_fithrf_GLMdenoise_RR"


@pytest.fixture
def tree(tmp_path):
    return write_nsd_tree(tmp_path, NsdSettings(sessions=(("subj01", 4), ("subj02", 3))))


def _told(tree, subjects="all"):
    return "\n".join(map(str, check_nsd_tree(tree, subjects)))


def _betas(tree, subject, space):
    return tree / BETAS.format(subject, space)


def _rewrite_design(tree, **changes):
    path = design_file(tree)
    content = {name: values for name, values in loadmat(path).items() if not name.startswith("__")}
    savemat(path, {name: changes.get(name, lambda v: v)(values) for name, values in content.items()})


def test_a_sound_tree_has_no_problems(tree):
    assert check_nsd_tree(tree) == []
    assert check_nsd_tree(str(tree), ["subj02"]) == []


def test_everything_is_told_at_once(tree):
    (_betas(tree, "subj01", "fsaverage") / "rh.betas_session02.mgh").unlink()
    (_betas(tree, "subj01", "nativesurface") / "lh.ncsnr.mgh").unlink()
    (_betas(tree, "subj02", "func1pt8mm") / "betas_session01.hdf5").write_bytes(b"no HDF5")
    (tree / "nsddata/freesurfer/subj02/label/rh.nsdgeneral.mgz").unlink()
    nsd_stimuli_file(tree).unlink()
    text = _told(tree)
    assert "rh.betas_session02.mgh: file is missing" in text
    assert "lh.ncsnr.mgh: file is missing" in text
    assert "betas_session01.hdf5: not an HDF5 file, or cut short" in text
    assert "rh.nsdgeneral.mgz: file is missing" in text
    assert "nsd_stimuli.hdf5: file is missing" in text
    assert "subj01" not in _told(tree, ["subj02"])


def test_sessions_that_lack_and_sessions_too_many_are_named(tree):
    folder = _betas(tree, "subj01", "nativesurface")
    for side in ("lh", "rh"):
        (folder / f"{side}.betas_session02.hdf5").rename(folder / f"{side}.betas_session07.hdf5")
    text = _told(tree)
    assert "scan sessions are missing before others that are there" in text and "found:    2, 5, 6" in text
    assert "scan sessions that this subject didn't have" in text and "found:    7" in text and "1 to 4" in text


def test_files_of_other_shapes_types_and_trials_are_named(tree):
    native, volume, average = (_betas(tree, "subj01", s) for s in ("nativesurface", "func1pt8mm", "fsaverage"))
    with h5py.File(native / "lh.betas_session02.hdf5", "w") as file:
        file["betas"] = np.zeros((15, 29), np.int16)
    with h5py.File(native / "rh.betas_session03.hdf5", "w") as file:
        file["betas"] = np.zeros((14, 31), np.int16)
    with h5py.File(native / "rh.betas_session04.hdf5", "w") as file:
        file["betas"] = np.zeros((15, 31), np.float32)
    with h5py.File(native / "lh.betas_session04.hdf5", "w") as file:
        file["data"] = np.zeros((15, 30), np.int16)
    with h5py.File(volume / "betas_session03.hdf5", "w") as file:
        file["betas"] = np.zeros((15, 5, 4, 3), np.int16)  # not turned: X, Y, Z
    scaled = nibabel.Nifti1Image(np.zeros((5, 4, 3, 15), np.int16), np.eye(4))
    scaled.header.set_slope_inter(1 / 300, 0)
    nibabel.save(scaled, volume / "betas_session02.nii.gz")
    flat = nibabel.MGHImage(np.zeros((36, 15), np.float32)[:, :, None], np.eye(4))
    nibabel.save(flat, average / "lh.betas_session01.mgh")
    text = _told(tree)
    assert "lh.betas_session02.hdf5: another shape than session 01" in text and "(29,)" in text
    assert "rh.betas_session03.hdf5: the number of trials is not the design's" in text
    assert "rh.betas_session04.hdf5: not the betas of a scan session" in text and "float32" in text
    assert "lh.betas_session04.hdf5: no such data in the file" in text
    assert "betas_session03.hdf5: another shape than session 01" in text and "(3, 4, 5)" in text
    assert "betas_session02.nii.gz: not the betas of a scan session" in text
    assert "lh.betas_session01.mgh: not the betas of a scan session" in text


def test_a_real_tree_must_have_the_real_sizes(tree):
    assert check_nsd_tree(tree) == []
    write_json(tree.parent / "manifest.json", {"simulated": False})
    text = _told(tree)
    assert "not the vertices of fsaverage" in text and "163842" in text
    assert "not NSD's images" in text and "(73000, 425, 425, 3) uint8" in text


def test_images_of_another_type_are_named(tree):
    nsd_stimuli_file(tree).unlink()
    with h5py.File(nsd_stimuli_file(tree), "w") as file:
        file["imgBrick"] = np.zeros((20, 4, 4, 3), np.float32)
    assert "not NSD's images" in _told(tree)
    with pytest.raises(DataError, match="names images that the file doesn't have"):
        find_stimuli(NsdTree(tree))


def test_a_file_of_images_without_images_is_named(tree):
    nsd_stimuli_file(tree).unlink()
    with h5py.File(nsd_stimuli_file(tree), "w") as file:
        file["images"] = np.zeros(3)
    assert "allowed:  images" in _told(tree)
    nsd_stimuli_file(tree).write_bytes(b"cut")
    with pytest.raises(DataError, match="not an HDF5 file, or cut short"):
        find_stimuli(NsdTree(tree))


def test_stimuli_of_a_missing_subject_come_with_the_nearest(tree):
    with pytest.raises(DataError, match="nearest:  subj02"):
        find_stimuli(NsdTree(tree, ["subj20"]))


def test_rois_and_ncsnr_of_another_space_and_broken_tables_are_named(tree):
    labels = tree / "nsddata/freesurfer/subj01/label"
    (labels / "lh.floc-faces.mgz").write_bytes((labels / "rh.floc-faces.mgz").read_bytes())
    (labels / "rh.prf-visualrois.mgz").unlink()
    (tree / "nsddata/freesurfer/subj02/label/streams.mgz.ctab").write_text("early 1\n")
    (tree / "nsddata/freesurfer/subj02/label/prf-visualrois.mgz.ctab").unlink()
    folder = _betas(tree, "subj02", "nativesurface")
    (folder / "lh.ncsnr.mgh").write_bytes((folder / "rh.ncsnr.mgh").read_bytes())
    (tree / "nsddata/ppdata/subj02/func1pt8mm/roi/streams.nii.gz").write_bytes(b"no NIfTI")
    text = _told(tree)
    assert "lh.floc-faces.mgz: the ROI is of another space than the responses" in text
    assert "rh.prf-visualrois.mgz: file is missing" in text
    assert "streams.mgz.ctab: not a table of ROIs" in text
    assert "prf-visualrois.mgz.ctab: file is missing" in text
    assert "lh.ncsnr.mgh: ncsnr is of another space than the responses" in text
    assert "streams.nii.gz: not an image that nibabel reads, or cut short" in text


def test_a_table_of_rois_may_have_comments_and_colours(tmp_path):
    (tmp_path / "x.mgz.ctab").write_text("#$Id\n\n  0  Unknown  0 0 0 0\n 12  FFA-1  9 9 9 0\n")
    assert read_label_names(tmp_path / "x.mgz.ctab") == {0: "Unknown", 12: "FFA-1"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"masterordering": lambda v: v - 1}, "masterordering doesn't count the images of a subject from 1"),
        ({"masterordering": lambda v: v[:, :-1]}, "scan sessions can't share equally"),
        ({"subjectim": lambda v: v - 1}, "subjectim doesn't count images from 1"),
        ({"subjectim": lambda v: v + 1}, "do sharedix and subjectim count from the same number"),
        ({"sharedix": lambda v: v + 1}, "do sharedix and subjectim count from the same number"),
        ({"subjectim": lambda v: v[:, :0]}, "a variable is empty"),
    ],
)
def test_a_design_that_counts_otherwise_is_refused(tree, changes, message):
    _rewrite_design(tree, **changes)
    with pytest.raises(DataError, match=message):
        read_design(tree)
    assert message in _told(tree)


def test_a_design_without_its_variables_or_content_is_refused(tree):
    savemat(design_file(tree), {"masterordering": np.ones((1, 40))})
    with pytest.raises(DataError, match="subjectim, sharedix"):
        read_design(tree)
    design_file(tree).write_bytes(b"no MATLAB file, and that for more than a header's length of bytes " * 4)
    with pytest.raises(DataError, match="not a MATLAB file, or cut short"):
        read_design(tree)
    design_file(tree).unlink()
    assert "nsd_expdesign.mat: file is missing" in _told(tree)


def test_folders_without_subjects_or_responses_are_named(tree, tmp_path):
    assert "no folder nsddata_betas/ppdata/subj01" in _told(tmp_path)
    (tree / "nsddata_betas/ppdata/subj03").mkdir()
    text = _told(tree, ["subj03", "sub01"])
    assert "subj03: no responses in any space" in text
    assert "nearest:  subj01" in text
