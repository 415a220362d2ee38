"""Simulated trees in the Algonauts layout: eight unequal subjects that pass the checker, and truth that is there."""

import io
import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuroscaling.core.errors import DataError
from neuroscaling.core.hashing import file_sha256
from neuroscaling.recordings.algonauts_check import inspect_algonauts_tree
from neuroscaling.recordings.algonauts_recording import read_recording
from neuroscaling.simulate.features import draw_bank
from neuroscaling.simulate.fmri import write_subjects
from neuroscaling.simulate.images import make_scenes
from neuroscaling.study.sections.simulated_brains import FLOC, MISSING, ROI_CLASSES, BrainSettings, areas_of, roi_names
from tests.support.simulated_algonauts import Plan, Stretch, unequal_plans, write_tree

EIGHT = BrainSettings(algonauts_subjects=8, algonauts_train=40, algonauts_test=14, vertices=120)
N_IMAGES = 500
NUMBERS = [3 * i for i in range(N_IMAGES)]


@pytest.fixture(scope="module")
def scene():
    return draw_bank(np.random.default_rng(0)), make_scenes("validation", np.random.default_rng(1))


@pytest.fixture(scope="module")
def eight(scene, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("eight") / "algonauts2023"
    write_subjects(root, EIGHT, *scene, np.random.default_rng(2))
    return root


@pytest.fixture(scope="module")
def report(eight):
    return inspect_algonauts_tree(eight)


def test_eight_subjects_pass_the_checker_and_are_unequal(report):
    assert report.problems == []
    rows = {row["subject"]: row for row in report.rows}
    assert len(rows) == 8
    counts = {(row["training"], row["test"], row["lh"], row["rh"], row["rois"]) for row in report.rows}
    assert len(counts) == 8
    assert rows["subj01"]["training"] == 40 and rows["subj04"]["training"] == 36
    assert all(row["lh"] < row["rh"] for row in report.rows)


def test_broken_vertices_are_noted_by_subject_and_reason(report):
    assert [(Path(note.where).name, note.what.split(" vertices ")[1]) for note in report.notes] == [
        ("subj02", "have NaN and are left out"),
        ("subj06", "have NaN and are left out"),
        ("subj08", "don't vary and are left out"),
    ]


def test_every_roi_of_the_challenge_is_there_but_for_those_that_a_subject_lacks(eight):
    named = {roi for rois in ROI_CLASSES.values() for roi in rois}
    for number in range(1, 9):
        regions = read_recording(eight, f"subj{number:02d}").regions
        absent = {roi for roi in named if not regions[roi].any()}
        assert absent == set(MISSING.get(number, ()))


def test_areas_of_one_class_do_not_overlap():
    for stretches in FLOC.values():
        ends = sorted(stretches.values())
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(ends))


def test_the_stored_ceiling_is_that_of_the_signal_to_noise_ratio_and_repetitions(eight):
    recording = read_recording(eight, "subj03")
    derived = recording.ceiling_of(recording.test, range(len(recording.test.stimulus_ids)))
    np.testing.assert_allclose(derived, recording.test.ceiling, rtol=1e-5)


def test_withheld_trees_have_all_but_the_test_responses_and_their_noise(scene, tmp_path):
    settings = BrainSettings(algonauts_subjects=1, algonauts_train=20, algonauts_test=10, vertices=40)
    for name, withheld in (("public", True), ("whole", False)):
        write_subjects(tmp_path / name, settings, *scene, np.random.default_rng(0), withheld)
    public, whole = ({f.relative_to(tmp_path / n): f for f in (tmp_path / n).rglob("*") if f.is_file()}
                     for n in ("public", "whole"))  # fmt: skip
    lacking = {path.name for path in whole.keys() - public.keys()}
    assert lacking == {f"{s}_{k}.npy" for s in ("lh", "rh") for k in ("test_fmri", "noise_ceiling", "ncsnr")} | {
        "repeats.npy"
    }
    assert all(file_sha256(file) == file_sha256(whole[name]) for name, file in public.items())
    assert read_recording(tmp_path / "public", "subj01").test.responses is None


def test_small_hemispheres_have_areas_for_every_vertex():
    for n in (30, 31, 47):
        names = roi_names(areas_of(n))
        assert {len(values) for values in names.values()} == {n}
        assert set(names["streams"]) >= {"early", "midventral", "ventral"}


# Trees whose truth is planted.


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture(scope="module")
def features():
    rng = np.random.default_rng(0)
    return {"low@1": rng.standard_normal((N_IMAGES, 8)), "high@4": rng.standard_normal((N_IMAGES, 40))}


STRETCHES = (
    Stretch(2, "low@1", 0.9, ("V1v", "early")),
    Stretch(1, "high@4", 0.5, ("FFA-2", "ventral")),
    Stretch(1, None, rois=("EBA", "lateral")),
)


