"""Objectives on scikit-learn's digits: the loss of each falls, and each does what its paper says."""

import copy
import math
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch
from timm.layers import DropPath
from torch import nn
from torch.nn import functional

from neuroscaling.core.errors import StudyError
from neuroscaling.datasets.index import load_index
from neuroscaling.datasets.subset_file import write_subset
from neuroscaling.datasets.subset_sampling import draw
from neuroscaling.models.build import build
from neuroscaling.study.recipes import PROTOCOLS, Recipe, load_recipe
from neuroscaling.study.training_options import TrainingOptions
from neuroscaling.training.evaluation import knn_accuracy
from neuroscaling.training.feeding.augmentation import MEAN, STD
from neuroscaling.training.feeding.protocols import Request
from neuroscaling.training.feeding.training_feed import open_training_feed
from neuroscaling.training.image_views import views_of
from neuroscaling.training.optimisers import annealed, make_optimizer, set_rates
from neuroscaling.training.schedule import batch_slices, epoch_order
from neuroscaling.training.self_supervised_objectives import (
    allow_any_size,
    as_backbone,
    cross_entropy_of_pairs,
    nt_xent,
)
from neuroscaling.training.setup import make_objective
from neuroscaling.training.supervised_objectives import ffgsm
from tests.support.digit_runs import digit_run

CPU = torch.device("cpu")
SETTINGS = {"format": "digits"}
SIZE = 32


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def subset(tmp_path_factory):
    index, path = load_index("digits", SETTINGS, "train"), tmp_path_factory.mktemp("digits") / "30.parquet"
    write_subset(path, index, draw(index, 30, 0), 30, 0)
    return path


def changed(name, **changes):
    return Recipe.model_validate(load_recipe(name).model_dump() | changes)


def digits(subset, recipe, seed=0):
    """The batches of a run of `recipe` on 30 images of each digit."""
    run = replace(digit_run(k=30), seed=seed)
    feed = open_training_feed(run, subset, SIZE, recipe, CPU, TrainingOptions())
    slices = batch_slices(feed.n_images, recipe.batch_size)
    orders = [epoch_order(seed, epoch, feed.n_images)[rows] for epoch in range(1, recipe.epochs + 1) for rows in slices]
    yield from feed.batches(Request(step, rows, slice(0, len(rows))) for step, rows in enumerate(orders))


def objective_of(recipe, arch="resnet_w8", n_steps=40):
    return make_objective(recipe, build(arch, 10, 0), arch, 10, n_steps, seed=0)


def losses(objective, recipe, subset, steps, steps_per_epoch=5):
    """Train for some steps; the loss of each."""
    optimizer, found = make_optimizer(recipe, objective), []
    objective.train()
    for step, batch in enumerate(islice(digits(subset, recipe), steps)):
        set_rates(optimizer, recipe, step, steps_per_epoch)
        objective.before_step(step)
        loss = objective(*objective.mixed(batch.views, batch.labels, step))
        optimizer.zero_grad()
        loss.backward()
        objective.after_backward(step)
        optimizer.step()
        objective.after_step(step)
        found.append(loss.item())
    return found


# Learning


@pytest.mark.parametrize(
    "name, arch, steps, changes",
    [
        ("digits", "resnet_w8", 15, {}),
        ("digits", "vit_w16", 30, {"loss": "bce", "mixup": 0.8, "cutmix": 1.0}),
        ("digits", "resnet_w8", 15, {"loss": "soft_target", "label_smoothing": 0.1, "cutmix": 1.0}),
        ("digits_ffgsm", "resnet_w8", 20, {}),
        ("digits_dino", "resnet_w8", 30, {"learning_rate": 1e-2}),
    ],
)
def test_the_loss_falls_on_digits(subset, name, arch, steps, changes):
    recipe = changed(name, epochs=8, **changes)
    found = losses(objective_of(recipe, arch), recipe, subset, steps)
    assert all(map(math.isfinite, found)) and np.mean(found[-5:]) < 0.9 * np.mean(found[:5])


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("name", ["sgd100", "convnext300", "deit300", "simclr100", "simclr100_vit", "dino", "ffgsm10"])
def test_every_published_recipe_is_fed_and_takes_a_step(subset, name, protocol):
    recipe = load_recipe(name, protocol).model_dump() | {"epochs": 3, "batch_size": 300, "warmup_epochs": 0}
    recipe |= {"micro_batch": None, "micro_batches": {}, "start": None}
    if name == "dino":
        recipe["dino"] |= {"output": 32, "hidden": 16, "bottleneck": 8, "local_share": 0.5}
    recipe = Recipe.model_validate(recipe)
    objective = objective_of(recipe, "vit_w16" if name in ("deit300", "simclr100_vit", "dino") else "resnet_w8", 3)
    assert all(map(math.isfinite, losses(objective, recipe, subset, 1)))
    assert sum(len(batch.labels) for batch in digits(subset, recipe)) == 900


