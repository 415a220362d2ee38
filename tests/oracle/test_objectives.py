"""Objectives against numbers of the libraries that the published study trained with.

lightly 1.6.0 (NTXentLoss, DINOLoss, DINOProjectionHead, utils.scheduler.cosine_schedule) and torchattacks 3.5.1 (FFGSM,
given the noise that is drawn here) were run once on the inputs below, which are sines of whole numbers. Neither is
needed for these tests.
"""

import math

import pytest
import torch
from torch import Tensor, nn

from neuroscaling.models.build import build
from neuroscaling.study.recipes import Recipe, load_recipe
from neuroscaling.training.feeding.augmentation import MEAN, STD
from neuroscaling.training.self_supervised_objectives import Head, nt_xent
from neuroscaling.training.setup import make_objective
from neuroscaling.training.supervised_objectives import ffgsm

# Temperature: loss, and the norm of its gradient to both views (6, 9).
NT_XENT = {0.5: (2.579588, 0.5420465), 0.1: (7.014824, 2.8988452)}
# Epoch (from 0): loss of 5 images' two large and two other views, and the norm of the centre after it.
DINO = {
    0: (11.66561, 0.204008),
    1: (11.13377, 0.178436),
    15: (11.8564, 0.223409),
    29: (12.46035, 0.274186),
    30: (12.50867, 0.273275),
    99: (12.18392, 0.256639),
}
# Epoch: temperature of the teacher, and its momentum by epochs, of 100.
SCHEDULES = {
    0: (0.04, 0.996),
    1: (0.04103448, 0.996001006915),
    15: (0.05551724, 0.996222329103),
    29: (0.07, 0.996788780626),
    30: (0.07, 0.996839886181),
    99: (0.07, 1.0),
}
# Epsilon in 255ths: mean of the attacked pixels and of the changes' sizes, and the sum of pixels by place in the image.
FFGSM = {1: (0.500564, 0.726434, 107.53791), 8: (0.500592, 5.823676, 107.932266)}


def sines(*shape: int, factor: float = 1.0) -> Tensor:
    return torch.arange(1.0, math.prod(shape) + 1).mul(factor).sin().view(shape)


def dino(**numbers) -> Recipe:
    recipe = load_recipe("dino", "parity").model_dump()
    return Recipe.model_validate(recipe | {"dino": recipe["dino"] | {"hidden": 8, "bottleneck": 4, **numbers}})


@pytest.mark.parametrize("temperature", sorted(NT_XENT))
def test_the_contrastive_loss_is_lightlys(temperature):
    first, second = (sines(6, 9, factor=factor).requires_grad_() for factor in (1.0, 1.7))
    loss = nt_xent(first, second, temperature)
    loss.backward()
    gradient = torch.cat([first.grad, second.grad]).norm()
    assert (loss.item(), gradient.item()) == pytest.approx(NT_XENT[temperature], rel=1e-5)


def test_the_loss_and_the_centre_of_dino_are_lightlys():
    size, steps = 3 * 4 * 4, 10  # an epoch
    objective = make_objective(dino(output=size), build("resnet_w8", 10, 0), "resnet_w8", 10, 100 * steps, 0)
    for name in ("network", "teacher", "head", "teacher_head"):  # what comes in goes out
        same = nn.Linear(size, size, bias=False)
        nn.init.eye_(same.weight)
        setattr(objective, name, nn.Sequential(nn.Flatten(), same))
    for epoch, (expected, norm) in DINO.items():
        step = epoch * steps + 3
        views = [sines(5, 3, 4, 4, factor=1 + 0.3 * view + 0.1 * epoch) for view in range(4)]
        objective.before_step(step)
        assert objective(views, torch.zeros(5)).item() == pytest.approx(expected, rel=1e-5)
        objective.after_step(step)
        assert objective.center.norm().item() == pytest.approx(norm, rel=1e-5)


def test_the_schedules_of_dino_are_lightlys():
    objective = make_objective(dino(output=8), build("resnet_w8", 10, 0), "resnet_w8", 10, 1000, 0)
    for epoch, (temperature, momentum) in SCHEDULES.items():
        for step in (10 * epoch, 10 * epoch + 9):
            objective.before_step(step)
            assert objective.temperature.item() == pytest.approx(temperature, rel=1e-6)
            assert objective.momentum(step) == pytest.approx(momentum, abs=1e-12)


def test_the_last_layer_of_dino_starts_as_a_linear_layer_does():
    last = Head(8, dino(output=512).dino).last
    assert last.abs().max().item() == pytest.approx(1 / math.sqrt(4), rel=0.01)  # 4 units in the bottleneck
    assert last.std().item() == pytest.approx(1 / math.sqrt(4) / math.sqrt(3), rel=0.05)


def attacked_network() -> nn.Module:
    first, last = nn.Conv2d(3, 4, 3, padding=1), nn.Linear(4, 5)
    network = nn.Sequential(first, nn.Tanh(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), last)
    for number, parameter in enumerate(network.parameters()):
        parameter.data = sines(*parameter.shape, factor=1 + 0.37 * number)
    return network


@pytest.mark.parametrize("epsilon", sorted(FFGSM))
def test_the_attack_is_torchattacks(epsilon):
    mean, std = (torch.tensor(numbers).view(3, 1, 1) for numbers in (MEAN, STD))
    pixels, labels = (sines(4, 3, 6, 6) * 0.6 + 0.5).clamp(0, 1), torch.tensor([0, 1, 2, 4])
    images = (pixels - mean) / std
    attacked = ffgsm(attacked_network(), images, labels, epsilon / 255, 1.25 * epsilon / 255, seed=7) * std + mean
    change = (attacked - pixels).abs().mean() * 255
    places = (attacked * torch.arange(attacked.numel()).view(attacked.shape)).mean()
    expected = FFGSM[epsilon]
    assert (attacked.mean().item(), change.item(), places.item()) == pytest.approx(expected, rel=2e-5)
