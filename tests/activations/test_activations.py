"""Extraction of networks and baselines: the right values, once, for every layer."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from neuroscaling.activations import networks
from neuroscaling.activations.baselines import gabor
from neuroscaling.activations.extraction import extract, network_kept
from neuroscaling.activations.networks import normalise
from neuroscaling.activations.reductions import reduce
from neuroscaling.activations.stimulus_images import batches
from neuroscaling.activations.zarr_reading import open_store
from neuroscaling.core.errors import DataError, StudyError
from neuroscaling.core.hashing import ArtefactName, file_sha256
from neuroscaling.core.images import ImageFile
from neuroscaling.core.progress import progress_beside, read_progress
from neuroscaling.models.build import build
from neuroscaling.models.weights import save_weights
from neuroscaling.stimuli.manifest import read_manifest
from neuroscaling.study.sections.extraction import ExtractionOptions, Reduction
from tests.support.prepared import extraction_of, run_of, write_run, write_set

N = 70  # more than one batch


@pytest.fixture(scope="module")
def stimuli(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stimuli")
    (folder / "images").mkdir()
    rng = np.random.default_rng(0)
    rows = []
    for i in range(N):
        coarse = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
        coarse.resize((40, 40), Image.Resampling.BICUBIC).save(folder / "images" / f"{i}.png")
        sha1 = hashlib.sha1((folder / "images" / f"{i}.png").read_bytes()).hexdigest()
        rows.append({"stimulus_id": f"s{i}", "filename": f"{i}.png", "sha1": sha1, "width": 40, "height": 40})
    return write_set(folder, rows)


def a_run(folder, arch, seed=3):
    model = build(arch, 10, seed)
    save_weights(model, folder / "weights-ep0.safetensors", {"arch": arch, "run": "r", "epoch": "0"})
    write_run(folder)
    return run_of(arch), model.eval()


def extracted(run, folder, output, stimuli, options=None, **features):
    extract(extraction_of(run, folder, output, stimuli, **features), options or ExtractionOptions(), device="cpu")


@pytest.mark.parametrize("arch", ["resnet_w8", "vit_w32"])
def test_layers_equal_an_independent_forward_pass(arch, stimuli, tmp_path):
    run, model = a_run(tmp_path, arch)
    extracted(run, tmp_path, tmp_path / "test.json", stimuli)
    stored = open_store(tmp_path / "test.json")
    files = [ImageFile(stimuli.parent / "images" / f"{i}.png") for i in range(N)]
    images = np.concatenate(list(batches(files, 32)))
    with torch.no_grad():
        features = model.forward_features(normalise(images, torch.device("cpu")))
        logits = model.forward_head(features, pre_logits=True)
    assert stored.stimulus_ids == [f"s{i}" for i in range(N)]
    np.testing.assert_allclose(stored.read(stored.layers[-1]), logits.numpy(), atol=1e-5)
    assert len(stored.layers) == 5
    assert stored.manifest.record["degrees"] == 8
    assert stored.manifest.record["weights_sha256"] == file_sha256(tmp_path / "weights-ep0.safetensors")
    assert stored.manifest.record["made_from"] == {
        f"runs/{run.run}/weights-ep0.safetensors": stored.manifest.record["weights_sha256"],
        "stimuli/test/manifest.json": read_manifest(stimuli).checksum,
    }


def test_a_job_reads_its_network_once_and_the_next_one_anew(stimuli, tmp_path, monkeypatch):
    """Of three extractions by two networks, those of one follow each other; values don't depend on what was kept."""
    read = []
    extractor_of = networks.extractor_of
    monkeypatch.setattr(networks, "extractor_of", lambda *of: read.append(of[0].run) or extractor_of(*of))
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    runs = [(a_run(folder, "resnet_w4", seed)[0], folder) for seed, folder in enumerate(folders)]
    with network_kept():
        for (run, folder), name in zip([*runs[:1], *runs], ("first", "again", "other"), strict=True):
            extracted(run, folder, tmp_path / f"{name}.json", stimuli)
    assert len(read) == 2
    first, again, other = (
        open_store(tmp_path / f"{name}.json").read("layer2.0") for name in ("first", "again", "other")
    )
    assert np.array_equal(first, again) and not np.allclose(first, other)


