"""Encoding of fMRI and of recordings."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from neuroscaling.config.base import NAME, AsTuple, DistinctNames, Names, OptionalFolder, Section, Sessions, once
from neuroscaling.config.data import Data, LocalData
from neuroscaling.encoding.limits import V4_SAMPLES

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
    engine: Literal["exact", "himalaya"] = Field(
        "exact", description="`exact`: from sufficient statistics; `himalaya`: the field's library, slower."
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
