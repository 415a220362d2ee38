"""Training recipes: every setting of training that determines the weights. Light: imports no torch."""

from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from neuroscaling.errors import Problem, StudyError, listing, nearest

FOLDER = Path(__file__).parents[3] / "config" / "recipes"


class Recipe(BaseModel):
    """How a network is trained. Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name of the recipe; that of its file without `.yaml`.")
    epochs: int = Field(ge=1, description="Passes over the training images, whatever their number.")
    batch_size: int = Field(ge=1, description="Images a step; the last batch of an epoch may be smaller.")
    optimizer: Literal["sgd", "adamw"] = Field(description="`sgd` (with momentum) or `adamw`.")
    learning_rate: float = Field(gt=0, description="Peak learning rate, not scaled with the batch.")
    momentum: float = Field(0.9, ge=0, lt=1, description="Momentum of `sgd`; the first beta of `adamw`.")
    weight_decay: float = Field(0.0, ge=0, description="Weight decay of all parameters.")
    warmup_epochs: float = Field(0.0, ge=0, description="Epochs of linear rise to the peak learning rate.")
    min_learning_rate: float = Field(0.0, ge=0, description="Learning rate at the end of the cosine.")
    label_smoothing: float = Field(0.0, ge=0, lt=1, description="Share of the target spread over all classes.")
    augmentation: Literal["none", "shift", "crop_flip"] = Field(
        "none",
        description="`none`; `shift`: by up to an eighth of the side; `crop_flip`: random resized crop (8 to 100 % of "
        "the area) and horizontal flip.",
    )
    evaluations: Literal["log"] | int = Field(
        "log", description="When to evaluate on the validation images: `log`: about ten epochs, log-spaced; n: every n."
    )
    precision: Literal["fp32", "bf16"] = Field("fp32", description="`fp32`, or `bf16`: automatic mixed precision.")

    @model_validator(mode="after")
    def _consistent(self) -> "Recipe":
        if self.warmup_epochs >= self.epochs:
            raise ValueError(f"warmup_epochs ({self.warmup_epochs}) must be less than epochs ({self.epochs})")
        if self.min_learning_rate > self.learning_rate:
            raise ValueError(f"min_learning_rate ({self.min_learning_rate}) must not exceed learning_rate")
        if isinstance(self.evaluations, int) and self.evaluations < 1:
            raise ValueError(f"evaluations must be `log` or at least 1, not {self.evaluations}")
        return self


def recipe_names() -> list[str]:
    """Names of the recipes in config/recipes/."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def load_recipe(name_or_path: str) -> Recipe:
    """The recipe of this name in config/recipes/, or in the YAML file at this path.

    Raises StudyError with every fault of the file at once, or with the nearest name where there is no such recipe.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        path = FOLDER / f"{name_or_path}.yaml"
    if not path.is_file():
        known = recipe_names()
        where = listing(known) + ", or the path of a YAML file"
        raise StudyError(
            Problem("unknown recipe", value=name_or_path, allowed=where, nearest=nearest(name_or_path, known))
        )
    return _parse(path)


def _parse(path: Path) -> Recipe:
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise StudyError(Problem(f"not valid YAML: {error}", str(path))) from error
    if not isinstance(content, dict):
        raise StudyError(Problem("a recipe is a list of `key: value`", str(path), content))
    try:
        return Recipe.model_validate({"name": path.stem, **content})
    except ValidationError as error:
        raise StudyError([_problem(path, fault) for fault in error.errors()]) from error


def _problem(path: Path, fault: dict) -> Problem:
    key = str(fault["loc"][0]) if fault["loc"] else ""
    where = f"{path}: {key}" if key else str(path)
    if fault["type"] == "extra_forbidden":
        return Problem(
            "unknown key",
            where,
            allowed=listing(list(Recipe.model_fields), 20),
            nearest=nearest(key, Recipe.model_fields),
        )
    field = Recipe.model_fields.get(key)
    return Problem(fault["msg"], where, fault["input"] if key else None, field.description or "" if field else "")