def test_contrasts_alone_let_features_tell_digits_apart_better(subset):
    recipe, plain = changed("digits_simclr", epochs=8), changed("digits", batch_size=300)
    objective, images = objective_of(recipe), next(digits(subset, plain))
    bank, queries = slice(0, 200), slice(200, 300)

    def accuracy():
        features = objective.eval().scored()(images.views[0]).detach()
        return knn_accuracy(features[bank], images.labels[bank], features[queries], images.labels[queries])

    untrained = accuracy()
    found = losses(objective, recipe, subset, 40)
    assert np.mean(found[-5:]) < 0.85 * np.mean(found[:5]) and accuracy() > untrained + 0.05


# Supervised


def test_mixed_targets_sum_to_one_and_follow_from_the_seed():
    objective = objective_of(changed("digits", loss="soft_target", label_smoothing=0.1, mixup=0.8, cutmix=1.0))
    images, labels = torch.rand(9, 3, SIZE, SIZE), torch.arange(9)
    np.random.seed(5)
    state = np.random.get_state()[1].copy()
    one, again, other = (objective.mixed([images.clone()], labels, seed) for seed in (3, 3, 4))
    assert np.array_equal(state, np.random.get_state()[1])
    torch.testing.assert_close(one[1].sum(1), torch.ones(9))
    assert torch.equal(one[0][0], again[0][0]) and torch.equal(one[1], again[1])
    assert not torch.equal(one[1], other[1])
    assert torch.equal(one[0][0][8], images[8]) and not torch.equal(one[0][0][:8], images[:8])
    smoothed = torch.full((10,), 0.01).index_fill(0, torch.tensor(8), 0.91)
    torch.testing.assert_close(one[1][8], smoothed)


def test_images_are_mixed_as_their_labels_are():
    objective = objective_of(changed("digits", loss="soft_target", mixup=0.8))
    images, labels = torch.arange(6.0).view(6, 1, 1, 1).expand(6, 3, 4, 4).clone(), torch.arange(6)
    (mixed,), targets = objective.mixed([images], labels, 0)
    torch.testing.assert_close(mixed[:, 0, 0, 0], targets @ torch.arange(10.0))


def test_losses_equal_their_formulas():
    logits, labels = torch.randn(4, 10), torch.tensor([1, 2, 3, 4])

    class Fixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.logits = nn.Parameter(logits)

        def forward(self, images):
            return self.logits

    def loss(**changes):
        objective = make_objective(changed("digits", **changes), Fixed(), "resnet_w8", 10, 1, seed=0)
        return objective(*objective.mixed([torch.zeros(4, 3, 2, 2)], labels, 0))

    hot = functional.one_hot(labels, 10).float()
    smooth = 0.9 * hot + 0.01
    torch.testing.assert_close(loss(), -(hot * logits.log_softmax(1)).sum(1).mean())
    torch.testing.assert_close(loss(label_smoothing=0.1), -(smooth * logits.log_softmax(1)).sum(1).mean())
    torch.testing.assert_close(loss(loss="soft_target", label_smoothing=0.1), loss(label_smoothing=0.1))
    chances = logits.sigmoid()
    torch.testing.assert_close(loss(loss="bce"), -(hot * chances.log() + (1 - hot) * (1 - chances).log()).mean())


