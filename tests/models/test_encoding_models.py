"""The seed study's models by name, and weights from files in the forms that the hub and others have."""

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from neuroscaling.activations.networks import network_extractor
from neuroscaling.core.errors import DataError
from neuroscaling.models.build import build, skeleton
from neuroscaling.models.checkpoints import build_pretrained, tensor_problems, timm_config
from neuroscaling.models.layers import candidate_layers
from neuroscaling.models.weights import read_weights, save_weights
from neuroscaling.study import architectures
from neuroscaling.study.published_weights import HUB_FILES, weights_file, weights_problems
from neuroscaling.training.network_trials import encoding_models
from tests.support.prepared import features_of

EVA = "eva02_tiny_patch14_224"
CONVNEXT = "convnext_atto"
NETWORKS = {model.name.partition(".")[0]: model for model in encoding_models()}.values()


def count(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("model", encoding_models(), ids=lambda model: model.name)
def test_parameters_with_and_without_the_head(model):
    published = timm_config(architectures.architecture(model.name).timm_name)
    assert count(skeleton(model.name, published.num_classes if published else 0)) == model.parameters
    assert count(skeleton(model.name, 0)) == model.trunk
    assert architectures.architecture(model.name).input_size == model.input_size


@pytest.mark.parametrize("model", NETWORKS, ids=lambda model: model.name)
def test_all_blocks_are_candidates_of_one_pass_on_grids_up_to_the_last_blocks_map(model):
    sizes = sorted({1, model.grid, 16})
    asked = features_of(None, {"kind": "max", "sizes": sizes})
    network = skeleton(model.name, 0)
    extractor = network_extractor(network, model.name, "pretrained", asked, torch.device("meta"))
    blocks = candidate_layers(model.name, network)
    assert len(blocks) == model.blocks and extractor.layers[:-1] == blocks
    widths = extractor.widths()
    last = {entry: width for entry, width in widths.items() if entry.startswith(f"{blocks[-1]}@")}
    assert last == {f"{blocks[-1]}@{k}": model.width * k * k for k in sizes if k <= model.grid}
    assert set(widths) >= {f"{block}@{model.grid}" for block in blocks}
    # Maps of ConvNeXt's first stages are finer than those of its last; of the others' blocks all are alike.
    assert (f"{blocks[0]}@16" in widths) == (model.grid == 16 or "convnext" in model.name)


def test_names_of_the_blocks():
    assert candidate_layers("eva02_base_patch16_clip_224.merged2b")[-1] == "blocks.11"
    blocks = candidate_layers("convnext_xxlarge.clip_laion2b_soup")
    assert (blocks[0], blocks[7], blocks[-1]) == ("stages.0.blocks.0", "stages.2.blocks.0", "stages.3.blocks.2")


def test_features_are_timm_s_intermediates_pooled():
    model = build(EVA, 7, 1).eval()
    asked = features_of(None, {"kind": "max", "sizes": [1, 3, 16]}, normalise=False, crop=False)
    extractor = network_extractor(model, EVA, "pretrained", asked, torch.device("cpu"))
    images = np.random.default_rng(0).integers(0, 256, (2, 224, 224, 3), dtype=np.uint8)
    found = {}
    extractor.forward(images, list(extractor.widths()), lambda entry, size, ready: found.update({entry: ready()}))
    pixels = torch.from_numpy(images).permute(0, 3, 1, 2) / 255  # ToTensor alone
    with torch.no_grad():
        maps = model.forward_intermediates(pixels, intermediates_only=True)
    assert [f"blocks.{i}@3" in found for i in range(len(maps))] == [True] * 12
    for i, size in ((0, 1), (5, 3), (11, 16)):
        expected = torch.nn.AdaptiveMaxPool2d((size, size))(maps[i]).flatten(1)
        np.testing.assert_allclose(found[f"blocks.{i}@{size}"], expected.numpy(), rtol=1e-4, atol=1e-5)


def equal(model, other):
    first, second = model.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("classes", [0, 7])
def test_weights_with_and_without_a_head(classes, tmp_path):
    original = build(EVA, classes, 1)
    save_weights(original, tmp_path / f"{EVA}.safetensors", {})
    assert equal(build_pretrained(EVA, tmp_path / f"{EVA}.safetensors"), original)


def test_names_of_a_clip_checkpoint_are_understood_and_its_text_tower_dropped(tmp_path):
    original = build(EVA, 7, 1)
    tensors = {f"visual.trunk.{key}": value for key, value in original.state_dict().items()}
    save_file(tensors | {"text.token_embedding.weight": torch.zeros(3, 2)}, tmp_path / f"{EVA}.safetensors")
    assert equal(build_pretrained(EVA, tmp_path / f"{EVA}.safetensors"), original)


def test_a_convnext_of_open_clip_has_its_projection_as_head(tmp_path):
    original = build(CONVNEXT, 7, 1)
    torch.nn.init.zeros_(original.head.fc.bias)
    state = original.state_dict()
    trunk = {f"visual.trunk.{key}": value for key, value in state.items() if not key.startswith("head.fc")}
    projection = {"visual.head.proj.weight": state["head.fc.weight"], "logit_scale": torch.ones(1)}
    torch.save({"state_dict": trunk | projection}, tmp_path / f"{CONVNEXT}.bin")
    assert equal(build_pretrained(CONVNEXT, tmp_path / f"{CONVNEXT}.safetensors"), original)


def test_weights_lie_beside_in_other_forms_or_as_the_hub_has_them(tmp_path):
    asked = tmp_path / "a.tag.safetensors"
    assert weights_file(asked, "a.tag") is None
    for file in reversed(
        [asked, tmp_path / "a.tag.bin", tmp_path / "a.tag" / HUB_FILES[0], tmp_path / "a.tag" / HUB_FILES[3]]
    ):
        file.parent.mkdir(exist_ok=True)
        file.touch()
        assert weights_file(asked, "a.tag") == file


def test_missing_weights_name_where_they_were_looked_for_and_what_is_near(tmp_path):
    (tmp_path / "resnet_w16.safetensors").touch()
    (problem,) = weights_problems("resnet_w8", tmp_path / "resnet_w8.safetensors")
    text = str(problem)
    assert "weights are missing" in text and "resnet_w8.safetensors, resnet_w8.bin" in text
    assert problem.nearest == "resnet_w16.safetensors" and "let timm fetch" in text
    assert weights_problems("resnet18.a1_in1k", None) == []


def test_what_no_hub_has_needs_a_folder():
    (problem,) = weights_problems("one_peace_vision", None)
    assert "one-peace-vision.pkl" in problem.fix and "Apache" in problem.fix and "`weights:`" in problem.fix
    with pytest.raises(DataError, match="on no hub that timm knows"):
        build_pretrained("one_peace_vision")


def test_foreign_files_are_found_without_reading_tensors(tmp_path):
    path = tmp_path / "resnet_w8.safetensors"
    save_weights(build("vit_w16", 10, 0), path, {"arch": "vit_w16"})
    (problem,) = weights_problems("resnet_w8", path)
    assert (problem.what, problem.value) == ("weights of another architecture", "vit_w16")
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    assert "cut short" in weights_problems("vit_w16", path)[0].what
    path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    assert "git-lfs" in weights_problems("vit_w16", path)[0].what
    path.write_text("<html>not found</html>")
    assert "not a safetensors file" in weights_problems("vit_w16", path)[0].what
    path.unlink()
    (tmp_path / "resnet_w8.bin").write_text("<html>not found</html>")
    assert "not a file of torch" in weights_problems("resnet_w8", path)[0].what


def test_tensors_of_another_model_are_named_from_the_header_alone(tmp_path):
    save_weights(build(CONVNEXT, 7, 0), tmp_path / "a.safetensors", {})
    (problem,) = tensor_problems(EVA, tmp_path / "a.safetensors")
    assert "no `head.weight`" in problem.what
    state = build(EVA, 7, 1).state_dict()
    state["blocks.3.norm1.bias"] = torch.zeros(5)
    save_file(state, tmp_path / "b.safetensors")
    (problem,) = tensor_problems(EVA, tmp_path / "b.safetensors")
    assert "blocks.3.norm1.bias: 5 instead of 192" in problem.allowed


@pytest.mark.parametrize("prefix", ["", "visual.trunk."])
def test_tensors_that_fit_have_no_problems(prefix, tmp_path):
    state = build(EVA, 7, 1).state_dict()
    save_file({f"{prefix}{key}": value for key, value in state.items()}, tmp_path / "a.safetensors")
    assert tensor_problems(EVA, tmp_path / "a.safetensors") == []


def test_sound_files_have_no_problems(tmp_path):
    model = build("resnet_w8", 10, 0)
    save_weights(model, tmp_path / "a.safetensors", {"arch": "resnet_w8"})
    torch.save(model.state_dict(), tmp_path / "b.pt")
    assert weights_problems("resnet_w8", tmp_path / "a.safetensors") == []
    assert weights_problems("resnet_w8", tmp_path / "b.safetensors") == []


class Foreign:
    """What a pickle may hold beside tensors; this one would make a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


def test_a_pickle_of_more_than_tensors_is_not_run(tmp_path):
    torch.save({"model": Foreign(tmp_path / "run")}, tmp_path / "a.pkl")
    with pytest.raises(DataError, match=r"no tensors in this file[\s\S]*io\.open[\s\S]*state_dict"):
        read_weights(tmp_path / "a.pkl")
    assert not (tmp_path / "run").exists()
    torch.save({"epoch": 3}, tmp_path / "b.pkl")
    with pytest.raises(DataError, match="no tensors"):
        read_weights(tmp_path / "b.pkl")


def test_weights_of_another_model_of_timm_name_what_is_missing(tmp_path):
    save_weights(build(CONVNEXT, 7, 0), tmp_path / f"{EVA}.safetensors", {})
    with pytest.raises(DataError, match=r"weights of another architecture: no `head\.weight`"):
        build_pretrained(EVA, tmp_path / f"{EVA}.safetensors")


@pytest.mark.parametrize("arch", ["resnet_w8", "vit_w16", "efficientnet_b0", "tiny_vit_5m_224"])
def test_a_network_that_is_read_from_a_file_is_the_one_that_was_written(arch, tmp_path):
    original = build(arch, 4, 2).eval()
    save_weights(original, tmp_path / "a.safetensors", {"arch": arch})
    model = build_pretrained(arch, tmp_path / "a.safetensors").eval()
    # All that is in no file, such as indices of relative positions, is computed as it is where weights are drawn.
    buffers = dict(original.named_buffers())
    assert buffers.keys() == dict(model.named_buffers()).keys()
    assert all(torch.equal(value, buffers[name]) for name, value in model.named_buffers())
    assert equal(model, original)
