"""Sections of the study file about activations: which layers, what is kept of them, and how that is computed.

What changes the stored values (`FeatureOptions`) is apart from what only changes how they come about
(`ExtractionOptions`): the first is in the names of activations, the second in none.
"""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from neuroscaling.core.hangs import Patience
from neuroscaling.study.sections.key_types import HangSeconds, Names, Section, Seed, Text


class Reduction(Section):
    """What is kept of a layer's activations; computed on the device, before anything is written."""

    example: ClassVar[str] = "{kind: grid, size: 2}"

    kind: Literal["none", "grid", "max", "projection"] = Field(
        "none",
        description="`none`: all features; `grid`: means on a grid of places; `max`: maxima on a grid; `projection`: "
        "a seeded sparse random projection.",
    )
    size: int = Field(2, ge=1, le=16, description="Cells along each side of the grid.")
    sizes: list[Annotated[int, Field(ge=1, le=16)]] = Field(
        [], description="Several grids in one pass, in place of `size`: each layer is then kept as `<layer>@<size>`."
    )
    components: int = Field(
        1000, ge=1, le=1_000_000, description="Components of the projection; narrower layers stay as they are."
    )
    seed: Seed = Field(0, description="Seed of the projection.")

    def contradictions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Grids of a reduction that has none."""
        if self.sizes and self.kind not in ("grid", "max"):
            yield ("sizes", "kind"), f"`sizes` are of `kind: grid` and `kind: max`, not of `{self.kind}`"
        if len(set(self.sizes)) < len(self.sizes):
            yield ("sizes",), "`sizes` names a size twice"

    @property
    def is_grid(self) -> bool:
        """Whether places are pooled into a grid, by their means or maxima."""
        return self.kind in ("grid", "max")

    def settings(self) -> dict[str, Any]:
        """What enters the results: the kind, and of the rest what the kind uses."""
        grid = ("sizes",) if self.sizes else ("size",)
        used = {"none": (), "grid": grid, "max": grid, "projection": ("components", "seed")}[self.kind]
        return {"kind": self.kind, **{key: getattr(self, key) for key in used}}

    def ascending(self) -> "Reduction":
        """The same reduction with its sizes in ascending order, as a store lists its grids."""
        return self.model_copy(update={"sizes": sorted(self.sizes)})


class FeatureOptions(Section):
    """What changes the values that are stored of a layer, beside its reduction."""

    keep: Literal["features", "gram", "both"] = Field(
        "features",
        description="`gram`: only inner products of all pairs of stimuli are kept (and the readout's features), enough "
        "for PLS, ridge, RDM and CKA.",
    )
    dtype: Literal["float32", "float16"] = Field("float32", description="Type of the stored features.")
    autocast: Literal["none", "bf16", "fp16"] = Field("none", description="Precision of the forward pass.")
    tokens: Literal["all", "class", "patch", "mean"] = Field(
        "all", description="Of token models: all tokens, the class token, the patches, or their mean."
    )
    normalise: bool = Field(True, description="Subtract the mean colour and divide; false: values from 0 to 1.")
    crop: bool = Field(True, description="Cut the middle of images as published weights were; false: whole images.")

    def determining(self) -> dict[str, Any]:
        """What changes the activations."""
        return {key: getattr(self, key) for key in FeatureOptions.model_fields}


WATCHED = ("hang_seconds", "first_step_seconds")


class ExtractionOptions(Section):
    """What changes only how activations come about, or how they lie on the disk."""

    codec: Literal["zstd", "none"] = Field("zstd", description="Compression of the stored features.")
    batch: int = Field(64, ge=1, le=100_000, description="Images of a forward pass.")
    workers: int = Field(0, ge=0, le=1_000, description="Processes that decode images; 0: threads of the job itself.")
    scratch_gb: float = Field(
        50, gt=0, le=1_000_000, description="Disk for features that are not kept; more take several passes."
    )

    hang_seconds: HangSeconds = Field(
        1800.0,
        description="Seconds without a batch of images, or a block of a Gram matrix, beyond the longest pause so far, "
        "after which a job saves its tracebacks and ends, to be tried again. null: never.",
    )
    first_step_seconds: HangSeconds = Field(7200.0, description="The same until the first batch.")

    @property
    def patience(self) -> Patience:
        """When a pass over the images is taken to hang."""
        return Patience(self.hang_seconds, self.first_step_seconds)

    def operating(self) -> dict[str, Any]:
        """These options as JSON holds them: `ExtractionOptions(**...)` reads them again."""
        return {key: getattr(self, key) for key in ExtractionOptions.model_fields}

    def laying(self) -> dict[str, Any]:
        """Those that an unfinished extraction must not change: it is begun anew under others."""
        return {key: value for key, value in self.operating().items() if key not in WATCHED}


class Extraction(ExtractionOptions, FeatureOptions):
    """How activations are computed and stored."""

    example: ClassVar[str] = "{keep: gram, batch: 64}"

    slices: int = Field(
        1,
        ge=1,
        le=10_000,
        description="Jobs (GPUs or nodes) that share a stimulus set; needs `runs_per_job: 1` or `auto`.",
    )


class Layers(Section):
    """Layers of one architecture, where its defaults don't suit."""

    example: ClassVar[str] = "{candidates: [layer1, layer2], regions: {IT: layer4}, readout: avgpool}"

    candidates: Names | Text | None = Field(
        None,
        description="Layers to extract, early to late, or a pattern: `family`, `block`, `relu`, `conv`, `norm`, `all`.",
    )
    regions: dict[str, Text] = Field({}, description="Layer of each region for Brain-Score, e.g. {IT: layer4}.")
    readout: Text | None = Field(None, description="Layer of the behavioural readout.")

    def named(self) -> list[str]:
        """Every layer that this section names."""
        listed = self.candidates if isinstance(self.candidates, list) else []
        return [*listed, *self.regions.values(), *([self.readout] if self.readout else [])]

    def settings(self) -> dict[str, Any]:
        """These layers as a definition of activations holds them; empty where everything is by default."""
        found = {"candidates": self.candidates, "regions": self.regions, "readout": self.readout}
        return found if any(found.values()) else {}
