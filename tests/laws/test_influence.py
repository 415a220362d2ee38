"""A fit without a group is the fit of the other points, and the verdict follows from the stated rule."""

import json

import numpy as np
import pandas as pd
import pytest

from neuroscaling.core.errors import DataError
from neuroscaling.laws import fit
from neuroscaling.laws.influence import influence_content, influence_of
from neuroscaling.laws.influence_record import (
    Quantity,
    influence_path,
    read_influence,
    read_resamples,
    resamples_path,
)
from neuroscaling.laws.leave_out import affordable_bootstraps, groups_of, leave_groups_out
from neuroscaling.laws.points import Selection
from neuroscaling.laws.quantities import ASYMPTOTE
from neuroscaling.laws.single_points import influential_points
from neuroscaling.laws.study_fit import write_fit
from tests.laws.test_fit_job import job, score_table
from tests.oracle.studies import read_table, tables_folder

FAMILIES = ("ResNet", "ViT", "CORnet-S")
SETTINGS = {"name": "made-up", "fit": "made-up", "mode": "corrected", "bootstraps": 20}


def points(noise=0.004, n=24, seed=0):
    """Points of a planted power law: three families, each at eight x."""
    rng = np.random.default_rng(seed)
    x = np.tile(np.geomspace(10, 1e5, n // len(FAMILIES)), len(FAMILIES))
    y = 1 - 0.4 - 0.9 * x**-0.4 + rng.normal(0, noise, n)
    frame = pd.DataFrame({"x": x, "y": y, "run": [f"run{i}" for i in range(n)]})
    return frame.assign(arch_family=np.repeat(FAMILIES, n // len(FAMILIES)), seed=np.arange(n) % 2)


def selection(frame, **changes):
    facts = {"clusters": None, "hierarchy": None, "dropped": {}, "rows": len(frame), "simulated": True, "data": []}
    return Selection(frame, **facts | changes)


def law_of(frame, form="power_law", clusters=None, bootstraps=20, **options):
    x, y = (frame[axis].to_numpy() for axis in ("x", "y"))
    return fit(x, y, form=form, clusters=clusters, bootstraps=bootstraps, x_scale=1.0, **options)


@pytest.mark.parametrize("form", ["power_law", "log_linear", "logistic"])
def test_a_fit_without_a_group_is_the_fit_of_the_other_points(form):
    frame = points()
    clusters = [f"{family} {i % 4}" for i, family in enumerate(frame["arch_family"])]
    chosen = selection(frame, clusters=clusters)
    law = law_of(frame, form, clusters)
    for without in leave_groups_out(law, groups_of(chosen, ["arch_family"]), clusters, None, 20):
        kept = without.group.kept
        own = law_of(frame[kept], form, [c for c, stays in zip(clusters, kept, strict=True) if stays])
        assert without.law.loss_value == pytest.approx(own.loss_value, rel=1e-6)
        assert list(without.law.params.values()) == pytest.approx(list(own.params.values()), rel=2e-3)
        np.testing.assert_allclose(without.law.resampled_loss, own.resampled_loss, rtol=2e-3, atol=1e-9)
        assert without.law.units == own.units and without.law.undetermined == own.undetermined


def test_groups_of_the_same_points_are_one_and_standard_columns_need_two():
    frame = points().assign(arch=lambda f: f["arch_family"].str.lower(), dataset="imagenet")
    found = groups_of(selection(frame))
    assert [(group.column, group.value) for group in found[:3]] == [("arch_family", f) for f in sorted(FAMILIES)]
    assert found[0].also == (("arch", "cornet-s"),)
    assert {group.column for group in found} == {"arch_family", "seed"}
    assert all(type(group.value) is int for group in found if group.column == "seed")


def test_very_many_points_and_groups_have_fewer_resamples():
    assert affordable_bootstraps(620, 82) == 100 and affordable_bootstraps(100_000, 60) == 20
    assert affordable_bootstraps(10_000, 40) == 50 and affordable_bootstraps(10, 0) == 100


def test_points_without_a_value_are_in_no_group():
    frame = points()
    frame.loc[frame["arch_family"] == "ViT", "arch_family"] = None
    found = groups_of(selection(frame), ["arch_family"])
    assert [group.value for group in found] == ["CORnet-S", "ResNet"]
    assert all(group.kept.sum() == 16 for group in found)


@pytest.mark.parametrize(
    ("column", "changes", "words"),
    [("colour", {}, "no such column"), ("seed", {"varying": frozenset({"seed"})}, "varies within a point")],
)
def test_columns_that_make_no_groups_are_errors(column, changes, words):
    with pytest.raises(DataError, match=words):
        groups_of(selection(points(), **changes), [column])


def test_a_column_that_varies_within_points_makes_no_standard_group():
    assert groups_of(selection(points(), varying=frozenset({"seed", "arch_family"}))) == []


def judged(frame, **settings):
    return influence_of([law_of(frame)], selection(frame), SETTINGS | {"leave_out": ["arch_family"]} | settings)[0]


def test_other_forms_are_those_of_a_filter_against_the_group_and_none_in_parity():
    frame = points()
    settings = SETTINGS | {"leave_out": ["arch_family"], "holdout": "top_decade"}
    laws = [law_of(frame), law_of(frame, "logistic", bootstraps=0, loss="huber")]
    found = influence_of(laws, selection(frame), settings)[0]
    for group in found.groups:
        rest = frame[frame["arch_family"] != group.value]
        low = rest[rest["x"] < 0.1 * rest["x"].max()]
        top = rest.drop(low.index)
        assert [own.form for own in group.forms] == ["power_law", "logistic"]
        for own in group.forms:
            expected = law_of(rest, own.form, bootstraps=0, loss="huber")
            before = law_of(low, own.form, bootstraps=0, loss="huber")
            assert own.params == pytest.approx(expected.params, rel=2e-3)
            assert own.aicc == pytest.approx(expected.aicc(), abs=1e-3)
            error = np.abs(before.predict(top["x"].to_numpy()) - top["y"]).mean()
            assert own.held_out_error == pytest.approx(error, rel=1e-3)
    parity = [law_of(frame, mode="parity"), law_of(frame, "logistic", bootstraps=0, loss="huber", mode="parity")]
    found = influence_of(parity, selection(frame), settings | {"mode": "parity"})[0]
    assert len(found.groups) == 3 and all(group.forms == [] for group in found.groups)


def test_a_law_of_all_families_alike_stands():
    found = judged(points(noise=0.0005))
    assert found.stands is True and found.carriers == [] and ASYMPTOTE in found.judged
    assert found.verdict == "stands without any one group: yes (3 groups)"
    assert [point.label.startswith("run") for point in found.points] == [True] * 10


def test_a_law_whose_end_is_one_family_does_not():
    frame = points(noise=0.0005)
    # ResNet alone goes far enough to level off; the others rise along one line.
    frame["x"] = np.where(frame["arch_family"] == "ResNet", frame["x"], frame["x"] ** 0.3)
    frame["y"] = 1 - 0.4 - 0.9 * frame["x"] ** -0.4 + np.random.default_rng(1).normal(0, 0.003, len(frame))
    found = judged(frame)
    assert found.stands is False and [group.value for group in found.carriers] == ["ResNet"]
    assert "without ResNet the asymptote" in found.verdict


def test_too_few_points_without_a_group_are_words():
    frame = points()
    frame["arch_family"] = ["ResNet"] * 21 + ["ViT"] * 3
    found = judged(frame)
    group = found.carriers[0]
    assert group.value == "ResNet" and group.quantities == {}
    assert group.changes == [f"no law can be fitted: {group.reason}"] and "(3)" in group.reason
    assert "without ResNet no law can be fitted" in found.verdict


def test_one_cluster_that_is_left_is_too_few():
    frame = points()
    clusters = list(frame["arch_family"].replace("CORnet-S", "ViT"))
    found = leave_groups_out(law_of(frame, clusters=clusters), groups_of(selection(frame), ["arch_family"]), clusters)
    reasons = {without.group.value: without.reason for without in found}
    assert reasons["ResNet"] == "fewer than two clusters are left" and reasons["ViT"] == ""


def test_nothing_is_judged_where_the_whole_fit_identifies_nothing():
    found = judged(points(noise=0.3).assign(y=lambda f: np.random.default_rng(3).normal(0.3, 0.02, len(f))))
    assert found.stands is None and "identifies no asymptote or exponent" in found.verdict


def test_the_point_that_moves_the_law_is_named_first():
    frame = points(noise=0.0)
    frame.loc[7, "y"] += 0.3
    law = law_of(frame, "log_linear", bootstraps=50)
    whole = {"b": Quantity(value=law.params["b"], low=law.ci["b"][0], high=law.ci["b"][1])}
    found, n = influential_points(law, list(frame["run"]), whole, ["b"])
    own = law_of(frame.drop(index=7), "log_linear", bootstraps=0)
    assert n == 24 and found[0].label == "run7"
    assert found[0].quantities["b"] == pytest.approx(own.params["b"])


def test_of_many_points_the_influential_ones_are_among_those_refitted(monkeypatch):
    frame = points(noise=0.01)
    law = law_of(frame, "log_linear", bootstraps=50)
    whole = {"b": Quantity(value=law.params["b"], low=law.ci["b"][0], high=law.ci["b"][1])}
    every = influential_points(law, list(frame["run"]), whole, ["b"])[0]
    monkeypatch.setattr("neuroscaling.laws.single_points.ALL_POINTS", 10)
    monkeypatch.setattr("neuroscaling.laws.single_points.SCREENED", 12)
    screened, n = influential_points(law, list(frame["run"]), whole, ["b"])
    assert n == 12 and [p.label for p in screened[:5]] == [p.label for p in every[:5]]


def test_the_record_is_written_beside_the_fit_and_read_again(tmp_path):
    score_table().to_parquet(tmp_path / "scores.parquet")
    path = tmp_path / "fits" / "made-up.json"
    settings = job(filters={"region": "IT"}, leave_out=["seed"], name="made-up")
    write_fit(tmp_path / "scores.parquet", settings, path, path.with_suffix(".bootstraps.parquet"))
    found = read_influence(influence_path(path))
    assert [group.words for group in found.groups] == ["seed 0", "seed 1", "seed 2"] and found.bootstraps == 20
    rows = read_resamples(resamples_path(path), found)
    assert {number: len(own) for number, own in rows.items()} == {0: 20, 1: 20, 2: 20}
    content = json.loads(influence_path(path).read_text())
    influence_path(path).write_text(json.dumps(content | {"format": "influence/0"}))
    with pytest.raises(DataError, match="another version"):
        read_influence(influence_path(path))


def test_nothing_is_left_out_where_nothing_is_asked():
    frame = points()
    record, resamples = influence_of([law_of(frame)], selection(frame), SETTINGS | {"leave_out": []})
    assert record.status == "not asked" and record.groups == [] and resamples.empty
    assert influence_of([], None, SETTINGS)[0].status == "no law"
    json.dumps(influence_content(record), allow_nan=False)


@pytest.mark.skipif(not tables_folder().is_dir(), reason="no public tables (docs/data.md)")
def test_the_published_law_of_neural_alignment_without_its_groups():
    from neuroscaling.laws.points import select_points
    from neuroscaling.study.sections.fit_files import expand_fits, load_fit_file
    from tests.oracle.studies import FIT_FILE

    jobs = {job.name: job.settings for job in expand_fits(load_fit_file(FIT_FILE))}
    chosen = select_points(read_table(tables_folder()), jobs["compute_neuro.corrected"])
    law = fit(chosen.x, chosen.y, x_scale=1e13, loss="huber", bootstraps=0)
    assert law.asymptote == pytest.approx(0.477, abs=5e-4)
    columns = ["unmerged_family", "dataset", "samples_per_class"]
    left = leave_groups_out(law, groups_of(chosen, columns), None, None, 0)
    levels = {without.group.value: without.law.asymptote for without in left}
    expected = {"ResNetFlex": 0.516, "imagenet": 0.519, 1: 0.426, 100: 0.533, 0: 1.0}
    assert {value: levels[value] for value in expected} == pytest.approx(expected, abs=1e-3)
    sizes = {without.group.value: int((~without.group.kept).sum()) for without in left}
    assert sizes["ResNetFlex"] == 67 and len(chosen.points) == 620
