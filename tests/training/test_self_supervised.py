"""SimCLR and DINO on digits: backbones, heads, the teacher and the losses do what their papers state."""

import copy
import math

import pytest
import torch
from timm.layers import DropPath
from torch.nn import functional

from neuroscaling.core.errors import StudyError
from neuroscaling.models.build import build
from neuroscaling.study.recipes import load_recipe
from neuroscaling.training.image_views import views_of
from neuroscaling.training.optimisers import annealed
from neuroscaling.training.self_supervised_objectives import (
    allow_any_size,
    as_backbone,
    cross_entropy_of_pairs,
    nt_xent,
)
from neuroscaling.training.setup import make_objective
from tests.support.objectives import SIZE, changed, digits, losses, objective_of, write_digits

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def subset(tmp_path_factory):
    return write_digits(tmp_path_factory.mktemp("digits"))


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
