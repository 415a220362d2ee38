"""Sections of the study file about encoding: each source of recordings, ridge regression, submissions.

config/README.md and config/schema.json are generated from here (`neuroscaling schema`). Light: imports no torch.
"""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, JsonValue, Tag

from neuroscaling.core.hangs import SCORING_SECONDS
from neuroscaling.core.recording_words import NEURONS, SITES, UNITS, VERTICES, VOXELS, RecordingWords
from neuroscaling.study.sections.key_types import (
    ARRAYS_NAME,
    DOTTED,
    MOST,
    NAME,
    AnyPath,
    AsTuple,
    DistinctNames,
    HangSeconds,
    NamedPath,
    Names,
    OptionalFolder,
    Samples,
    Section,
    Sessions,
    Text,
    is_dotted_path,
    once,
)
from neuroscaling.study.sections.recordings import (
    SCORING_HANGS,
    ColumnSplit,
    Data,
    Degrees,
    DrawnSplit,
    ImageSplit,
    LocalData,
)

V4_SAMPLES = 6
"""The fewest mapping images of a V4 session: fewer leave nothing to choose penalties with in three inner folds."""


WIDTH_NEEDED = "`visual_degrees` needs the width of the images, `degrees`"
V4Samples = list[Annotated[int, Field(ge=V4_SAMPLES, le=MOST)] | Literal["all"]]
Metric = Literal["ridge", "pls", "banded", "stacking", "rsa", "cka"]
# Metrics that take all layers together.
OF_ALL_LAYERS = ("banded", "stacking")
Metrics = Annotated[list[Metric], Field(min_length=1), once]


