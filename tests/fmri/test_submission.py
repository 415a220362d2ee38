"""Submissions on small simulated trees: averages, the zip's format, every fault by its message, the score at home."""

import json
import zipfile
from argparse import ArgumentParser

import numpy as np
import pytest

from neuroscaling.cli.data import add_submission_commands
from neuroscaling.core.encoding_scores import TARGETS
from neuroscaling.core.errors import DataError
from neuroscaling.core.score_files import file_beside
from neuroscaling.fmri.accuracy_files import write_columns
from neuroscaling.fmri.predictions import average_predictions, prediction_kind, weighted_mean
from neuroscaling.fmri.submission import TOP, check_submission, expected_shapes, member, write_submission
from neuroscaling.fmri.submission_job import write_averaged_submission
from neuroscaling.fmri.submission_score import can_be_scored, score_submission
from tests.fmri.test_algonauts import N_TEST, WIDTH, write_tree
from tests.support.score_records import RIDGE_FACTS, reseal, score_path

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


# Averages.


def write_run(folder, run, subject="subj01", cv=1.0, seed=0, masked=()):
    """Files of a run's final model as the encoding stage leaves them: two mapping sizes, the larger one final."""
    path = score_path(folder / "scores", f"algonauts2023-{subject}", run)
    predictions = made_up(seed)[subject]
    table = {"hemisphere": [], "vertex": [], "n_mapping": [], "cv": []}
    for side, width in WIDTH.items():
        kept = [vertex for vertex in range(width) if (side, vertex) not in masked]
        predictions[side][:, [vertex for vertex in range(width) if vertex not in kept]] = 0
        np.save(file_beside(path, prediction_kind(side)), predictions[side])
        for size, value in ((10, 7.0), (24, cv)):
            values = np.broadcast_to(value, width)
            table["hemisphere"] += [side] * len(kept)
            table["vertex"] += kept
            table["n_mapping"] += [size] * len(kept)
            table["cv"] += [float(values[vertex]) for vertex in kept]
    write_columns(file_beside(path, TARGETS), table)
    seal(path, subject, run)
    return path, predictions


def seal(path, subject, run):
    benchmark = f"algonauts2023-{subject}"
    header = {"run": run, "data": "simulated-tree", "benchmark": benchmark, "simulated": True}
    rows = [{"subject": subject, "region": "V1"}]
    reseal(path, RIDGE_FACTS | header | {"rows": rows}, {"benchmark": benchmark})


def test_the_plain_average_is_the_mean_of_the_predictions_in_any_order(tmp_path):
    runs = [write_run(tmp_path, f"net{i}", seed=i) for i in range(3)]
    found = average_predictions([path for path, _ in runs], "plain")
    for side in WIDTH:
        expected = np.mean([predictions[side].astype("f8") for _, predictions in runs], axis=0)
        np.testing.assert_array_equal(found[side], expected.astype("f4"))
        assert found[side].dtype == np.float32
    shuffled = average_predictions([runs[i][0] for i in (2, 0, 1)], "plain")
    assert all((shuffled[side] == found[side]).all() for side in WIDTH)


def test_weights_are_the_final_models_accuracy_by_vertex_and_never_negative(tmp_path):
    first, one = write_run(tmp_path, "a", cv=0.3, seed=1)
    second, two = write_run(tmp_path, "b", cv=0.1, seed=2, masked=[("lh", 4)])
    third, _ = write_run(tmp_path, "c", cv=-0.2, seed=3)
    found = average_predictions([third, second, first], "weighted")
    np.testing.assert_allclose(found["rh"], 0.75 * one["rh"] + 0.25 * two["rh"], rtol=2e-6, atol=1e-7)
    # A run that left the vertex out has no say there.
    np.testing.assert_array_equal(found["lh"][:, 4], one["lh"][:, 4])


def test_vertices_that_no_run_predicts_get_the_plain_mean(tmp_path):
    first, one = write_run(tmp_path, "a", cv=np.nan, seed=1)
    second, two = write_run(tmp_path, "b", cv=-0.5, seed=2)
    found = average_predictions([first, second], "weighted")
    np.testing.assert_allclose(found["lh"], (one["lh"] + two["lh"]) / 2, rtol=2e-6, atol=1e-7)


def test_a_weighted_mean_equals_a_loop_over_vertices():
    rng = np.random.default_rng(0)
    arrays, weights = rng.standard_normal((4, 5, 6)), rng.random((4, 6)) * (rng.random((4, 6)) < 0.6)
    weights[:, 2] = 0
    for v in range(6):
        expected = np.average(arrays[:, :, v], axis=0, weights=weights[:, v] if weights[:, v].any() else None)
        np.testing.assert_allclose(weighted_mean(list(arrays), weights)[:, v], expected, rtol=1e-6, atol=1e-7)


