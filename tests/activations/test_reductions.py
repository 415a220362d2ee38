"""What is kept of a layer: grids, tokens and random projections, and what the options say."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn

from neuroscaling.activations.reductions import Projection, Reducer, entries, select_tokens
from neuroscaling.core.errors import DataError
from neuroscaling.study.sections.extraction import ExtractionOptions, FeatureOptions, Reduction

CPU = torch.device("cpu")
PINNED = (3147, [(0, 8, -1), (1, 36, 1), (2, 42, -1)], 4099)


def reducer(kind, tokens="all", model=None, whole=(), **values):
    return Reducer(model or nn.Identity(), Reduction(kind=kind, **values), tokens, whole)


def test_max_takes_the_largest_of_each_place():
    maps = torch.arange(2 * 3 * 4 * 4).reshape(2, 3, 4, 4).float()
    expected = maps.reshape(2, 3, 2, 2, 2, 2).amax((3, 5)).flatten(1)
    assert torch.equal(reducer("max", size=2)("a", maps), expected)
    assert torch.equal(reducer("grid", size=2)("a", maps), maps.reshape(2, 3, 2, 2, 2, 2).mean((3, 5)).flatten(1))


def test_tokens():
    tokens = torch.arange(2 * 17 * 3).reshape(2, 17, 3).float()
    model = nn.Identity()  # 17 tokens: 16 patches and one more
    assert torch.equal(select_tokens(tokens, model, "class"), tokens[:, 0])
    assert torch.equal(select_tokens(tokens, model, "patch"), tokens[:, 1:])
    assert torch.equal(select_tokens(tokens, model, "mean"), tokens[:, 1:].mean(1))
    maps = torch.ones(2, 3, 4, 4)
    assert select_tokens(maps, model, "class") is maps
    model.num_prefix_tokens = 0
    assert torch.equal(select_tokens(tokens, model, "patch"), tokens)
    with pytest.raises(DataError, match="there is no class token"):
        select_tokens(tokens, model, "class")


def test_projection_entries_are_those_of_a_sparse_random_projection():
    features, components = 10_000, 300
    feature, component, sign = entries(features, components, 5)
    cells, density = features * components, 0.01
    expected = cells * density
    assert abs(len(feature) - expected) < 5 * np.sqrt(expected)
    assert abs(sign.sum()) < 5 * np.sqrt(expected) and set(sign.tolist()) == {-1, 1}
    # Each cell is drawn by itself: rows and columns have binomial counts, and none is drawn twice.
    for index, length, draws in [(feature, features, components), (component, components, features)]:
        counts = np.bincount(index, minlength=length)
        assert len(counts) == length
        variance = draws * density * (1 - density)
        assert counts.var() == pytest.approx(variance, rel=6 * np.sqrt(2 / length))
    assert len(np.unique(feature.astype(np.int64) * components + component)) == len(feature)
    assert feature.max() > features - 50 and component.max() == components - 1


def test_projection_depends_on_the_seed_and_not_on_what_is_drawn_beside():
    first, again, other = (entries(5000, 100, seed) for seed in (1, 1, 2))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0][:100], other[0][:100])
    # Block by block, the first 4,096 features are drawn from their own counters.
    assert np.array_equal(first[0][first[0] < 4096], np.sort(first[0])[: (first[0] < 4096).sum()])


def test_the_projection_is_pinned():
    # The same numbers on every machine and with every version of numpy.
    feature, component, sign = entries(4100, 50, 7)
    found = [*zip(feature[:3].tolist(), component[:3].tolist(), sign[:3].tolist(), strict=True)]
    assert (len(feature), found, int(feature[-1])) == PINNED


def test_projection_keeps_distances():
    rng = np.random.default_rng(0)
    values = torch.from_numpy(np.maximum(rng.standard_normal((30, 20_000)), 0).astype(np.float32))
    projected = Projection(20_000, 1000, 0, CPU)(values)
    assert projected.shape == (30, 1000)
    upper = np.triu_indices(30, 1)
    ratio = (torch.cdist(projected, projected) / torch.cdist(values, values)).numpy()[upper]
    # The squared distance has a relative standard deviation of sqrt(2 / 1000) = .045.
    assert abs((ratio**2).mean() - 1) < 0.03 and ratio.std() < 0.05


def test_projection_is_the_product_with_its_matrix():
    feature, component, sign = entries(3000, 40, 3)
    dense = np.zeros((3000, 40))
    dense[feature, component] = sign * np.sqrt(np.sqrt(3000) / 40)
    values = np.random.default_rng(1).standard_normal((5, 3000)).astype(np.float32)
    found = Projection(3000, 40, 3, CPU)(torch.from_numpy(values))
    np.testing.assert_allclose(found.numpy(), values @ dense, rtol=1e-4, atol=1e-4)


def test_a_projection_is_full_precision_though_the_network_runs_in_a_lower_one():
    """On a CPU it ended the extraction, and elsewhere features of float32 were projected as bfloat16."""
    values = torch.randn(5, 3000, generator=torch.Generator().manual_seed(0))
    project = Projection(3000, 40, 3, CPU)
    with torch.autocast("cpu", torch.bfloat16):
        found = project(values)
    assert found.dtype == torch.float32
    assert torch.equal(found, project(values))


def test_narrow_layers_and_the_readout_are_not_projected():
    reduce = reducer("projection", whole=("readout",), components=10, seed=0)
    wide, narrow = torch.ones(2, 30), torch.ones(2, 10)
    assert reduce("layer", wide).shape == (2, 10)
    assert torch.equal(reduce("layer", narrow), narrow) and torch.equal(reduce("readout", wide), wide)
    assert reduce("layer", torch.ones(2, 3, 5, 5, device="meta")).shape == (2, 10)


@pytest.mark.parametrize("wrong", [{"kind": "gird"}, {"kind": "grid", "size": 0}, {"kind": "none", "sizes": [2]}])
def test_other_reductions_are_refused(wrong):
    with pytest.raises(ValidationError):
        Reduction(**wrong)


def test_all_faults_of_options_are_named_at_once():
    assert ExtractionOptions(**ExtractionOptions(batch=3).operating()) == ExtractionOptions(batch=3)
    assert (
        ExtractionOptions(hang_seconds=9.0).laying()
        == ExtractionOptions().laying()
        != ExtractionOptions(batch=3).laying()
    )
    with pytest.raises(ValidationError, match=r"keep[\s\S]*dtype[\s\S]*kep"):
        FeatureOptions(keep="gran", kep="gram", dtype="float8")
    with pytest.raises(ValidationError, match="batch"):
        ExtractionOptions(batch=0)
