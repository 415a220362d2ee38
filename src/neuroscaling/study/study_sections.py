"""The study file as a whole, and its sections about recordings, Brain-Score and encoding.

config/README.md and config/schema.json are generated from here (`neuroscaling schema`). Light: imports no torch.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from neuroscaling.study.extraction_sections import Extraction, Layers, Reduction
from neuroscaling.study.key_types import (
    NAME,
    AnyPath,
    AsTuple,
    DistinctNames,
    Folders,
    NamedPath,
    Names,
    OptionalFolder,
    Section,
    Seed,
    Sessions,
    Text,
    keys_of,
    once,
)
from neuroscaling.study.network_sections import Dataset, Runs, Training
from neuroscaling.study.recording_folders import V4_SAMPLES
from neuroscaling.study.simulated_brains import LIMITS, too_many_images


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


MOST = 1_000_000  # of images, draws and the like
Samples = list[Annotated[int, Field(ge=10, le=MOST)] | Literal["all"]]
V4Samples = list[Annotated[int, Field(ge=V4_SAMPLES, le=MOST)] | Literal["all"]]


class Ridge(Section):
    """Ridge regression of every target, its penalty chosen by cross-validation. Empty keys follow `protocol`."""

    example: ClassVar[str] = "{penalties: [1e-3, 1e3, 10]}"

    penalties: Annotated[tuple[float, float, Annotated[int, Field(ge=1, le=1_000)]], AsTuple] | None = Field(
        None,
        description="Lowest, highest and number of penalties, spaced by a constant factor. Without it: [1e-3, 1e3, 10] "
        "in units of `relative`, or in `parity` [1, 1e15, 30] as they are.",
    )
    relative: bool | None = Field(
        None, description="Penalties in units of the mean squared length of the mapping images' features."
    )
    folds: int | None = Field(
        None, ge=2, le=1_000, description="Folds: 5 shuffled ones, or in `parity` 8 stretches of rows."
    )
    score: Literal["r2", "r"] | None = Field(
        None, description="What penalties, layers and grids are chosen by: R², or in `parity` the correlation."
    )
    features: Literal["standardise", "centre"] | None = Field(
        None,
        description="z-scores, or only centred (in `parity`, and where only inner products are kept); always with the "
        "mapping images' own means.",
    )
    gpu: bool = Field(False, description="Whether scoring jobs ask for a GPU.")
    memory_mb: int = Field(
        2000, ge=100, le=100_000_000, description="Bound of a job's working memory beside features and predictions."
    )

    def contradictions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Penalties that don't ascend."""
        if self.penalties and not 0 < self.penalties[0] <= self.penalties[1]:
            yield ("penalties",), "`penalties` are [lowest, highest, number], above 0 and ascending"


class Submission(Section):
    """Predictions for the images of the challenge's test split, averaged over networks, as its zip file."""

    example: ClassVar[str] = "{average: weighted}"

    average: Literal["plain", "weighted"] = Field(
        "weighted", description="Mean of the networks, or weighted by each vertex's cross-validated accuracy."
    )
    archs: Names | Literal["all"] = Field("all", description="Architectures to average; `all` networks otherwise.")


class FmriEncoding(Section):
    """What every source of fMRI is asked."""

    subjects: DistinctNames | Literal["all"] = Field("all", description="`all`, or a list such as [subj01, subj02].")
    regions: DistinctNames | Literal["all"] = Field("all", description="ROIs to report, e.g. [V1, V2, hV4, ventral].")
    evaluate: Literal["test", "validation"] = Field(
        "test",
        description="Images that accuracy is reported on: the test split, or training images that are held out (where "
        "the responses to the test images are withheld).",
    )
    validation: int = Field(
        500, ge=10, le=MOST, description="Training images held out with `evaluate: validation`, the same for all sizes."
    )
    samples: Samples = Field(["all"], min_length=1, description="Numbers of mapping images, nested.")
    repeats: int = Field(
        1, ge=1, le=10_000, description="Draws of the nested subsets; accuracies are averaged over them."
    )
    equalise: int | None = Field(
        None, ge=20, le=MOST, description="Training images used of every subject; by default all that each has."
    )
    ridge: Ridge = Field(Ridge(), description="How responses are predicted.")
    draws: int = Field(200, ge=0, le=MOST, description="Bootstrap draws of the evaluated images.")


class AlgonautsEncoding(FmriEncoding):
    """Voxel-wise encoding of fMRI in the layout of the Algonauts 2023 Challenge."""

    example: ClassVar[str] = "{source: algonauts2023, data: {local: FOLDER}}"

    source: Literal["algonauts2023"] = Field(description="`algonauts2023`.")
    data: Data = Field(description="`simulated: <name>` or `local: <folder with subj01, subj02, ...>`.")
    submissions: dict[Annotated[str, Field(pattern=NAME)], Submission] = Field(
        {}, description="Submissions to write, by the names of their zip files."
    )


