"""Every metric finds the layer that simulated recordings follow, and is at chance on noise; several test sets."""

from dataclasses import replace

import numpy as np
import pyarrow.parquet
import pytest

from neuroscaling.activations.zarr_reading import open_store
from neuroscaling.core.encoding_scores import Origin, ScoreHeader
from neuroscaling.core.errors import DataError
from neuroscaling.core.score_files import read_score
from neuroscaling.core.score_table import build_table
from neuroscaling.encoding.encoding_job import question_of, score_subject
from neuroscaling.encoding.group_accuracy import write_accuracy
from neuroscaling.encoding.layers import Layers
from neuroscaling.encoding.metric_similarity import CKA, jackknife_error
from neuroscaling.encoding.metrics import METRICS, answers
from neuroscaling.recordings.recording import ArrayResponses, Recording, Split
from neuroscaling.regression.gram import Gram
from neuroscaling.regression.similarity import linear_cka, rdm, rdm_similarity
from tests.encoding.test_encoding import noise, settings_of, store
from tests.support.made_up_encoding import _run as made_up_run
from tests.support.run_records import write_run
from tests.support.score_records import score_path

N, N_FAR, N_TARGETS = 150, 50, 12
REGIONS = {"V1": np.arange(N_TARGETS) < 6, "V2": np.arange(N_TARGETS) >= 6, "V3": np.zeros(N_TARGETS, bool)}
ALL = list(METRICS)
OF_TARGETS = ("ridge", "pls", "banded", "stacking")


def of(ids, which):
    """Features of images: `early` (1), `late` (2), or such as no response follows."""
    return np.stack([np.random.default_rng([which, int(one.split("-")[1])]).standard_normal(8) for one in ids])


def ids(first, n):
    return [f"nsd-{i:05d}" for i in range(first, first + n)]


def respond(shown, faults=0.4):
    """V1 follows the early features, V2 the late ones."""
    rng = np.random.default_rng(9)
    parts = [of(shown, which) @ rng.standard_normal((8, 6)) for which in (1, 2)]
    return np.hstack(parts) + faults * np.random.default_rng(len(shown)).standard_normal((len(shown), N_TARGETS))


def recording(tests=None, ceiling=0.8):
    tests = {"test": ids(N, 60)} if tests is None else tests
    splits = {
        name: Split(shown, None, ArrayResponses(respond(shown)), np.full(N_TARGETS, ceiling))
        for name, shown in tests.items()
    }
    hemisphere = np.full(N_TARGETS, "both")
    training = Split(ids(0, N), None, ArrayResponses(respond(ids(0, N))))
    return Recording(
        "anna", training, splits, hemisphere, np.arange(N_TARGETS), REGIONS, None, None, {"both": []}, True
    )


def layers(shown):
    return {"early": lambda _: of(shown, 1), "noise": lambda _: of(shown, 3), "late": lambda _: of(shown, 2)}


def scored(folder, own, regions=("V1", "V2", "V3"), made=None, **changes):
    settings = settings_of(**{"metrics": ALL} | changes)
    activations = store(folder / "activations", own.stimulus_ids, made or layers(own.stimulus_ids))
    definition = {"subject": "anna"}
    path = score_path(folder, "ours-anna", "run", definition)
    header = ScoreHeader("run", "ours", True, "ours", settings.metrics)
    score_subject(activations, own, path, header, settings, list(regions), Origin(definition, {}))
    return path


@pytest.mark.parametrize("evaluate", ["test", "validation", "folds"])
def test_every_metric_finds_the_layer_of_each_region(tmp_path, evaluate):
    rows = read_rows(scored(tmp_path, recording(), evaluate=evaluate, samples=[40, "all"]))
    for metric in ALL:
        mine = {(row["region"], row["n_mapping"]): row for row in rows if row["metric"] == metric}
        n = {"test": N, "validation": N - 40, "folds": 120}[evaluate]
        assert mine.keys() == {(region, size) for region in REGIONS for size in (40, n)}
        for region, layer in (("V1", "early"), ("V2", "late")):
            row = mine[region, n]
            assert row["layer"] == layer and row["n_targets"] == 6
            assert row["raw"] > (0.8 if metric in OF_TARGETS else 0.3)
            assert 0 < row["error"] < 0.2 and ("raw_pooled" in row) == (evaluate == "folds" and metric in OF_TARGETS)
        assert mine["V3", n]["score"] is None and "no target of this region" in mine["V3", n]["reason"]


def read_rows(path):
    return read_score(path).rows


