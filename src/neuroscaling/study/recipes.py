"""Training recipes: every setting that determines the weights, read by name from YAML and checked.

timm itself finds a misspelt policy with the first image, and passes over some of what it doesn't know.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, Field, model_validator

from neuroscaling.core.errors import Location, Problem, StudyError, listing, nearest
from neuroscaling.core.installation import PIPELINE
from neuroscaling.study import architectures
from neuroscaling.study.paths import find_file
from neuroscaling.study.recipe_parts import Adversarial, Dino, Fraction, Simclr, Start, checked_policy
from neuroscaling.study.sections.key_types import Section, Text
from neuroscaling.study.sections.validation import validated
from neuroscaling.study.sections.yaml_document import read_document


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
    checkpoints: (
        Literal["last", "log", "published"] | Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]
    ) = Field(
        "last",
        description="Epochs whose weights are kept: the last; about ten, log-spaced; `published`: 1 to 10, every 5 to "
        "100, every 50 to 300; or those of a list, and the last.",
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
        for key, what in recipe_contradictions(self):
            yield (key,), what

    @property
    def section(self) -> Simclr | Dino | Adversarial | None:
        """The numbers of the objective, by whose type objectives are told apart; None: supervised training has none."""
        match self.objective:
            case "simclr":
                return self.simclr
            case "dino":
                return self.dino
            case "adversarial":
                return self.adversarial
            case "supervised":
                return None

    def images_at_once(self, arch: str) -> int:
        """Images of `arch` that go through the network at once: its micro-batch, else the recipe's, else the batch."""
        return self.micro_batches.get(arch) or self.micro_batch or self.batch_size


LOG_SPACED = 10


def checkpoint_epochs(recipe: Recipe) -> set[int]:
    """Epochs whose weights are kept; the last is among them. `published`: 28 files of 100 epochs, 32 of 300."""
    match recipe.checkpoints:
        case "published":
            kept = {*range(1, 11), *range(5, 101, 5), *range(150, recipe.epochs + 1, 50)}
            return {recipe.epochs, *(epoch for epoch in kept if epoch <= recipe.epochs)}
        case "log":
            return {recipe.epochs, *log_spaced(recipe.epochs)}
        case [*listed]:
            return {recipe.epochs, *listed}
        case _:
            return {recipe.epochs}


def earlier_epochs(asked: Literal["latest", "all"] | list[int], recipe: Recipe) -> list[int]:
    """The epochs before the last whose weights a study asks for, and the recipe keeps."""
    kept = sorted(checkpoint_epochs(recipe) - {recipe.epochs})
    return kept if asked == "all" else [epoch for epoch in kept if asked != "latest" and epoch in asked]


def log_spaced(epochs: int) -> set[int]:
    """About ten epochs from 1 to `epochs`, as far apart as their logarithms let them be."""
    return set(np.geomspace(1, epochs, LOG_SPACED).round().astype(int).tolist())


RECIPES = PIPELINE / "config" / "recipes"
PROTOCOLS = ("corrected", "parity")
# What `parity` has where the file says nothing, other than `corrected`: averages as published, from the first step on.
PARITY = {"ema_warmup": False}
SECTIONS = {"simclr": Simclr, "dino": Dino, "adversarial": Adversarial, "start": Start}


