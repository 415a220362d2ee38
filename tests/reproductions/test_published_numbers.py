"""The numbers behind the figures of the published study: means, correlations, gains, and which models are shown."""

import numpy as np
import pandas as pd
import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.laws.curves import Curve
from neuroscaling.reproductions.gokce2025 import (
    correlations,
    data_and_model_size,
    private_benchmarks,
    published_frames,
    training_dynamics,
    training_objectives,
    visual_regions,
)
from neuroscaling.reproductions.gokce2025.points_and_curves import family_look
from neuroscaling.reproductions.gokce2025.published_scores import published_table
from tests.support.finished_fits import finished
from tests.support.made_up_study import NEURAL, made_up_tables


@pytest.fixture(scope="module")
def models():
    """The made-up models."""
    return published_frames.model_frame(made_up_tables()[0])


def test_curves_beyond_the_data_end_at_the_factor():
    beyond = Curve(x=np.geomspace(2.0, 60.0, 50), fit=np.arange(50.0))
    kept = beyond.up_to(10)
    assert kept.x.max() <= 20 < beyond.x[len(kept.x)] and len(kept.fit) == len(kept.x)
    assert beyond.up_to(1).x.size == 0 and Curve(x=[], fit=[]).up_to(10).x.size == 0


def test_means_over_regions(models):
    table = made_up_tables()[0]
    for row in models.sample(10, random_state=0).itertuples():
        mine = table[table["run"] == row.run].set_index("region")["score"]
        assert row.neural == pytest.approx(mine[NEURAL].mean()) and row.average == pytest.approx(mine.mean())
    assert "ResNet" in set(models["family"]) and "ResNetFlex" not in set(models["family"])


def test_a_mean_with_an_empty_part_is_empty_and_other_regions_are_left_out():
    table = made_up_tables()[0]
    first = table["run"] == "run000"
    table.loc[first & (table["region"] == "V2"), "score"] = np.nan
    more = table[table["run"] == "run001"].head(1).assign(region="all-vertices", run="brain")
    models = published_frames.model_frame(pd.concat([table, more])).set_index("run")
    assert np.isnan(models.loc["run000", "neural"]) and np.isnan(models.loc["run000", "average"])
    assert models.loc["run000", "IT"] > 0 and "brain" not in models.index


def test_tables_that_cannot_be_drawn_are_refused(tmp_path):
    table = made_up_tables()[0]
    with pytest.raises(DataError) as caught:
        published_frames.model_frame(table.rename(columns={"ssl_method": "ssl_methods"}))
    assert caught.value.problems[0].nearest == "ssl_methods" and caught.value.problems[0].value == "ssl_method"
    with pytest.raises(DataError, match="1 scores are given twice"):
        published_frames.model_frame(pd.concat([table, table.head(1)]))
    table.to_csv(tmp_path / "wrong.csv")
    with pytest.raises(DataError, match=r"wrong\.csv"):
        published_frames.private_frame(tmp_path / "wrong.csv")


def test_gain_is_the_reducible_part_of_the_law_at_1e14_flops():
    law = {"status": "fitted", "x_scale": 1e12, "params": {"E": 0.1, "A": 2.0, "alpha": 0.5}}
    resamples = pd.DataFrame({"E": 0.1, "A": [1.0, 2.0, 3.0, np.inf], "alpha": [0.5, 0.5, 0.5, 1.0]})
    value, interval = visual_regions.gain(finished(law, resamples))
    assert value == pytest.approx(2.0 * 100**-0.5)
    assert interval == pytest.approx([0.105, 0.295])  # 2.5 and 97.5 percent of the way from 0.1 to 0.3
    assert visual_regions.gain(finished(law)) == (value, None)


def test_pearson_and_its_interval():
    rng = np.random.default_rng(3)
    x = rng.normal(size=40)
    y = x + rng.normal(size=40)
    r, (low, high) = correlations.pearson(np.append(x, 1.0), np.append(y, np.nan))
    drawn = np.random.default_rng(42).integers(0, 40, size=(1000, 40))
    each = [np.corrcoef(x[row], y[row])[0, 1] for row in drawn]
    assert r == pytest.approx(np.corrcoef(x, y)[0, 1]) and [low, high] == pytest.approx(
        np.percentile(each, [2.5, 97.5])
    )


def test_r_squared_is_the_explained_variance():
    rng = np.random.default_rng(0)
    x = rng.normal(size=30)
    y = 2 * x + rng.normal(size=30)
    residual = y - np.polyval(np.polyfit(x, y, 1), x)
    assert private_benchmarks.r_squared(x, y) == pytest.approx(1 - residual.var() / y.var())


