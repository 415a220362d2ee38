"""V4 recordings are read with checks, and fetched; the real ones where they are at hand."""

import io
import logging
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuroscaling.core.errors import DataError
from neuroscaling.recordings import v4_sessions
from neuroscaling.recordings.v4_sessions import fetch_session, load_session
from neuroscaling.regression.scores import pooled_score
from neuroscaling.study.recording_folders import v4_session_names

N_IMAGES, N_NEURONS, N_REPEATS = 12, 4, 5
BOTH = ("pls", "ridge")
REAL = Path(os.environ.get("NEUROSCALING_V4_DIR", Path(__file__).parents[3] / "shared" / "v4"))
needs_recordings = pytest.mark.skipif(
    not (REAL / "images").is_dir(), reason="V4 recordings are not here (set NEUROSCALING_V4_DIR)"
)


def archive(path, numbers, folder=""):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as file:
        for number in numbers:
            buffer = io.BytesIO()
            Image.new("RGB", (8, 8)).save(buffer, "JPEG")
            file.writestr(f"{folder}image{number:04d}.jpg", buffer.getvalue())


def responses_file(root, kind, session="111111"):
    return root / f"responses_{kind}" / f"responses_{session}.npy"


@pytest.fixture
def root(tmp_path):
    """One small simulated session in the repository's layout, its images listed out of order below a folder."""
    numbers = np.random.default_rng(1).permutation(N_IMAGES) + 1
    archive(tmp_path / "images" / "images_111111.zip", numbers.tolist(), "images_111111/")
    raw = np.random.default_rng(0).poisson(3, (N_NEURONS, N_IMAGES, N_REPEATS)).astype(float)
    raw[:, ::3, 4] = np.nan
    for kind, values in (("repeat_averaged", np.nanmean(raw, axis=2)), ("raw", raw)):
        responses_file(tmp_path, kind).parent.mkdir()
        np.save(responses_file(tmp_path, kind), values)
    return tmp_path


def change(file, edit):
    values = np.load(file)
    edit(values)
    np.save(file, values)


def test_a_session_is_read_in_the_order_of_image_numbers(root):
    session = load_session(root, "111111")
    assert v4_session_names(root) == ["111111"]
    assert session.stimulus_ids == [f"111111-{i:04d}" for i in range(1, N_IMAGES + 1)]
    np.testing.assert_array_equal(session.responses, np.load(responses_file(root, "repeat_averaged")).T)
    assert session.ceiling.shape == (N_NEURONS,)
    assert not session.pinned


def test_without_raw_repeats_there_is_no_ceiling(root):
    responses_file(root, "raw").unlink()
    assert load_session(root, "111111").ceiling is None


def test_unknown_session_comes_with_the_nearest(root):
    with pytest.raises(DataError, match=r"no such session[\s\S]*nearest:  111111"):
        load_session(root, "111112")


def test_images_and_responses_that_differ_are_refused(root):
    archive(root / "images" / "images_111111.zip", [1, 2, 3, 5])
    with pytest.raises(DataError, match=r"images and responses differ[\s\S]*4 images, numbers 1 to 5"):
        load_session(root, "111111")


def test_nan_responses_are_counted_and_their_neurons_named(root):
    responses_file(root, "raw").unlink()

    def edit(values):
        values[2, 3:5] = np.nan

    change(responses_file(root, "repeat_averaged"), edit)
    with pytest.raises(DataError, match=r"2 responses are NaN or infinite[\s\S]*neurons 2"):
        load_session(root, "111111")


