"""Objectives on scikit-learn's digits: batches of a recipe, and some steps of training."""

from dataclasses import replace
from itertools import islice

import torch

from neuroscaling.datasets.index import load_index
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.datasets.subset_file import write_subset
from neuroscaling.datasets.subset_sampling import draw
from neuroscaling.models.build import build
from neuroscaling.study.recipes import Recipe, load_recipe
from neuroscaling.study.sections.training_options import TrainingOptions
from neuroscaling.training.feeding.protocols import Request
from neuroscaling.training.feeding.training_feed import open_training_feed
from neuroscaling.training.optimisers import make_optimizer, set_rates
from neuroscaling.training.schedule import batch_slices, epoch_order
from neuroscaling.training.setup import make_objective
from tests.support.digit_runs import digit_run

CPU = torch.device("cpu")
SETTINGS = DatasetSettings("digits")
SIZE = 32


def write_digits(folder):
    """The file of 30 images of each digit, in `folder`."""
    index, path = load_index("digits", SETTINGS, "train"), folder / "30.parquet"
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