def test_mean_over_training_needs_every_model():
    rows = pd.DataFrame({"model_id": list("aabb"), "epochs": [1, 2, 1, 3], "V1": [0.1, 0.2, 0.3, 0.4]})
    assert training_dynamics.family_mean(rows, "V1").to_dict() == pytest.approx({1: 0.2})


def test_lines_of_samples_leave_flexible_networks_out(models):
    means = data_and_model_size.family_means(published_frames.supervised(models, ["imagenet"])).set_index(
        ["family", "n_samples_seen"]
    )
    full = models.query("dataset == 'imagenet' and n_samples_seen == 1.3e8 and arch in ('resnet18', 'resnet50')")
    expected = full[~full[published_frames.KINDS].any(axis=1)]["average"].mean()
    assert means.loc[("ResNet", 1.3e8), "average"] == pytest.approx(expected)


def test_families_are_told_apart():
    families = ["ResNet", "EfficientNet", "ConvNeXt", "ViT", "DaVit", "EfficientViT-B", "FastViT", "LeViT", "MaxxViT"]
    looks = {(family_look(f).color, family_look(f).marker) for f in [*families, "MobileViT", "AlexNet", "CORnet-S"]}
    assert len(looks) == 12 and len({marker for _, marker in looks}) == 12


@pytest.fixture(scope="module")
def published(published_dir):
    """The public tables, without any fit."""
    table = published_table(published_dir / "benchmark_scores.csv", published_dir / "seed_data_scaling.csv")
    others = (
        published_frames.checkpoint_frame(published_dir / "benchmark_scores_ckpts.csv"),
        published_frames.private_frame(published_dir / "benchmark_scores_brainscore.csv"),
    )
    return published_frames.PublishedData(published_frames.model_frame(table), *others, {})


def test_published_models_are_counted_as_in_the_publication(published):
    assert len(published.models) == 993 and len(published_frames.supervised(published.models)) == 620
    counts = data_and_model_size.seen_by_dataset(published)["dataset"].value_counts().to_dict()
    assert counts == {
        "imagenet": 221, "ecoset": 223, "imagenet21kP": 11, "infimnist": 7, "webvisionP": 5, "places365": 4,
        "inaturalist": 4,
    }  # fmt: skip
    assert (
        len(training_objectives.simclr_models(published))
        == len(training_objectives.adversarial_models(published))
        == 35
    )
    assert training_dynamics.supervised_checkpoints(published)["model_id"].nunique() == 32


def test_published_correlations_with_accuracy(published):
    expected = {"V1": 0.50, "V2": 0.77, "V4": 0.79, "IT": 0.87, "Behavioral": 0.96, "neural": 0.80}
    assert {region: round(r, 2) for region, (r, _) in correlations.correlations(published).items()} == expected


def test_published_private_scores_are_explained(published):
    expected = {"V1": 0.97, "V2": 0.95, "V4": 0.99, "IT": 1.00, "Behavioral": 0.99, "average": 1.00}
    assert len(private_benchmarks.both(published)) == 28
    assert {region: round(value, 2) for region, value in private_benchmarks.explained(published).items()} == expected


def test_published_means_agree_with_the_table(published, published_dir):
    raw = pd.read_csv(published_dir / "benchmark_scores.csv")
    neural = raw[raw["region"].isin(NEURAL)].groupby("model_id")["score"].mean()
    models = published.models.set_index("run")
    whole = models.index[models["neural"].notna()]
    np.testing.assert_allclose(models.loc[whole, "neural"], neural[whole], rtol=1e-12)
    assert sorted(models.index.difference(whole)) == sorted(raw[raw["score"].isna()]["model_id"])


def test_published_objectives_have_the_known_scores(published):
    groups = training_objectives.by_objective(published)
    resnet50 = {name: rows[rows["network"] == "ResNet-50"] for name, rows in groups.items()}
    assert resnet50["supervised"]["IT"].mean().round(3) == 0.561 and len(resnet50["supervised"]) == 3
    assert resnet50["SimCLR"]["Behavioral"].mean().round(3) == 0.363
    kinds = training_objectives.trained_and_untrained(published)
    assert kinds["untrained"].query("arch == 'resnet50'")["V4"].mean().round(3) == 0.379


def test_published_pretraining_of_the_adversarial_series_is_counted_once(published):
    tuned = training_objectives.adversarial_models(published).set_index(["arch", "samples_per_class"])
    full = published_frames.supervised(published.models, ["imagenet"]).query("samples_per_class == 0 and seed == 0")
    cost = full.set_index("arch")["total_flops"]
    for (arch, _), row in tuned.iterrows():
        assert row["total_flops_pretrained"] - row["total_flops"] == pytest.approx(cost[arch])
