"""Preparation of a subject of raw NSD: choices, faults, records and memory, on small SIMULATED experiments."""

import json
import shutil
import tracemalloc

import h5py
import nibabel
import numpy as np
import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.core.hashing import ArtefactName
from neuroscaling.recordings.nsd_betas import averaged_blocks
from neuroscaling.recordings.nsd_preparation import prepare_nsd_subject
from neuroscaling.recordings.nsd_splits import split_rows
from neuroscaling.recordings.prepared import damaged_files, open_recording, read_manifest
from neuroscaling.stimuli.nsd_design import Design
from neuroscaling.study.preparation_jobs import NsdJob
from tests.support.simulated_nsd import NsdSettings, write_nsd_tree

FEW = NsdSettings(sessions=(("subj01", 5), ("subj04", 3)))


@pytest.fixture
def few(tmp_path):
    write_nsd_tree(tmp_path, FEW)
    return tmp_path


def test_chosen_sessions_alone_are_read(few, tmp_path):
    broken = few / "nsd/nsddata_betas/ppdata/subj01/fsaverage/betas_fithrf_GLMdenoise_RR/lh.betas_session02.mgh"
    broken.write_bytes(b"")
    manifest = read_manifest(
        prepare_nsd_subject(NsdJob(few / "nsd", "subj01", tmp_path / "o", "fsaverage", sessions=[5, 3, 4])).parent
    )
    assert manifest.settings["sessions"] == [3, 4, 5]
    assert sum(sum(rows.repetitions) for rows in manifest.splits.values()) == 3 * 15


def test_regions_follow_the_names_in_the_table_and_not_the_integers(few, tmp_path):
    label = few / "nsd/nsddata/freesurfer/subj01/label/prf-visualrois.mgz.ctab"
    label.write_text("0 Unknown\n5 V1v 10 20 30 0\n1 V1d 1 1 1 0\n2 hV4\n", encoding="utf-8")
    prepare_nsd_subject(NsdJob(few / "nsd", "subj01", tmp_path / "out", "nativesurface", regions=["V1", "hV4"]))
    recording = open_recording(tmp_path / "out")
    truth = {part: np.load(few / "truth" / f"subj01-nativesurface-{part}.npz") for part in ("lh", "rh")}
    for part, planted in truth.items():
        areas = planted["prf-visualrois"][np.isin(planted["prf-visualrois"], [1, 2, 5])]
        here = recording.hemisphere == part
        assert (here.sum() + len(recording.masked[part])) == len(areas)
        of_used = areas[recording.vertex[here]]
        np.testing.assert_array_equal(recording.regions["V1"][here], np.isin(of_used, [1, 5]))
        np.testing.assert_array_equal(recording.regions["hV4"][here], of_used == 2)
    assert "V2" not in recording.regions


def test_a_region_of_another_subject_s_space_is_refused(few, tmp_path):
    label = few / "nsd/nsddata/ppdata"
    (label / "subj01/func1pt8mm/roi/streams.nii.gz").write_bytes(
        (label / "subj04/func1pt8mm/roi/streams.nii.gz").read_bytes()
    )
    with pytest.raises(DataError, match="another space than the responses") as error:
        prepare_nsd_subject(NsdJob(few / "nsd", "subj01", tmp_path / "out", "func1pt8mm"))
    assert "(6, 4, 3)" in str(error.value) and "(5, 4, 3)" in str(error.value)


def test_unknown_choices_come_with_the_nearest(few, tmp_path):
    out = tmp_path / "out"
    with pytest.raises(DataError, match="nearest:  func1pt8mm"):
        prepare_nsd_subject(NsdJob(few / "nsd", "subj01", out, "func1p8mm"))
    with pytest.raises(DataError, match="nearest:  subj01"):
        prepare_nsd_subject(NsdJob(few / "nsd", "sub01", out, "fsaverage"))
    with pytest.raises(DataError, match="nearest:  shared1000") as error:
        prepare_nsd_subject(NsdJob(few / "nsd", "subj01", out, "fsaverage", tests=("shared",), repeats="mean"))
    assert "unknown choice of `repeats`" in str(error.value)
    with pytest.raises(DataError, match="nearest:  nsdgeneral"):
        prepare_nsd_subject(NsdJob(few / "nsd", "subj01", out, "fsaverage", regions="nsd-general"))
    with pytest.raises(DataError, match="scan sessions are missing") as error:
        prepare_nsd_subject(NsdJob(few / "nsd", "subj01", out, "fsaverage", sessions=[4, 6]))
    assert "found:    6" in str(error.value)
    assert not out.exists()


def test_sessions_without_a_shared_image_give_no_test_set(tmp_path):
    write_nsd_tree(tmp_path, NsdSettings(sessions=(("subj01", 1),), shared=2, spaces=("fsaverage",)))
    with pytest.raises(DataError, match="no test image was shown"):
        prepare_nsd_subject(NsdJob(tmp_path / "nsd", "subj01", tmp_path / "out", "fsaverage"))


