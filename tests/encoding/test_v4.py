"""V4 recordings are scored; the real ones where they are at hand."""

import io
import os
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuroscaling.activations.baselines import GABOR_SIZE, gabor
from neuroscaling.activations.zarr_reading import open_store
from neuroscaling.activations.zarr_writing import write_store
from neuroscaling.core.errors import DataError, StudyError
from neuroscaling.core.score_files import read_score
from neuroscaling.encoding import encoding_job
from neuroscaling.encoding.encoding_job import question_of, score_encodings
from neuroscaling.encoding.layers import Layers
from neuroscaling.encoding.metrics import METRICS, answers
from neuroscaling.encoding.settings import EncodingSettings, sample_rows
from neuroscaling.encoding.subject_scores import Evaluated, score_rows
from neuroscaling.recordings.v4_sessions import Session, load_session, recording_of
from neuroscaling.regression.cross_validation import shuffled_folds
from neuroscaling.study import recording_folders
from neuroscaling.study.jobs import ScoreJob
from neuroscaling.study.recordings import LocatedSubject
from neuroscaling.study.sections.encoding import V4Encoding
from tests.support.score_records import score_path

N_IMAGES, N_NEURONS, N_REPEATS = 12, 4, 5
BOTH = ("pls", "ridge")
REAL = Path(os.environ.get("NEUROSCALING_V4_DIR", Path(__file__).parents[3] / "shared" / "v4"))
needs_recordings = pytest.mark.skipif(
    not (REAL / "images").is_dir(), reason="V4 recordings are not here (set NEUROSCALING_V4_DIR)"
)


def planted_session(n=150, neurons=8, noise=0.6, seed=0):
    """A simulated session whose neurons follow a latent feature set, and that set."""
    rng = np.random.default_rng(seed)
    hidden = rng.standard_normal((n, 6))
    responses = hidden @ rng.standard_normal((6, neurons)) + noise * rng.standard_normal((n, neurons))
    ids = [f"1-{i:04d}" for i in range(1, n + 1)]
    return Session("1", ids, responses, None, False), hidden


def stored(folder, ids, layers, keep="features"):
    path = folder / "v4-1.json"
    batch = {k: v.astype(np.float32) for k, v in layers.items()}
    write_store(path, ids, [batch], reduction={"kind": "none"}, keep=keep)
    return open_store(path)


def settings_of(samples, metrics=BOTH):
    return EncodingSettings.of(V4Encoding(source="v4", samples=list(samples), metrics=list(metrics)), "corrected")


def asked(activations, session, samples, metrics=BOTH):
    recording, settings = recording_of(session), settings_of(samples, metrics)
    return question_of(recording, Layers.of(activations, recording.stimulus_ids, 500), settings, ["V4"])


def score_session(activations, session, samples, metrics=BOTH):
    """What each metric gives, evaluated on the folds."""
    question = asked(activations, session, samples, metrics)
    (evaluation,) = question.evaluations
    return [Evaluated(question, fits, evaluation) for fits in answers(question, metrics)]


def rows_of(evaluated):
    return [row for one in evaluated for row in score_rows(one.question, [one.fits], [one])]


def layers_of(one, size=-1):
    """Layers that the folds chose, for each neuron."""
    return [one.fits.candidates[i] for task in one.fits.found for i in task[size].candidate]


def test_planted_truth_is_found_and_grows_with_mapping_images(tmp_path):
    session, hidden = planted_session()
    wrong = np.random.default_rng(3).standard_normal((150, 20))
    activations = stored(tmp_path, session.stimulus_ids, {"wrong": wrong, "right": hidden})
    found = score_session(activations, session, [10, 30, 100, 300, "all"])
    assert [one.fits.metric for one in found] == list(BOTH)
    for one in found:
        assert one.fits.sizes == [10, 30, 100, 120]
        scores = [row["raw"] for row in rows_of([one])]
        assert scores[0] < scores[1] < scores[-1]
        assert scores[-1] > 0.9
        assert set(layers_of(one)) == {"right"}


def test_choosing_among_many_layers_stays_at_chance(tmp_path):
    # Choosing the best of 20 noise layers on the held-out images would give about r = .2.
    session, _ = planted_session(neurons=3, noise=20)
    rng = np.random.default_rng(0)
    layers = {f"noise{i}": rng.standard_normal((150, 6)) for i in range(20)}
    found = score_session(stored(tmp_path, session.stimulus_ids, layers), session, [30, "all"])
    rows = rows_of(found)
    assert len(rows) == 4
    assert all(len(set(layers_of(one, size))) > 1 for one in found for size in (0, 1))
    # Below 0 rather than above: what fits by chance in the training images is missing in the held-out ones.
    assert all(-0.15 < row["raw"] < 0.08 for row in rows)


