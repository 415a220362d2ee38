"""What a user should know of a study that is not wrong: lines below what `check` and `plan` print."""

from neuroscaling.calibration.campaign import trained
from neuroscaling.calibration.sizes import samples, size_of
from neuroscaling.errors import listing
from neuroscaling.study import LoadedStudy
from neuroscaling.training.averaging import start_note, start_share
from neuroscaling.training.recipe import Recipe
from neuroscaling.training.steps import Plan

SHOWN = 3


def average_notes(study: LoadedStudy) -> list[str]:
    """A line for each recipe with runs too short for its average or its teacher: the shortest, and which they are.

    Raises DataError for a data set that is neither there nor declared.
    """
    found: dict[str, list[tuple[float, str, str]]] = {}
    for run in trained(study):
        recipe = Recipe.model_validate(run.recipe)
        if recipe.objective != "dino" and (recipe.ema is None or recipe.ema_warmup):
            continue
        n_images = samples(run.subset or str(run.samples_per_class), size_of(run, study.store.cache()))
        n_steps = Plan.of(recipe, run.arch, run.seed, n_images).n_steps
        if note := start_note(recipe, n_steps):
            found.setdefault(recipe.name, []).append((start_share(recipe, n_steps), note, run.run))
    return [
        f"recipe {name}: {max(runs)[1]} ({len(runs)} of its runs: {listing([run for *_, run in runs], SHOWN)})"
        for name, runs in found.items()
    ]
