"""What a training does, counted before it starts: images seen and evaluated, operations, bytes. Light at import."""

from dataclasses import dataclass
from functools import cache

from neuroscaling.calibration.costs import ArchCost
from neuroscaling.calibration.sizes import DatasetSize, samples
from neuroscaling.hashing import canonical_json
from neuroscaling.models.names import architecture
from neuroscaling.runs import Run
from neuroscaling.training.objectives.views import has_random_crops, image_passes, stored_size, views_of
from neuroscaling.training.recipe import Recipe

FLOAT_BYTES = 4
# Numbers that an optimiser keeps for each parameter.
MOMENTS = {"sgd": 1, "lars": 1, "adamw": 2}
BANK = 100_000
"""Training images that validation images are compared with where labels are not trained on (`training.evaluate`)."""
WITHOUT_LABELS = ("simclr", "dino")
STATES = 2
"""States that a run keeps while it trains: the newest, and the one before it."""


@dataclass(frozen=True)
class Work:
    """What one run does.

    n_samples: training images; images_seen: in all epochs, nominal; passes: cost of a training image, in units of one
    image's forward and backward pass; evaluated: images, in all evaluations; macs, n_params: of the network;
    checkpoints: files of weights that are kept; states: bytes of states to resume from, while it trains; stored_side:
    pixels of each side of a decoded training image; from_squares: random crops are taken of these and not of the
    originals; by_policy: a policy changes images one by one.
    """

    n_samples: int
    images_seen: int
    passes: float
    evaluated: int
    macs: int
    n_params: int
    checkpoints: int
    states: int
    stored_side: int
    from_squares: bool
    by_policy: bool

    @property
    def flops(self) -> float:
        """FLOPs of training: three forward passes for each pass, two FLOPs for each multiply-accumulate."""
        return 6.0 * self.macs * self.images_seen * self.passes

    @property
    def weights(self) -> int:
        """Bytes of the weights that are kept."""
        return FLOAT_BYTES * self.n_params * self.checkpoints


@dataclass(frozen=True)
class RecipeFacts:
    """What of a recipe costs: epochs, evaluations, checkpoints kept, passes an image, copies of the parameters."""

    name: str
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


def work_of(run: Run, size: DatasetSize, cost: ArchCost) -> Work:
    """What `run`, a trained one, does with a data set of `size`. Nothing is read and nothing is built."""
    facts = recipe_facts(run)
    n_samples = samples(run.subset or str(run.samples_per_class), size)
    bank = min(n_samples, BANK) if facts.objective in WITHOUT_LABELS else 0
    return Work(
        n_samples=n_samples,
        images_seen=n_samples * facts.epochs,
        passes=facts.passes,
        evaluated=facts.evaluations * (size.validation + bank),
        macs=cost.macs,
        n_params=cost.n_params,
        checkpoints=facts.checkpoints,
        states=STATES * FLOAT_BYTES * facts.copies * cost.n_params,
        stored_side=facts.stored_side,
        from_squares=facts.from_squares,
        by_policy=facts.by_policy,
    )


def recipe_facts(run: Run) -> RecipeFacts:
    """What of the run's recipe costs; worked out once for each recipe and input size, not for each of its runs."""
    return _recipe_facts(canonical_json(run.recipe), architecture(run.arch).input_size)


@cache
def _recipe_facts(recipe: str, size: int) -> RecipeFacts:
    from neuroscaling.training.schedule import checkpoint_epochs, evaluation_epochs

    loaded = Recipe.model_validate_json(recipe)
    return RecipeFacts(
        name=loaded.name,
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