NOISE = np.maximum(0.2 * np.random.default_rng(0).standard_normal(8), 0)


@pytest.mark.parametrize(
    ("ceiling", "scale", "reason"),
    [
        (None, "r2", None),
        (np.full(8, 0.7), "r2/c", None),
        (np.zeros(8), "r2/c", "not above 0: 0"),
        (np.full(8, np.nan), "r2/c", "not finite: nan"),
        (np.full(8, 7e-8), "r2/c", "as small as rounding: 7e-08"),
        (NOISE, "r2/c", "not significantly above 0: 0.0"),
    ],
)
def test_a_session_whose_ceiling_cannot_divide_has_no_score_but_a_reason(tmp_path, monkeypatch, ceiling, scale, reason):
    session, hidden = planted_session()
    stored(tmp_path, session.stimulus_ids, {"x": hidden})
    monkeypatch.setitem(encoding_job.OPENERS, "v4", lambda *_: recording_of(replace(session, ceiling=ceiling)))
    definition = {"entry": {"source": "v4"}}
    path = score_path(tmp_path, "v4-1", "run", definition)
    job = ScoreJob(path, "run", tmp_path, "v4", "v4-1", "v4-1", tmp_path / "v4-1.json", definition)
    entry = V4Encoding(source="v4", samples=["all"], metrics=["ridge"])
    score_encodings([job], entry, {"v4-1": LocatedSubject(tmp_path, "v4", "1")}, "corrected")
    content = read_score(path)
    (row,) = content.rows
    assert (content.benchmark, content.data, row["scale"]) == ("1", "v4", scale) and row["raw"] > 0.9
    assert (row["score"] is None, row["error"] is None) == (bool(reason), bool(reason))
    expected = reason and f"the mean ceiling of the region is {reason}"
    assert row["reason"] == expected if not reason else row["reason"].startswith(expected)


@pytest.mark.parametrize("metric", ["pls", "ridge"])
def test_held_out_responses_reach_neither_the_choice_of_a_layer_nor_the_fit(tmp_path, metric):
    session, hidden = planted_session(neurons=5)
    rng = np.random.default_rng(1)
    # Layers that are alike: which is best differs from images to images.
    layers = {f"layer{i}": hidden + 2 * rng.standard_normal(hidden.shape) for i in range(8)}
    activations = stored(tmp_path, session.stimulus_ids, layers)
    for task in asked(activations, session, [40]).tasks:
        question = replace(asked(activations, session, [40]), tasks=(task,))
        changed = session.responses.copy()
        changed[task.evaluate] = rng.standard_normal(changed[task.evaluate].shape) * 5
        other = replace(question, recording=recording_of(replace(session, responses=changed)))
        (before,), (after,) = (list(METRICS[metric](one)) for one in (question, other))
        assert before.found[0][0].candidate.tolist() == after.found[0][0].candidate.tolist()
        np.testing.assert_array_equal(before.found[0][0].predictions, after.found[0][0].predictions)


def test_correlations_are_of_each_fold_and_of_all_folds_together(tmp_path):
    session, hidden = planted_session()
    for one in score_session(stored(tmp_path, session.stimulus_ids, {"x": hidden}), session, [30]):
        assert np.shape(one.correlations) == (5, 1, 8) and one.pooled(0).shape == (8,)
        (row,) = rows_of([one])
        held = [held_out for _, held_out in shuffled_folds(150, 5, 0)]
        predicted = [task[0].predictions for task in one.fits.found]
        of_folds = [
            [np.corrcoef(own[:, i], session.responses[rows, i])[0, 1] for i in range(8)]
            for own, rows in zip(predicted, held, strict=True)
        ]
        np.testing.assert_allclose(np.array(one.correlations)[:, 0], of_folds)
        together = np.concatenate(predicted), session.responses[np.concatenate(held)]
        pooled = [np.corrcoef(together[0][:, i], together[1][:, i])[0, 1] for i in range(8)]
        np.testing.assert_allclose(one.pooled(0), pooled)
        assert row["raw"] == pytest.approx(np.mean(of_folds)) and row["raw_pooled"] == pytest.approx(np.mean(pooled))
        scores = np.mean(np.square(of_folds) * np.sign(of_folds), axis=1)
        assert row["score"] == pytest.approx(scores.mean())
        assert row["error"] == pytest.approx(scores.std(ddof=1) / np.sqrt(5))