class Ridge(Section):
    """Ridge regression of every target, its penalty cross-validated. Empty keys follow the source and `protocol`."""

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
    precision: Literal["float32", "float64"] | None = Field(
        None, description="Of the products with responses: `float32`, of V4 `float64`."
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


class RecordingsEncoding(Section):
    """What every source of recordings is asked."""

    ridge_of_source: ClassVar[Ridge] = Ridge()
    words_of_source: ClassVar[RecordingWords] = UNITS

    source: str = Field(description="The kind of recordings.")
    regions: DistinctNames | Literal["all"] = Field("all", description="ROIs to report, e.g. [V1, V2, hV4, ventral].")
    evaluate: Literal["test", "validation", "folds"] = Field(
        "test",
        description="Images that accuracy is reported on: the test split; training images that are held out (where "
        "the responses to the test images are withheld); or shuffled folds of the training images, each held out once.",
    )
    validation: int = Field(
        500, ge=10, le=MOST, description="Training images held out with `evaluate: validation`, the same for all sizes."
    )
    held_out_folds: int = Field(
        5, ge=2, le=1_000, description="Folds with `evaluate: folds`, the same for all networks and sizes."
    )
    samples: Samples = Field(["all"], description="Numbers of mapping images, nested.")
    repeats: int = Field(
        1, ge=1, le=10_000, description="Draws of the nested subsets; accuracies are averaged over them."
    )
    equalise: int | None = Field(
        None, ge=20, le=MOST, description="Training images used of every subject; by default all that each has."
    )
    metrics: Metrics = Field(
        ["ridge"],
        description="`ridge` (a layer and a penalty for every target), `pls` (a layer for all targets of a region), "
        "of all layers together `banded` (a penalty for each layer) and `stacking` (a weighted mean of their models), "
        "and without a mapping `rsa` and `cka` of a region. Layers are chosen on mapping images.",
    )
    ridge: Ridge = Field(Ridge(), description="How responses are predicted.")
    draws: int = Field(200, ge=0, le=MOST, description="Bootstrap draws of the evaluated images.")
    hang_seconds: HangSeconds = Field(SCORING_SECONDS, description=SCORING_HANGS)

    @property
    def words(self) -> RecordingWords:
        """What its targets are called in captions, and whose they are."""
        return self.words_of_source

    def benchmark_of(self, subject: str) -> str:
        """What the scores of a subject are called in the table: the source."""
        return self.source


class FmriEncoding(RecordingsEncoding):
    """What every source of fMRI is asked."""

    subjects: DistinctNames | Literal["all"] = Field("all", description="`all`, or a list such as [subj01, subj02].")


class AlgonautsEncoding(FmriEncoding):
    """Voxel-wise encoding of fMRI in the layout of the Algonauts 2023 Challenge."""

    example: ClassVar[str] = "{source: algonauts2023, data: {local: FOLDER}}"
    words_of_source: ClassVar[RecordingWords] = VERTICES

    source: Literal["algonauts2023"] = Field(description="`algonauts2023`.")
    data: Data = Field(description="`simulated: <name>` or `local: <folder with subj01, subj02, ...>`.")
    submissions: dict[Annotated[str, Field(pattern=NAME)], Submission] = Field(
        {}, description="Submissions to write, by the names of their zip files."
    )

    def contradictions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Submissions without the metric that predicts the test images."""
        if self.submissions and "ridge" not in self.metrics:
            yield ("submissions", "metrics"), "a submission is made of predictions by `ridge`, which `metrics` lacks"


NsdTest = Literal["shared1000", "challenge", "nsd_synthetic"]


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
    test: NsdTest | Annotated[list[NsdTest], Field(min_length=1), once] = Field(
        "shared1000",
        description="Test images: those shown to all subjects, or those of the Algonauts 2023 Challenge. A list such "
        "as [shared1000, nsd_synthetic] adds those of NSD-synthetic, out of distribution (docs/nsd.md); the first is "
        "the main test set.",
    )

    @property
    def words(self) -> RecordingWords:
        """Voxels of volumes, vertices of surfaces."""
        return VOXELS if self.space.startswith("func") else VERTICES

    @property
    def tests(self) -> tuple[NsdTest, ...]:
        """The test sets, the main one first."""
        return (self.test,) if isinstance(self.test, str) else tuple(self.test)

    def contradictions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Test sets of which none, or two, tell which images of NSD no mapping sees."""
        if sum(test in ("shared1000", "challenge") for test in self.tests) != 1:
            yield ("test",), "`test` names either shared1000 or challenge: no mapping sees these images of NSD"


class ArraysEncoding(FmriEncoding):
    """Recordings of one's own: images, an array of responses and a table of units (docs/own-recordings.md)."""

    example: ClassVar[str] = (
        "{source: arrays, name: mine, data: {local: FOLDER}, images: images, responses: mine.npy, units: units.csv}"
    )

    source: Literal["arrays"] = Field(description="`arrays`.")
    name: Annotated[str, Field(pattern=ARRAYS_NAME)] = Field(
        description="What the recordings are called in tables and figures: their benchmark."
    )
    data: LocalData = Field(description="`local: <folder>` that the files below are in.")
    images: NamedPath = Field(description="Folder of the images.")
    stimuli: NamedPath | None = Field(
        None,
        description="Table (CSV or parquet) with a row for each row of the responses: `filename`, optionally "
        "`stimulus_id`, `sha1`, `index` and the split. Without it, the images in the order of their names.",
    )
    degrees: Degrees | None = Field(None, description="Width of the images in degrees of visual angle.")
    visual_degrees: Degrees | None = Field(
        None,
        description="Width of the models' field of view, in degrees: images are placed on such a screen. Without it "
        "they are shown whole.",
    )
    responses: NamedPath = Field(
        description="File of the responses: .npy, .parquet, .zarr, .nc, .h5, .hdf5 or .mat (7.3)."
    )
    variable: Text | None = Field(None, description="Array in that file, where it holds several.")
    axes: Annotated[list[Literal["images", "units", "repetitions"]], Field(min_length=2, max_length=3), once] | None = (
        Field(None, description="Its axes, e.g. [images, units, repetitions]; needed where lengths leave a doubt.")
    )
    units: NamedPath = Field(
        description="Table (CSV or parquet) with a row for each unit: `region`, optionally `subject`, `id`, and "
        "`ceiling` or `reliability`."
    )
    split: ImageSplit = Field(
        DrawnSplit(),
        description="Training and test images: `column: <name>`, or drawn; with `evaluate: folds` none is drawn.",
    )
    simulated: bool = Field(
        False, description="Whether the responses were made up: said wherever their numbers are shown."
    )

    def contradictions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Axes without images or units, a column of no table, and a field of view for images of unknown width."""
        if self.axes and not {"images", "units"} <= set(self.axes):
            yield ("axes",), "`axes` name `images` and `units`, and `repetitions` where there are"
        if isinstance(self.split, ColumnSplit) and self.stimuli is None:
            yield ("split", "stimuli"), "`split: {column: ...}` is a column of `stimuli`, which is not named"
        if self.visual_degrees is not None and self.degrees is None:
            yield ("visual_degrees", "degrees"), WIDTH_NEEDED

    def benchmark_of(self, subject: str) -> str:
        """The name of the recordings."""
        return self.name


class FunctionEncoding(FmriEncoding):
    """Recordings that a function of one's own returns (docs/own-recordings.md)."""

    example: ClassVar[str] = "{source: our_lab.recordings:read, name: ours, subjects: [anna], images: FOLDER}"

    source: Annotated[str, Field(pattern=DOTTED, max_length=1000)] = Field(
        description="`package.module:function`: its dotted path. It is called as `function(options, subject)`."
    )
    name: Annotated[str, Field(pattern=ARRAYS_NAME)] = Field(
        description="What the recordings are called in tables and figures: their benchmark."
    )
    subjects: Annotated[list[Annotated[str, Field(pattern=ARRAYS_NAME)]], Field(min_length=1), once] = Field(
        description="Subjects, monkeys or sessions: the function is called for each."
    )
    options: dict[str, JsonValue] = Field({}, description="What the function is given, as it stands.")
    files: Annotated[list[NamedPath], once] = Field(
        [], description="Files and folders that the function reads: where their contents change, it is called again."
    )
    images: NamedPath = Field(description="Folder of the images.")
    stimuli: NamedPath | None = Field(
        None,
        description="Table (CSV or parquet) of the images: `filename`, optionally `stimulus_id` and `sha1`. Without "
        "it, ids are the names of the files of the folder.",
    )
    degrees: Degrees | None = Field(None, description="Width of the images in degrees of visual angle.")
    visual_degrees: Degrees | None = Field(None, description="Width of the models' field of view, in degrees.")

    def contradictions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """A field of view for images of unknown width."""
        if self.visual_degrees is not None and self.degrees is None:
            yield ("visual_degrees", "degrees"), WIDTH_NEEDED

    def benchmark_of(self, subject: str) -> str:
        """The name of the recordings."""
        return self.name


class ThingsSource(FmriEncoding):
    """What both sources that showed images of THINGS are asked."""

    data: LocalData = Field(description="`local: <folder>`, as its authors distribute it (docs/things.md).")
    images: AnyPath = Field(
        description="Folder of THINGS: with `object_images`, or with a folder for each concept, or with all files."
    )


class TvsdEncoding(ThingsSource):
    """Multi-unit activity of macaque V1, V4 and IT to images of THINGS (TVSD, docs/things.md)."""

    example: ClassVar[str] = "{source: tvsd, data: {local: FOLDER}, images: FOLDER}"
    words_of_source: ClassVar[RecordingWords] = SITES

    source: Literal["tvsd"] = Field(description="`tvsd`.")
    reliability: float = Field(
        0.1,
        ge=-1,
        le=1,
        description="Sites whose mean correlation between repetitions of the test images is lower are left out.",
    )


class ThingsFmriEncoding(ThingsSource):
    """Voxel-wise encoding of human fMRI to images of THINGS (THINGS-fMRI, docs/things.md)."""

    example: ClassVar[str] = "{source: things_fmri, data: {local: FOLDER}, images: FOLDER}"
    words_of_source: ClassVar[RecordingWords] = VOXELS

    source: Literal["things_fmri"] = Field(description="`things_fmri`.")
    voxels: Names | Literal["regions", "all"] = Field(
        "regions",
        description="Which voxels: those of any region but Glasser's parcels, all, or those of named regions or "
        "parcels, e.g. [V1, hV4, FFA, glasser-FFC].",
    )
    zscore: Literal["none", "session"] = Field(
        "none", description="z-scores of each voxel within each session, or the authors' responses as they are."
    )


ThingsEncoding = TvsdEncoding | ThingsFmriEncoding
FmriSource = AlgonautsEncoding | NsdEncoding | ArraysEncoding | FunctionEncoding | TvsdEncoding | ThingsFmriEncoding


class V4Encoding(RecordingsEncoding):
    """Real macaque V4 recordings to natural images (Cowley and others), predicted neuron by neuron."""

    example: ClassVar[str] = "{source: v4, sessions: ['190923']}"
    words_of_source: ClassVar[RecordingWords] = NEURONS
    # Centred alone: on these neurons z-scores, which lift features of little variance, predict worse (docs/fmri.md).
    ridge_of_source: ClassVar[Ridge] = Ridge(folds=3, features="centre", precision="float64")

    source: Literal["v4"] = Field(description="`v4`.")
    sessions: Sessions | Literal["all"] = Field(
        "all", description="Session ids, e.g. ['190923']; `all` takes every session of `local_dir`."
    )
    local_dir: OptionalFolder = Field(
        None, description="Folder in the public repository's layout; without it the sessions are downloaded."
    )
    evaluate: Literal["validation", "folds"] = Field(
        "folds", description="Images that accuracy is reported on: shuffled folds, or images that are held out."
    )
    samples: V4Samples = Field(
        [10, 30, 100, 300, "all"],
        min_length=1,
        description="Numbers of mapping images (training images of the mapping), nested; larger ones than a session "
        "has are left out.",
    )
    metrics: Metrics = Field(["pls", "ridge"], description="As of fMRI.")

    def benchmark_of(self, subject: str) -> str:
        """The session: its images are its own."""
        return subject


def _whose_source(value: Any) -> str:
    """The branch of the union: a dotted path has a colon, the names of the sources that are listed here have none."""
    given = value.get("source") if isinstance(value, dict) else getattr(value, "source", None)
    return "<own>" if is_dotted_path(given) else "<listed>"


EncodingSource = FmriSource | V4Encoding
ListedEncoding = Annotated[
    AlgonautsEncoding | NsdEncoding | ArraysEncoding | TvsdEncoding | ThingsFmriEncoding | V4Encoding,
    Field(discriminator="source"),
]
Encoding = Annotated[
    Annotated[ListedEncoding, Tag("<listed>")] | Annotated[FunctionEncoding, Tag("<own>")],
    Discriminator(_whose_source),
]
