"""Faults of recipes: all of them at once, each with its key and the nearest that would do."""

from contextlib import nullcontext

import pytest
import torch
from pydantic import ValidationError

from neuroscaling.core.errors import StudyError
from neuroscaling.study.recipes import Recipe, load_recipe
from neuroscaling.training.feeding.augmentation import policy_transform
from neuroscaling.training.image_views import ViewSpec


def changed(name, **changes):
    return Recipe.model_validate(load_recipe(name).model_dump() | changes)


def test_an_unknown_recipe_or_protocol_gets_the_nearest():
    with pytest.raises(StudyError, match=r"nearest: +digits"):
        load_recipe("digit")
    with pytest.raises(StudyError, match=r"nearest: +parity"):
        load_recipe("digits", "paritty")


def faults(tmp_path, text):
    """What is wrong with the recipe `text`: by key, (fault, nearest)."""
    path = tmp_path / "mine.yaml"
    path.write_text(text)
    with pytest.raises(StudyError) as caught:
        load_recipe(str(path))
    return {
        str(problem.where).rpartition(": ")[2]: (problem.what, problem.nearest) for problem in caught.value.problems
    }


def test_all_faults_of_a_recipe_come_at_once(tmp_path):
    found = faults(
        tmp_path,
        "epochs: 0\nbatch_size: 64\noptimizer: sgdd\nlearning_rates: 0.1\nlearning_rate: .1\n"
        "objective: dino\ndino: {bottlneck: 8}\nparity: {precisions: fp16}\n",
    )
    assert {key: near for key, (_, near) in found.items()} == {
        "epochs": "", "optimizer": "sgd", "learning_rates": "learning_rate", "dino.bottlneck": "bottleneck",
        "precisions": "precision",
    }  # fmt: skip


def test_wrong_words_get_the_nearest(tmp_path):
    found = faults(
        tmp_path,
        "epochs: -3\nbatch_size: 64\noptimizer: adammw\nlearning_rate: fast\nwarmup_epoch: 2\n"
        "augmentation: crop_flipp\nauto_augment: rand-m9-mstdd0.5\nevaluations: publised\nstart: {recipes: digits}\n",
    )
    assert {key: near for key, (_, near) in found.items()} == {
        "epochs": "", "optimizer": "adamw", "learning_rate": "", "warmup_epoch": "warmup_epochs",
        "augmentation": "crop_flip", "auto_augment": "", "evaluations": "published", "start.recipes": "recipe",
        "start.recipe": "",
    }  # fmt: skip
    assert "unknown option `mstdd0.5` of the policy `rand`" in found["auto_augment"][0]


def test_missing_keys_and_numbers_without_end(tmp_path):
    found = faults(tmp_path, "batch_size: 8\noptimizer: sgd\nlearning_rate: .inf\nstart: {}\ncrop_scale: [0.1]\n")
    assert {key: what for key, (what, _) in found.items()} == {
        "epochs": "key is missing", "learning_rate": "must be a number above 0, not inf",
        "start.recipe": "key is missing", "crop_scale": "must be a list [a number, a number], not [0.1]",
    }  # fmt: skip


@pytest.mark.parametrize(
    "content, fault",
    [
        (b"epochs: [1\n", "not valid YAML"),
        (b"epochs: 1\nbatch_size: 8\nepochs: 2\n", "line 3(?s:.)*`epochs` is there twice, first in line 1"),
        (b"epochs: 1  # \xe9\n", "not a readable recipe"),
        (b"- epochs\n", "a recipe is a list of `key: value`"),
    ],
)
def test_files_that_are_no_recipes(tmp_path, content, fault):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(StudyError, match=fault):
        load_recipe(str(path))


def test_all_contradictions_come_at_once(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text(
        "epochs: 2\nbatch_size: 64\nmicro_batch: 48\noptimizer: sgd\nlearning_rate: .1\nwarmup_epochs: 2\nmixup: 0.8\n"
        "drop_path: {convnext_tinny: 0.1}\nauto_augment: 3a\nparity: {ema_warmup: true}\n"
    )
    with pytest.raises(StudyError) as caught:
        load_recipe(str(path))
    keys = {str(problem.where).rpartition(": ")[2] for problem in caught.value.problems}
    assert keys == {
        "warmup_epochs", "micro_batch", "loss", "drop_path.convnext_tinny", "augmentation", "ema_warmup"
    }  # fmt: skip
    assert "the nearest is convnext_tiny" in str(caught.value)


@pytest.mark.parametrize(
    "change",
    [
        {"warmup_epochs": 16},
        {"min_learning_rate": 1.0},
        {"evaluations": 0},
        {"objective": "dino", "ema": 0.99},
        {"simclr": {}},
        {"objective": "adversarial", "loss": "bce"},
        {"objective": "simclr", "mixup": 0.5, "loss": "soft_target"},
        {"crop_scale": (0.5, 0.2)},
        {"start": {"recipe": "digits"}},
        {"weight_decay": 0, "final_weight_decay": 0.1},
        {"crop_scale": (0.5, 1.0)},
        {"augmentation": "crop_flip", "auto_augment": "rand-m9", "interpolation": "lanczos"},
        {"objective": "simclr", "label_smoothing": 0.1},
        {"objective": "simclr", "augmentation": "crop_flip", "auto_augment": "3a"},
        {"objective": "dino", "random_erasing": 0.25},
        {"objective": "dino", "crop_scale": (0.5, 1.0)},
    ],
)
def test_recipes_that_contradict_themselves(change):
    with pytest.raises(ValidationError):
        changed("digits", **change)


@pytest.mark.parametrize(
    "words, known",
    [
        ("rand-m9-mstd0.5-inc1", True), ("rand", True), ("rand-n3-p0.7-mmax12-tweights", True), ("3a", True),
        ("augmix-m5-w4-d2", True), ("originalr-mstd0.5", True), ("raand-m9", False), ("rand-m9-incc1", False),
        ("rand-m9.5", False), ("3a-m9", False),
    ],
)  # fmt: skip
def test_policies_are_those_that_timm_knows(words, known):
    image = torch.zeros(3, 8, 8, dtype=torch.uint8)
    with nullcontext() if known else pytest.raises((AssertionError, ValueError)):
        policy_transform(ViewSpec(8, auto_augment=words))(image, 0)
    with nullcontext() if known else pytest.raises(ValidationError, match="auto_augment"):
        changed("sgd100", auto_augment=words)


@pytest.mark.parametrize("words", ["rand-m10-n1-p1-inc1", "rand-m0-n1-p1", "rand-m12-mmax12-n1-p1-inc1"])
def test_the_strongest_posterisation_is_black(words):
    change, image = policy_transform(ViewSpec(8, auto_augment=words)), torch.full((3, 8, 8), 120, dtype=torch.uint8)
    assert any(not change(image, seed).any() for seed in range(100))  # and none of the others fails


@pytest.mark.parametrize("words", ["rand-m9-mstd", "rand-tweight"])
def test_options_that_timm_passes_over_are_refused(words):
    with pytest.raises(ValidationError, match="unknown option"):
        changed("sgd100", auto_augment=words)