def test_components_that_a_layer_has_are_told(tmp_path, caplog):
    session, hidden = planted_session()
    few = np.hstack([hidden[:, :3], np.zeros((150, 40))])
    (found,) = score_session(stored(tmp_path, session.stimulus_ids, {"few": few}), session, [30, "all"], ["pls"])
    assert [[size.components for size in task] for task in found.fits.found] == [[3, 3]] * 5
    assert rows_of([found])[1]["n_components"] == 3
    assert "1 V4, 120 mapping images: layers few have 3 of 25 components" in caplog.text
    caplog.clear()
    wide = {"wide": np.random.default_rng(0).standard_normal((150, 40))}
    pls, ridge = score_session(stored(tmp_path / "wide", session.stimulus_ids, wide), session, ["all"])
    assert rows_of([pls])[0]["n_components"] == 25 and caplog.text == ""
    assert "n_components" not in rows_of([ridge])[0]


def test_order_of_stored_stimuli_does_not_matter(tmp_path):
    session, hidden = planted_session()
    order = np.random.default_rng(7).permutation(150)
    shuffled = [session.stimulus_ids[i] for i in order]
    first = score_session(stored(tmp_path / "a", session.stimulus_ids, {"x": hidden}), session, [30])
    second = score_session(stored(tmp_path / "b", shuffled, {"x": hidden[order]}), session, [30])
    assert rows_of(first) == rows_of(second)


def test_inner_products_alone_serve_as_well(tmp_path):
    session, hidden = planted_session()
    layers = {"x": hidden, "wide": np.random.default_rng(3).standard_normal((150, 400))}
    first = score_session(stored(tmp_path / "a", session.stimulus_ids, layers), session, [40, "all"])
    second = score_session(stored(tmp_path / "b", session.stimulus_ids, layers, "gram"), session, [40, "all"])
    for one, other in zip(rows_of(first), rows_of(second), strict=True):
        assert one["raw"] == pytest.approx(other["raw"], abs=1e-6) and one["layer"] == other["layer"] == "x"


def test_numbers_of_mapping_images_that_folds_do_not_have_are_left_out(caplog):
    ids = [f"1-{i:04d}" for i in range(151)]
    sampling = sample_rows(ids, settings_of([30, 10, 500, "all"]), "1")
    assert {draw.n_images for draw in sampling.draws} == {(10, 30, 120), (10, 30, 121)}
    assert "1 has no 500 mapping images: a fold trains on 120" in caplog.text
    np.testing.assert_array_equal(np.sort(np.concatenate(sampling.held_out)), np.arange(151))
    with pytest.raises(DataError, match="more mapping images than the 120"):
        sample_rows(ids, settings_of([500]), "1")
    with pytest.raises(DataError, match="makes 5 folds of them"):
        sample_rows(ids[:5], settings_of(["all"]), "1")


def test_unknown_metric_is_refused(tmp_path):
    session, hidden = planted_session(n=40)
    with pytest.raises(StudyError, match=r"no such metric[\s\S]*nearest:  ridge"):
        answers(asked(stored(tmp_path, session.stimulus_ids, {"x": hidden}), session, [10]), ["rige"])


def gabor_of(session):
    images = []
    with zipfile.ZipFile(REAL / "images" / f"images_{session}.zip") as file:
        names = [name for name in file.namelist() if recording_folders.V4_IMAGE_NUMBER.search(name)]
        for name in sorted(names, key=lambda name: int(recording_folders.V4_IMAGE_NUMBER.search(name)[1])):
            images.append(np.asarray(Image.open(io.BytesIO(file.read(name))).convert("L")))
    grey = np.stack(images).astype(np.float32) / 255
    assert grey.shape[1:] == (GABOR_SIZE, GABOR_SIZE)
    return np.concatenate([gabor(grey[i : i + 64]) for i in range(0, len(grey), 64)])


def by_ridge(session, features, folder):
    """Mean correlation over neurons and folds, with all training images."""
    activations = stored(folder, session.stimulus_ids, {"gabor": features})
    (row,) = rows_of(score_session(activations, session, ["all"], ["ridge"]))
    return row["raw"]


@needs_recordings
def test_gabor_energy_predicts_real_neurons(tmp_path):
    session = load_session(REAL, "190923")
    assert by_ridge(session, gabor_of("190923"), tmp_path) == pytest.approx(0.400, abs=0.02)


@needs_recordings
def test_shifted_responses_of_real_neurons_are_at_chance(tmp_path):
    session, features = load_session(REAL, "210325"), gabor_of("210325")
    assert by_ridge(session, features, tmp_path) == pytest.approx(0.476, abs=0.02)
    shifted = Session("shifted", session.stimulus_ids, np.roll(session.responses, 7, axis=0), None, False)
    assert abs(by_ridge(shifted, features, tmp_path)) < 0.03
