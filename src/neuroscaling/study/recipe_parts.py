"""Parts of a recipe: sections that one objective alone reads, where fine-tuning starts, and policies."""

import re
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from neuroscaling.core.errors import nearest
from neuroscaling.study.sections.key_types import AsTuple, Section, Text

Fraction = Annotated[tuple[float, float], AsTuple]


class Simclr(Section):
    """SimCLR (Chen et al. 2020): two views of each image attract each other, all others repel."""

    example: ClassVar[str] = "{temperature: 0.1}"

    temperature: float = Field(0.5, gt=0, description="Temperature of the contrastive loss.")
    hidden: int = Field(2048, ge=1, description="Units of the head's hidden layer.")
    output: int = Field(128, ge=1, description="Units of the head's output.")
    batch_norm: bool = Field(True, description="Batch normalisation after both layers of the head.")
    jitter: float = Field(1.0, ge=0, description="Strength of the colour jitter; 1 is brightness 0.8 and hue 0.2.")


class Dino(Section):
    """DINO (Caron et al. 2021): a student predicts from any crop what a teacher, its average, says of large crops."""

    example: ClassVar[str] = "{output: 65536}"

    output: int = Field(65536, ge=2, description="Units of the head's output.")
    hidden: int = Field(2048, ge=1, description="Units of the head's two hidden layers.")
    bottleneck: int = Field(256, ge=1, description="Units ahead of the head's last layer.")
    batch_norm: bool = Field(False, description="Batch normalisation in the head's hidden layers.")
    teacher_momentum: float = Field(0.996, ge=0, le=1, description="Share of the teacher that a step keeps, at first.")
    momentum_by_epoch: bool = Field(False, description="The momentum rises to 1 with epochs, not with steps.")
    teacher_temperature: float = Field(0.07, gt=0, description="Temperature of the teacher after its warm-up.")
    first_temperature: float = Field(0.04, gt=0, description="Temperature of the teacher at the start.")
    temperature_epochs: int = Field(30, ge=0, description="Epochs of the rise between the two, in equal parts.")
    student_temperature: float = Field(0.1, gt=0, description="Temperature of the student.")
    center_momentum: float = Field(0.9, ge=0, lt=1, description="Share of the centre that a step keeps.")
    frozen_epochs: int = Field(1, ge=0, description="Epochs in which the head's last layer is not trained.")
    global_scale: Fraction = Field((0.4, 1.0), description="Area of the two large crops, as shares of the image.")
    local_scale: Fraction = Field((0.05, 0.4), description="Area of the small crops.")
    local_crops: int = Field(8, ge=0, description="Number of small crops.")
    local_share: float = Field(96 / 224, gt=0, le=1, description="Side of the small crops, as a share of the input's.")


class Adversarial(Section):
    """Training on images that FFGSM (Wong et al. 2020) has changed against the network."""

    example: ClassVar[str] = "{epsilon: 0.004}"

    epsilon: float = Field(1 / 255, gt=0, description="Largest change of a pixel; pixels are 0 to 1.")
    alpha: float = Field(1.25 / 255, gt=0, description="Length of the one step along the sign of the gradient.")


class Start(Section):
    """Where fine-tuning starts: the run of the same architecture, data set and seed with this recipe and subset."""

    example: ClassVar[str] = "{recipe: sgd100, samples_per_class: all}"

    recipe: Text = Field(description="Recipe of the run whose weights are taken.")
    samples_per_class: Literal["all"] | Annotated[int, Field(ge=1)] = Field(
        "all", description="Subset of that run: images a class, or `all`."
    )


WHOLE, ANY = r"\d+", r"\d+(\.\d+)?"
# The options of each policy and the numbers that they take; `t` names a choice of RandAugment's changes.
OPTIONS = {
    "rand": {"m": WHOLE, "n": WHOLE, "p": ANY, "mstd": ANY, "mmax": WHOLE, "inc": WHOLE, "t": "weights|3aw|3a"},
    "augmix": {"m": WHOLE, "w": WHOLE, "d": WHOLE, "a": ANY, "b": WHOLE, "mstd": ANY},
    **{policy: {"mstd": ANY} for policy in ("3a", "v0", "v0r", "original", "originalr")},
}


def checked_policy(words: str | None) -> str | None:
    """`words` as they are. Raises ValueError for a policy or an option that timm doesn't have."""
    if words is None:
        return None
    policy, *options = words.split("-")
    if policy not in OPTIONS:
        raise ValueError(f"unknown policy `{policy}`, not one of {', '.join(OPTIONS)}{_near(policy, OPTIONS)}")
    allowed = OPTIONS[policy]
    for option in options:
        if not any(re.fullmatch(f"{name}({value})", option) for name, value in allowed.items()):
            name = re.split(r"\d", option)[0]
            raise ValueError(
                f"unknown option `{option}` of the policy `{policy}`, which has {', '.join(allowed)}, "
                f"each with its number{_near(name, allowed)}"
            )
    return words


def _near(word: str, allowed: dict) -> str:
    near = nearest(word, allowed)
    return f"; the nearest is {near}" if near else ""