@pytest.mark.parametrize(("arch", "features"), [("resnet_w8", [32, 64, 128, 64, 64]), ("vit_w32", [128] * 4 + [32])])
def test_grid_reduction_averages_places(arch, features, stimuli, tmp_path):
    run, _ = a_run(tmp_path, arch)
    grid, whole = tmp_path / "grid.json", tmp_path / "whole.json"
    extracted(run, tmp_path, grid, stimuli, reduction={"kind": "grid", "size": 2})
    extracted(run, tmp_path, whole, stimuli)
    reduced, full = open_store(grid), open_store(whole)
    assert [reduced.read(layer).shape[1] for layer in reduced.layers] == features
    assert reduced.reduction == {"kind": "grid", "size": 2}
    first = reduced.layers[0]
    values = full.read(first).reshape(N, 17, 32)[:, 1:].transpose(0, 2, 1) if arch == "vit_w32" else full.read(first)
    channels = 32 if arch == "vit_w32" else 8
    side = int(np.sqrt(values[0].size // channels))
    places = values.reshape(N, channels, 2, side // 2, 2, side // 2).mean((3, 5))
    np.testing.assert_allclose(reduced.read(first), places.reshape(N, -1), atol=1e-5)


def test_one_pass_serves_chosen_layers_and_unknown_ones_are_named(stimuli, tmp_path):
    run, _ = a_run(tmp_path, "resnet_w8")
    extracted(run, tmp_path, tmp_path / "test.json", stimuli, layers=["layer2.0", "fc"])
    assert open_store(tmp_path / "test.json").layers == ["layer2.0", "fc"]
    assert open_store(tmp_path / "test.json").read("fc").shape == (N, 10)
    with pytest.raises(DataError, match=r"unknown layer[\s\S]*layer5\.0[\s\S]*nearest: +layer\d\.0"):
        extracted(run, tmp_path, tmp_path / "other.json", stimuli, layers=["layer5.0"])


def test_what_is_there_is_left_as_it_is(stimuli, tmp_path):
    run, _ = a_run(tmp_path, "resnet_w8")
    output = tmp_path / "test.json"
    extracted(run, tmp_path, output, stimuli)
    before = output.read_bytes()
    for file in ("run.json", "weights-ep0.safetensors"):  # which it needs no more
        (tmp_path / file).unlink()
    extracted(run, tmp_path, output, stimuli)
    assert output.read_bytes() == before
    with pytest.raises(DataError, match=r"run\.json"):
        extracted(run, tmp_path, tmp_path / "other.json", stimuli)


def test_other_weights_than_those_of_the_record_are_refused_and_both_sums_named(stimuli, tmp_path):
    run, _ = a_run(tmp_path, "resnet_w8")
    (tmp_path / "other").mkdir()
    a_run(tmp_path / "other", "resnet_w8", seed=4)
    weights = tmp_path / "weights-ep0.safetensors"
    own, flipped = weights.read_bytes(), bytearray(weights.read_bytes())
    flipped[len(flipped) // 2] ^= 1
    for content in ((tmp_path / "other" / weights.name).read_bytes(), bytes(flipped)):
        weights.write_bytes(content)
        with pytest.raises(DataError, match=r"the weights are not those that run\.json tells of") as raised:
            extracted(run, tmp_path, tmp_path / "test.json", stimuli)
        assert hashlib.sha256(own).hexdigest() in str(raised.value) and file_sha256(weights) in str(raised.value)
        assert not (tmp_path / "test.json").exists()


def test_activations_of_another_definition_are_refused(stimuli, tmp_path):
    run = run_of("pixels", "baseline")
    definitions = [{"set": "test", "reduction": kind} for kind in ("none", "grid")]
    first, second = (tmp_path / f"{ArtefactName('test', definition)}.json" for definition in definitions)
    job = extraction_of(run, tmp_path, first, stimuli)
    extract(replace(job, definition=definitions[0]), ExtractionOptions())
    assert open_store(first).manifest.record["definition"] == definitions[0]
    first.rename(second)
    first.with_suffix(".zarr").rename(second.with_suffix(".zarr"))
    with pytest.raises(DataError, match="another artefact stands under this name"):
        open_store(second)


def test_weights_of_another_architecture_are_refused(stimuli, tmp_path):
    a_run(tmp_path, "resnet_w16")
    run = run_of("resnet_w8", "trained")
    with pytest.raises(DataError, match="weights of another architecture"):
        extracted(run, tmp_path, tmp_path / "test.json", stimuli)
    assert not (tmp_path / "test.json").exists()


def test_truncated_image_and_missing_image_are_named(stimuli, tmp_path):
    content = json.loads(stimuli.read_text())
    (tmp_path / "images").mkdir()
    for row in content["stimuli"]:
        source = stimuli.parent / "images" / row["filename"]
        (tmp_path / "images" / row["filename"]).write_bytes(source.read_bytes())
    write_set(tmp_path, content["stimuli"])
    run = run_of("pixels", "baseline")
    whole = (tmp_path / "images" / "5.png").read_bytes()
    (tmp_path / "images" / "5.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"5\.png: another image than was prepared, by its sha1"):
        extracted(run, tmp_path, tmp_path / "out.json", tmp_path / "manifest.json")
    (tmp_path / "images" / "5.png").unlink()
    with pytest.raises(DataError, match=r"1 of 70 images are missing"):
        extracted(run, tmp_path, tmp_path / "out.json", tmp_path / "manifest.json")


@pytest.mark.parametrize(("name", "features"), [("pixels", 784), ("gabor", 1152)])
def test_baselines(name, features, stimuli, tmp_path):
    run = run_of(name, "baseline")
    extracted(run, tmp_path, tmp_path / "test.json", stimuli)
    assert open_store(tmp_path / "test.json").read(name).shape == (N, features)
    with pytest.raises(StudyError, match=r"no such baseline[\s\S]*nearest"):
        extracted(run_of(name + "s", "baseline"), tmp_path, tmp_path / "other.json", stimuli)


def test_gabor_energy_is_largest_for_its_own_wavelength_and_orientation():
    x = np.arange(112)
    for scale, wavelength in enumerate((4, 8, 16, 32)):
        vertical = 0.5 + 0.5 * np.cos(2 * np.pi * x / wavelength)[None].repeat(112, 0)
        energy = gabor(np.stack([vertical, vertical.T]).astype(np.float32)).reshape(2, 4, 8, 36)[..., 14]
        assert np.unravel_index(energy[0].argmax(), (4, 8)) == (scale, 0)
        assert np.unravel_index(energy[1].argmax(), (4, 8)) == (scale, 4)


def test_reduction_passes_vectors():
    vectors = torch.ones(3, 5)
    assert reduce(vectors, torch.nn.Identity(), Reduction(kind="grid", size=2)) is vectors


def test_nan_activations_are_refused_with_layer_and_count_and_leave_nothing(stimuli, tmp_path):
    run, model = a_run(tmp_path, "resnet_w8")
    with torch.no_grad():
        model.layer3[0].bn2.bias[0] = float("nan")
    save_weights(model, tmp_path / "weights-ep0.safetensors", {"arch": "resnet_w8"})
    write_run(tmp_path)
    before = set(tmp_path.iterdir())
    with pytest.raises(DataError, match=r"layer layer3\.0: \d+ of \d+ activations are NaN or infinite"):
        extracted(run, tmp_path, tmp_path / "test.json", stimuli, ExtractionOptions(batch=16))
    left = set(tmp_path.iterdir()) - before
    assert left == {progress_beside(tmp_path / "test.json")} and "NaN" in read_progress(left.pop()).problem
