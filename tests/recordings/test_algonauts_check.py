"""The checker of Algonauts trees: a sound tree passes, and each thing that can be wrong with one is named."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from neuroscaling.recordings.algonauts_check import check_algonauts_tree, inspect_algonauts_tree
from neuroscaling.study.algonauts_tree import tree_problems
from tests.support.simulated_algonauts import Plan, Stretch, write_tree

N_TRAIN, N_TEST, WIDTH = 30, 10, {"lh": 20, "rh": 23}
NUMBERS = list(range(200, 240))


def write_sound(root: Path) -> Path:
    """A tree of two subjects without a fault."""
    rng = np.random.default_rng(0)
    images = {number: rng.integers(0, 256, 3, dtype=np.uint8) + np.zeros((425, 425, 3), np.uint8) for number in NUMBERS}
    stretches = [Stretch(1, "a", 0.7, ("V1v", "early", "RSC")), Stretch(1, "a", 0.5, ("FFA-1", "ventral"))]
    plans = [Plan(f"subj0{i}", NUMBERS[:N_TRAIN], NUMBERS[N_TRAIN:], WIDTH) for i in (1, 2)]
    write_tree(root, images, {"a": rng.standard_normal((len(NUMBERS), 5))}, stretches, plans)
    return root


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> Path:
    return write_sound(tmp_path_factory.mktemp("sound") / "tree")


@pytest.fixture
def tree(sound, tmp_path) -> Path:
    return Path(shutil.copytree(sound / "subj01", tmp_path / "tree" / "subj01")).parent


def responses(tree, split="training", side="lh"):
    return tree / f"subj01/{split}_split/{split}_fmri/{side}_{split}_fmri.npy"


def mask(tree, name, side="lh", space="challenge"):
    return tree / f"subj01/roi_masks/{side}.{name}_{space}_space.npy"


def change(file, function):
    np.save(file, function(np.load(file)))


def swap(first, second):
    kept = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(kept)


def image(tree, split, row):
    prefix = {"training": "train", "test": "test"}[split]
    return next((tree / f"subj01/{split}_split/{split}_images").glob(f"{prefix}-{row:04d}_*"))


def only(problems):
    assert len(problems) == 1, "\n".join(map(str, problems))
    return problems[0]


def test_a_sound_tree_has_no_problem_and_a_row_a_subject(sound):
    report = inspect_algonauts_tree(sound, images="all")
    assert report.problems == report.notes == []
    assert report.rows[0] == {
        "subject": "subj01",
        "training": N_TRAIN,
        "test": N_TEST,
        **WIDTH,
        "masked": 0,
        "rois": "5 of 31",
        "test_responses": "yes",
        "noise_ceiling": "yes",
    }
    assert [row["subject"] for row in inspect_algonauts_tree(sound, ["subj02"]).rows] == ["subj02"]


def test_withheld_test_responses_are_no_problem(tree):
    for folder in ("test_fmri", "noise_ceiling"):
        shutil.rmtree(tree / "subj01/test_split" / folder)
    (tree / "subj01/test_split/repeats.npy").unlink()
    report = inspect_algonauts_tree(tree)
    assert report.problems == []
    assert report.rows[0]["test_responses"] == report.rows[0]["noise_ceiling"] == "no"
    assert tree_problems(tree, needs_test_responses=False) == []
    assert len(tree_problems(tree)) == 2


def test_a_subject_without_test_split(tree):
    shutil.rmtree(tree / "subj01/test_split")
    problem = only(check_algonauts_tree(tree))
    assert problem.what == "test split is missing"
    assert problem.where == str(tree / "subj01/test_split")


def test_numbers_that_start_at_0_are_off_by_one(tree):
    for row in range(1, N_TRAIN + 1):
        file = image(tree, "training", row)
        file.rename(file.with_name(file.name.replace(f"train-{row:04d}", f"train-{row - 1:04d}")))
    problem = only(check_algonauts_tree(tree))
    assert "start at 0" in problem.what
    assert problem.value == f"0 to {N_TRAIN - 1}"
    assert problem.allowed == f"1 to {N_TRAIN}"
    assert "off by one" in problem.fix


def test_a_lost_image_is_a_gap_and_a_row_too_many(tree):
    image(tree, "training", 7).unlink()
    first, second = check_algonauts_tree(tree)[:2]
    assert (first.what, first.value) == ("1 image numbers missing, 0 twice", "7")
    assert second.what == f"{N_TRAIN - 1} images but {N_TRAIN} rows of responses"
    assert second.where == str(responses(tree))


def test_the_same_nsd_image_twice(tree):
    file = image(tree, "training", 2)
    file.rename(file.with_name("train-0002_nsd-00200.png"))
    problem = only(check_algonauts_tree(tree))
    assert "1 NSD images twice" in problem.what
    assert problem.value == "nsd-00200"


def test_a_test_image_that_was_trained_on(tree):
    file = image(tree, "test", 1)
    file.rename(file.with_name("test-0001_nsd-00203.png"))
    report = inspect_algonauts_tree(tree)
    assert only(report.problems).what == "1 test images are training images too"
    assert only(report.problems).value == "203"


def test_an_nsd_number_counted_from_1(tree):
    file = image(tree, "test", N_TEST)
    file.rename(file.with_name(f"test-{N_TEST:04d}_nsd-73000.png"))
    problem = only(check_algonauts_tree(tree))
    assert (problem.value, problem.allowed) == ("73000", "0 to 72999")


def test_files_that_are_not_images_of_the_split(tree):
    (tree / "subj01/training_split/training_images/train_0031.jpg").write_bytes(b"")
    problem = only(check_algonauts_tree(tree))
    assert (problem.what, problem.value) == ("1 files that aren't training images", "train_0031.jpg")


def test_pictures_that_are_cut_short_or_of_another_size(tree):
    first, last = image(tree, "training", 1), image(tree, "test", N_TEST)
    first.write_bytes(first.read_bytes()[:200])
    Image.new("RGB", (224, 224)).save(last)
    damaged, other = check_algonauts_tree(tree)
    assert (damaged.what, damaged.value) == ("1 images can't be decoded", first.name)
    assert other.value == f"{last.name} (RGB 224 x 224)"
    assert "425 x 425" in other.allowed


def test_all_pictures_are_decoded_only_when_asked_for(tree):
    file = image(tree, "training", 2)
    file.write_bytes(b"no picture")
    assert inspect_algonauts_tree(tree).problems == []
    assert only(inspect_algonauts_tree(tree, images="all").problems).value == file.name


def test_a_roi_mask_of_another_space(tree):
    shutil.copyfile(mask(tree, "streams", "rh", "fsaverage"), mask(tree, "streams", "rh"))
    problem = only(check_algonauts_tree(tree))
    assert problem.what.startswith("ROI mask of another space: 163842 vertices")
    assert problem.where == str(mask(tree, "streams", "rh"))
    assert "challenge's space" in problem.fix
    assert only(tree_problems(tree)) == problem


def test_a_challenge_mask_in_place_of_fsaverages(tree):
    shutil.copyfile(mask(tree, "streams"), mask(tree, "streams", space="fsaverage"))
    assert only(check_algonauts_tree(tree)).allowed == "(163842,)"


def test_a_simulated_surface_is_noted_where_all_masks_are_over_it(tree):
    for file in (tree / "subj01/roi_masks").glob("*_fsaverage_space.npy"):
        places = np.flatnonzero(np.load(mask(tree, "all-vertices", file.name[:2], "fsaverage")))
        if "all-vertices" not in file.name:
            np.save(file, np.append(np.load(file)[places], np.zeros(30 - len(places), int)))
    for side, width in WIDTH.items():
        np.save(mask(tree, "all-vertices", side, "fsaverage"), (np.arange(30) < width).astype(int))
    report = inspect_algonauts_tree(tree)
    assert report.problems == []
    assert "surface of 30 vertices" in only(report.notes).what
    np.save(mask(tree, "streams", "rh", "fsaverage"), np.zeros(29, int))
    assert (only(check_algonauts_tree(tree)).value, only(check_algonauts_tree(tree)).allowed) == (
        "shape (29,)",
        "(30,)",
    )


@pytest.mark.parametrize("kind", ["test", "ceiling", "masks"])
def test_swapped_hemispheres_by_their_widths(tree, kind):
    ceiling = tree / "subj01/test_split/noise_ceiling"
    pairs = {
        "test": [responses(tree, "test", side) for side in WIDTH],
        "ceiling": [ceiling / f"{side}_noise_ceiling.npy" for side in WIDTH],
        "masks": [mask(tree, "floc-faces", side) for side in WIDTH],
    }
    swap(*pairs[kind])
    problem = only(check_algonauts_tree(tree))
    assert problem.what.startswith("the hemispheres are swapped")
    assert problem.value == f"23 vertices in {pairs[kind][0].name}, 20 in {pairs[kind][1].name}"
    assert only(tree_problems(tree)) == problem


def test_responses_and_all_else_swapped_against_fsaverage(tree):
    swap(mask(tree, "all-vertices", "lh", "fsaverage"), mask(tree, "all-vertices", "rh", "fsaverage"))
    problem = check_algonauts_tree(tree)[0]
    assert problem.what == "the hemispheres of the responses are swapped"
    assert (problem.value, problem.allowed) == ("20 and 23 vertices", "23 and 20, as all-vertices has")


def test_masks_swapped_where_both_hemispheres_are_as_wide(tmp_path):
    rng = np.random.default_rng(0)
    images = {number: np.zeros((425, 425, 3), np.uint8) for number in NUMBERS}
    plan = Plan("subj01", NUMBERS[:30], NUMBERS[30:], {"lh": 20, "rh": 20})
    stretches = [Stretch(1, "a", rois=("V1v",)), Stretch(1, "a", rois=("hV4",))]
    write_tree(tmp_path / "tree", images, {"a": rng.standard_normal((40, 5))}, stretches, [plan])
    change(mask(tmp_path / "tree", "prf-visualrois", "rh"), lambda values: values[::-1])
    change(mask(tmp_path / "tree", "prf-visualrois", "rh", "fsaverage"), reversed_where_set)
    assert check_algonauts_tree(tmp_path / "tree") == []
    swap(*(mask(tmp_path / "tree", "prf-visualrois", side) for side in WIDTH))
    assert only(check_algonauts_tree(tmp_path / "tree")).what == "the masks of the hemispheres are swapped"


def reversed_where_set(values):
    places = np.flatnonzero(values)
    values[places] = values[places][::-1]
    return values


def test_both_hemispheres_the_same_file(tmp_path):
    images = {number: np.zeros((425, 425, 3), np.uint8) for number in NUMBERS}
    plan = Plan("subj01", NUMBERS[:30], NUMBERS[30:], {"lh": 20, "rh": 20})
    features = {"a": np.random.default_rng(0).standard_normal((40, 5))}
    tree = tmp_path / "tree"
    write_tree(tree, images, features, [Stretch(1, "a")], [plan])
    shutil.copyfile(responses(tree, side="lh"), responses(tree, side="rh"))
    assert only(check_algonauts_tree(tree)).what == "both hemispheres hold the same numbers"


def test_a_mask_that_disagrees_with_fsaverages(tree):
    change(mask(tree, "streams"), lambda values: np.roll(values, 1))
    problem = only(check_algonauts_tree(tree))
    assert problem.what == "differs from lh.streams_fsaverage_space.npy at 2 of 20 vertices"


def test_values_that_the_mapping_does_not_name(tree):
    for space in ("challenge", "fsaverage"):
        change(mask(tree, "streams", space=space), lambda values: np.where(values == 5, 9, values))
    problem = only(check_algonauts_tree(tree))
    assert problem.what == "values that the mapping doesn't name"
    assert problem.value == "9"
    assert "5 ventral" in problem.allowed


def test_another_number_of_vertices_on_fsaverage(tree):
    for side in WIDTH:
        for name in ("streams", "prf-visualrois", "floc-bodies", "floc-faces", "floc-places", "floc-words"):
            mask(tree, name, side, "fsaverage").unlink()
    change(mask(tree, "all-vertices", space="fsaverage"), lambda values: np.where(np.cumsum(values) < 4, 0, values))
    assert only(check_algonauts_tree(tree)).what == "17 vertices on fsaverage, but the lh training responses have 20"


def test_kinds_of_numbers(tree):
    change(responses(tree), lambda values: values.astype(np.float64))
    change(mask(tree, "streams", "rh"), lambda values: values.astype(np.float32))
    found = {problem.where: (problem.value, problem.allowed) for problem in check_algonauts_tree(tree)}
    assert found[str(responses(tree))] == ("float64", "float32")
    assert found[str(mask(tree, "streams", "rh"))][0] == "float32"
    assert len(found) == 2


def test_a_file_that_is_cut_short_does_not_hide_other_problems(tree):
    file = responses(tree)
    file.write_bytes(file.read_bytes()[:300])
    mask(tree, "streams", "rh").unlink()
    damaged, missing = check_algonauts_tree(tree)
    assert "cut short" in damaged.what and damaged.where == str(file)
    assert (missing.what, missing.where) == ("file is missing", str(mask(tree, "streams", "rh")))


def test_arrays_of_another_number_of_axes(tree):
    ceiling = tree / "subj01/test_split/noise_ceiling/rh_noise_ceiling.npy"
    change(responses(tree, "test"), np.ravel)
    change(ceiling, lambda values: values[None])
    found = [(problem.where, problem.what, problem.value, problem.allowed) for problem in check_algonauts_tree(tree)]
    assert found == [
        (str(responses(tree, "test")), "wrong number of axes", "shape (200,)", "(images, vertices)"),
        (str(ceiling), "wrong number of axes", "shape (1, 23)", "(vertices)"),
    ]


DAMAGE = {
    "missing": lambda file: file.unlink(),
    "cut short": lambda file: file.write_bytes(file.read_bytes()[:-7]),
    "empty": lambda file: file.write_bytes(b""),
    "one number": lambda file: np.save(file, np.float32(3)),
    "text": lambda file: np.save(file, np.array(["a", "b"])),
}
OPTIONAL = {"repeats.npy"}


@pytest.mark.parametrize("damage", DAMAGE)
def test_no_damaged_file_goes_unseen_or_stops_the_walk(tree, damage):
    files = [file for file in (tree / "subj01").rglob("*.npy") if not file.name.startswith("rh")]
    assert len(files) == 25
    for file in files:
        kept = file.read_bytes()
        DAMAGE[damage](file)
        seen = any(file.name in str(problem) for problem in check_algonauts_tree(tree))
        assert seen or (damage == "missing" and file.name in OPTIONAL), file.name
        file.write_bytes(kept)


def test_one_hemisphere_missing(tree):
    responses(tree, "test", "rh").unlink()
    (tree / "subj01/test_split/noise_ceiling/lh_noise_ceiling.npy").unlink()
    assert {problem.what for problem in check_algonauts_tree(tree)} == {
        "test responses are missing",
        "the noise ceiling of one hemisphere is missing",
    }
