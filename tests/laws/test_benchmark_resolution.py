"""What a benchmark can tell: planted spread, noise and carry-over are found again, and decisions are predicted."""

import json

import numpy as np
import pandas as pd
import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.laws.benchmark_file import benchmark_file, read_benchmark_file, write_benchmark_file
from neuroscaling.laws.benchmark_resolution import SEEN, mapping_images_for, resolutions
from neuroscaling.laws.decision_accuracy import agreements, ranked_alike
from neuroscaling.laws.expected_error import expected_error
from neuroscaling.laws.network_scores import benchmark_scores, largest_mapping
from tests.support.planted_networks import Planted, planted_table

TRUTH = Planted()


@pytest.fixture(scope="module")
def resolution():
    """Of 400 simulated networks with three seeds at three scales, on two data sets."""
    return resolutions(benchmark_scores(planted_table(Planted(datasets=("d", "e"), networks=200))))[0]


def test_planted_spread_and_noise_are_found(resolution):
    seen = (TRUTH.spread**2 + TRUTH.noise**2 / 3) ** 0.5
    assert resolution.networks == 400 and resolution.seeds == 3 and resolution.scale == "all" and resolution.simulated
    assert resolution.spread == pytest.approx(seen, rel=0.1) and resolution.noise == pytest.approx(0.01, rel=0.1)
    assert resolution.error == pytest.approx(0.004) and resolution.late_noise is None
    assert resolution.spread_over_seeds == pytest.approx(seen / 0.01, rel=0.15)
    assert resolution.weight == pytest.approx(0.9, abs=0.03)  # .03^2 / (.03^2 + .01^2)


def test_decisions_are_those_of_normal_scores_with_the_planted_correlation(resolution):
    reliability = TRUTH.spread**2 / (TRUTH.spread**2 + TRUTH.noise**2 / 3)
    for decision, steps in zip(resolution.decisions, (2, 1), strict=True):
        truth = ranked_alike(TRUTH.carried**steps * reliability)
        assert decision.seen == pytest.approx(truth, abs=0.03)
        assert decision.other_networks == pytest.approx(truth, abs=0.03)
        assert decision.pairs == 2 * 200 * 199 / 2 and decision.signal_to_noise == pytest.approx(3.05, rel=0.1)
    first, last = resolution.decisions
    assert first.in_advance == pytest.approx(ranked_alike(TRUTH.carried * reliability), abs=0.03)
    assert last.in_advance is None, "no scale lies between"


def test_predictions_in_advance_follow_what_is_seen_over_benchmarks():
    tables = [
        planted_table(Planted(networks=60, carried=carried, scales=(1, 10, 100, 0), region=f"r{i}"), seed=i)
        for i, carried in enumerate((0.1, 0.4, 0.7, 0.9, 0.99))
    ]
    found = resolutions(benchmark_scores(pd.concat(tables, ignore_index=True)))
    by_name = {own.prediction: own for own in agreements([one for own in found for one in own.decisions])}
    assert by_name["in_advance"].r > 0.8 and by_name["in_advance"].cells == 10
    assert by_name["other_networks"].cells == 0 and by_name["other_networks"].r is None


def test_seeds_that_are_needed_see_the_difference_in_four_of_five_repetitions(resolution):
    difference = 0.012
    seeds = resolution.seeds_for(difference)
    assert resolution.smallest_difference(seeds) <= difference < resolution.smallest_difference(seeds - 1)
    draw = np.random.default_rng(0)
    means = draw.normal(0, resolution.noise, (2, 20_000, seeds)).mean(-1) + np.array([[0.0], [difference]])
    error = resolution.noise * (2 / seeds) ** 0.5
    share = (np.abs(means[1] - means[0]) > 1.96 * error).mean()
    assert 0.8 <= share < 0.87 and pytest.approx(2.80, abs=0.01) == SEEN


def test_mapping_images_that_are_needed():
    noises = {10.0: 0.03, 100.0: 0.01, 1000.0: 0.003}
    tables = [
        planted_table(Planted(networks=60, noise=noise, scales=(0,)), seed=i).assign(n_mapping=images)
        for i, (images, noise) in enumerate(noises.items())
    ]
    benchmarks = benchmark_scores(pd.concat(tables, ignore_index=True))
    found = resolutions(benchmarks)
    assert mapping_images_for(found, 0.04) == {"V1-pls": 100} and mapping_images_for(found, 0.0001) == {"V1-pls": None}
    assert [own.key["n_mapping"] for own in largest_mapping(benchmarks)] == [1000]