class NsdEncoding(FmriEncoding):
    """Voxel-wise encoding of the Natural Scenes Dataset in its own layout (docs/nsd.md)."""

    example: ClassVar[str] = "{source: nsd, data: {local: FOLDER}}"

    source: Literal["nsd"] = Field(description="`nsd`.")
    data: LocalData = Field(description="`local: <folder with nsddata, nsddata_betas, nsddata_stimuli>`.")
    space: Literal["func1pt8mm", "func1mm", "nativesurface", "fsaverage"] = Field(
        "fsaverage", description="Space of the betas."
    )
    cortex: Names | Literal["nsdgeneral", "all-vertices"] = Field(
        "nsdgeneral", description="Which targets: NSD's own mask, all, or the union of named ROIs."
    )
    trials: Literal["average", "keep"] = Field(
        "average", description="Repetitions of an image: averaged, or kept as rows (of one fold) of their own."
    )
    test: Literal["shared1000", "challenge"] = Field(
        "shared1000", description="Test images: those shown to all subjects, or those of the Algonauts 2023 Challenge."
    )


FmriSource = AlgonautsEncoding | NsdEncoding


class V4Encoding(Section):
    """Real macaque V4 recordings to natural images (Cowley and others), predicted neuron by neuron."""

    example: ClassVar[str] = "{source: v4, sessions: ['190923']}"

    source: Literal["v4"] = Field(description="`v4`.")
    sessions: Sessions | Literal["all"] = Field(
        "all", description="Session ids, e.g. ['190923']; `all` takes every session of `local_dir`."
    )
    local_dir: OptionalFolder = Field(
        None, description="Folder in the public repository's layout; without it the sessions are downloaded."
    )
    samples: V4Samples = Field(
        [10, 30, 100, 300, "all"],
        min_length=1,
        description="Numbers of mapping images (training images of the mapping).",
    )
    metrics: Annotated[list[Literal["pls", "ridge"]], Field(min_length=1), once] = Field(
        ["pls", "ridge"], description="Mappings."
    )


Encoding = Annotated[AlgonautsEncoding | NsdEncoding | V4Encoding, Field(discriminator="source")]


class Published(Section):
    """Scores that others published, instead of networks of one's own: Gokce & Schrimpf 2025."""

    example: ClassVar[str] = "{}"

    published_dir: OptionalFolder = Field(
        None, description="Folder with the public tables; without it they are downloaded (docs/data.md)."
    )


class Study(Section):
    """A study file."""

    former: ClassVar[dict[str, str]] = {"pack": "runs_per_job"}

    study: str = Field(pattern=NAME, description="Name of the study; results go to results/<name>/.")
    title: str = Field("", description="Title of the report.")
    store: Folders = Field(
        Path("store"),
        description="Folder of runs, activations and scores; several studies share it. Of a list of folders all are "
        "read, and the first is written to.",
    )
    protocol: Literal["corrected", "parity"] = Field(
        "corrected", description="`corrected`, or `parity`: as published, quirks included."
    )
    datasets: dict[Annotated[str, Field(pattern=NAME)], Dataset] = Field({}, description="Image data sets by name.")
    runs: list[Runs] = Field([], description="Which networks: a list of groups. Needed unless `published` is there.")
    published: Published | None = Field(
        None, description="Published scores in place of runs: `{}`, or `published_dir:`. Nothing is trained or scored."
    )
    training: Training = Field(Training(), description="How networks are trained; changes no weights.")
    layers: dict[Text, Layers] = Field({}, description="Layers by architecture, where the defaults don't suit.")
    candidates: Literal["default", "family", "block", "relu", "conv", "norm", "all"] = Field(
        "default",
        description="Layers to extract where `layers:` names none: the architecture's own, the kinds that were chosen "
        "for its family in the published study, or a pattern.",
    )
    reduction: Reduction = Field(Reduction(), description="What is kept of each layer's activations.")
    extraction: Extraction = Field(Extraction(), description="How activations are computed and stored.")
    runs_per_job: int = Field(
        1,
        ge=1,
        le=100_000,
        description="Networks of one architecture whose extraction and Brain-Score scoring share a job: for small "
        "networks, whose jobs would spend their time starting up. Every network keeps its own files.",
    )
    simulated: dict[Annotated[str, Field(pattern=NAME)], SimulatedBrain] = Field(
        {}, description="Simulated brains by name (for the demo and for tests)."
    )
    brainscore: BrainScore | None = Field(None, description="Brain-Score benchmarks.")
    encoding: list[Encoding] = Field([], description="Encoding of fMRI or recordings, a list of sources.")
    accuracy: bool = Field(
        False,
        description="Validation accuracy as rows of the score table too: benchmark `validation`, region `accuracy`.",
    )
    fits: list[NamedPath] = Field([], description="Files of laws to fit, e.g. [config/fits/demo.yaml].")

    def contradictions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Networks that are nowhere named, or named beside published scores; jobs that are split and joined."""
        if self.published is None and not self.runs:
            yield ("runs",), "`runs:` is missing: name at least one group of networks"
        own = [key for key in ("runs", "datasets", "brainscore", "encoding", "simulated") if getattr(self, key)]
        if self.published is not None and own:
            yield ("published", *own), f"`published` stands in place of runs and data: drop {', '.join(own)}"
        if self.extraction.slices > 1 and self.runs_per_job > 1:
            what = "`extraction: slices` splits a network's extraction and `runs_per_job` joins several: drop one"
            yield ("extraction.slices", "runs_per_job"), what
