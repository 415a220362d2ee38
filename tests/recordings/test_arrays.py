"""Recordings of one's own: each format gives the same recording, repetitions give ceilings, and faults are named."""

import numpy as np
import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.recordings.arrays_preparation import prepare_arrays_subject
from neuroscaling.recordings.prepared import open_recording, read_manifest
from neuroscaling.regression.scores import ncsnr_ceiling, repeat_ceiling
from neuroscaling.study.preparation_jobs import ArraysJob
from tests.support.own_arrays import (
    N_IMAGES,
    N_UNITS,
    UNITS,
    arrays_of,
    stimulus_rows,
    write_own,
    write_responses,
    write_table,
)

TRUTH = np.random.default_rng(0).standard_normal((N_IMAGES, N_UNITS))
IDS = [row["stimulus_id"] for row in stimulus_rows()]


@pytest.fixture
def root(tmp_path):
    return write_own(tmp_path / "own", TRUTH)


def prepared(root, subject="anna", memory_mb=1000.0, **changes):
    job = ArraysJob(arrays_of(root, **changes), subject, root.parent / "prepared" / subject, memory_mb)
    return open_recording(prepare_arrays_subject(job).parent)


def values(split):
    return split.responses.read(0, split.responses.shape[1])


FORMATS = [".npy", ".parquet", ".zarr", ".nc", ".h5", ".mat"]


@pytest.mark.parametrize("ending", [*FORMATS, "classic"])
def test_every_format_gives_the_same_recording(root, ending):
    path = root / f"saved{'.cdf' if ending == 'classic' else ending}"
    write_responses(path, TRUTH)
    if ending == "classic":
        path = path.rename(path.with_suffix(".nc"))
    recording = prepared(root, responses=path.name, memory_mb=1e-4)
    np.testing.assert_allclose(values(recording.training), TRUTH[:9, [0, 2, 3]], rtol=1e-6)
    np.testing.assert_allclose(values(recording.tests["test"]), TRUTH[9:, [0, 2, 3]], rtol=1e-6)
    assert (recording.training.stimulus_ids, recording.tests["test"].stimulus_ids) == (IDS[:9], IDS[9:])
    assert {name: mask.tolist() for name, mask in recording.regions.items()} == {
        "V1": [True, False, False], "V4": [False, True, False], "IT": [False, False, True], "late": [False, False, True]
    }  # fmt: skip
    assert recording.simulated and recording.name == "anna" and recording.tests["test"].ceiling is None


@pytest.mark.parametrize("ending", [".npy", ".zarr", ".nc", ".h5", ".mat"])
def test_repetitions_are_averaged_whatever_the_format(root, ending):
    trials = TRUTH[..., None] + np.random.default_rng(1).standard_normal((N_IMAGES, N_UNITS, 3))
    write_responses(root / f"trials{ending}", trials)
    recording = prepared(root, responses=f"trials{ending}")
    np.testing.assert_allclose(values(recording.training), trials.mean(2)[:9, [0, 2, 3]], rtol=1e-6)
    assert recording.training.repeats.tolist() == [3] * 9


@pytest.mark.parametrize("ending", [".parquet", ".zarr", ".nc", ".h5"])
def test_a_file_that_carries_ids_is_aligned_by_them(root, ending):
    order = np.random.default_rng(2).permutation(N_IMAGES)
    write_responses(root / f"shuffled{ending}", TRUTH[order], [IDS[i] for i in order])
    recording = prepared(root, "bert", responses=f"shuffled{ending}")
    np.testing.assert_allclose(values(recording.training), TRUTH[:9, [1, 4]], rtol=1e-6)


def test_ceilings_follow_from_repetitions_of_unequal_number(root):
    trials = TRUTH[..., None] + np.random.default_rng(1).standard_normal((N_IMAGES, N_UNITS, 4))
    trials[:9, :, 1:] = np.nan  # training images were shown once
    trials[10, :, 3] = np.nan
    np.save(root / "responses.npy", trials)
    recording = prepared(root)
    test, mine = recording.tests["test"], trials[:, [0, 2, 3]].transpose(1, 0, 2)
    assert recording.training.repeats.tolist() == [1] * 9 and test.repeats.tolist() == [4, 3, 4]
    np.testing.assert_allclose(test.ceiling, repeat_ceiling(mine[:, 9:]), rtol=1e-5)
    weight = np.mean([1] * 9 + [1 / 4, 1 / 3, 1 / 4])
    whole = repeat_ceiling(mine)
    np.testing.assert_allclose(recording.ncsnr, np.sqrt(whole * weight / (1 - whole)), rtol=1e-5)
    np.testing.assert_allclose(recording.ceiling_of(recording.training, [0, 1]), ncsnr_ceiling(recording.ncsnr, {1: 2}))