def recipe_names() -> list[str]:
    """Names of the recipes in config/recipes/."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def load_recipe(
    name_or_path: str, protocol: Literal["corrected", "parity"] = "corrected", study: Path | None = None
) -> Recipe:
    """The recipe of this name in config/recipes/, or in the YAML file at this path.

    protocol: `parity` puts the file's `parity:` section in place of its other keys, to repeat the published study; the
    recipe that is returned says what happens, without that section. study: the file from whose folders a path is looked
    up too. Raises StudyError with every fault of the file at once (of both protocols), or with the nearest name where
    there is no such recipe.
    """
    if protocol not in PROTOCOLS:
        near = nearest(protocol, PROTOCOLS)
        raise StudyError(
            Problem(
                what="unknown protocol", where="protocol", value=protocol, allowed=", ".join(PROTOCOLS), nearest=near
            )
        )
    known = recipe_names()
    if not _is_path(name_or_path) and name_or_path not in known:
        where = listing(known) + ", or the path of a YAML file"
        near = nearest(name_or_path, known)
        raise StudyError(Problem(what="unknown recipe", value=name_or_path, allowed=where, nearest=near))
    return _both(recipe_file(name_or_path, study))[protocol]


def recipe_file(name_or_path: str, study: Path | None = None) -> Path:
    """Where a recipe is: `digits` in config/recipes/, `mine.yaml` as `paths.find_file` finds it."""
    return find_file(Path(name_or_path), study) if _is_path(name_or_path) else RECIPES / f"{name_or_path}.yaml"


def _is_path(name_or_path: str) -> bool:
    return Path(name_or_path).suffix in (".yaml", ".yml")


def _both(path: Path) -> dict[str, Recipe]:
    """The recipe of a file under each protocol; the faults of both are raised, each once."""
    document = read_document(path, "recipe", "a YAML file in UTF-8, in config/recipes/ or where the study is")
    content = {} if document.content is None else document.content
    if not isinstance(content, dict):
        raise StudyError(Problem(what="a recipe is a list of `key: value`", where=str(path), value=content))
    own = {key: value for key, value in content.items() if key != "parity"}
    overlay = content.get("parity") or {}
    if not isinstance(overlay, dict):
        where = document.at(("parity",))
        raise StudyError(Problem(what="`parity:` is a list of `key: value`", where=where, value=overlay))
    recipes: dict[str, Recipe] = {}
    problems: dict[str, Problem] = {}
    for protocol, settings in (("corrected", own), ("parity", PARITY | _merged(own, overlay))):
        lines = document.lines | (_overlaid(document.lines) if protocol == "parity" else {})
        named = replace(document, content={"name": path.stem, **settings}, lines=lines)
        recipe, _, faults = validated(Recipe, named)
        if recipe is not None:
            recipes[protocol] = recipe
        problems |= {str(problem): problem for problem in named.problems(faults)}
    if problems:
        raise StudyError(problems.values())
    return recipes


def _overlaid(lines: dict[Location, int]) -> dict[Location, int]:
    """The lines of what `parity:` says, at the places of what it replaces."""
    return {place[1:]: line for place, line in lines.items() if place[:1] == ("parity",) and len(place) > 1}


def _merged(content: dict[str, Any], overlay: dict[str, Any]) -> dict[str, Any]:
    """`content` with the keys of `overlay` in place of its own, section by section."""
    merged = dict(content)
    for key, value in overlay.items():
        own = content.get(key)
        inner = key in SECTIONS and isinstance(value, dict) and isinstance(own, dict)
        merged[key] = own | value if inner else value
    return merged


# Objectives with views and losses of their own, and the keys that these take the place of.
OWN_VIEWS = ("simclr", "dino")
OF_LABELS = (
    "loss",
    "label_smoothing",
    "augmentation",
    "color_jitter",
    "color_jitter_hue",
    "auto_augment",
    "random_erasing",
)
OF_CROPS = ("crop_scale", "auto_augment", "random_erasing", "color_jitter", "color_jitter_hue")


def recipe_contradictions(recipe: Recipe) -> list[tuple[str, str]]:
    """The key and what is wrong, for each thing that can't be as the recipe says."""
    groups = (_of_schedules, _of_batches, _of_architectures, _of_losses, _of_images, _of_starts)
    return [fault for group in groups for fault in group(recipe)]


def _of_schedules(recipe: Recipe) -> list[tuple[str, str]]:
    faults = []
    if recipe.warmup_epochs >= recipe.epochs:
        faults.append(("warmup_epochs", f"{recipe.warmup_epochs} must be less than epochs ({recipe.epochs})"))
    if recipe.min_learning_rate > recipe.learning_rate:
        faults.append(("min_learning_rate", f"{recipe.min_learning_rate} must not exceed learning_rate"))
    if recipe.final_weight_decay is not None and recipe.weight_decay == 0:
        faults.append(("final_weight_decay", "weight_decay must be above 0 for it to change"))
    if recipe.ema_warmup and recipe.ema is None:
        faults.append(("ema_warmup", "there is no `ema` to warm up"))
    listed = recipe.checkpoints if isinstance(recipe.checkpoints, list) else []
    if beyond := [epoch for epoch in listed if epoch > recipe.epochs]:
        faults.append(("checkpoints", f"{beyond[0]} is more than epochs ({recipe.epochs})"))
    return faults


