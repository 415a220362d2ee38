"""The keys of a recipe: every setting of training that determines the weights. Light: imports no torch."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from neuroscaling.config.base import Section, Text
from neuroscaling.training.recipe_checks import contradictions
from neuroscaling.training.recipe_policies import checked_policy
from neuroscaling.training.recipe_sections import Adversarial, Dino, Fraction, Simclr, Start


class Recipe(Section):
    """How a network is trained. Unknown keys are errors."""

    name: Text = Field(description="Name of the recipe; that of its file without `.yaml`.")
    objective: Literal["supervised", "simclr", "dino", "adversarial"] = Field(
        "supervised", description="What is learned; the section of the same name has its numbers."
    )
    epochs: int = Field(ge=1, description="Passes over the training images, whatever their number.")
    batch_size: int = Field(ge=1, description="Images a step over all GPUs; an epoch's last batch may be smaller.")
    micro_batch: int | None = Field(
        None,
        ge=1,
        description="Images that go through the network at once, whatever the number of GPUs: batch statistics, "
        "partners of mixup and SimCLR's contrasts are of these. None: the whole batch.",
    )
    micro_batches: dict[str, Annotated[int, Field(ge=1)]] = Field(
        default_factory=dict, description="The same for architectures that need another number."
    )
    optimizer: Literal["sgd", "adamw", "lars"] = Field(description="`sgd` (with momentum), `adamw` or `lars`.")
    learning_rate: float = Field(gt=0, description="Peak learning rate, not scaled with the batch.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of `sgd` and `lars`; the first beta of `adamw`.")
    weight_decay: float = Field(0.0, ge=0, description="Weight decay.")
    final_weight_decay: float | None = Field(
        None, ge=0, description="Weight decay at the last step, reached along a cosine. None: it stays as it is."
    )
    decay_norms_and_biases: bool = Field(
        True, description="Weight decay of normalisations, biases and what the network exempts, too."
    )
    warmup_epochs: float = Field(0.0, ge=0, description="Epochs of linear rise to the peak learning rate.")
    schedule: Literal["cosine", "linear"] = Field("cosine", description="How the learning rate falls after that.")
    min_learning_rate: float = Field(0.0, ge=0, description="Learning rate at the last step.")
    gradient_clip: float | None = Field(None, gt=0, description="Largest norm of the gradient; None: any.")
    loss: Literal["cross_entropy", "soft_target", "bce"] = Field(
        "cross_entropy",
        description="`cross_entropy`; `soft_target`: the same for mixed labels; `bce`: binary cross-entropy of each "
        "class, averaged over classes.",
    )
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of the target spread over all classes.")
    mixup: float = Field(0.0, ge=0, description="Alpha of mixup; 0: none. One draw for each micro-batch.")
    cutmix: float = Field(0.0, ge=0, description="Alpha of cutmix; 0: none. With both, each is drawn half of the time.")
    augmentation: Literal["none", "shift", "crop_flip"] = Field(
        "none",
        description="`none`; `shift`: by up to an eighth of the side; `crop_flip`: random resized crop and horizontal "
        "flip. Self-supervised objectives have their own.",
    )
    crop_scale: Fraction = Field(
        (0.08, 1.0), description="Area of crops (`crop_flip`, SimCLR), as shares of the image."
    )
    color_jitter: float = Field(0.0, ge=0, description="Reach of random brightness, contrast and saturation.")
    color_jitter_hue: float = Field(0.0, ge=0, le=0.5, description="Reach of random hue.")
    auto_augment: Annotated[str | None, AfterValidator(checked_policy)] = Field(
        None, description="Policy in timm's words: `rand-m9-mstd0.5-inc1` (RandAugment), `3a` (ThreeAugment)."
    )
    random_erasing: float = Field(0.0, ge=0, le=1, description="Probability of erasing a rectangle with noise.")
    repeated_augmentation: int = Field(
        1, ge=1, description="Times that an image comes in a row, changed anew; an epoch has as many images as ever."
    )
    interpolation: Literal["bilinear", "bicubic", "lanczos"] = Field("bilinear", description="Of training images.")
    validation_interpolation: Literal["bilinear", "bicubic", "lanczos"] = Field(
        "bilinear", description="Of validation images."
    )
    validation_resize: Literal["short_side", "squash"] = Field(
        "short_side", description="Before the central crop: the short side to 256/224 of the input, or both sides."
    )
    crops: Literal["stored", "originals"] = Field(
        "stored",
        description="Random crops are taken of squares of 256/224 of the input, decoded once, or of the originals.",
    )
    drop_path: dict[str, float] = Field(
        default_factory=dict,
        description="Stochastic depth by architecture; others have what they come with.",
    )
    drop_path_form: Literal["linear", "constant"] = Field(
        "linear", description="Stochastic depth grows from 0 to its value with depth, or is the same in all blocks."
    )
    drop_last: bool = Field(
        False, description="Leave out an epoch's last batch where it is smaller, but not an only one."
    )
    ema: float | None = Field(
        None, gt=0, lt=1, description="Decay of a moving average of the weights, which is then what is scored."
    )
    ema_warmup: bool = Field(
        False,
        description="The decay grows with the steps up to `ema`. Where it is left out: true with an `ema`, but false "
        "under `protocol: parity`.",
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="`fp32`, or automatic mixed precision: `bf16`, or `fp16` with a scaled loss."
    )
    evaluations: Literal["log", "published"] | Annotated[int, Field(ge=1)] = Field(
        "log",
        description="When to evaluate on the validation images: `log`: about ten epochs, log-spaced; `published`: each "
        "epoch; n: every n.",
    )
    checkpoints: Literal["last", "log", "published"] = Field(
        "last",
        description="Epochs whose weights are kept: the last; about ten, log-spaced; `published`: 1 to 10, every 5 to "
        "100, every 50 to 300.",
    )
    simclr: Simclr | None = Field(None, description="Numbers of `objective: simclr`, and of it alone.")
    dino: Dino | None = Field(None, description="Numbers of `objective: dino`, and of it alone.")
    adversarial: Adversarial | None = Field(None, description="Numbers of `objective: adversarial`, and of it alone.")
    start: Start | None = Field(None, description="The run that this one starts from; None: random weights.")
    parity: dict[str, Any] = Field(
        default_factory=dict,
        exclude=True,
        description="What `protocol: parity` replaces, to repeat the published study with its quirks.",
    )

    @model_validator(mode="before")
    @classmethod
    def _with_defaults(cls, keys: Any) -> Any:
        """What follows from other keys, section and warm-up, written out: what is hashed is what happens."""
        if not isinstance(keys, dict):
            return keys
        objective = keys.get("objective")
        keys = {"ema_warmup": keys.get("ema") is not None, **keys}
        if objective in ("simclr", "dino", "adversarial") and keys.get(objective) is None:
            return {**keys, objective: {}}
        return keys

    def contradictions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Keys that contradict each other, or name an architecture that there isn't."""
        for key, what in contradictions(self):
            yield (key,), what

    def images_at_once(self, arch: str) -> int:
        """Images of `arch` that go through the network at once: its micro-batch, else the recipe's, else the batch."""
        return self.micro_batches.get(arch) or self.micro_batch or self.batch_size