def test_rows_of_one_image_are_its_repetitions(root):
    """A table of presentations: each row one, in any order."""
    shown = np.random.default_rng(3).permutation(np.repeat(np.arange(N_IMAGES), 2))
    trials = TRUTH[shown] + np.random.default_rng(4).standard_normal((len(shown), N_UNITS))
    rows = stimulus_rows()
    write_table(root / "stimuli.csv", [rows[i] for i in shown])
    np.save(root / "responses.npy", trials)
    recording = prepared(root)
    means = np.stack([trials[shown == i].mean(0) for i in range(N_IMAGES)])
    splits = (recording.training, recording.tests["test"])
    found = {one: row for split in splits for one, row in zip(split.stimulus_ids, values(split), strict=True)}
    np.testing.assert_allclose(np.stack([found[one] for one in IDS]), means[:, [0, 2, 3]], rtol=1e-5)
    assert set(recording.training.repeats) == {2} and recording.tests["test"].ceiling is not None


@pytest.mark.parametrize(("column", "stated", "ceiling"), [("ceiling", 0.6, 0.6), ("reliability", 0.5, 2 / 3)])
def test_ceilings_of_the_table_are_those_of_any_images(root, column, stated, ceiling):
    write_table(root / "units.csv", [row | {column: stated} for row in UNITS])
    recording = prepared(root)
    assert recording.tests["test"].ceiling == pytest.approx([ceiling] * 3)
    assert recording.ceiling_of(recording.training, [0, 3]) == pytest.approx([ceiling] * 3, rel=1e-5)


def test_a_reliability_below_zero_is_a_ceiling_of_zero(root):
    write_table(root / "units.csv", [row | {"reliability": -0.1} for row in UNITS])
    assert prepared(root).tests["test"].ceiling.tolist() == [0, 0, 0]


def test_units_are_aligned_by_their_ids(root):
    write_responses(root / "columns.parquet", TRUTH)
    units = [UNITS[i] | {"id": f"unit{i}"} for i in (4, 3, 2, 1, 0)]
    write_table(root / "units.parquet", units)
    recording = prepared(root, responses="columns.parquet", units="units.parquet")
    np.testing.assert_allclose(values(recording.training), TRUTH[:9, [3, 2, 0]], rtol=1e-6)


def test_an_image_that_a_subject_did_not_see_is_none_of_the_subjects(root):
    responses = TRUTH.copy()
    responses[np.ix_([0, 10], [0, 2, 3])] = np.nan  # of anna alone
    np.save(root / "responses.npy", responses)
    assert prepared(root).training.stimulus_ids == IDS[1:9] and len(prepared(root, "bert").training.stimulus_ids) == 9
    manifest = read_manifest(root.parent / "prepared" / "anna")
    assert manifest.settings["not_shown"] == 2 and manifest.splits["test"].stimulus_ids == ["s9", "s11"]


def test_an_index_gives_the_rows(root):
    order = np.random.default_rng(5).permutation(N_IMAGES)
    rows = [row | {"index": int(place)} for row, place in zip(stimulus_rows(), order, strict=True)]
    write_table(root / "stimuli.csv", rows)
    np.testing.assert_allclose(values(prepared(root).training), TRUTH[order[:9]][:, [0, 2, 3]], rtol=1e-6)


def test_without_a_table_the_images_are_those_of_the_folder_and_the_test_images_are_drawn(root):
    first, again, other = (
        prepared(root, stimuli=None, split={"test": 0.25, "seed": seed}).tests["test"].stimulus_ids
        for seed in (0, 0, 1)
    )
    assert first == again != other and len(first) == 3
    assert set(first) < {f"{i:03d}.png" for i in range(N_IMAGES)}


def test_units_that_answer_equally_to_every_image_are_left_out(root):
    np.save(root / "responses.npy", np.where(np.arange(N_UNITS) == 2, 1.0, TRUTH))
    recording = prepared(root)
    assert recording.masked == {"both": [1]} and recording.n_targets == 2


@pytest.mark.parametrize("memory_mb", [1000.0, 1e-4])
def test_missing_responses_are_named_by_image_and_unit(root, memory_mb):
    responses = TRUTH.copy()
    responses[3, 2], responses[7, 3] = np.nan, np.inf
    np.save(root / "responses.npy", responses)
    with pytest.raises(DataError, match="2 responses are NaN or infinite") as caught:
        prepared(root, memory_mb=memory_mb)
    assert caught.value.problems[0].value == "image s3, unit 2 (from 0), image s7, unit 3 (from 0)"
    assert not (root.parent / "prepared" / "anna").exists()


def test_a_subject_that_the_table_lacks(root):
    with pytest.raises(DataError, match="no unit of this subject"):
        prepared(root, "carl")


def test_where_folds_are_evaluated_no_test_image_is_drawn(root):
    recording = prepared(root, stimuli=None, split=None, evaluate="folds")
    assert recording.tests == {} and len(recording.training.stimulus_ids) == N_IMAGES
