"""Steps of a single image: batch normalisation has no statistics of them where a map is of one place."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from neuroscaling.errors import Problem
from neuroscaling.models.build import skeleton
from neuroscaling.models.names import architecture
from neuroscaling.training.failures import RunFailed
from neuroscaling.training.objectives.make import make_objective
from neuroscaling.training.objectives.views import views_of
from neuroscaling.training.recipe import Recipe

ONE_VALUE = "Expected more than 1 value per channel when training"
"""What torch says of it, in all kinds of batch normalisation."""


def trains_on_one_image(arch: str, recipe: Recipe, n_classes: int) -> bool:
    """Whether a step of `recipe` on one image gives `arch`, with its heads, batch statistics. By shapes alone.

    True also where shapes don't tell: then training does.
    """
    sizes = [view.size for view in views_of(recipe, architecture(arch).input_size)]
    try:
        objective = make_objective(recipe, skeleton(arch, n_classes), arch, n_classes, n_steps=1, seed=0).train()
        labels = torch.zeros(1, dtype=torch.int64, device="meta")
        views = [torch.empty(1, 3, size, size, device="meta") for size in sizes]
        # An attack is made in evaluation mode, and no other objective changes its images for a step.
        objective(*(objective.mixed(views, labels, seed=0) if recipe.objective == "supervised" else (views, labels)))
    except Exception as error:  # of any kind: it is somebody's network
        return ONE_VALUE not in str(error)
    return True


def single_image_problem(where: str, recipe: Recipe, arch: str) -> Problem:
    """The error of steps of one image, in a user's words. where: the runs."""
    what = "batch normalisation can't be trained on one image at a time"
    fix = "more images (`images:`, `samples_per_class:`), or an architecture without batch normalisation"
    if recipe.images_at_once(arch) == 1:
        fix = f"a larger {'batch_size' if recipe.batch_size == 1 else 'micro_batch'} in the recipe {recipe.name}"
    return Problem(what, where, fix=fix)


@contextmanager
def single_images_told(run: str, recipe: Recipe, arch: str) -> Iterator[None]:
    """Raise RunFailed for `run` where a block can't train a step of one image, as it will not the next time either."""
    try:
        yield
    except ValueError as error:
        if ONE_VALUE not in str(error):
            raise
        raise RunFailed(single_image_problem(run, recipe, arch), lasting=True) from error
