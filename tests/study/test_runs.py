"""Names of runs: equal for equal weights, other for other ones, wherever they lie."""

import math
import os

import pytest
import torch
import yaml
from tools.network_tables import published_weights_table

from neuroscaling.core import hashing
from neuroscaling.core.errors import DataError, StudyError
from neuroscaling.core.hashing import key_of
from neuroscaling.models.build import build
from neuroscaling.models.checkpoints import build_pretrained
from neuroscaling.models.weights import save_weights
from neuroscaling.study import code_fingerprints, run_table
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.published_weights import PUBLISHED_WEIGHTS, Presentation, published_weights, weights_identity

NETWORK = "import torch\n\ndef net(num_classes):\n    return torch.nn.Linear(3, num_classes)\n"


@pytest.fixture
def runs_of(tmp_path, monkeypatch):
    """The runs of a study in `tmp_path`, which is the working directory; more than one file of weights lies there."""
    monkeypatch.chdir(tmp_path)
    for folder, seed in (("wa", 0), ("wb", 1), ("copy", 0)):
        save_weights(build("resnet_w8", 10, seed), tmp_path / folder / "resnet_w8.safetensors", {})

    def expanded(*groups):
        study = {"study": "s", "store": "store", "datasets": {"digits": {"format": "digits"}}, "runs": list(groups)}
        (tmp_path / "s.yaml").write_text(yaml.safe_dump(study))
        return list(load_study(tmp_path / "s.yaml").runs.values())

    return expanded


def test_other_weights_from_outside_are_another_run_and_the_same_elsewhere_are_not(runs_of):
    """`pretrained: [x]` with two folders was one run, and a colleague's weights were scored under one's own name."""
    groups = [{"pretrained": ["resnet_w8"], "weights": folder} for folder in ("wa", "wb", "copy")]
    one, other = runs_of(*groups)
    assert one.run != other.run
    assert one.definition["weights"] != other.definition["weights"]
    assert [run.run for run in runs_of(groups[2])] == [one.run]


def test_weights_of_networks_of_ones_own_count_too(runs_of, tmp_path):
    (tmp_path / "lab_net_d.py").write_text(NETWORK)
    for folder, value in (("wa", 0.0), ("wb", 1.0)):
        torch.save({"weight": torch.full((10, 3), value)}, tmp_path / folder / "lab_net_d:net@32.pt")
    groups = [{"pretrained": ["lab_net_d:net@32"], "weights": folder} for folder in ("wa", "wb")]
    assert len({run.run for run in runs_of(*groups)}) == 2


def test_weights_that_are_not_there_are_refused_by_the_study_and_named_absent(runs_of, tmp_path):
    with pytest.raises(StudyError, match="weights are missing"):
        runs_of({"pretrained": ["vit_w32"], "weights": "wa"})
    assert weights_identity(tmp_path / "wa" / "vit_w32.safetensors", "vit_w32") == "absent"


def test_weights_that_changed_since_the_run_was_named_are_refused(runs_of, tmp_path):
    (run,) = runs_of({"pretrained": ["resnet_w8"], "weights": "wa"})
    build_pretrained("resnet_w8", tmp_path / run.weights, run.definition["weights"])
    os.replace("wb/resnet_w8.safetensors", "wa/resnet_w8.safetensors")
    with pytest.raises(DataError, match="not the weights that the run is named after") as raised:
        build_pretrained("resnet_w8", tmp_path / run.weights, run.definition["weights"])
    assert run.definition["weights"] in str(raised.value)


def test_published_weights_are_named_with_their_tag_and_where_they_come_from(runs_of):
    bare, tagged, torchvision = runs_of(
        {"pretrained": ["resnet34", "resnet18.tv_in1k", "torchvision.resnet50"]},
    )
    assert bare.run.startswith("resnet34.a1_in1k_pretrained-")
    assert runs_of({"pretrained": ["resnet34.a1_in1k"]})[0].run == bare.run
    assert tagged.definition["published"] == {"name": "resnet18.tv_in1k", "source": "hf-hub:timm/resnet18.tv_in1k"}
    assert torchvision.definition["published"]["name"] == "torchvision.resnet50.IMAGENET1K_V2"
    assert torchvision.definition["published"]["source"].endswith("resnet50-11ad3fa6.pth")


def test_how_images_are_shown_to_weights_from_outside_is_in_the_name(runs_of, monkeypatch):
    """Which part of an image they see follows from their name, in a table that is made anew when timm is upgraded."""
    groups = [{"pretrained": ["resnet18.a1_in1k"]}, {"pretrained": ["resnet_w8"], "weights": "wa"}]
    before = [run.run for run in runs_of(*groups)]
    shown = runs_of(groups[0])[0].definition["shown"]
    assert shown["crop"] == 0.95 and shown["interpolation"] == "bicubic" and shown["mean"][0] == 0.485
    monkeypatch.setattr(run_table, "presentation", lambda arch: Presentation("bicubic", 0.9, (0.5,) * 3, (0.5,) * 3))
    assert not set(before) & {run.run for run in runs_of(*groups)}


