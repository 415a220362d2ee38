"""Submissions on small simulated trees: the zip's format, every fault by its message, the score at home."""

import zipfile

import numpy as np
import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.encoding.submission import TOP, check_submission, expected_shapes, member, write_submission
from neuroscaling.encoding.submission_score import can_be_scored, score_submission
from tests.recordings.test_algonauts import N_TEST, WIDTH, write_tree

SUBJECTS = ("subj01", "subj02")
SHAPES = {subject: {side: (N_TEST, width) for side, width in WIDTH.items()} for subject in SUBJECTS}


@pytest.fixture
def tree(tmp_path):
    return write_tree(tmp_path / "tree", SUBJECTS)


def made_up(seed=0):
    rng = np.random.default_rng(seed)
    return {s: {side: rng.standard_normal(shape).astype("f4") for side, shape in SHAPES[s].items()} for s in SUBJECTS}


def written(folder, predictions=None):
    path = folder / "submission.zip"
    write_submission(predictions or made_up(), path, SHAPES)
    return path


def test_expected_shapes_need_no_test_responses(tree):
    for subject in SUBJECTS:
        for file in (tree / subject / "test_split" / "test_fmri").iterdir():
            file.unlink()
    assert expected_shapes(tree) == SHAPES
    assert not can_be_scored(tree, "subj01")


def test_the_zip_has_the_challenges_names_dtype_and_order(tree, tmp_path):
    predictions = made_up()
    predictions["subj01"]["lh"] = np.asfortranarray(predictions["subj01"]["lh"])
    path = written(tmp_path, predictions)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        assert archive.namelist() == [
            f"algonauts_2023_challenge_submission/{subject}/{side}_pred_test.npy"
            for subject in SUBJECTS
            for side in ("lh", "rh")
        ]
        archive.extractall(tmp_path / "unpacked")
    for subject in SUBJECTS:
        for side in WIDTH:
            array = np.load(tmp_path / "unpacked" / TOP / subject / f"{side}_pred_test.npy")
            assert array.dtype == np.float32 and array.flags.c_contiguous
            np.testing.assert_array_equal(array, predictions[subject][side])
    assert check_submission(path, tree) == []


def test_equal_predictions_give_equal_bytes_from_arrays_and_from_files(tmp_path):
    first = written(tmp_path / "a").read_bytes()
    files = {}
    for subject, sides in reversed(made_up().items()):
        files[subject] = {side: tmp_path / f"{subject}.{side}.npy" for side in sides}
        for side, array in sides.items():
            np.save(files[subject][side], np.asfortranarray(array))
    assert written(tmp_path / "b", files).read_bytes() == first
    assert written(tmp_path / "c", made_up(1)).read_bytes() != first


def test_all_faults_of_predictions_are_told_before_anything_is_written(tmp_path):
    one = made_up()["subj01"]
    holed = one["rh"].copy()
    holed[2, 5] = np.nan
    (tmp_path / "cut.npy").write_bytes(b"\x93NUMPY")
    faulty = {"subj01": {"lh": one["lh"].astype("f8"), "rh": holed, "mid": holed}, "subj09": {},
              "subj02": {"lh": one["rh"]}}  # fmt: skip
    with pytest.raises(DataError) as error:
        write_submission(faulty, tmp_path / "s.zip", SHAPES)
    text = str(error.value)
    assert "subj01 lh: wrong dtype" in text and "float64" in text
    assert "subj01 rh: 1 vertices have NaN or infinite predictions" in text and "5" in text
    assert "no such hemisphere" in text and "mid" in text
    assert "unknown subject" in text and "subj09" in text
    assert "subj02 lh: wrong shape" in text and "the shape of rh: are the hemispheres swapped?" in text
    assert "subj02 rh: prediction is missing" in text
    with pytest.raises(DataError, match="not a NumPy file, or cut short"):
        write_submission({**made_up(), "subj01": {**one, "lh": tmp_path / "cut.npy"}}, tmp_path / "s.zip", SHAPES)
    assert [file.name for file in tmp_path.iterdir()] == ["cut.npy"]