def test_an_average_of_noisy_models_is_nearer_the_truth_and_weights_help_where_models_differ():
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((500, 40))
    noise = np.array([0.5, 1.0, 4.0])
    models = [(truth + s * rng.standard_normal(truth.shape)) / (1 + s**2) for s in noise]
    equal = [(truth + s * rng.standard_normal(truth.shape)) / 2 for s in (1.0, 1.0)]

    def r(predictions):
        return np.mean([np.corrcoef(predictions[:, v], truth[:, v])[0, 1] for v in range(40)])

    plain = weighted_mean(models, np.ones((3, 40)))
    weighted = weighted_mean(models, np.repeat(1 / (1 + noise**2), 40).reshape(3, 40))
    assert r(weighted) > r(plain) > r(models[1])
    assert r(weighted_mean(equal, np.ones((2, 40)))) > max(map(r, equal))


def test_all_faults_of_what_is_averaged_are_told_at_once(tmp_path):
    first, _ = write_run(tmp_path, "a")
    other, _ = write_run(tmp_path, "b", "subj02")
    narrow, _ = write_run(tmp_path, "c")
    np.save(file_beside(narrow, prediction_kind("rh")), np.zeros((N_TEST, 3), "f4"))
    seal(narrow, "subj01", "c")
    lost, _ = write_run(tmp_path, "d")
    file_beside(lost, prediction_kind("lh")).unlink()
    altered, predictions = write_run(tmp_path, "e")
    np.save(file_beside(altered, prediction_kind("lh")), predictions["lh"] + 1e-6)
    with pytest.raises(DataError) as error:
        average_predictions([first, first, other, narrow, lost, altered], "weighted")
    text = str(error.value)
    assert f"{other}: predictions of another subject" in text
    assert f"{file_beside(narrow, prediction_kind('rh'))}: predictions differ in shape" in text
    assert f"{file_beside(lost, prediction_kind('lh'))}: file is missing" in text
    assert f"{file_beside(altered, prediction_kind('lh'))}: the file was altered" in text
    assert f"{first}: a run is given twice" in text
    with pytest.raises(DataError, match="no such average"):
        average_predictions([first], "mean")
    with pytest.raises(DataError, match="no predictions to average"):
        average_predictions([], "plain")


# The job and the commands.


def test_the_job_writes_a_zip_that_passes_and_says_what_is_in_it(tree, tmp_path):
    files = [write_run(tmp_path, run, subject, seed=seed)[0]
             for seed, run in enumerate(("net1", "net2")) for subject in SUBJECTS]  # fmt: skip
    out = tmp_path / "results" / "mean.zip"
    write_averaged_submission(files, out, tree, "weighted")
    assert check_submission(out, tree) == []
    content = json.loads(out.with_name("mean.json").read_text())
    assert (content["runs"], content["subjects"], content["absent_subjects"]) == (["net1", "net2"], [*SUBJECTS], [])
    assert (content["average"], content["simulated"], content["data"]) == ("weighted", True, ["simulated-tree"])
    final = score_submission(out, tree)[-1]
    assert content["scores"][-1]["challenge"] == pytest.approx(final["challenge"])
    before = out.read_bytes()
    write_averaged_submission(files[::-1], out, tree, "weighted")
    assert out.read_bytes() == before
    again = json.loads(out.with_name("mean.json").read_text())
    assert all(again[key] == content[key] for key in content if key != "provenance")


def test_the_job_without_truth_has_no_scores_and_names_absent_subjects(tree, tmp_path, caplog):
    for file in (tree / "subj01/test_split/test_fmri").iterdir():
        file.unlink()
    out = tmp_path / "one.zip"
    write_averaged_submission([write_run(tmp_path, "net1")[0]], out, tree, "plain")
    content = json.loads(out.with_name("one.json").read_text())
    assert (content["scores"], content["absent_subjects"]) == (None, ["subj02"])
    assert "lacks subj02" in caplog.text
    assert "prediction is missing" in str(check_submission(out, tree)[0])


def test_a_run_that_lacks_a_subject_is_refused(tree, tmp_path):
    files = [write_run(tmp_path, run, s)[0] for run, s in (("a", "subj01"), ("a", "subj02"), ("b", "subj01"))]
    with pytest.raises(DataError, match="submission: b: a run lacks a subject"):
        write_averaged_submission(files, tmp_path / "s.zip", tree, "plain")
    assert not (tmp_path / "s.zip").exists()


def command(*arguments):
    parser = ArgumentParser()
    add_submission_commands(parser.add_subparsers())
    options = parser.parse_args([str(argument) for argument in ("submission", *arguments)])
    return options.command(options)


def test_the_commands_check_and_score(tree, tmp_path, capsys):
    path = written(tmp_path)
    command("check", path, tree)
    assert "2 subjects, 50 vertices, no problem found" in capsys.readouterr().out
    command("score", path, tree, "--format", "json")
    assert json.loads(capsys.readouterr().out) == score_submission(path, tree)
    command("score", path, tree)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:2] == ["subject", "hemisphere"] and lines[-1].split()[:2] == ["all", "both"]
    with pytest.raises(DataError, match="prediction is missing"):
        command("check", repacked(path, lambda members: {LH: members[LH]}), tree)
