"""Which networks: groups of runs."""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, ValidationInfo, field_validator, model_validator

from neuroscaling.config.base import OptionalFolder, Section

SamplesPerClass = int | Literal["all"]
SUBSETS = ("samples_per_class", "images", "classes")


class TrainedRuns(Section):
    """Networks trained here: every combination of the lists."""

    archs: list[str] = Field(min_length=1, description="Architectures (`neuroscaling models` lists them).")
    datasets: list[str] = Field(min_length=1, description="Names from `datasets:`.")
    samples_per_class: list[SamplesPerClass] = Field(
        [], description="Training images per class: numbers, or `all`. Subsets are nested for each seed."
    )
    images: list[int] = Field([], description="In place of it: training images in all, whatever their classes; nested.")
    classes: list[int] = Field([], description="In place of it: all images of that many classes; nested.")
    seeds: list[int] = Field([0], min_length=1, description="Seeds of initialisation, order and augmentation.")
    recipe: str = Field(description="A recipe of config/recipes/ by its name, or the path of a recipe file.")
    subset_seed: int | None = Field(None, description="Seed of the subset; the run's own seed where it is not given.")

    @field_validator("samples_per_class", "images", "classes")
    @classmethod
    def _positive(cls, values: list[SamplesPerClass], info: ValidationInfo) -> list[SamplesPerClass]:
        for value in values:
            if value != "all" and value < 1:
                name = str(info.field_name).replace("_", " ")
                raise ValueError(
                    f"{name} must be at least 1{' or `all`' if '_' in str(info.field_name) else ''}, not {value}"
                )
        return values

    @model_validator(mode="after")
    def _one_way(self) -> "TrainedRuns":
        given = [key for key in SUBSETS if getattr(self, key)]
        if len(given) != 1:
            raise ValueError(
                f"one of {', '.join(SUBSETS)} says which images are trained on, not {' and '.join(given) or 'none'}"
            )
        return self

    def subsets(self) -> list[tuple[SamplesPerClass | None, str]]:
        """Samples per class (None where classes differ) and the subset's token: `10`, `all`, `n5000`, `c100`."""
        return [
            *((k, str(k)) for k in self.samples_per_class),
            *((None, f"n{n}") for n in self.images),
            *((None, f"c{n}") for n in self.classes),
        ]


class UntrainedRuns(Section):
    """Networks as initialised: the control for what training adds."""

    untrained: list[str] = Field(min_length=1, description="Architectures to use without training.")
    seeds: list[int] = Field([0], min_length=1, description="Seeds of initialisation.")


class PretrainedRuns(Section):
    """Networks with published weights, fetched through timm (needs a network) or read from a folder."""

    pretrained: list[str] = Field(min_length=1, description="timm names with tag, e.g. `resnet18.a1_in1k`.")
    weights: OptionalFolder = Field(
        None, description="Folder with `<name>.safetensors`; without it timm downloads from its hub."
    )


class BaselineRuns(Section):
    """Image features that are no network."""

    baselines: list[Literal["pixels", "gabor"]] = Field(min_length=1, description="`pixels` or `gabor` (energy).")


def _kind_of_runs(value: Any) -> str:
    keys = value if isinstance(value, dict) else value.__class__.model_fields
    for kind in ("untrained", "pretrained", "baselines"):
        if kind in keys:
            return f"<{kind}>"
    return "<archs>"


Runs = Annotated[
    Annotated[TrainedRuns, Tag("<archs>")]
    | Annotated[UntrainedRuns, Tag("<untrained>")]
    | Annotated[PretrainedRuns, Tag("<pretrained>")]
    | Annotated[BaselineRuns, Tag("<baselines>")],
    Discriminator(_kind_of_runs),
]