def _of_batches(recipe: Recipe) -> list[tuple[str, str]]:
    sizes = {"micro_batch": recipe.micro_batch} if recipe.micro_batch else {}
    sizes |= {f"micro_batches.{arch}": size for arch, size in recipe.micro_batches.items()}
    return [
        (key, f"{size} does not divide batch_size ({recipe.batch_size})")
        for key, size in sizes.items()
        if size < 1 or recipe.batch_size % size
    ]


def _of_architectures(recipe: Recipe) -> list[tuple[str, str]]:
    named = [(key, arch) for key in ("drop_path", "micro_batches") for arch in getattr(recipe, key)]
    return [
        (f"{key}.{arch}", f"unknown architecture; the nearest is {architectures.nearest_architecture(arch) or 'none'}")
        for key, arch in named
        if not architectures.is_architecture(arch)
    ]


def _of_losses(recipe: Recipe) -> list[tuple[str, str]]:
    faults = []
    mixed = recipe.mixup > 0 or recipe.cutmix > 0
    if mixed and recipe.loss == "cross_entropy":
        faults.append(("loss", "mixed labels (mixup, cutmix) need `soft_target` or `bce`"))
    if mixed and recipe.objective != "supervised":
        faults.append(("mixup", f"mixup and cutmix are of `supervised` training, not of `{recipe.objective}`"))
    if recipe.objective == "adversarial" and recipe.loss != "cross_entropy":
        faults.append(("loss", "adversarial training has `cross_entropy`"))
    if recipe.objective in OWN_VIEWS and recipe.ema is not None:
        faults.append(("ema", f"not of `{recipe.objective}`: a moving average is of networks that learn from labels"))
    if recipe.objective in OWN_VIEWS:
        faults += [(key, f"`{recipe.objective}` doesn't use it") for key in _changed(recipe, OF_LABELS)]
    faults += [
        (section, f"a section of `objective: {section}`, not of `{recipe.objective}`")
        for section in ("simclr", "dino", "adversarial")
        if getattr(recipe, section) is not None and recipe.objective != section
    ]
    return faults


def _of_images(recipe: Recipe) -> list[tuple[str, str]]:
    scales = {"crop_scale": recipe.crop_scale}
    if dino := recipe.dino:
        scales |= {"dino.global_scale": dino.global_scale, "dino.local_scale": dino.local_scale}
    faults = [
        (key, f"must be two shares of the image, smaller first, not {low:g} and {high:g}")
        for key, (low, high) in scales.items()
        if not 0 < low <= high <= 1
    ]
    faults += [
        (f"drop_path.{arch}", f"{rate} is not from 0 up to 1")
        for arch, rate in recipe.drop_path.items()
        if not 0 <= rate < 1
    ]
    unused = _changed(recipe, OF_CROPS) if recipe.augmentation != "crop_flip" else []
    if unused and recipe.objective not in OWN_VIEWS:
        faults.append(("augmentation", f"{', '.join(unused)}: only with `crop_flip`"))
    if recipe.interpolation == "lanczos" and recipe.auto_augment and not recipe.auto_augment.startswith("3a"):
        faults.append(("interpolation", "`lanczos` can't turn images, as auto_augment does: bilinear or bicubic"))
    if recipe.objective == "dino" and _changed(recipe, ("crop_scale",)):
        faults.append(("crop_scale", "`dino` has global_scale and local_scale in its own section"))
    return faults


def _changed(recipe: Recipe, keys: tuple[str, ...]) -> list[str]:
    """Those of `keys` that say something else than where they are left out."""
    return [key for key in keys if getattr(recipe, key) != type(recipe).model_fields[key].default]


def _of_starts(recipe: Recipe) -> list[tuple[str, str]]:
    if recipe.start and recipe.start.recipe == recipe.name:
        return [("start", "a recipe can't start from its own runs")]
    return []
