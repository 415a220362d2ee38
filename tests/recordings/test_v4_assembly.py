"""A V4 session as an assembly: its single trials, or its averages."""

import shutil
import zipfile
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from PIL import Image

from neuroscaling.core.errors import DataError
from neuroscaling.core.files import read_json
from neuroscaling.core.hashing import ArtefactName, file_sha256
from neuroscaling.core.v4_assembly_record import check_v4_assembly
from neuroscaling.recordings.v4_assembly import write_assembly
from neuroscaling.study.recording_jobs import V4AssemblyJob


@pytest.fixture
def v4_root(tmp_path: Path) -> Path:
    """A simulated V4 session: 12 images, two to five repeats of each, and one without repeats."""
    root, rng = tmp_path / "v4", np.random.default_rng(0)
    for folder in ("images", "responses_raw", "responses_repeat_averaged"):
        (root / folder).mkdir(parents=True)
    raw = rng.poisson(3, (4, 12, 5)) + rng.poisson(3, (4, 12, 1)).astype(float)
    for image in range(12):
        raw[:, image, rng.permutation(5)[: image % 4]] = np.nan
    np.save(root / "responses_raw" / "responses_111111.npy", raw)
    for session in ("111111", "222222"):
        np.save(root / "responses_repeat_averaged" / f"responses_{session}.npy", np.nanmean(raw, 2))
        with zipfile.ZipFile(root / "images" / f"images_{session}.zip", "w") as archive:
            for number in rng.permutation(12) + 1:
                image = BytesIO()
                Image.new("RGB", (8, 8), (int(number), 0, 0)).save(image, "PNG")
                archive.writestr(f"folder/image{number:04d}.jpg", image.getvalue())
    return root


def test_a_v4_session_becomes_single_trials(v4_root: Path, tmp_path: Path):
    manifest = read_json(write_assembly(V4AssemblyJob(v4_root, "111111", tmp_path / "out" / "111111")))
    assert (manifest["neuroids"], manifest["stimuli"], manifest["repetitions"]) == (4, 12, 5)
    with xr.open_dataarray(tmp_path / "out" / "111111" / "assembly.nc") as opened:
        trials = opened.load().squeeze("time_bin")
    raw = np.load(v4_root / "responses_raw" / "responses_111111.npy")
    assert trials.sizes["presentation"] == np.isfinite(raw[0]).sum() and np.isfinite(trials.values).all()
    for image in range(12):
        rows = trials["stimulus_id"].values == f"111111-{image + 1:04d}"
        assert trials["repetition"].values[rows].tolist() == list(range(rows.sum()))
        np.testing.assert_allclose(trials.values[rows].mean(0), np.nanmean(raw[:, image], 1))
    red = np.asarray(Image.open(tmp_path / "out" / "111111" / "images" / "111111-0007.jpg"))[0, 0, 0]
    assert red == 7


def test_an_assembly_is_made_once_and_its_files_are_those_of_its_manifest(v4_root: Path, tmp_path: Path):
    definition = {"window": [50, 150]}
    out = tmp_path / str(ArtefactName("v4", definition)) / "222222"
    job = V4AssemblyJob(v4_root, "222222", out, definition)
    written = write_assembly(job).stat().st_mtime_ns
    assert write_assembly(replace(job, root=tmp_path / "moved away")).stat().st_mtime_ns == written
    sums = {name: file_sha256(out / name) for name in ("assembly.nc", "stimuli.csv")}
    check_v4_assembly(out, sums)
    with pytest.raises(DataError, match="the file was altered") as error:
        check_v4_assembly(out, sums | {"stimuli.csv": "0" * 64})
    assert sums["stimuli.csv"] in str(error.value) and "0" * 64 in str(error.value)
    (out / "manifest.json").write_text((out / "manifest.json").read_text().replace("222222", "222223"))
    with pytest.raises(DataError, match="the file was altered"):
        check_v4_assembly(out, sums)
    shutil.rmtree(out)
    write_assembly(V4AssemblyJob(v4_root, "222222", out, {"window": [0, 1]}))
    with pytest.raises(DataError, match="another artefact"):
        check_v4_assembly(out, {name: file_sha256(out / name) for name in sums})


def test_a_v4_session_without_repeats_has_averages_and_no_repetitions(v4_root: Path, tmp_path: Path):
    assert read_json(write_assembly(V4AssemblyJob(v4_root, "222222", tmp_path / "out")))["repetitions"] is None
    with xr.open_dataarray(tmp_path / "out" / "assembly.nc") as opened:
        assert "repetition" not in opened.coords and opened.shape == (12, 4, 1)


def test_repeats_of_some_neurons_only_are_refused(v4_root: Path, tmp_path: Path):
    path = v4_root / "responses_raw" / "responses_111111.npy"
    raw = np.load(path)
    raw[0, 0, 0], raw[1:, 0, 0] = np.nan, 4.0
    np.save(path, raw)
    np.save(v4_root / "responses_repeat_averaged" / path.name, np.nanmean(raw, 2))
    with pytest.raises(DataError, match="1 repeats were made for some neurons only"):
        write_assembly(V4AssemblyJob(v4_root, "111111", tmp_path / "out"))
    assert not (tmp_path / "out").exists()
