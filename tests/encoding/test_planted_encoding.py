"""SIMULATED subjects whose vertices follow single layers of a network at single grid sizes: encoding finds which."""

import hashlib
import json

import numpy as np
import pyarrow.parquet
import pytest
from PIL import Image

from neuroscaling.activations.extraction import extract
from neuroscaling.activations.zarr_reading import open_store
from neuroscaling.core.encoding_scores import ScoreHeader
from neuroscaling.encoding.encoding_job import score_subject
from neuroscaling.models.build import build
from neuroscaling.models.weights import save_weights
from neuroscaling.recordings.algonauts_recording import read_recording
from neuroscaling.study.sections.extraction import ExtractionOptions
from tests.encoding.test_encoding import settings_of
from tests.support.prepared import extraction_of, run_of, write_run, write_set
from tests.support.simulated_algonauts import Stretch, unequal_plans, write_tree

N, N_TEST, SUBJECTS = 420, 80, ("subj01", "subj02", "subj03")
STRETCHES = (
    Stretch(0.3, "layer1.0@4", ceiling=0.9, rois=("V1v", "early")),
    Stretch(0.3, "layer2.0@1", ceiling=0.6, rois=("hV4", "midventral")),
    Stretch(0.3, "layer4.0@1", ceiling=0.4, rois=("EBA", "ventral")),
    Stretch(0.1, None, rois=("RSC",)),
)


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    """Three unequal subjects, encoded by an untrained network: rows and vertices of each."""
    folder = tmp_path_factory.mktemp("planted")
    images = _images(folder)
    save_weights(build("resnet_w8", 10, 0), folder / "weights-ep0.safetensors", {"arch": "resnet_w8"})
    write_run(folder)
    asked = {"layers": ["layer1.0", "layer2.0", "layer4.0"], "reduction": {"kind": "max", "sizes": [1, 2, 4]}}
    job = extraction_of(run_of("resnet_w8"), folder, folder / "activations.json", **asked)
    extract(job, ExtractionOptions(), device="cpu")
    stored = open_store(folder / "activations.json")
    features = {stretch.features: stored.read(stretch.features) for stretch in STRETCHES if stretch.features}
    plans = unequal_plans(list(images), len(SUBJECTS), N_TEST, vertices=50)
    write_tree(folder / "tree", images, features, STRETCHES, plans)
    return {subject: _score(folder, subject) for subject in SUBJECTS}


def _images(folder):
    """Blurred noise, so that neighbouring places have something in common, by NSD number."""
    (folder / "images").mkdir()
    rng, rows, images = np.random.default_rng(0), [], {}
    for i in range(N):
        coarse = Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8))
        images[i] = np.asarray(coarse.resize((32, 32), Image.Resampling.BICUBIC))
        file = folder / "images" / f"{i}.png"
        Image.fromarray(images[i]).save(file)
        sha1 = hashlib.sha1(file.read_bytes()).hexdigest()
        rows.append({"stimulus_id": f"nsd-{i:05d}", "filename": file.name, "sha1": sha1})
    write_set(folder, rows, "planted", None)
    return images


def _score(folder, subject):
    output = folder / f"algonauts2023-{subject}.json"
    header = ScoreHeader("r", "simulated-planted", True, "algonauts2023", ("ridge",))
    recording = read_recording(folder / "tree", subject)
    score_subject(folder / "activations.json", recording, output, header, settings_of())
    rows = {row["region"]: row for row in json.loads(output.read_text())["rows"]}
    return rows, pyarrow.parquet.read_table(output.with_name(f"{output.stem}.targets.parquet")).to_pandas()


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize(("region", "layer", "grid"), [("V1", "layer1.0", 4), ("EBA", "layer4.0", 1)])
def test_the_planted_layer_and_grid_are_chosen(scored, subject, region, layer, grid):
    _, vertices = scored[subject]
    mine = vertices[vertices.regions.str.split("|").map(lambda names: region in names)]
    assert ((mine.layer == layer) & (mine.grid == grid)).mean() > 0.8


@pytest.mark.parametrize("subject", SUBJECTS)
def test_ceilings_are_recovered_and_nearly_reached(scored, subject):
    rows, _ = scored[subject]
    for region, ceiling in (("V1", 0.9), ("hV4", 0.6), ("EBA", 0.4)):
        assert rows[region]["ceiling"] == pytest.approx(ceiling, abs=0.07)
        assert 0.75 < rows[region]["score"] < 1.25


@pytest.mark.parametrize("subject", SUBJECTS)
def test_regions_come_in_their_planted_order_and_noise_is_not_predicted(scored, subject):
    rows, _ = scored[subject]
    assert rows["V1"]["raw"] > rows["hV4"]["raw"] > rows["EBA"]["raw"] > 0.3
    assert abs(rows["RSC"]["raw"]) < 0.12
