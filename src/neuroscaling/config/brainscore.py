"""Scores on Brain-Score's benchmarks."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from neuroscaling.config.base import NAME, AsTuple, DistinctNames, NamedPath, Section, Text
from neuroscaling.config.data import BrainScoreData

Degrees = Annotated[float, Field(gt=0, le=360)]


class DefinedBenchmark(Section):
    """A benchmark of recordings that Brain-Score does not have; scored by Brain-Score's own classes and metrics."""

    example: ClassVar[str] = (
        "{region: IT, metric: pls, assembly: mine.nc, stimuli: mine.csv, images: images, degrees: 8}"
    )

    region: Literal["V1", "V2", "V4", "IT"] = Field(description="Region whose layer answers, and that is reported.")
    metric: Literal["pls", "ridge", "neuron_to_neuron", "rdm", "cka"] = Field(description="Brain-Score's metric.")
    assembly: NamedPath = Field(description="netCDF file of the recordings, in the data folder.")
    stimuli: NamedPath = Field(description="CSV of the stimuli (stimulus_id, filename, ...), in the data folder.")
    images: NamedPath = Field(description="Folder of the images, in the data folder.")
    degrees: Degrees = Field(description="Width of the images in degrees of visual angle.")
    stratified_by: Text | None = Field(None, description="Column of the stimuli that balances the splits.")
    time_window: Annotated[tuple[float, float], AsTuple] | None = Field(
        None, description="Milliseconds [from, to] whose bins are averaged; all bins without it."
    )
    ceiling: Literal["internal_consistency", "none"] = Field(
        "internal_consistency", description="From halves of the repetitions; `none` where there are no repetitions."
    )
    trials: int = Field(1, ge=1, le=10_000, description="Repetitions that a model would be shown.")

    def contradictions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """A time window that ends before it begins."""
        if self.time_window and not self.time_window[0] < self.time_window[1]:
            start, end = self.time_window
            yield ("time_window",), f"a time window is [from, to], the earlier first, not [{start:g}, {end:g}]"


class LayerChoice(Section):
    """Which layer of a network stands for which region."""

    example: ClassVar[str] = "{choose: nested}"

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
    inner_splits: int = Field(
        3, ge=1, le=1_000, description="Splits of the training images that `nested` compares layers on."
    )
    commitments: NamedPath | None = Field(None, description="Published choices, in the form of layer_commitments.json.")

    def contradictions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Published choices without their file, or the file without them."""
        if (self.choose == "published") != (self.commitments is not None):
            yield ("choose", "commitments"), "`choose: published` and `commitments:` go together"


class BrainScore(Section):
    """Scores on Brain-Score's benchmarks, by its own classes and metrics."""

    example: ClassVar[str] = "{data: {download: true}, benchmarks: [MajajHong2015public.IT-pls]}"

    data: BrainScoreData = Field(
        description="Where the recordings are: `simulated: <name>`, `local: <folder>`, `download: true` or `v4: [...]`."
    )
    benchmarks: DistinctNames = Field(
        description="Registered ids (`neuroscaling benchmarks` lists them), or names from `define`."
    )
    define: dict[Annotated[str, Field(pattern=NAME)], DefinedBenchmark] = Field(
        {}, description="Benchmarks of this study's own, by name."
    )
    visual_degrees: Degrees = Field(8.0, description="Width of the models' field of view, in degrees.")
    mem_mb: int = Field(
        4000, ge=500, le=100_000_000, description="Memory of a scoring job, in MB; an estimate above it is refused."
    )
    engine: Literal["kernel", "stock"] = Field(
        "kernel", description="`kernel`: from inner products, exact; `stock`: brainscore_vision on all features."
    )
    layers: LayerChoice = Field(LayerChoice(), description="Which layer of a network stands for which region.")
