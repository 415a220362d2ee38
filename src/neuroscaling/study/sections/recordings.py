"""Sections of the study file about recordings, and about scores on Brain-Score's benchmarks."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from neuroscaling.core.hangs import SCORING_SECONDS
from neuroscaling.study.sections.key_types import (
    ALL,
    NAME,
    AnyPath,
    AsTuple,
    DistinctNames,
    HangSeconds,
    NamedPath,
    OptionalFolder,
    Samples,
    Section,
    Seed,
    Sessions,
    Text,
    keys_of,
)
from neuroscaling.study.sections.simulated_brains import LIMITS, BrainSettings, too_many_images

SCORING_HANGS = (
    "Seconds without a step (a candidate layer, a fit, a split), beyond the longest pause so far, after which a job "
    "saves its tracebacks and ends, to be tried again; until its first step its time limit, where that is longer. "
    "null: never."
)


def _limited(key: str, default: int, description: str) -> Any:
    low, high, _ = LIMITS[key]
    return Field(default, ge=low, le=high, description=description)


class SimulatedBrain(Section):
    """A simulated brain: recordings and fMRI made from real images by a known rule. Never real data."""

    example: ClassVar[str] = "{seed: 0}"

    seed: Seed = Field(0, description="Seed of everything that is drawn.")
    stimuli: int = _limited("stimuli", 200, "Images in the simulated recordings; behaviour shows half of them.")
    neuroids_per_region: int = _limited("neuroids_per_region", 20, "Simulated recording sites per region.")
    repetitions: int = _limited("repetitions", 4, "Repetitions of each image in the electrophysiology.")
    algonauts_subjects: int = _limited("algonauts_subjects", 2, "Subjects of the simulated fMRI.")
    algonauts_train: int = _limited("algonauts_train", 200, "Training images of the simulated fMRI.")
    algonauts_test: int = _limited("algonauts_test", 60, "Test images of the simulated fMRI.")
    vertices: int = _limited("vertices", 120, "Vertices of the left hemisphere; the right has 8 % more.")

    def contradictions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """More images of the simulated fMRI than there are."""
        if what := too_many_images(self.algonauts_train, self.algonauts_test):
            yield ("algonauts_train", "algonauts_test"), what

    def settings(self, name: str) -> BrainSettings:
        """What determines the brain of this name."""
        return BrainSettings(name=name, **self.model_dump())


class SimulatedData(Section):
    """Data from a simulated brain of this study."""

    example: ClassVar[str] = "{simulated: demo}"

    simulated: Text = Field(description="A name from `simulated:`.")


class LocalData(Section):
    """Data from a folder."""

    example: ClassVar[str] = "{local: FOLDER}"

    local: AnyPath = Field(
        description="The folder, in the layout that docs/data.md describes. `$VARIABLES` are replaced."
    )


class DownloadedData(Section):
    """Brain-Score's own files, fetched once by the `prefetch` rule into the store's read-only data directory."""

    example: ClassVar[str] = "{download: true}"

    download: Literal[True] = Field(
        description="`true`: fetched from where brainscore_vision keeps them; the one step that needs a network."
    )


class V4Data(Section):
    """The macaque V4 recordings of `encoding: v4`, as assemblies for benchmarks defined in the study."""

    example: ClassVar[str] = "{v4: ['210325']}"

    v4: Sessions = Field(description="Session ids, e.g. ['210325'].")
    local_dir: OptionalFolder = Field(
        None, description="Folder in the public repository's layout; without it the sessions are downloaded."
    )


DATA_KINDS = ("simulated", "download", "v4")


def _kind_of_data(value: Any) -> str | None:
    keys = keys_of(value)
    if keys is None:
        return None
    return next((f"<{kind}>" for kind in DATA_KINDS if kind in keys), "<local>")


Data = Annotated[
    Annotated[SimulatedData, Tag("<simulated>")] | Annotated[LocalData, Tag("<local>")], Discriminator(_kind_of_data)
]
BrainScoreData = Annotated[
    Annotated[SimulatedData, Tag("<simulated>")]
    | Annotated[LocalData, Tag("<local>")]
    | Annotated[DownloadedData, Tag("<download>")]
    | Annotated[V4Data, Tag("<v4>")],
    Discriminator(_kind_of_data),
]

Degrees = Annotated[float, Field(gt=0, le=360)]


class ColumnSplit(Section):
    """Training and test images by a column of the table of stimuli: `train`, and the names of test sets."""

    example: ClassVar[str] = "{column: split}"

    column: Text = Field(description="The column: `train` for the images of the mapping, any other word a test set.")


class DrawnSplit(Section):
    """Test images that are drawn."""

    example: ClassVar[str] = "{test: 0.2, seed: 0}"

    test: float = Field(0.2, gt=0, lt=1, description="Share of the images.")
    seed: Seed = Field(0, description="Seed of the draw.")


def _kind_of_split(value: Any) -> str | None:
    keys = keys_of(value)
    return None if keys is None else "<column>" if "column" in keys else "<drawn>"


ImageSplit = Annotated[
    Annotated[ColumnSplit, Tag("<column>")] | Annotated[DrawnSplit, Tag("<drawn>")], Discriminator(_kind_of_split)
]


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
    samples: Samples | dict[Text, Samples] = Field(
        ALL,
        description="Numbers of mapping images, nested, for every benchmark that fits a mapping; or by benchmark, for "
        "example `{MajajHong2015public.IT-pls: [10, 100, 1000, all]}`, where those that are not named take `all`.",
    )
    visual_degrees: Degrees = Field(8.0, description="Width of the models' field of view, in degrees.")
    mem_mb: int = Field(
        4000, ge=500, le=100_000_000, description="Memory of a scoring job, in MB; an estimate above it is refused."
    )
    hang_seconds: HangSeconds = Field(
        SCORING_SECONDS, description=f"{SCORING_HANGS} With `engine: kernel` alone: the other counts no steps."
    )
    engine: Literal["kernel", "stock"] = Field(
        "kernel", description="`kernel`: from inner products, exact; `stock`: brainscore_vision on all features."
    )
    layers: LayerChoice = Field(LayerChoice(), description="Which layer of a network stands for which region.")