def test_similarity_is_that_of_the_evaluated_images_alone(tmp_path):
    own = recording()
    rows = {(row["metric"], row["region"]): row for row in read_rows(scored(tmp_path, own))}
    shown = own.test.stimulus_ids
    a, b = Gram.of(of(shown, 1).astype(np.float32)), Gram.of(respond(shown)[:, :6])
    rsa, cka = rows["rsa", "V1"], rows["cka", "V1"]
    assert rsa["score"] == rsa["raw"] == pytest.approx(rdm_similarity(rdm(a), rdm(b)))
    assert cka["score"] == pytest.approx(linear_cka(a, b)) and cka["scale"] == rsa["scale"] == "r"
    assert rsa["ceiling"] is None and rsa["n_mapping"] == N
    assert cka["error"] == pytest.approx(jackknife_error(a, b, CKA))


def test_choosing_among_many_layers_stays_at_chance(tmp_path):
    made = {f"noise{i}": noise(i, 8) for i in range(12)}
    rows = read_rows(scored(tmp_path, recording(), ["V1"], made, samples=[30, "all"]))
    assert len(rows) == 2 * len(ALL)
    assert all(abs(row["raw"]) < 0.15 for row in rows)


@pytest.mark.parametrize("metric", ALL)
def test_held_out_responses_reach_no_choice_and_no_fit(tmp_path, metric):
    own, settings = recording(), settings_of(evaluate="folds", samples=[30], metrics=[metric])
    made = {f"like{i}": lambda shown, i=i: of(shown, 1) + 3 * noise(i, 8)(shown) for i in range(6)}
    activations = store(tmp_path, own.stimulus_ids, made)
    question = question_of(own, Layers.of(open_store(activations), own.stimulus_ids, 500), settings, ["V1"])
    for task in question.tasks[:2]:
        changed = respond(ids(0, N))
        changed[task.evaluate] = 5 * np.random.default_rng(0).standard_normal(changed[task.evaluate].shape)
        other = replace(own, training=replace(own.training, responses=ArrayResponses(changed)))
        places = replace(question.evaluations[0], rows=(task.evaluate,), places=question.evaluations[0].places[:1])
        one = replace(question, tasks=(task,), evaluations=(places,))
        before, after = (answers(replace(one, recording=which), [metric])[0].found[0][0] for which in (own, other))
        np.testing.assert_array_equal(before.candidate, after.candidate)
        if metric in OF_TARGETS:
            np.testing.assert_array_equal(before.predictions, after.predictions)


def test_one_mapping_is_evaluated_on_each_test_set(tmp_path):
    near, far = ids(N, 60), ids(500, N_FAR)
    both = scored(tmp_path / "both", recording({"held_out": near, "far": far}), draws=20)
    alone = {
        name: scored(tmp_path / name, recording({"test": shown}), draws=20)
        for name, shown in (("held_out", near), ("far", far))
    }
    rows = read_rows(both)
    assert {row["test_set"] for row in rows} == {"held_out", "far"}
    for name, path in alone.items():
        mine = [{k: v for k, v in row.items() if k != "test_set"} for row in rows if row["test_set"] == name]
        for row, expected in zip(mine, read_rows(path), strict=True):
            assert row.keys() == expected.keys() and "test_set" not in expected
            for key, value in expected.items():
                assert row[key] == (pytest.approx(value, rel=1e-5, abs=1e-5) if isinstance(value, float) else value)
    targets = pyarrow.parquet.read_table(both.with_name("run.targets.parquet")).to_pandas()
    assert set(targets["test_set"]) == {"held_out", "far"} and set(targets["metric"]) == set(OF_TARGETS)
    write_accuracy([both], tmp_path / "accuracy.parquet")
    accuracy = pyarrow.parquet.read_table(tmp_path / "accuracy.parquet").to_pandas()
    kinds = set(zip(accuracy["metric"], accuracy["test_set"], strict=True))
    assert kinds == {(metric, name) for metric in OF_TARGETS for name in ("held_out", "far")}
    write_run(
        tmp_path / "run" / "run.json", {**made_up_run("resnet_w8", "ResNet", 1e6, "pretrained", None), "run": "run"}
    )
    table = build_table([both], [tmp_path / "run" / "run.json"]).scores
    assert set(table["test_set"]) == {"held_out", "far"} and len(table) == len(rows)


def test_a_recording_without_test_images_is_not_evaluated_on_them(tmp_path):
    with pytest.raises(DataError, match=r"has no test images[\s\S]*evaluate: folds"):
        scored(tmp_path, recording({}))


def test_too_little_memory_is_told_with_what_is_needed(tmp_path):
    own, settings = recording(), settings_of(metrics=["cka"], memory_mb=0.1)
    activations = store(tmp_path, own.stimulus_ids, layers(own.stimulus_ids))
    with pytest.raises(DataError, match=r"inner products of 210 images[\s\S]*memory_mb"):
        score_subject(
            activations, own, tmp_path / "run.json", ScoreHeader("run", "o", True, "o", ("cka",)), settings, ["V1"]
        )
