"""Predictions are averaged over runs, by vertex and by weight, and the job writes and scores the submission."""

import json
from argparse import ArgumentParser

import numpy as np
import pytest

from neuroscaling.cli.data import add_submission_commands
from neuroscaling.core.encoding_scores import TARGETS, write_parquet
from neuroscaling.core.errors import DataError
from neuroscaling.core.score_files import file_beside
from neuroscaling.encoding.predictions import average_predictions, prediction_kind, weighted_mean
from neuroscaling.encoding.submission import check_submission
from neuroscaling.encoding.submission_score import score_submission, write_averaged_submission
from tests.encoding.test_submission import LH, SUBJECTS, made_up, repacked, written
from tests.recordings.test_algonauts import N_TEST, WIDTH, write_tree
from tests.support.score_records import RIDGE_FACTS, reseal, score_path


@pytest.fixture
def tree(tmp_path):
    return write_tree(tmp_path / "tree", SUBJECTS)


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
    table["metric"] = ["ridge"] * len(table["cv"])
    write_parquet(file_beside(path, TARGETS), table)
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