def test_a_file_that_breaks_off_leaves_no_half_written_folder(few, tmp_path):
    folder = few / "nsd/nsddata_betas/ppdata/subj01/fsaverage/betas_fithrf_GLMdenoise_RR"
    file = folder / "rh.betas_session04.mgh"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(DataError, match="cut short") as error:
        prepare_nsd_subject(NsdJob(few / "nsd", "subj01", tmp_path / "new" / "out", "fsaverage"))
    assert str(file) in str(error.value)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_prepared_folder_says_when_it_was_changed(few, tmp_path):
    folder = prepare_nsd_subject(NsdJob(few / "nsd", "subj01", tmp_path / "out", "fsaverage")).parent
    assert damaged_files(folder) == []
    values = np.load(folder / "shared1000.npy")
    values[0, 0] += 1
    np.save(folder / "shared1000.npy", values)
    assert [problem.where for problem in damaged_files(folder)] == [str(folder / "shared1000.npy")]
    np.save(folder / "shared1000.npy", values[:, :-1])
    (folder / "training.npy").write_bytes(b"")
    with pytest.raises(DataError, match="changed since it was written") as error:
        open_recording(folder)
    sums = json.loads((folder / "manifest.json").read_text())["sha256"]
    text = str(error.value)
    assert all(word in text for word in (str(folder / "training.npy"), sums["training.npy"], sums["shared1000.npy"]))


def test_a_prepared_folder_is_made_once_and_stands_under_its_own_name(few, tmp_path):
    definition = {"space": "fsaverage", "tests": ["shared1000"]}
    out = tmp_path / str(ArtefactName("nsd", definition)) / "subj01"
    manifest = prepare_nsd_subject(NsdJob(few / "nsd", "subj01", out, "fsaverage", definition=definition))
    assert read_manifest(out).definition == definition
    written = manifest.stat().st_mtime_ns
    assert (
        prepare_nsd_subject(NsdJob(tmp_path / "moved away", "subj01", out, "fsaverage", definition=definition))
        == manifest
    )
    assert manifest.stat().st_mtime_ns == written
    other = tmp_path / "nsd-00000000" / "subj01"
    shutil.copytree(out, other)
    with pytest.raises(DataError, match="another artefact") as error:
        open_recording(other)
    assert "00000000" in str(error.value) and out.parent.name[-8:] in str(error.value)
    manifest.write_text(manifest.read_text().replace('"nsd"', '"nsc"'))
    with pytest.raises(DataError, match="the file was altered"):
        open_recording(out)


def test_a_folder_of_another_format_is_refused(tmp_path):
    with pytest.raises(DataError, match="file is missing"):
        open_recording(tmp_path)
    (tmp_path / "manifest.json").write_text('{"format": "stimuli/2"}')
    with pytest.raises(DataError, match="another format"):
        open_recording(tmp_path)


def test_targets_without_a_finite_ncsnr_are_left_out(few, tmp_path):
    file = few / "nsd/nsddata_betas/ppdata/subj01/fsaverage/betas_fithrf_GLMdenoise_RR/rh.ncsnr.mgh"
    values = np.array(nibabel.load(file).dataobj)
    general = np.flatnonzero(np.load(few / "truth/subj01-fsaverage-rh.npz")["nsdgeneral"])
    broken = np.load(few / "truth/subj01-fsaverage-rh.npz")["broken"]
    lost = next(column for column, vertex in enumerate(general) if vertex not in broken)
    values[general[lost]] = np.nan
    nibabel.save(nibabel.MGHImage(values, np.eye(4)), file)
    prepare_nsd_subject(NsdJob(few / "nsd", "subj01", tmp_path / "out", "fsaverage"))
    recording = open_recording(tmp_path / "out")
    assert lost in recording.masked["rh"] and len(recording.masked["rh"]) == 3
    assert np.isfinite(recording.test.ceiling).all()


@pytest.mark.parametrize("vertices", [3_000, 30_000])
def test_what_is_held_at_once_is_bounded_while_targets_grow(tmp_path, vertices):
    rng = np.random.default_rng(0)
    images = rng.permutation(400)[None]
    design = Design(rng.integers(0, 400, 40 * 100), images, np.sort(images[0, :40]))
    splits = split_rows(design, "subj01", [1, 2], "shared1000")
    files = [tmp_path / f"lh.betas_session{session:02d}.hdf5" for session in (1, 2)]
    for file in files:
        with h5py.File(file, "w") as opened:
            opened["betas"] = rng.integers(-900, 900, (100, vertices), dtype=np.int16)
    assert sum(block.usable.sum() for block in averaged_blocks(files, np.arange(vertices), splits, 4)) == vertices
    tracemalloc.start()
    for block in averaged_blocks(files, np.arange(vertices), splits, 4):
        del block
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6e6, "the bound, and a stretch of the file"
