"""Encoding of fMRI end to end on small simulated trees: truth is found, chance stays chance, order does not matter."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from neuroscaling.activations.store import open_store, write_store
from neuroscaling.encoding.algonauts import read_subject
from neuroscaling.encoding.score import score_subject, score_tree
from neuroscaling.encoding.score_file import ScoreHeader
from neuroscaling.errors import DataError
from tests.unit.test_algonauts import write_tree

N_TRAIN, N_TEST = 150, 50
HEADER = ScoreHeader("resnet_w8-00000000", "simulated-test", True, "algonauts2023", ("ridge",))


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
    return write_tree(tmp_path_factory.mktemp("tree"), ("subj01", "subj02"), N_TRAIN, N_TEST, respond)


def all_ids(tree):
    subject = read_subject(tree, "subj01")
    return [*subject.training_ids, *subject.test_ids]


def store(folder, ids, layers):
    path = Path(folder) / "set.json"
    write_store(path, ids, [{name: make(ids).astype(np.float32) for name, make in layers.items()}], reduction={})
    return path


def noise(seed, width):
    return lambda ids: np.random.default_rng(seed).standard_normal((len(ids), width))


def score(tree, layers, ids=None, regions="all"):
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "algonauts2023.json"
        score_tree(store(folder, ids or all_ids(tree), layers), tree, output, HEADER, "all", regions)
        targets = pyarrow.parquet.read_table(output.with_name("algonauts2023.targets.parquet")).to_pydict()
        return json.loads(output.read_text()), targets


def test_planted_truth_is_found_with_the_right_layer_for_each_vertex(tree):
    layers = {"first": lambda ids: latent(ids)[:, :3], "second": lambda ids: latent(ids)[:, 3:], "noise": noise(0, 20)}
    content, targets = score(tree, layers)
    chosen = list(zip(targets["hemisphere"], targets["vertex"], targets["layer"], strict=True))
    half = {"lh": 7, "rh": 5}
    assert all(layer == ("first" if vertex < half[side] else "second") for side, vertex, layer in chosen)
    assert all(row["raw"] > 0.8 for row in content["rows"] if row["n_targets"])


def test_score_file_says_what_the_formats_page_says(tree):
    content, targets = score(tree, {"all": latent})
    assert content["format"] == "score/1"
    assert content["simulated"] is True
    assert (content["metric"], content["protocol"], content["ceiling_scale"]) == ("ridge", "corrected", "r2/c")
    rows = {(row["subject"], row["region"]): row for row in content["rows"]}
    assert {region for _, region in rows} == {"V1", "hV4", "early", "ventral", "all-vertices"}
    row = rows["subj02", "V1"]
    assert row["n_targets"] == sum("V1" in regions for regions in targets["regions"]) // 2
    assert row["n_mapping"] == N_TRAIN
    r = np.array([r for r, regions, s in zip(targets["r"], targets["regions"], targets["subject"], strict=True)
                  if "V1" in regions and s == "subj02"])  # fmt: skip
    assert row["raw"] == pytest.approx(r.mean())
    assert row["score"] == pytest.approx((r * np.abs(r)).mean() / 0.5)
    assert 0 < row["error"] < 0.2


def test_without_ceiling_the_score_is_the_raw_square(tmp_path):
    tree = write_tree(tmp_path, ("subj01",), N_TRAIN, N_TEST, respond)
    for file in (tree / "subj01/test_split/noise_ceiling").iterdir():
        file.unlink()
    content, targets = score(tree, {"all": latent}, regions=["V1"])
    (row,) = content["rows"]
    r = np.array([r for r, regions in zip(targets["r"], targets["regions"], strict=True) if "V1" in regions])
    assert row["ceiling"] is None
    assert row["score"] == pytest.approx((r**2).mean())


def test_choosing_among_many_layers_stays_at_chance(tree):
    # Choosing the best of 12 noise layers on the test images would give about r = .2 for 50 images.
    content, _ = score(tree, {f"noise{i}": noise(i, 10) for i in range(12)}, regions=["all-vertices"])
    assert all(abs(row["raw"]) < 0.08 for row in content["rows"])


def test_order_of_stored_stimuli_does_not_matter(tree):
    ids = all_ids(tree)
    shuffled = [ids[i] for i in np.random.default_rng(5).permutation(len(ids))] + ["nsd-99999"]
    first, second = (score(tree, {"a": latent}, order)[0]["rows"] for order in (ids, shuffled))
    assert first == second


def test_wide_features_give_the_same_as_their_compact_form(tree, tmp_path):
    def wide(ids):
        # Five orthogonal copies of each feature: as many inner products, more features than training images.
        return np.tile(latent(ids), (1, 40)) / np.sqrt(40)

    subject = read_subject(tree, "subj01")
    narrow = score_subject(subject, open_store(store(tmp_path / "a", all_ids(tree), {"a": latent})))
    other = score_subject(subject, open_store(store(tmp_path / "b", all_ids(tree), {"a": wide})))
    np.testing.assert_allclose(other.correlation, narrow.correlation, atol=2e-3)


def test_masked_vertices_are_recorded(tmp_path):
    tree = write_tree(tmp_path, ("subj01",), N_TRAIN, N_TEST, respond)
    file = tree / "subj01/training_split/training_fmri/lh_training_fmri.npy"
    responses = np.load(file)
    responses[:, 3] = np.nan
    np.save(file, responses)
    content, targets = score(tree, {"all": latent}, regions=["all-vertices"])
    assert content["details"]["masked_vertices"] == {"subj01": {"lh": [3], "rh": []}}
    assert content["rows"][0]["n_targets"] == 24
    assert np.isfinite(targets["r"]).all()


def test_images_without_activations_are_refused(tree, tmp_path):
    ids = all_ids(tree)[:-2]
    with pytest.raises(DataError, match="2 stimuli have no stored activations"):
        score(tree, {"all": latent}, ids)