def test_neurons_that_do_not_vary_are_left_out_and_named(root, caplog):
    raw = np.load(responses_file(root, "raw"))
    raw[1] = np.where(np.isfinite(raw[1]), 0.1, np.nan)
    np.save(responses_file(root, "raw"), raw)
    np.save(responses_file(root, "repeat_averaged"), np.nanmean(raw, axis=2))
    session = load_session(root, "111111")
    assert session.left_out == (1,) and session.neurons.tolist() == [0, 2, 3]
    assert session.responses.shape == (N_IMAGES, 3) and session.ceiling.shape == (3,)
    assert "1 of 4 neurons answer equally to every image and are left out: 1" in caplog.text
    raw[:] = np.where(np.isfinite(raw), 2.0, np.nan)
    np.save(responses_file(root, "raw"), raw)
    np.save(responses_file(root, "repeat_averaged"), np.nanmean(raw, axis=2))
    with pytest.raises(DataError, match="all 4 neurons answer equally"):
        load_session(root, "111111")


def test_raw_repeats_must_average_to_the_responses(root):
    change(responses_file(root, "repeat_averaged"), lambda values: values.__setitem__((1, 1), 99.0))
    with pytest.raises(DataError, match="don't average"):
        load_session(root, "111111")


def test_repeats_that_give_no_ceiling_are_refused(root):
    raw = np.load(responses_file(root, "raw"))
    raw[2, :, 1:] = np.nan
    np.save(responses_file(root, "raw"), raw)
    np.save(responses_file(root, "repeat_averaged"), np.nanmean(raw, axis=2))
    with pytest.raises(DataError, match=r"no ceiling from 1 neurons[\s\S]*neurons 2"):
        load_session(root, "111111")


def test_damaged_archives_and_arrays_are_named(root):
    file = root / "images" / "images_111111.zip"
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(DataError, match=r"images_111111\.zip: not a zip file"):
        load_session(root, "111111")
    file = responses_file(root, "repeat_averaged")
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(DataError, match=r"responses_111111\.npy: not a NumPy file, or cut short"):
        load_session(root, "111111")


def test_a_file_that_is_not_the_pinned_one_is_refused(root, monkeypatch):
    monkeypatch.setattr(v4_sessions, "v4_sha256", lambda: {"images/images_111111.zip": "0" * 64})
    with pytest.raises(
        DataError, match=r"the file was altered[\s\S]*images_111111\.zip|images_111111\.zip[\s\S]*altered"
    ):
        load_session(root, "111111")


@pytest.mark.parametrize("as_url", [False, True])
def test_fetching_brings_a_session_and_its_repeats(root, tmp_path, as_url):
    target = tmp_path / "copy"
    source = root.as_uri() if as_url else root
    assert [file.relative_to(target).parts[0] for file in fetch_session("111111", target, source)] == [
        "images",
        "responses_repeat_averaged",
        "responses_raw",
    ]
    np.testing.assert_array_equal(load_session(target, "111111").responses, load_session(root, "111111").responses)


def test_fetching_refuses_what_is_missing_or_not_the_known_file(root, tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"doesn't exist[\s\S]*session's id"):
        fetch_session("222222", tmp_path / "copy", root)
    monkeypatch.setattr(v4_sessions, "v4_sha256", lambda: {"images/images_111111.zip": "0" * 64})
    with pytest.raises(DataError, match="not the known one"):
        fetch_session("111111", tmp_path / "copy", root)
    assert list((tmp_path / "copy" / "images").iterdir()) == []


def test_without_repeats_fetching_goes_on(root, tmp_path, caplog):
    responses_file(root, "raw").unlink()
    with caplog.at_level(logging.INFO):
        assert len(fetch_session("111111", tmp_path / "copy", root)) == 2
    assert "no noise ceiling" in caplog.text


@needs_recordings
def test_real_sessions_are_the_pinned_ones():
    session = load_session(REAL, "190925")
    assert session.pinned
    assert session.responses.shape == (1200, 36)
    assert session.ceiling is None


@needs_recordings
def test_ceiling_of_a_real_session_with_raw_repeats():
    session = load_session(REAL, "210325")
    assert np.median(session.ceiling) == pytest.approx(0.7646, abs=0.0005)
    assert session.ceiling.mean() == pytest.approx(0.7438, abs=0.0005)
    assert pooled_score(np.full(50, 0.5), session.ceiling) == pytest.approx(0.25 / session.ceiling.mean())