@pytest.fixture(scope="module")
def planted(features, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("planted") / "tree"
    plans = unequal_plans(NUMBERS, 3, n_test=150, vertices=40)
    write_tree(root, dict.fromkeys(NUMBERS, png()), features, STRETCHES, plans)
    return root


def leading(values):
    left = np.linalg.svd(values - values.mean(0), full_matrices=False)[0]
    return left[:, :6]


def explained(signals, responses):
    """Share of the variance of responses (n, v) that `signals` (n, k) explain, corrected for chance."""
    n, k = signals.shape
    design = np.column_stack([np.ones(n), signals])
    residual = responses - design @ np.linalg.lstsq(design, responses, rcond=None)[0]
    return 1 - (residual**2).sum(0) / (n - k - 1) / responses.var(0, ddof=1)


def test_each_vertex_follows_its_set_with_the_ceiling_that_truth_states(planted, features):
    truth = json.loads((planted / "truth.json").read_text())
    assert truth["simulated"] is True
    recording = read_recording(planted, "subj01")
    rows = [int(s.removeprefix("nsd-")) // 3 for s in recording.test.stimulus_ids]
    responses = recording.test.responses.read(0, recording.n_targets).astype(float)
    found = {name: explained(leading(values)[rows], responses) for name, values in features.items()}
    for side in ("lh", "rh"):
        own, here = truth["subjects"]["subj01"][side], recording.hemisphere == side
        follows = np.array([str(name) for name in own["features"]])
        np.testing.assert_allclose(recording.test.ceiling[here], own["ceiling"], atol=1e-6)
        for name, other in (("low@1", "high@4"), ("high@4", "low@1")):
            ceiling = np.array(own["ceiling"])[follows == name]
            assert abs(found[name][here][follows == name].mean() - ceiling.mean()) < 0.06
            assert abs(found[other][here][follows == name].mean()) < 0.06
        assert all(abs(values[here][follows == "None"].mean()) < 0.06 for values in found.values())


def test_rois_lie_where_the_plan_puts_them_and_can_be_missing(planted):
    first, third = (read_recording(planted, name).regions for name in ("subj01", "subj03"))
    assert first["V1"].sum() == first["early"].sum() == 20 + 22
    assert first["FFA"].sum() == first["ventral"].sum() > 0
    assert third["ventral"].any() and not third["FFA"].any()


def test_nan_vertices_are_where_truth_says(planted):
    truth = json.loads((planted / "truth.json").read_text())["subjects"]["subj02"]
    assert read_recording(planted, "subj02").masked == {side: truth[side]["nan"] for side in ("lh", "rh")}
    assert truth["rh"]["nan"]


def test_ceilings_of_any_rows_follow_from_their_repetitions(planted):
    recording = read_recording(planted, "subj01")
    single, triple = (np.flatnonzero(recording.training.repeats == k) for k in (1, 3))
    of_single, of_triple = (recording.ceiling_of(recording.training, rows) for rows in (single, triple))
    signal = recording.test.ceiling > 0
    assert (of_single[signal] < of_triple[signal]).all()
    np.testing.assert_allclose(of_single / (1 - of_single) * 3, of_triple / (1 - of_triple), rtol=1e-5)


def test_the_same_arguments_give_the_same_files_and_another_seed_others(features, tmp_path):
    plan = Plan("subj01", NUMBERS[:20], NUMBERS[20:30], {"lh": 5, "rh": 6})
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write_tree(tmp_path / name, dict.fromkeys(NUMBERS, png()), features, STRETCHES, [plan], seed)
    sums = [
        {f.relative_to(tmp_path / n): file_sha256(f) for f in (tmp_path / n).rglob("*") if f.is_file()} for n in "abc"
    ]
    assert sums[0] == sums[1]
    assert sums[0] != sums[2]


def test_what_a_plan_names_and_is_not_there_is_said_at_once(features, tmp_path):
    root = tmp_path / "tree"
    root.mkdir()
    (root / "mine.txt").write_text("kept")
    wrong = {"low@1": features["low@1"][:-1], "flat": np.ones((N_IMAGES, 3))}
    stretches = [Stretch(1, "low@2"), Stretch(1, "low@1", ceiling=1.0, rois=("FAA-1",))]
    with pytest.raises(DataError) as error:
        write_tree(
            root, dict.fromkeys(NUMBERS, png()), wrong, stretches, [Plan("subj01", [0, 1], [3], {"lh": 2, "rh": 2})]
        )
    found = {problem.what: problem for problem in error.value.problems}
    assert found["the folder holds something"].where == str(root)
    assert found["features of other images"].value == f"{N_IMAGES - 1} rows"
    assert found["features with NaN, or that don't vary"].where == "flat"
    assert (found["no such features"].value, found["no such features"].nearest) == ("low@2", "low@1")
    assert found["ceiling out of range"].value == 1.0
    assert (found["unknown ROI"].value, found["unknown ROI"].nearest) == ("FAA-1", "FFA-1")
    assert found["images that aren't there"].value == "1"
    assert [file.name for file in root.iterdir()] == ["mine.txt"]