def test_single_seeds_tell_no_noise_and_late_checkpoints_do():
    one = planted_table(Planted(networks=30, seeds=1))
    found = resolutions(benchmark_scores(one))[0]
    assert found.noise is None and found.seeds_for(0.01) is None and found.networks == 30 and found.weight < 1
    epochs = pd.concat([one.assign(epoch=float(epoch)) for epoch in range(1, 8)], ignore_index=True)
    epochs["score"] += np.random.default_rng(0).normal(0, 0.01, len(epochs))
    late = resolutions(benchmark_scores(epochs))[0]
    assert late.late_noise == pytest.approx(0.01, rel=0.15) and late.networks == 30
    assert late.smallest_difference() == pytest.approx(SEEN * late.late_noise * 2**0.5)
    named = epochs.assign(trajectory=epochs["run"], run=epochs["run"] + epochs["epoch"].astype(str))
    own = resolutions(benchmark_scores(named))[0]
    assert (own.late_noise, own.networks, own.spread) == (late.late_noise, late.networks, late.spread)


def test_checkpoints_of_a_training_are_no_seeds_and_a_drift_is_no_noise():
    """In the shape of the published tables: each checkpoint has a name of its own, the end was scored by itself too."""
    ends = planted_table(Planted(networks=30, seeds=2, scales=(0,))).assign(epochs=50.0)
    ends["model_id"] = ends["run"]
    followed = ends[ends["seed"] == 0]
    drawn = np.random.default_rng(0)
    rows = [
        followed.assign(
            run=followed["run"] + f"-ep{epoch}",
            epochs=float(epoch),
            score=followed["score"] + 0.02 * epoch / 10 + drawn.normal(0, 0.005, len(followed)),
        )
        for epoch in (10, 20, 30, 40, 50)
    ]
    alone = resolutions(benchmark_scores(ends))[0]
    found = resolutions(benchmark_scores(pd.concat([ends, *rows], ignore_index=True)))[0]
    assert (found.networks, found.seeds, found.spread, found.noise) == (30, 2, alone.spread, alone.noise)
    assert alone.late_noise is None and found.late_trainings == 30
    assert found.late_about_line == pytest.approx(0.005, rel=0.2)
    assert found.late_noise == pytest.approx((0.02**2 * 2.5 + 0.005**2) ** 0.5, rel=0.1)


def test_subjects_are_averaged_and_runs_that_lack_one_are_left_out():
    table = planted_table(Planted(networks=12, scales=(0,)))
    both = pd.concat([table.assign(subject="a"), table.assign(subject="b", score=table["score"] + 0.1)])
    scores = benchmark_scores(both.iloc[:-1])[0]
    assert len(scores.rows) == len(table) - 1
    np.testing.assert_allclose(scores.rows["error"], 0.004 / 2**0.5)
    kept = table.set_index("run")["score"][scores.rows["run"]]
    np.testing.assert_allclose(scores.rows["score"], kept + 0.05)


def test_scales_are_in_order_of_their_images_and_all_images_come_last():
    table = planted_table(Planted(networks=6, scales=(1, 30, 3, 300, 0)))
    assert benchmark_scores(table)[0].scales == ("1", "3", "30", "300", "all")
    images = table.assign(samples_per_class=0)
    assert benchmark_scores(images)[0].scales == ("n10", "n30", "n300", "n3000", "all")


def test_the_expected_error_of_a_law_is_what_repeated_studies_scatter_by():
    x = np.repeat([10.0, 30, 100, 300, 1000, 3000, 10_000], 12)
    draw, levels, errors = np.random.default_rng(5), [], []
    for _ in range(12):
        score = 1 - np.exp(np.log(0.5 + 0.9 * x**-0.5) + draw.normal(0, 0.01, len(x)))
        rows = pd.DataFrame({"run": range(len(x)), "arch": [f"a{i}" for i in range(len(x))], "dataset": "d",
                             "samples_per_class": x.astype(int), "seed": 0, "n_samples": x, "region": "IT",
                             "score": score})  # fmt: skip
        found = expected_error(benchmark_scores(rows)[0], (len(x), 4 * len(x)))
        levels.append(found.asymptote)
        errors.append(found.of_asymptote[0])
        assert found.of_asymptote[1] == pytest.approx(found.of_asymptote[0] / 2)
    assert np.median(errors) == pytest.approx(np.std(levels, ddof=1), rel=0.5)
    assert expected_error(benchmark_scores(planted_table(Planted(networks=5)))[0]) is None, "three scales are too few"


def test_the_file_is_read_as_it_was_written_and_an_altered_one_is_refused(tmp_path):
    table = planted_table(Planted(networks=8))
    table.to_parquet(tmp_path / "scores.parquet")
    written = write_benchmark_file(tmp_path / "scores.parquet", tmp_path / "resolution.json")
    assert read_benchmark_file(tmp_path / "resolution.json") == written == benchmark_file(table)
    content = json.loads((tmp_path / "resolution.json").read_text())
    content["resolutions"][0]["noise"] = 0.5
    (tmp_path / "resolution.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="checksum"):
        read_benchmark_file(tmp_path / "resolution.json")


def test_a_table_without_trained_networks_has_nothing_to_tell():
    table = planted_table(Planted(networks=4)).assign(is_pretrained=True)
    found = benchmark_file(table)
    assert found.resolutions == [] and found.luck == [] and all(one.r is None for one in found.agreements)
    with pytest.raises(DataError, match="column is missing"):
        benchmark_file(table.drop(columns="arch"))