def repacked(path, change):
    """The zip again, its members (name -> bytes) changed by `change`."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    out = path.with_name("changed.zip")
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in change(members).items():
            archive.writestr(name, content)
    return out


def npy(folder, array):
    np.save(folder / "array.npy", array, allow_pickle=True)
    return (folder / "array.npy").read_bytes()


LH, RH = member("subj01", "lh"), member("subj01", "rh")
FAULTS = {
    "a prediction lost": (lambda m, npy: {k: v for k, v in m.items() if k != LH}, ["prediction is missing", LH]),
    "a file too many": (lambda m, npy: m | {f"{TOP}/notes.txt": b""}, ["1 files that are no predictions", "notes.txt"]),
    "archiver's files": (lambda m, npy: m | {"__MACOSX/._x": b""}, ["1 files that are no predictions", "__MACOSX/._x"]),
    "another subject": (
        lambda m, npy: m | {f"{TOP}/subj03/lh_pred_test.npy": b""},
        ["no predictions of these subjects", "subj03"],
    ),
    "another top folder": (
        lambda m, npy: {k.replace("2023", "2022"): v for k, v in m.items()},
        ["wrong top folder", "algonauts_2022", "prediction is missing"],
    ),
    "no top folder": (
        lambda m, npy: {k.removeprefix(f"{TOP}/"): v for k, v in m.items()},
        ["wrong top folder", "subj01", "zip the folder"],
    ),
    "float64": (lambda m, npy: m | {LH: npy(np.zeros((N_TEST, 14)))}, [f"{LH}: wrong dtype", "float64"]),
    "another shape": (
        lambda m, npy: m | {LH: npy(np.zeros((N_TEST + 1, 14), "f4"))},
        [f"{LH}: wrong shape", f"({N_TEST + 1}, 14)", f"({N_TEST}, 14)"],
    ),
    "hemispheres swapped": (lambda m, npy: m | {LH: m[RH], RH: m[LH]}, ["swapped?", f"{LH}: wrong", f"{RH}: wrong"]),
    "columns first": (
        lambda m, npy: m | {LH: npy(np.zeros((N_TEST, 14), "f4", order="F"))},
        [f"{LH}: columns come first"],
    ),
    "infinite": (lambda m, npy: m | {LH: npy(np.full((N_TEST, 14), np.inf, "f4"))}, ["14 vertices have NaN or inf"]),
    "cut short": (lambda m, npy: m | {LH: m[LH][:-9]}, [f"{LH}: not a NumPy file, or cut short"]),
    "a pickle": (lambda m, npy: m | {LH: npy(np.array([{}], object))}, [f"{LH}: wrong dtype", "object"]),
    "no array": (lambda m, npy: m | {LH: b"lh"}, [f"{LH}: not a NumPy file"]),
}


@pytest.mark.parametrize(("change", "phrases"), FAULTS.values(), ids=FAULTS)
def test_a_fault_of_a_zip_has_its_message(tree, tmp_path, change, phrases):
    changed = repacked(written(tmp_path), lambda members: change(members, lambda array: npy(tmp_path, array)))
    text = "\n".join(map(str, check_submission(changed, tree)))
    assert all(phrase in text for phrase in phrases), text


def test_several_faults_of_a_zip_come_at_once(tree, tmp_path):
    def change(members):
        del members[LH]
        return members | {RH: npy(tmp_path, np.zeros((2, 2))), f"{TOP}/readme": b""}

    problems = check_submission(repacked(written(tmp_path), change), tree)
    assert len(problems) == 4  # missing; too many; dtype; shape


def test_a_file_that_is_no_zip_or_is_damaged_or_has_a_member_twice(tree, tmp_path):
    path = written(tmp_path)
    assert "file is missing" in str(check_submission(tmp_path / "none.zip", tree)[0])
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    assert "not a zip file, or cut short" in str(check_submission(path, tree)[0])
    damaged = bytearray(content)
    damaged[400] ^= 255
    path.write_bytes(damaged)
    assert f"{LH}: not a NumPy file, or cut short" in str(check_submission(path, tree)[0])
    path.write_bytes(content)
    with zipfile.ZipFile(path, "a") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr(LH, archive.read(LH))
    assert "file stands in the zip twice" in str(check_submission(path, tree)[0])


# At home.


def correlated(target, r, rng):
    """Columns whose Pearson correlation with those of `target` is exactly r."""
    y = (target - target.mean(0)) / target.std(0)
    other = rng.standard_normal(y.shape)
    other -= other.mean(0)
    other -= y * (other * y).mean(0)
    return (r * y + np.sqrt(1 - r**2) * other / other.std(0)).astype("f4")


def test_the_final_score_is_the_mean_over_all_vertices_and_not_over_subjects(tree, tmp_path):
    # All ceilings are 0.5: r .5 gives 50 %, r .9 clipped 100 % (162 % unclipped), negative r 0 (-50 %).
    rng = np.random.default_rng(0)
    r = {("subj01", "lh"): 0.5, ("subj01", "rh"): 0.9, ("subj02", "lh"): -0.5, ("subj02", "rh"): 0.5}
    fmri = {(s, h): np.load(tree / s / "test_split/test_fmri" / f"{h}_test_fmri.npy").astype("f8") for s, h in r}
    predictions = {s: {h: correlated(fmri[s, h], r[s, h], rng) for h in WIDTH} for s in SUBJECTS}
    rows = score_submission(written(tmp_path, predictions), tree)
    by_key = {(row["subject"], row["hemisphere"]): row for row in rows}
    assert by_key["subj01", "lh"]["challenge"] == pytest.approx(50, abs=1e-3)
    assert by_key["subj01", "rh"]["challenge"] == pytest.approx(100)
    assert by_key["subj01", "rh"]["unclipped"] == pytest.approx(162, abs=1e-3)
    assert by_key["subj02", "lh"]["challenge"] == 0
    assert by_key["subj02", "lh"]["r"] == pytest.approx(-0.5, abs=1e-6)
    final = rows[-1]
    assert (final["subject"], final["hemisphere"], final["n_vertices"]) == ("all", "both", 50)
    assert final["challenge"] == pytest.approx((14 * 50 + 11 * 100 + 14 * 0 + 11 * 50) / 50, abs=1e-3)
    assert final["r"] == pytest.approx((14 * 0.5 + 11 * 0.9 - 14 * 0.5 + 11 * 0.5) / 50, abs=1e-6)
    assert final["unclipped"] == pytest.approx((14 * 50 + 11 * 162 - 14 * 50 + 11 * 50) / 50, abs=1e-3)


def test_the_unclipped_mean_is_over_vertices_with_a_ceiling_alone(tree, tmp_path):
    file = tree / "subj01/test_split/noise_ceiling/lh_noise_ceiling.npy"
    np.save(file, np.r_[np.zeros(9), np.full(5, 0.2)].astype("f4"))
    predictions = made_up()
    rows = score_submission(written(tmp_path, predictions), tree)
    values = []
    for subject, sides in predictions.items():
        for side, array in sides.items():
            fmri = np.load(tree / subject / "test_split/test_fmri" / f"{side}_test_fmri.npy")
            ceiling = np.load(tree / subject / "test_split/noise_ceiling" / f"{side}_noise_ceiling.npy")
            for v in np.nonzero(ceiling)[0]:
                r = np.corrcoef(array[:, v], fmri[:, v])[0, 1]
                values.append(100 * r * abs(r) / ceiling[v])
    assert (rows[0]["n_with_ceiling"], rows[-1]["n_with_ceiling"], len(values)) == (5, 41, 41)
    assert rows[-1]["unclipped"] == pytest.approx(np.mean(values), rel=1e-5)


def test_a_ceiling_of_rounding_counts_as_none_but_in_the_challenges_own_number(tree, tmp_path):
    file, predictions = tree / "subj01/test_split/noise_ceiling/lh_noise_ceiling.npy", made_up()
    rows = {}
    for small in (0.0, 7e-8):
        np.save(file, np.r_[np.full(9, small), np.full(5, 0.2)].astype("f4"))
        rows[small] = score_submission(written(tmp_path, predictions), tree)
    for mine, theirs in zip(rows[7e-8], rows[0.0], strict=True):
        assert mine["n_with_ceiling"] == theirs["n_with_ceiling"]
        assert mine["unclipped"] == pytest.approx(theirs["unclipped"])
        assert mine["challenge"] == pytest.approx(theirs["challenge"], abs=0.01)


def test_vertices_without_response_or_ceiling_are_left_out_and_counted(tree, tmp_path):
    place = tree / "subj01" / "test_split"
    response, ceiling = place / "test_fmri/lh_test_fmri.npy", place / "noise_ceiling/lh_noise_ceiling.npy"
    for file, at in ((response, (3, 2)), (ceiling, 7)):
        values = np.load(file)
        values[at] = np.nan
        np.save(file, values)
    rows = score_submission(written(tmp_path), tree)
    assert [(row["left_out"], row["n_vertices"]) for row in rows] == [(2, 12), (0, 11), (0, 14), (0, 11), (2, 48)]
    assert np.isfinite([row["challenge"] for row in rows]).all()


def test_a_tree_without_truth_can_not_score_and_says_what_it_lacks(tree, tmp_path):
    path = written(tmp_path)
    lost = tree / "subj02/test_split/test_fmri/rh_test_fmri.npy"
    lost.unlink()
    narrow = tree / "subj01/test_split/noise_ceiling/lh_noise_ceiling.npy"
    np.save(narrow, np.ones(3, "f4"))
    with pytest.raises(DataError) as error:
        score_submission(path, tree)
    text = str(error.value)
    assert f"{lost}: file is missing" in text and "rebuild it from NSD" in text
    assert f"{narrow}: shape doesn't fit" in text and "(14,)" in text