# Adversarial


def test_the_attack_stays_within_epsilon_and_raises_the_loss(subset):
    recipe = changed("digits", epochs=8)
    objective = objective_of(recipe)
    losses(objective, recipe, subset, 40)
    network, batch = objective.network.train(), next(digits(subset, recipe, seed=1))
    images, epsilon = batch.views[0], 8 / 255
    statistics = network.bn1.running_mean.clone()
    attacked = ffgsm(network, images, batch.labels, epsilon, 10 / 255, seed=0)
    mean, std = (torch.tensor(numbers).view(3, 1, 1) for numbers in (MEAN, STD))
    before, after = images * std + mean, attacked * std + mean
    change = (after - before).abs()
    assert change.max() <= epsilon + 1e-6 and change.mean() > epsilon / 3
    assert after.min() >= -1e-6 and after.max() <= 1 + 1e-6
    assert network.training and torch.equal(network.bn1.running_mean, statistics)
    assert torch.equal(attacked, ffgsm(network, images, batch.labels, epsilon, 10 / 255, seed=0))
    noise = epsilon * torch.randint(-1, 2, images.shape) / std
    with torch.no_grad():
        network.eval()
        clean, noisy, worst = (
            functional.cross_entropy(network(x), batch.labels) for x in (images, images + noise, attacked)
        )
    assert worst > 1.2 * clean and worst > 1.1 * noisy


def test_the_attack_leaves_no_gradients_behind():
    objective = objective_of(load_recipe("digits_ffgsm"))
    objective.mixed([torch.rand(4, 3, SIZE, SIZE)], torch.arange(4), 0)
    assert all(parameter.grad is None for parameter in objective.parameters())


# Self-supervised


@pytest.mark.parametrize("arch, features", [("resnet_w8", 64), ("vit_w16", 16), ("torchvision.alexnet", 4096)])
def test_a_backbone_gives_what_its_classifier_is_given(arch, features):
    network = build(arch, 10, 0).eval()
    size = 64 if arch.endswith("alexnet") else SIZE
    images = torch.rand(2, 3, size, size)
    logits, names = network(images), list(network.state_dict())
    classifier = network.classifier[-1] if arch.endswith("alexnet") else network.get_classifier()
    assert as_backbone(network, arch) == features
    given = network(images)
    assert given.shape == (2, features) and not classifier.weight.requires_grad
    torch.testing.assert_close(functional.linear(given, classifier.weight, classifier.bias), logits)
    assert list(network.state_dict()) == names


def test_a_network_without_a_linear_classifier_has_no_features():
    for name in ("no_parameters", "convolutional_head"):
        arch = f"tests.support.awkward_networks:{name}@32"
        with pytest.raises(StudyError, match="linear classifier"):
            as_backbone(build(arch, 10, 0), arch)


def test_small_crops_that_are_no_whole_number_of_patches_are_refused():
    numbers = {"output": 32, "hidden": 16, "bottleneck": 8}  # 14 of 32 pixels
    with pytest.raises(StudyError, match=r"vit_w16.*(?s:.)*14 pixels(?s:.)*multiples of 8(?s:.)*local_share: 0.5"):
        objective_of(changed("digits_dino", dino=numbers), "vit_w16")
    objective_of(changed("digits_dino", dino=numbers), "resnet_w8")


