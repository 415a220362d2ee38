"""Encoding of a subject on small simulated trees: truth is found, noise stays at chance, order is of no matter."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from neuroscaling.activations.zarr_writing import write_store
from neuroscaling.core.encoding_scores import ScoreHeader
from neuroscaling.core.errors import DataError
from neuroscaling.encoding.encoding_job import score_subject
from neuroscaling.encoding.settings import EncodingSettings
from neuroscaling.recordings.algonauts_recording import read_recording
from neuroscaling.study.sections.encoding import AlgonautsEncoding
from tests.recordings.test_algonauts import write_tree

N_TRAIN, N_TEST = 150, 50
HEADER = ScoreHeader("resnet_w8-00000000", "simulated-test", True, "algonauts2023", ("ridge",))
SOURCE = {"source": "algonauts2023", "data": {"local": "tree"}}
ENTRY = {"validation": 40, "draws": 50}


def number(stimulus):
    return int(stimulus.removeprefix("nsd-"))


def latent(ids, size=6):
    """Features of an image that depend on its number alone."""
    return np.stack([np.random.default_rng(number(stimulus)).standard_normal(size) for stimulus in ids])


def respond(ids, n, noise=0.5):
    """The first half of the vertices follows the first three features, the second half the other three."""
    rng = np.random.default_rng(n)
    weights = rng.standard_normal((6, n))
    weights[3:, : n // 2] = 0
    weights[:3, n // 2 :] = 0
    return latent(ids) @ weights + noise * np.random.default_rng(len(ids)).standard_normal((len(ids), n))


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    return write_tree(tmp_path_factory.mktemp("tree"), ("subj01",), N_TRAIN, N_TEST, respond)


def all_ids(tree):
    recording = read_recording(tree, "subj01")
    return [*recording.training.stimulus_ids, *recording.test.stimulus_ids]


def store(folder, ids, layers, keep="features"):
    path = Path(folder) / "set.json"
    batch = {name: make(ids).astype(np.float32) for name, make in layers.items()}
    write_store(path, ids, [batch], reduction={}, keep=keep)
    return path


def noise(seed, width):
    return lambda ids: np.random.default_rng(seed).standard_normal((len(ids), width))


def settings_of(protocol="corrected", memory_mb=500, **changes):
    """The settings of an entry; memory below what a study file may give serves the tests of blocks."""
    settings = EncodingSettings.of(AlgonautsEncoding.model_validate(SOURCE | ENTRY | changes), protocol)
    return replace(settings, ridge=settings.ridge.model_copy(update={"memory_mb": memory_mb}))


def score(tree, folder, layers, ids=None, regions="all", keep="features", **changes):
    output = Path(folder) / "algonauts2023-subj01.json"
    recording = read_recording(tree, "subj01")
    activations = store(folder, ids or all_ids(tree), layers, keep)
    score_subject(activations, recording, output, HEADER, settings_of(**changes), regions)
    targets = pyarrow.parquet.read_table(output.with_name(f"{output.stem}.targets.parquet")).to_pydict()
    return json.loads(output.read_text()), targets


def test_planted_truth_is_found_with_the_right_layer_for_each_vertex(tree, tmp_path):
    layers = {
        "first@1": lambda ids: latent(ids)[:, :3],
        "second@4": lambda ids: latent(ids)[:, 3:],
        "noise": noise(0, 20),
    }
    content, targets = score(tree, tmp_path, layers)
    chosen = zip(targets["hemisphere"], targets["vertex"], targets["layer"], targets["grid"], strict=True)
    half = {"lh": 7, "rh": 5}
    assert all((layer, grid) == (("first", 1) if v < half[side] else ("second", 4)) for side, v, layer, grid in chosen)
    assert all(row["raw"] > 0.8 for row in content["rows"] if row["n_targets"])


def test_score_file_says_what_the_formats_page_says(tree, tmp_path):
    content, targets = score(tree, tmp_path, {"all": latent})
    assert content["format"] == "score/4"
    assert content["simulated"] is True
    assert (content["metric"], content["protocol"]) == ("ridge", "corrected")
    assert {(row["scale"], row["reason"]) for row in content["rows"]} == {("r2/c", None)}
    rows = {row["region"]: row for row in content["rows"]}
    assert rows.keys() == {"V1", "hV4", "early", "ventral", "all-vertices"}
    row = rows["V1"]
    assert row["n_targets"] == sum("V1" in regions.split("|") for regions in targets["regions"])
    assert row["n_mapping"] == N_TRAIN
    r = np.array([r for r, regions in zip(targets["r"], targets["regions"], strict=True) if "V1" in regions.split("|")])
    assert row["raw"] == pytest.approx(r.mean())
    assert row["score"] == pytest.approx((r * np.abs(r)).mean() / 0.5)
    assert 0 < row["error"] < 0.2
    accuracy = pyarrow.parquet.read_table(tmp_path / "algonauts2023-subj01.accuracy.parquet").to_pandas()
    assert set(accuracy.hemisphere) == {"lh", "rh", "both"} and set(accuracy.draw) == set(range(-1, 50))


def test_without_ceiling_the_score_is_the_raw_square(tmp_path):
    tree = write_tree(tmp_path, ("subj01",), N_TRAIN, N_TEST, respond)
    for file in (tree / "subj01/test_split/noise_ceiling").iterdir():
        file.unlink()
    content, targets = score(tree, tmp_path, {"all": latent}, regions=["V1"])
    (row,) = content["rows"]
    r = np.array([r for r, regions in zip(targets["r"], targets["regions"], strict=True) if "V1" in regions.split("|")])
    assert (row["ceiling"], row["scale"], row["reason"]) == (None, "r2", None)
    assert row["score"] == pytest.approx((r**2).mean())


@pytest.mark.parametrize(
    ("ceiling", "reason"), [(0.0, "not above 0: 0"), (7e-8, "as small as rounding: 7e-08"), (1e-3, None)]
)
def test_a_region_whose_mean_ceiling_cannot_divide_has_no_score_but_a_reason(tmp_path, ceiling, reason):
    tree = write_tree(tmp_path, ("subj01",), N_TRAIN, N_TEST, respond)
    for file in (tree / "subj01/test_split/noise_ceiling").glob("*_noise_ceiling.npy"):
        np.save(file, np.full(len(np.load(file)), ceiling, np.float32))
    content, _ = score(tree, tmp_path, {"all": latent}, regions=["V1", "V2"])
    mine, lacking = content["rows"]
    assert mine["raw"] > 0.5 and mine["ceiling"] == pytest.approx(ceiling) and mine["scale"] == "r2/c"
    assert mine["reason"] == (reason and f"the mean ceiling of the region is {reason}")
    nothing = (mine["score"], mine["error"], mine["unclipped_score"]) == (None, None, None)
    assert nothing == bool(reason) and mine["challenge_score"] == pytest.approx(100)  # the challenge's own rule
    assert lacking["score"] is None and lacking["reason"] == "the subject has no target of this region: V2"


@pytest.mark.parametrize("evaluate", ["test", "validation"])
def test_choosing_among_many_layers_stays_at_chance(tree, tmp_path, evaluate):
    # Choosing the best of 12 noise layers on the evaluated images would give about r = .2 for 50 images.
    layers = {f"noise{i}": noise(i, 10) for i in range(12)}
    content, _ = score(tree, tmp_path, layers, regions=["all-vertices"], evaluate=evaluate, samples=[30, "all"])
    assert len(content["rows"]) == 2 and all(abs(row["raw"]) < 0.1 for row in content["rows"])


def test_accuracy_grows_with_mapping_images_and_a_larger_set_extends_a_smaller_one(tree, tmp_path):
    content, targets = score(
        tree, tmp_path, {"all": latent}, regions=["all-vertices"], samples=[10, 40, "all"], repeats=3
    )
    assert [row["n_mapping"] for row in content["rows"]] == [10, 40, N_TRAIN]
    raw = [row["raw"] for row in content["rows"]]
    assert raw == sorted(raw)
    assert sorted(set(targets["n_mapping"])) == [10, 40, N_TRAIN] and len(targets["r"]) == 3 * 25


def test_order_of_stored_stimuli_does_not_matter(tree, tmp_path):
    ids = all_ids(tree)
    shuffled = [ids[i] for i in np.random.default_rng(5).permutation(len(ids))] + ["nsd-99999"]
    first, second = (score(tree, tmp_path / name, {"a": latent}, order)[0]["rows"]
                     for name, order in (("a", ids), ("b", shuffled)))  # fmt: skip
    assert first == second


def test_inner_products_serve_as_well_as_features(tree, tmp_path):
    layers, ridge = {"a": latent, "b": noise(1, 400)}, {"features": "centre"}
    both = [score(tree, tmp_path / keep, layers, keep=keep, ridge=ridge) for keep in ("features", "gram")]
    (first, of_features), (second, of_products) = both
    np.testing.assert_allclose(of_products["r"], of_features["r"], atol=1e-4)
    assert of_products["layer"] == of_features["layer"]
    assert first["rows"][0]["raw"] == pytest.approx(second["rows"][0]["raw"], abs=1e-4)


def test_features_read_in_blocks_give_the_same(tree, tmp_path):
    layers = {"wide": lambda ids: np.hstack([latent(ids), noise(2, 5000)(ids)])}
    whole, blocks = (score(tree, tmp_path / str(mb), layers, memory_mb=mb)[1]["r"] for mb in (500, 4))
    np.testing.assert_allclose(blocks, whole, atol=1e-4)


def test_parity_finds_the_truth_too(tree, tmp_path):
    content, _ = score(tree, tmp_path, {"a": latent}, protocol="parity", evaluate="validation", samples=[40, "all"])
    assert [row["n_mapping"] for row in content["rows"] if row["region"] == "V1"] == [40, 110]
    assert all(row["raw"] > 0.7 for row in content["rows"] if row["n_mapping"] == 110)
    assert content["details"]["ridge"]["intercept"] is False


def test_the_final_model_predicts_the_test_images_also_where_their_responses_are_withheld(tmp_path):
    tree = write_tree(tmp_path, ("subj01",), N_TRAIN, N_TEST, respond)
    expected = {side: np.load(tree / f"subj01/test_split/test_fmri/{side}_test_fmri.npy") for side in ("lh", "rh")}
    for file in [
        *(tree / "subj01/test_split/test_fmri").iterdir(),
        *(tree / "subj01/test_split/noise_ceiling").iterdir(),
    ]:
        file.unlink()
    with pytest.raises(DataError, match="withheld"):
        score(tree, tmp_path, {"a": latent})
    score(tree, tmp_path, {"a": latent}, evaluate="validation", submissions={"one": {}})
    for side, responses in expected.items():
        predictions = np.load(tmp_path / f"algonauts2023-subj01.{side}_pred_test.npy")
        assert predictions.shape == responses.shape and predictions.dtype == np.float32
        assert np.corrcoef(predictions.ravel(), responses.ravel())[0, 1] > 0.9


def test_masked_vertices_are_recorded(tmp_path):
    tree = write_tree(tmp_path, ("subj01",), N_TRAIN, N_TEST, respond)
    file = tree / "subj01/training_split/training_fmri/lh_training_fmri.npy"
    responses = np.load(file)
    responses[:, 3] = np.nan
    np.save(file, responses)
    content, targets = score(tree, tmp_path, {"all": latent}, regions=["all-vertices"])
    assert content["details"]["masked_vertices"] == {"lh": [3], "rh": []}
    assert content["rows"][0]["n_targets"] == 24
    assert np.isfinite(targets["r"]).all()


def test_images_without_activations_are_refused(tree, tmp_path):
    with pytest.raises(DataError, match="2 stimuli have no stored activations"):
        score(tree, tmp_path, {"all": latent}, all_ids(tree)[:-2])


def test_a_size_above_what_the_subject_has_is_refused(tree, tmp_path):
    with pytest.raises(DataError, match="more mapping images than the 150"):
        score(tree, tmp_path, {"all": latent}, samples=[100, 200])
