"""Training on a GPU, without one: where tensors are, and what waits. Numbers are tested on the CPU."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import distributed, nn
from torch._subclasses.fake_tensor import DataDependentOutputException
from torch.nn import functional
from torch.testing._internal.distributed.fake_pg import FakeStore
from torch.utils._pytree import tree_map

from neuroscaling.models import build
from neuroscaling.planning import benchmark
from neuroscaling.study.recipes import Recipe, load_recipe
from neuroscaling.study.run_table import RunJob
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training import loop, setup
from neuroscaling.training.distributed import _units, share_units
from neuroscaling.training.evaluation import evaluate
from neuroscaling.training.feeding.decoded_images import Squares, forget_squares
from neuroscaling.training.feeding.sources import run_source
from neuroscaling.training.feeding.validation import forget_validation, open_validation
from tests.support.fake_gpu import GPU, fake_gpu, real
from tests.support.photographs import photograph_run, photographs

# timm's policies are worker processes' work, the same with and without a GPU.
SMALL = {"epochs": 2, "batch_size": 8, "micro_batch": 4, "warmup_epochs": 0, "micro_batches": {}, "auto_augment": None}
HEAD = {"output": 32, "hidden": 16, "bottleneck": 8, "local_crops": 2, "local_share": 0.5, "frozen_epochs": 0}
COLOURS = {"color_jitter": 0.4, "color_jitter_hue": 0.1}
CASES = [
    ("sgd100", "resnet18", {"precision": "fp32"}),
    ("sgd100", "resnet_w8", {"precision": "fp16", "gradient_clip": 1.0, **COLOURS}),
    ("convnext300", "resnet_w8", {"precision": "bf16"}),
    ("deit300", "vit_w16", {"precision": "fp16"}),
    ("simclr100", "resnet_w8", {"precision": "bf16"}),
    ("dino", "vit_w16", {"precision": "fp16"}),
    ("ffgsm10", "resnet_w8", {"precision": "fp16"}),
]
pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU: no need for a fake one")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return photographs(tmp_path_factory.mktemp("photographs"))


@pytest.fixture(autouse=True)
def nothing_kept(monkeypatch):
    monkeypatch.setattr(setup, "build", real(build.build))
    yield
    forget_squares()
    forget_validation()


def prepared(folder, name, arch, **changes):
    content = load_recipe(name).model_dump() | SMALL | changes | {"start": None}
    content["dino"] = content["dino"] | HEAD if content["dino"] else None
    run, subset = photograph_run(folder, Recipe.model_validate(content))
    training = setup.prepare_training(RunJob(replace(run, arch=arch), subset, Path()), GPU, TrainingOptions())
    training.module.train()
    return training


def steps(training, n):
    requests, batches = (give(training.plan.requests(0)) for give in (iter, training.feed.batches))
    for _ in range(n):
        loop._take(training, next(requests), next(batches))


def test_a_fake_gpu_refuses_what_is_not_on_it_and_notes_what_waits(monkeypatch):
    with fake_gpu(monkeypatch) as waits:
        there, here = torch.zeros(3, device=GPU), torch.zeros(3)
        with pytest.raises(RuntimeError, match="device"):
            there + here
        there.to(torch.float16), here.to(GPU, non_blocking=True)
        assert waits.seen == []
        here.to(GPU), there.cpu(), torch.tensor([1.0], device=GPU), there.copy_(here)
        with pytest.raises(DataDependentOutputException):
            there.sum().item()
        assert len(waits.seen) == 5


@pytest.mark.parametrize(("recipe", "arch", "changes"), CASES)
def test_steps_are_taken_on_the_gpu_and_wait_for_nothing(monkeypatch, folder, recipe, arch, changes):
    with fake_gpu(monkeypatch) as waits:
        training = prepared(folder, recipe, arch, **changes)
        steps(training, 1)
        waits.seen.clear()  # the first step makes the optimiser's and the scaler's tensors
        steps(training, 1)
        assert waits.seen == []
        trained = [parameter for parameter in training.objective.parameters() if parameter.requires_grad]
        assert {parameter.grad.device for parameter in trained} == {GPU}
        assert {loss.device for _, loss in training.pending} == {GPU}


def test_images_that_a_gpu_has_no_room_for_are_sent_without_waiting(monkeypatch, folder):
    with fake_gpu(monkeypatch) as waits:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device=None: (0, 0))
        training = prepared(folder, "sgd100", "resnet_w8")
        waits.seen.clear()
        batch = next(training.feed.batches(training.plan.requests(0)))
        assert batch.views[0].device == batch.labels.device == GPU
        assert waits.seen == []


def test_an_evaluation_waits_once_at_its_end(monkeypatch, folder):
    with fake_gpu(monkeypatch) as waits:
        training = prepared(folder, "sgd100", "resnet_w8", precision="bf16")
        run, _ = photograph_run(folder, training.recipe)
        images = open_validation(replace(run, arch="resnet_w8"), 32, training.recipe, GPU, TrainingOptions())
        waits.seen.clear()
        with pytest.raises(DataDependentOutputException):  # a fake has no value to read
            evaluate(training.scored, images, "bf16", GPU)
        assert len(waits.seen) == 1


@pytest.mark.parametrize("name", ["convnext300", "dino"])
def test_a_state_that_was_read_to_the_host_goes_on_on_the_gpu(monkeypatch, folder, name):
    with fake_gpu(monkeypatch) as waits:
        training = prepared(folder, name, "resnet_w8", precision="bf16")
        steps(training, 1)
        state = tree_map(lambda x: x.cpu() if isinstance(x, torch.Tensor) else x, loop.snapshot(training, "d"))
        again = prepared(folder, name, "resnet_w8", precision="bf16")
        loop.restore(again, state)
        waits.seen.clear()
        steps(again, 1)
        assert waits.seen == []


def test_calibration_measures_on_the_gpu(monkeypatch):
    monkeypatch.setattr(benchmark, "build", real(build.build))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "NVIDIA Pretended")
    recipe = Recipe.model_validate(load_recipe("sgd100").model_dump() | {"precision": "fp16"})
    with fake_gpu(monkeypatch):
        rate = benchmark.measure_training("resnet_w8", recipe, "cuda", steps=1)
    assert (rate.device, rate.precision, rate.batch) == ("NVIDIA Pretended", "fp16", 256)


@pytest.mark.parametrize(("micro_batch", "shared"), [(4, False), (8, True)])
def test_batch_statistics_are_of_a_micro_batch_whoever_shares_it(monkeypatch, folder, micro_batch, shared):
    groups = []

    class Recorded:
        @staticmethod
        def apply(x, weight, bias, mean, variance, eps, momentum, group, size):
            groups.append(size)
            return functional.batch_norm(x, mean, variance, weight, bias, True, momentum, eps)

    monkeypatch.setattr(nn.modules.batchnorm, "sync_batch_norm", Recorded)  # fakes don't know its kernels
    monkeypatch.setattr(setup, "_spread", lambda objective, *_: objective)
    distributed.init_process_group("fake", store=FakeStore(), rank=0, world_size=2)
    try:
        with fake_gpu(monkeypatch):
            training = prepared(folder, "sgd100", "resnet_w8", micro_batch=micro_batch)
            steps(training, 1)
    finally:
        share_units(())
        _units.clear()
        distributed.destroy_process_group()
    assert set(groups) == ({2} if shared else set())


def test_images_of_later_runs_go_where_there_is_room_and_come_in_order(monkeypatch, folder):
    run, _ = photograph_run(folder, Recipe.model_validate(load_recipe("sgd100").model_dump()))
    source = run_source(run, "train", 32, TrainingOptions())
    with fake_gpu(monkeypatch) as waits:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device=None: (10 * 3 * 32**2, 0))
        squares = Squares(source, 32, GPU)
        for rows in ([0, 1, 2], [1, 3, 4], [5]):
            squares.require(np.array(rows))
        # Less than 40 % of what is free or taken by images already, of 10, 13 and 15 images.
        assert [(block.device.type, len(block)) for block in squares.blocks] == [("cuda", 3), ("cuda", 2), ("cpu", 1)]
        waits.seen.clear()
        assert squares.batch(np.array([5, 0, 3, 0])).device == GPU and waits.seen == []


def test_squares_decoded_at_different_times_are_those_decoded_at_once(folder):
    run, _ = photograph_run(folder, Recipe.model_validate(load_recipe("sgd100").model_dump()))
    source = run_source(run, "train", 32, TrainingOptions())
    once, parts = (Squares(source, 32, torch.device("cpu")) for _ in range(2))
    once.require(np.arange(9))
    for rows in ([7, 2], [2, 0, 8], [4, 5]):
        parts.require(np.array(rows))
    asked = np.array([8, 7, 5, 0, 2, 7, 4])
    assert len(parts.blocks) == 3 and torch.equal(parts.batch(asked), once.batch(asked))
    assert all(torch.equal(a, b) for a, b in zip(parts.each(asked), once.each(asked), strict=True))