def test_the_list_of_published_weights_is_in_step_with_timm_and_torchvision():
    assert PUBLISHED_WEIGHTS.read_text(encoding="utf-8") == published_weights_table()


def test_weights_that_the_installed_library_fetches_from_elsewhere_are_refused(monkeypatch):
    elsewhere = {"name": "resnet18.a1_in1k", "source": "hf-hub:elsewhere/resnet18"}
    monkeypatch.setattr("neuroscaling.models.checkpoints.published_weights", lambda arch: elsewhere)
    with pytest.raises(DataError, match="from elsewhere than the run's name says") as raised:
        build_pretrained("resnet18")
    assert "hf-hub:elsewhere/resnet18" in str(raised.value)
    assert published_weights("resnet18")["source"] == "hf-hub:timm/resnet18.a1_in1k"


def test_a_run_is_named_by_its_definition_and_says_it(runs_of):
    trained = {"archs": ["resnet_w8"], "datasets": ["digits"], "samples_per_class": [2], "recipe": "digits"}
    for run in runs_of(trained, {"untrained": ["resnet_w8"]}, {"baselines": ["pixels", "gabor"]}):
        assert run.run.endswith("-" + key_of(run.definition))
        assert run.content(["definition", "seed"]) == {"definition": run.definition, "seed": run.seed}
        assert "dataset_settings" not in run.definition  # where images lie


@pytest.mark.parametrize(
    ("stage", "others"), [("training", {"trained"}), ("subsets", {"trained"}), ("networks", {"trained", "untrained"})]
)
def test_a_raised_version_renames_the_runs_that_it_is_about(runs_of, monkeypatch, stage, others):
    trained = {"archs": ["resnet_w8"], "datasets": ["digits"], "samples_per_class": [2], "recipe": "digits"}
    groups = (trained, {"untrained": ["resnet_w8"]}, {"baselines": ["pixels"]})
    before = {run.kind: run.run for run in runs_of(*groups)}
    version_of = code_fingerprints.version_of
    monkeypatch.setattr(run_table, "version_of", lambda asked: version_of(asked) + (asked == stage))
    after = {run.kind: run.run for run in runs_of(*groups)}
    assert {kind for kind in before if before[kind] != after[kind]} == others


@pytest.fixture
def counted(monkeypatch):
    """How many files were read for their checksums."""
    read = []

    def counting(path, plain=hashing.file_sha256):
        read.append(path)
        return plain(path)

    monkeypatch.setattr(hashing, "file_sha256", counting)
    return read


def rewritten(file, content):
    """The same size and date, and another date of its entry, once the clock of the disk has gone on."""
    before = os.stat(file).st_ctime_ns
    while os.stat(file).st_ctime_ns == before:
        file.write_bytes(content)
        os.utime(file, (1e9, 1e9))


def test_weights_are_read_for_their_checksum_once(tmp_path, counted, monkeypatch):
    monkeypatch.setattr(hashing, "SETTLED_SECONDS", -math.inf)  # as if all were written long ago
    file, cache = tmp_path / "w.pt", tmp_path / "cache"
    file.write_bytes(b"weights")
    os.utime(file, (1e9, 1e9))
    first = hashing.kept_sha256(file, cache)
    assert hashing.kept_sha256(file, cache) == first
    assert len(counted) == 1
    rewritten(file, b"another")
    assert hashing.kept_sha256(file, cache) != first
    for kept in (cache / "sha256").iterdir():
        kept.write_text('{"sha256": 3}')
    assert hashing.kept_sha256(file, cache) != first
    assert len(counted) == 3


@pytest.mark.parametrize("date", [None, (1e9, 1e9)], ids=["written", "copied with its date"])
def test_the_checksum_of_a_file_that_came_just_now_is_not_kept(tmp_path, monkeypatch, date):
    monkeypatch.setattr(hashing, "SETTLED_SECONDS", 1e6)  # so that now is not over before it is looked at
    (tmp_path / "w.pt").write_bytes(b"weights")
    os.utime(tmp_path / "w.pt", date)
    hashing.kept_sha256(tmp_path / "w.pt", tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written_to_is_none(tmp_path, counted):
    (tmp_path / "cache").write_text("a file where the folder would be")
    (tmp_path / "w.pt").write_bytes(b"weights")
    os.utime(tmp_path / "w.pt", (1e9, 1e9))
    found = {hashing.kept_sha256(tmp_path / "w.pt", cache) for cache in (tmp_path / "cache", None)}
    assert len(found) == 1
    assert len(counted) == 2
