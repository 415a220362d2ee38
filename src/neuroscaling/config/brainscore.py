"""Scores on Brain-Score's benchmarks."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from neuroscaling.config.base import NAME, Section
from neuroscaling.config.data import BrainScoreData


class DefinedBenchmark(Section):
    """A benchmark of recordings that Brain-Score does not have; scored by Brain-Score's own classes and metrics."""

    region: Literal["V1", "V2", "V4", "IT"] = Field(description="Region whose layer answers, and that is reported.")
    metric: Literal["pls", "ridge", "neuron_to_neuron", "rdm", "cka"] = Field(description="Brain-Score's metric.")
    assembly: Path = Field(description="netCDF file of the recordings, in the data folder.")
    stimuli: Path = Field(description="CSV of the stimuli (stimulus_id, filename, ...), in the data folder.")
    images: Path = Field(description="Folder of the images, in the data folder.")
    degrees: float = Field(gt=0, description="Width of the images in degrees of visual angle.")
    stratified_by: str | None = Field(None, description="Column of the stimuli that balances the splits.")
    time_window: tuple[float, float] | None = Field(
        None, description="Milliseconds [from, to] whose bins are averaged; all bins without it."
    )
    ceiling: Literal["internal_consistency", "none"] = Field(
        "internal_consistency", description="From halves of the repetitions; `none` where there are no repetitions."
    )
    trials: int = Field(1, ge=1, description="Repetitions that a model would be shown.")


class LayerChoice(Section):
    """Which layer of a network stands for which region."""

    choose: Literal["nested", "reported", "published", "depth"] | None = Field(
        None,
        description="`nested`: the best on the training images of each split, which its test images never touch; "
        "`reported`: the best on the reported score itself, as published; `published`: read from `commitments`; "
        "`depth`: at fixed depths, without looking. Without it: `nested`, or `reported` in protocol `parity`.",
    )
    scope: Literal["run", "arch"] = Field(
        "run",
        description="`run`: chosen for each network; `arch`: chosen on the seed-0 network with all training images, "
        "and frozen for all others of its architecture and data set. `reported` is always `arch`.",
    )
    hierarchy: bool = Field(False, description="V1 not deeper than V2, V2 not than V4, V4 not than IT.")
    inner_splits: int = Field(3, ge=1, description="Splits of the training images that `nested` compares layers on.")
    commitments: Path | None = Field(None, description="Published choices, in the form of layer_commitments.json.")

    @model_validator(mode="after")
    def _commitments_with_published(self) -> "LayerChoice":
        if (self.choose == "published") != (self.commitments is not None):
            raise ValueError("`choose: published` and `commitments:` go together")
        return self


class BrainScore(Section):
    """Scores on Brain-Score's benchmarks, by its own classes and metrics."""

    data: BrainScoreData = Field(
        description="Where the recordings are: `simulated: <name>`, `local: <folder>`, `download: true` or `v4: [...]`."
    )
    benchmarks: list[str] = Field(
        min_length=1, description="Registered ids (`neuroscaling benchmarks` lists them), or names from `define`."
    )
    define: dict[Annotated[str, Field(pattern=NAME)], DefinedBenchmark] = Field(
        {}, description="Benchmarks of this study's own, by name."
    )
    visual_degrees: float = Field(8.0, gt=0, description="Width of the models' field of view, in degrees.")
    mem_mb: int = Field(4000, ge=500, description="Memory of a scoring job, in MB; an estimate above it is refused.")
    engine: Literal["kernel", "stock"] = Field(
        "kernel", description="`kernel`: from inner products, exact; `stock`: brainscore_vision on all features."
    )
    layers: LayerChoice = Field(LayerChoice(), description="Which layer of a network stands for which region.")
