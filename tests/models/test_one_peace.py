"""ONE-PEACE's vision branch: its size, its relative positions, and the names of its official checkpoints."""

import pytest
import torch
from torch.nn import functional

from neuroscaling.activations.networks import network_extractor
from neuroscaling.activations.stimulus_images import CLIP_MEAN, CLIP_STD, preprocessing
from neuroscaling.core.errors import DataError
from neuroscaling.models.build import skeleton
from neuroscaling.models.checkpoints import build_with
from neuroscaling.models.cost import count
from neuroscaling.models.one_peace import OnePeaceVision, relative_index, table_rows, vision_names
from neuroscaling.study import architectures
from neuroscaling.study.extraction_job import FeatureSpec
from neuroscaling.study.sections.extraction import Reduction

ARCH = "one_peace_vision"
TINY = {"width": 32, "heads": 4, "hidden": 48, "depth": 3, "side": 4}


@pytest.fixture
def tiny():
    """A small configuration with random weights everywhere, the biases of attention included."""
    torch.manual_seed(0)
    model = OnePeaceVision(0, **TINY).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    return model


@pytest.fixture
def images():
    return torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))


def numbers(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters_of_the_published_size():
    model = skeleton(ARCH, 0)
    assert numbers(model) == 1_514_569_056
    assert numbers(model.encoder.layers[0]) == 37_779_456 and len(model.encoder.layers) == 40
    adapter = model.image_adapter
    assert numbers(adapter.embed_images) == 2_971_392
    assert (adapter.cls_embedding.numel(), adapter.pos_embed.numel()) == (1536, 394_752)
    assert adapter.rel_pos_table.weight.shape == (964, 24) and adapter.rel_pos_index.shape == (257, 257)
    assert model.encoder.layers[0].self_attn.k_proj.bias is None
    assert {module.eps for module in model.modules() if isinstance(module, torch.nn.LayerNorm)} == {1e-5}


def test_cost_is_near_that_of_its_products():
    # 256 tokens and the class token through all matrices, and the products of attention (1.04e10) beside.
    macs = 257 * 40 * (4 * 1536**2 + 3 * 1536 * 6144) + 40 * 2 * 257**2 * 1536
    assert count(ARCH)["macs"] == pytest.approx(macs, rel=0.01)


def test_rows_of_relative_positions():
    index = relative_index(16)
    assert table_rows(16) == 964 and index.min() == 0 and index.max() == 963
    assert (index[0, 1:] == 961).all() and (index[1:, 0] == 962).all() and index[0, 0] == 963
    patches = index[1:, 1:]
    assert (patches.diagonal() == 15 * 31 + 15).all()
    # One step down is a row of the offsets further, one to the right the next.
    assert patches[16, 0] - patches[0, 0] == 31 and patches[1, 0] - patches[0, 0] == 1
    assert (patches + patches.T == 2 * (15 * 31 + 15)).all()


@pytest.mark.parametrize("side", [1, 2, 5, 16])
def test_equal_offsets_share_a_row_and_others_do_not(side):
    patches = relative_index(side)[1:, 1:]
    place = torch.arange(side * side)
    offsets = torch.stack([(place // side)[:, None] - place // side, (place % side)[:, None] - place % side], -1)
    rows = {}
    for offset, row in zip(offsets.reshape(-1, 2).tolist(), patches.flatten().tolist(), strict=True):
        assert rows.setdefault(tuple(offset), row) == row
    assert len(set(rows.values())) == len(rows) == (2 * side - 1) ** 2


def test_a_layer_is_what_the_publication_says(tiny, images):
    tokens, bias = tiny.image_adapter(images)
    layer = tiny.encoder.layers[0]
    x = layer.self_attn_layer_norm(tokens)
    attention = layer.self_attn
    heads = []
    for head in range(4):
        part = slice(8 * head, 8 * head + 8)
        query = (x @ attention.q_proj.weight.T + attention.q_proj.bias)[..., part] * 8**-0.5
        key = (x @ attention.k_proj.weight.T)[..., part]
        value = (x @ attention.v_proj.weight.T + attention.v_proj.bias)[..., part]
        heads.append(torch.softmax(query @ key.transpose(1, 2) + bias[head], -1) @ value)
    mixed = functional.layer_norm(torch.cat(heads, -1), (32,), attention.ln.weight, attention.ln.bias)
    after = tokens + layer.gamma_1 * (mixed @ attention.out_proj.weight.T + attention.out_proj.bias)
    gated, _, norm, out = layer.image_ffn
    y = layer.final_layer_norm(after)
    y = functional.gelu(y @ gated.wi_0.weight.T) * (y @ gated.wi_1.weight.T)
    expected = after + layer.gamma_2 * out(norm(y))
    torch.testing.assert_close(layer(tokens, bias), expected, rtol=1e-4, atol=1e-4)


def test_all_layers_share_the_table_and_the_class_token_comes_first(tiny, images):
    tokens, bias = tiny.image_adapter(images)
    assert tokens.shape == (2, 17, 32) and bias.shape == (4, 17, 17)
    table = tiny.image_adapter.rel_pos_table.weight
    assert torch.equal(bias[:, 0, 0], table[-1]) and torch.equal(bias[:, 0, 3], table[-3])
    expected = tiny.image_adapter.cls_embedding[0, 0] + tiny.image_adapter.pos_embed[0]
    torch.testing.assert_close(tokens[1, 0], expected)
    with torch.no_grad():
        before = tiny(images)
        tiny.image_adapter.rel_pos_table.weight.zero_()
        assert (tiny(images) - before).abs().max() > 1e-3
    assert before.shape == (2, 32)


def official(model):
    """A state dictionary of the whole model of three modalities, in the official names."""
    found = {}
    for key, value in model.state_dict().items():
        key = key.replace("image_adapter.rel_pos_table.", "image_adapter.rel_pos_table_list.0.")
        key = key.replace("image_adapter.", "encoder_wrapper.image_adapter.")
        found[key.replace("encoder.layers.", "encoder_wrapper.fusion_model.layers.")] = value
    extra = [
        "image_proj.weight", "text_proj.weight", "audio_proj.weight", "logit_scale",
        "encoder_wrapper.fusion_model.image_layer_norm.weight", "encoder_wrapper.fusion_model.text_layer_norm.weight",
        "encoder_wrapper.fusion_model.layers.0.text_ffn.0.wi_0.weight", "encoder_wrapper.fusion_model.version",
        "encoder_wrapper.fusion_model.layers.2.audio_ffn.3.bias", "encoder_wrapper.image_adapter.rp_bucket",
        "encoder_wrapper.text_adapter.embed_tokens.weight", "decoder_wrapper.fusion_model.layers.0.gamma_1",
        "encoder_wrapper.image_adapter.mask_embedding", "encoder_wrapper.image_adapter.rp_bucket_list.0",
    ]  # fmt: skip
    return found | {key: torch.zeros(3) for key in extra}


def test_official_names_become_those_of_the_network(tiny, images):
    found = vision_names(official(tiny))
    assert found.keys() == tiny.state_dict().keys()
    torch.manual_seed(9)
    other = OnePeaceVision(0, **TINY).eval()
    other.load_state_dict(found)
    with torch.no_grad():
        assert torch.equal(other(images), tiny(images))
    assert vision_names(found) == found


def test_the_published_size_has_the_published_names():
    state = skeleton(ARCH, 0).state_dict()
    layers = {key.removeprefix("encoder.layers.39.") for key in state if key.startswith("encoder.layers.39.")}
    assert layers == {
        "gamma_1", "gamma_2", "self_attn_layer_norm.weight", "self_attn_layer_norm.bias", "final_layer_norm.weight",
        "final_layer_norm.bias", "self_attn.ln.weight", "self_attn.ln.bias", "self_attn.q_proj.weight",
        "self_attn.q_proj.bias", "self_attn.k_proj.weight", "self_attn.v_proj.weight", "self_attn.v_proj.bias",
        "self_attn.out_proj.weight", "self_attn.out_proj.bias", "image_ffn.0.wi_0.weight", "image_ffn.0.wi_1.weight",
        "image_ffn.2.weight", "image_ffn.2.bias", "image_ffn.3.weight", "image_ffn.3.bias",
    }  # fmt: skip
    adapter = {key.removeprefix("image_adapter.") for key in state if key.startswith("image_adapter.")}
    convolutions = {f"embed_images.{i}.{kind}" for i in (0, 3, 6) for kind in ("weight", "bias")}
    norms = {f"embed_images.{i}.layer_norm.{kind}" for i in (1, 4) for kind in ("weight", "bias")}
    assert adapter == {"cls_embedding", "pos_embed", "rel_pos_table.weight"} | convolutions | norms


@pytest.fixture
def tiny_arch(monkeypatch):
    """The architecture under a name of its own, small."""
    entry = architectures.Architecture(
        "one_peace_tiny", "ONE-PEACE", "neuroscaling.one_peace_vision", TINY, 64, ("encoder.layers.2",), "pool"
    )
    monkeypatch.setitem(architectures._zoo(), "one_peace_tiny", entry)
    return "one_peace_tiny"


@pytest.mark.parametrize("inner", ["model", None])
def test_an_official_file_is_loaded(inner, tiny, tiny_arch, images, tmp_path):
    content = official(tiny)
    torch.save({inner: content} if inner else content, tmp_path / "one-peace-vision.pkl")
    with torch.no_grad():
        assert torch.equal(build_with(tiny_arch, tmp_path / "one-peace-vision.pkl").eval()(images), tiny(images))


def test_an_official_file_that_lacks_a_tensor_names_it(tiny, tiny_arch, tmp_path):
    content = official(tiny)
    del content["encoder_wrapper.fusion_model.layers.1.gamma_1"]
    torch.save({"model": content}, tmp_path / "one-peace.pt")
    with pytest.raises(DataError, match="weights of another architecture"):
        build_with(tiny_arch, tmp_path / "one-peace.pt")


def test_features_are_grids_of_the_patches(tiny, tiny_arch):
    asked = FeatureSpec(reduction=Reduction(kind="max", sizes=[1, 4, 5]))
    extractor = network_extractor(tiny, tiny_arch, "pretrained", asked, torch.device("cpu"))
    assert extractor.widths() == {"encoder.layers.2@1": 32, "encoder.layers.2@4": 512, "pool": 32}
    tokens, bias = tiny.image_adapter(torch.zeros(1, 3, 64, 64))
    last = tiny.encoder(tokens, bias)
    grid = extractor.reducer.entries("encoder.layers.2", last)["encoder.layers.2@4"]
    assert torch.equal(grid, last[:, 1:].transpose(1, 2).flatten(1))


def test_images_are_resized_whole_as_published():
    one = preprocessing(ARCH, "pretrained")
    assert (one.size, one.interpolation, one.crop, one.mean, one.std) == (256, "bicubic", 1, CLIP_MEAN, CLIP_STD)
