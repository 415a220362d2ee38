"""Which networks: groups of runs."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from neuroscaling.config.base import Archs, Names, OptionalFolder, Section, Seed, Text, keys_of
from neuroscaling.errors import nearest

Count = Annotated[int, Field(ge=1)]
SamplesPerClass = Count | Literal["all"]
Seeds = Annotated[list[Seed], Field(min_length=1)]
SUBSETS = ("samples_per_class", "images", "classes")


class TrainedRuns(Section):
    """Networks trained here: every combination of the lists."""

    example: ClassVar[str] = "{archs: [resnet18], datasets: [imagenet], samples_per_class: [10, all], recipe: sgd100}"

    archs: Archs = Field(description="Architectures (`neuroscaling models` lists them).")
    datasets: Names = Field(description="Names from `datasets:`.")
    samples_per_class: list[SamplesPerClass] = Field(
        [], description="Training images per class: numbers, or `all`. Subsets are nested for each seed."
    )
    images: list[Count] = Field(
        [], description="In place of it: training images in all, whatever their classes; nested."
    )
    classes: list[Count] = Field([], description="In place of it: all images of that many classes; nested.")
    seeds: Seeds = Field([0], description="Seeds of initialisation, order and augmentation.")
    recipe: Text = Field(description="A recipe of config/recipes/ by its name, or the path of a recipe file.")
    subset_seed: Seed | None = Field(None, description="Seed of the subset; the run's own seed where it is not given.")

    def contradictions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Training images that are named in no way, or in several."""
        given = [key for key in SUBSETS if getattr(self, key)]
        if len(given) != 1:
            found = " and ".join(given) or "none"
            yield SUBSETS, f"one of {', '.join(SUBSETS)} says which images are trained on, not {found}"

    def subsets(self) -> list[tuple[SamplesPerClass | None, str]]:
        """Samples per class (None where classes differ) and the subset's token: `10`, `all`, `n5000`, `c100`."""
        return [
            *((k, str(k)) for k in self.samples_per_class),
            *((None, f"n{n}") for n in self.images),
            *((None, f"c{n}") for n in self.classes),
        ]


class UntrainedRuns(Section):
    """Networks as initialised: the control for what training adds."""

    example: ClassVar[str] = "{untrained: [resnet18], seeds: [0]}"

    untrained: Archs = Field(description="Architectures to use without training.")
    seeds: Seeds = Field([0], description="Seeds of initialisation.")


class PretrainedRuns(Section):
    """Networks with published weights, fetched through timm (needs a network) or read from a folder."""

    example: ClassVar[str] = "{pretrained: [resnet18.a1_in1k]}"

    pretrained: Archs = Field(description="timm names with tag, e.g. `resnet18.a1_in1k`.")
    weights: OptionalFolder = Field(
        None, description="Folder with `<name>.safetensors`; without it timm downloads from its hub."
    )


class BaselineRuns(Section):
    """Image features that are no network."""

    example: ClassVar[str] = "{baselines: [pixels, gabor]}"

    baselines: list[Literal["pixels", "gabor"]] = Field(min_length=1, description="`pixels` or `gabor` (energy).")


KINDS = ("untrained", "pretrained", "baselines", "archs")


def _kind_of_runs(value: Any) -> str | None:
    keys = keys_of(value)
    if keys is None:
        return None
    there = next((kind for kind in KINDS if kind in keys), None)
    meant = (kind for key in keys for kind in KINDS if nearest(key, KINDS) == kind)
    return f"<{there or next(meant, 'archs')}>"


Runs = Annotated[
    Annotated[TrainedRuns, Tag("<archs>")]
    | Annotated[UntrainedRuns, Tag("<untrained>")]
    | Annotated[PretrainedRuns, Tag("<pretrained>")]
    | Annotated[BaselineRuns, Tag("<baselines>")],
    Discriminator(_kind_of_runs),
]
