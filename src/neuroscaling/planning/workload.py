"""What a training does is counted before it starts: images, passes, operations, bytes."""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from neuroscaling.core.hashing import canonical_json, content_hash
from neuroscaling.datasets.formats import has_root
from neuroscaling.datasets.image_listing import list_images
from neuroscaling.datasets.settings import DatasetSettings
from neuroscaling.study import architectures
from neuroscaling.study.architectures import architecture
from neuroscaling.study.recipes import OWN_VIEWS, Recipe, checkpoint_epochs
from neuroscaling.study.run_table import Run
from neuroscaling.training.image_views import has_random_crops, image_passes, stored_size, views_of
from neuroscaling.training.schedule import BANK, evaluation_epochs

COSTS_TABLE = Path(__file__).with_name("arch_costs.txt")


@dataclass(frozen=True)
class ArchCost:
    """Of a network with 1,000 classes: parameters, and multiply-accumulates of one image's forward pass."""

    n_params: int
    macs: int


def listed_cost(arch: str) -> ArchCost | None:
    """What the shipped table has of `arch`; None where it has nothing, or another definition of it."""
    row = listed_row(arch)
    return ArchCost(int(row[0]), int(row[1])) if row else None


def listed_row(arch: str) -> list[str] | None:
    """The columns of `arch` in the shipped table, from `n_params` on; None where it has no such network.

    A network of timm's or torchvision's is the same for each tag of weights of one image size.
    """
    if found := _costs_table().get((arch, definition_of(arch))):
        return found
    plain = architectures.without_tag(arch)
    if plain == arch or architecture(plain).input_size != architecture(arch).input_size:
        return None
    return _costs_table().get((plain, definition_of(plain)))


@cache
def cost_of(arch: str) -> ArchCost:
    """What the shipped table has of `arch`, else a count by torch, a fraction of a second."""
    found = listed_cost(arch)
    if found is None:
        from neuroscaling.models.cost import count  # loads torch, which the Snakefile must not

        counted = count(arch)
        found = ArchCost(counted["n_params"], counted["macs"])
    return found


@cache
def definition_of(arch: str) -> str:
    """Hash of what determines a network of this name: a changed definition is counted anew."""
    return content_hash(architectures.architecture_definition(arch))


@cache
def _costs_table() -> dict[tuple[str, str], list[str]]:
    lines = COSTS_TABLE.read_text(encoding="utf-8").splitlines() if COSTS_TABLE.is_file() else []
    rows = [line.split("	") for line in lines if line and not line.startswith("#")]
    return {(arch, definition): columns for arch, definition, *columns in rows}


# Validation images of public data sets, as their authors give them; the training images are declared in the study.
KNOWN_VALIDATION = {
    "ecoset": 28_250,
    "imagenet": 50_000,
    "imagenet21kP": 522_500,
    "inaturalist": 100_000,
    "places365": 36_500,
    "webvision": 50_000,
    "webvisionP": 50_000,
}
ASSUMED_VALIDATION = 50_000
"""Assumed for a data set that is neither there to be counted nor among those known."""


@dataclass(frozen=True)
class DatasetSize:
    """Classes, training images and validation images of a data set."""

    classes: int
    images: int
    validation: int


def dataset_size(name: str, settings: DatasetSettings, cache_dir: Path | None = None) -> DatasetSize:
    """Size of the data set `name`, whose images need not be there if `classes` and `images` are declared.

    Raises DataError for one that is neither there nor declared.
    """
    if settings.classes and settings.images:
        classes, images = settings.classes, settings.images
    else:
        classes, images = _counted(name, settings, "train", cache_dir)
    if has_root(settings):
        validation = _counted(name, settings, "validation", cache_dir)[1]
    else:
        validation = KNOWN_VALIDATION.get(name, ASSUMED_VALIDATION)
    return DatasetSize(classes, images, validation)


def size_of(run: Run, cache_dir: Path | None = None) -> DatasetSize:
    """Size of the data set of `run`, looked up once for all runs of a process. Raises DataError as `dataset_size`."""
    return _size_of_settings(run.images.dataset, canonical_json(run.images.settings.content()), cache_dir)