@pytest.mark.parametrize("arch", ["vit_w16", "deit_tiny"])
def test_transformers_take_small_crops_and_give_the_same_for_whole_images(arch):
    network = build(arch, 10, 0).eval()
    size = SIZE if arch == "vit_w16" else 224
    images = torch.rand(1, 3, size, size)
    with torch.no_grad():
        before = network(images)
        allow_any_size(network)
        torch.testing.assert_close(network(images), before)
        small = network.forward_features(images[:, :, : size // 2, : size // 2])
    tokens = (size // 2 // network.patch_embed.patch_size[0]) ** 2 + network.num_prefix_tokens
    assert small.shape == (1, tokens, network.embed_dim) and small.isfinite().all()


def test_the_contrastive_loss_equals_a_double_loop():
    first, second = torch.randn(2, 5, 7, dtype=torch.float64).float()
    rows = functional.normalize(torch.cat([first, second]), dim=1)
    total = 0.0
    for i in range(10):
        similar = [math.exp(float(rows[i] @ rows[j]) / 0.5) for j in range(10)]
        total -= math.log(similar[(i + 5) % 10] / (sum(similar) - similar[i]))
    assert nt_xent(first, second, 0.5).item() == pytest.approx(total / 10, rel=1e-5)


def test_the_teacher_is_the_moving_average_of_the_student_and_the_centre_that_of_its_words(subset):
    recipe = changed("digits_dino", epochs=8)
    objective = objective_of(recipe)
    network, head, center = (
        copy.deepcopy(part) for part in (objective.teacher, objective.teacher_head, objective.center)
    )
    objective.train()
    views = next(digits(subset, recipe)).views
    with torch.no_grad():
        said = objective.teacher_head(objective.teacher(torch.cat(views[:2])))
    found = losses(objective, recipe, subset, 1)
    share = 1 - annealed("cosine", 0.99, 1.0, 0, 40)
    assert share == pytest.approx(0.01) and math.isfinite(found[0])
    for before, teacher, student in (
        (network, objective.teacher, objective.network),
        (head, objective.teacher_head, objective.head),
    ):
        for name, old in before.named_parameters():
            expected = torch.lerp(old, student.get_parameter(name), share)
            torch.testing.assert_close(teacher.get_parameter(name), expected, rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(objective.center, 0.5 * center + 0.5 * said.mean(0))
    assert objective.scored() is objective.teacher and objective.momentum(40) == 1.0


def test_the_teachers_momentum_rises_by_steps_or_in_the_published_study_by_epochs():
    by_steps, by_epochs = (
        objective_of(changed("digits_dino", epochs=4, dino=numbers), n_steps=40)
        for numbers in ({}, {"momentum_by_epoch": True})
    )
    assert by_epochs.momentum(10) == by_epochs.momentum(19) == annealed("cosine", 0.996, 1.0, 1, 3)
    assert by_steps.momentum(10) == annealed("cosine", 0.996, 1.0, 1, 4) < by_steps.momentum(19) < by_steps.momentum(20)
    assert by_steps.momentum(39) < 1.0 == by_epochs.momentum(30)


def test_the_teacher_is_cooler_in_the_first_epochs():
    numbers = {"output": 32, "hidden": 16, "bottleneck": 8, "temperature_epochs": 3}
    objective = objective_of(changed("digits_dino", epochs=8, dino=numbers))  # 5 steps an epoch
    found = []
    for step in (0, 4, 5, 9, 10, 39):
        objective.before_step(step)
        found.append(objective.temperature.item())
    assert found == pytest.approx([0.04, 0.04, 0.055, 0.055, 0.07, 0.07])


@pytest.mark.parametrize("epochs, expected", [(0, [0.07, 0.07]), (1, [0.04, 0.07]), (2, [0.04, 0.07])])
def test_short_rises_of_the_teachers_temperature(epochs, expected):
    numbers = {"output": 32, "hidden": 16, "bottleneck": 8, "temperature_epochs": epochs}
    objective = objective_of(changed("digits_dino", epochs=8, dino=numbers))
    for step, temperature in zip((4, 5), expected, strict=True):
        objective.before_step(step)
        assert objective.temperature.item() == pytest.approx(temperature)


def test_the_last_layer_waits_and_the_optimiser_does_not_know_of_it(subset):
    numbers = {"output": 32, "hidden": 16, "bottleneck": 8, "local_crops": 1, "frozen_epochs": 1}
    recipe = changed("digits_dino", epochs=8, dino=numbers, weight_decay=0.5)
    objective = objective_of(recipe)
    before = objective.head.last.detach().clone()
    losses(objective, recipe, subset, 5)
    assert objective.head.last.grad is None and torch.equal(objective.head.last, before)
    objective.before_step(5)
    objective(next(digits(subset, recipe)).views, torch.zeros(64)).backward()
    objective.after_backward(5)
    assert objective.head.last.grad.abs().sum() > 0


def test_pairs_of_views_equal_a_loop():
    wanted, logits = torch.randn(2, 3, 4).softmax(2), torch.randn(5, 3, 4)
    terms = [
        -(wanted[t][i] * logits[s][i].log_softmax(0)).sum()
        for t in range(2)
        for s in range(5)
        for i in range(3)
        if s != t
    ]
    torch.testing.assert_close(
        cross_entropy_of_pairs(wanted.flatten(0, 1), logits.flatten(0, 1), 5), torch.stack(terms).mean()
    )


def test_the_teacher_leaves_no_blocks_out_and_is_not_trained():
    network = build("vit_w16", 10, 0, drop_path=0.5)
    objective = make_objective(load_recipe("digits_dino"), network, "vit_w16", 10, 40, seed=0)
    rates = [[m.drop_prob for m in net.modules() if isinstance(m, DropPath)] for net in (network, objective.teacher)]
    assert max(rates[0]) == 0.5 and max(rates[1]) == 0
    trained = {name.partition(".")[0] for name, parameter in objective.named_parameters() if parameter.requires_grad}
    assert trained == {"network", "head"}


@pytest.mark.parametrize("name", ["digits_simclr", "digits_dino"])
def test_every_parameter_that_is_trained_gets_a_gradient(name):
    recipe = load_recipe(name)
    objective = objective_of(recipe, "vit_w16").train()
    objective.before_step(0)
    objective([torch.rand(4, 3, view.size, view.size) for view in views_of(recipe, SIZE)], torch.arange(4)).backward()
    missing = [
        name for name, parameter in objective.named_parameters() if parameter.requires_grad and parameter.grad is None
    ]
    assert missing == []


def test_heads_follow_from_the_seed_and_the_global_random_state_stays():
    recipe = load_recipe("digits_simclr")
    torch.manual_seed(7)
    state = torch.get_rng_state()
    one, again, other = (
        make_objective(recipe, build("resnet_w8", 10, 0), "resnet_w8", 10, 1, seed) for seed in (1, 1, 2)
    )
    assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(one.head[0].weight, again.head[0].weight)
    assert not torch.equal(one.head[0].weight, other.head[0].weight)


# Nearest neighbours


def test_neighbours_vote_with_weights_that_fall_with_distance():
    bank = torch.tensor([[1.0, 0.0], [0.8, 0.6], [0.8, 0.6], [0.0, 1.0], [-1.0, 0.0]])
    labels = torch.tensor([0, 1, 1, 1, 2])
    query = torch.tensor([[2.0, 0.0]])
    # Votes: exp(1 / .07) of class 0 against 2 exp(.8 / .07) of class 1: the one nearest outweighs both.
    assert knn_accuracy(bank, labels, query, torch.tensor([0]), k=3) == 1.0
    assert knn_accuracy(bank, labels, query, torch.tensor([1]), k=3) == 0.0
    near = functional.normalize(torch.tensor([[1.0, 0.31], [1.0, -0.31]]), dim=1)
    assert knn_accuracy(torch.cat([bank[:1], near]), torch.tensor([0, 1, 1]), query, torch.tensor([1]), k=3) == 1.0
    assert knn_accuracy(torch.cat([bank[:1], near]), torch.tensor([0, 1, 1]), query, torch.tensor([0]), k=1) == 1.0


def test_neighbours_equal_a_loop_over_queries():
    generator = torch.Generator().manual_seed(0)
    bank, queries = (torch.randn(n, 6, generator=generator) for n in (80, 30))
    bank_labels, labels = (torch.randint(4, (n,), generator=generator) for n in (80, 30))
    right = 0
    for query, label in zip(queries, labels, strict=True):
        cosines = functional.cosine_similarity(query[None], bank)
        nearest = cosines.argsort(descending=True)[:20]
        votes = [sum(math.exp(cosines[i] / 0.07) for i in nearest if bank_labels[i] == c) for c in range(4)]
        right += int(np.argmax(votes) == label)
    assert knn_accuracy(bank, bank_labels, queries, labels) == pytest.approx(right / 30)