def subset_images(token: str, size: DatasetSize) -> int:
    """Images of the subset `token`: `10`, `p10` (of each class), `all`, `n5000` (of all), `c100` (all of 100 classes).

    Of the last the mean over choices of classes.
    """
    number = int(token.lstrip("pnc")) if token != "all" else 0
    match token[0]:
        case "a":
            return size.images
        case "n":
            return min(number, size.images)
        case "c":
            return round(size.images * min(number, size.classes) / size.classes)
        case _:
            return min(number * size.classes, size.images)


@cache
def _size_of_settings(name: str, settings: str, cache_dir: Path | None) -> DatasetSize:
    return dataset_size(name, DatasetSettings.of(json.loads(settings)), cache_dir)


def _counted(name: str, settings: DatasetSettings, split: str, cache_dir: Path | None) -> tuple[int, int]:
    """Classes and images of one split."""
    found = list_images(name, settings, split, cache_dir)
    return len(found.class_names), len(found.labels)


FLOAT_BYTES = 4
# Numbers that an optimiser keeps for each parameter.
MOMENTS = {"sgd": 1, "lars": 1, "adamw": 2}
STATES = 2
"""States that a run keeps while it trains: the newest, and the one before it."""


@dataclass(frozen=True)
class RecipeFacts:
    """What of a recipe costs.

    evaluations, checkpoints: how many there are, of files of weights those that are kept; passes: cost of a training
    image, in units of one image's forward and backward pass; copies: of the parameters, in a state to resume from;
    stored_side: pixels of each side of a decoded training image; from_squares: random crops are taken of these and not
    of the originals; by_policy: a policy changes images one by one.
    """

    objective: str
    precision: str
    epochs: int
    evaluations: int
    checkpoints: int
    passes: float
    copies: int
    stored_side: int
    from_squares: bool
    by_policy: bool


@dataclass(frozen=True)
class Work:
    """What one run does. n_samples: training images; evaluated: images, in all evaluations."""

    facts: RecipeFacts
    cost: ArchCost
    n_samples: int
    evaluated: int

    @property
    def images_seen(self) -> int:
        """Training images in all epochs, nominal."""
        return self.n_samples * self.facts.epochs

    @property
    def flops(self) -> float:
        """FLOPs of training: three forward passes for each pass, two FLOPs for each multiply-accumulate."""
        return 6.0 * self.cost.macs * self.images_seen * self.facts.passes

    @property
    def weights(self) -> int:
        """Bytes of the weights that are kept."""
        return FLOAT_BYTES * self.cost.n_params * self.facts.checkpoints

    @property
    def states(self) -> int:
        """Bytes of the states to resume from, while the run trains."""
        return STATES * FLOAT_BYTES * self.facts.copies * self.cost.n_params


def work_of(run: Run, size: DatasetSize, cost: ArchCost) -> Work:
    """What `run`, a trained one, does with a data set of `size`. Nothing is read and nothing is built."""
    facts = recipe_facts(run)
    n_samples = subset_images(run.subset or str(run.samples_per_class), size)
    bank = min(n_samples, BANK) if facts.objective in OWN_VIEWS else 0
    return Work(facts, cost, n_samples, facts.evaluations * (size.validation + bank))


def recipe_facts(run: Run) -> RecipeFacts:
    """What of the run's recipe costs; worked out once for each recipe and input size, not for each of its runs."""
    return _recipe_facts(run.training_recipe.model_dump_json(), architecture(run.arch).input_size)


@cache
def _recipe_facts(recipe: str, size: int) -> RecipeFacts:
    loaded = Recipe.model_validate_json(recipe)
    return RecipeFacts(
        objective=loaded.objective,
        precision=loaded.precision,
        epochs=loaded.epochs,
        evaluations=len(evaluation_epochs(loaded)),
        checkpoints=len(checkpoint_epochs(loaded)),
        passes=image_passes(loaded, size),
        # A moving average, and DINO's teacher, are another network each.
        copies=1 + MOMENTS[loaded.optimizer] + (loaded.ema is not None) + (loaded.objective == "dino"),
        stored_side=stored_size(loaded, size),
        from_squares=loaded.crops == "stored" or not has_random_crops(loaded, size),
        by_policy=any(view.auto_augment for view in views_of(loaded, size)),
    )
