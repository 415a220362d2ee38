"""The study file as pydantic models: the one definition of every key.

config/README.md and config/schema.json are generated from here (`neuroscaling schema`). Light: imports no torch.
"""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

NAME = r"^[A-Za-z0-9][A-Za-z0-9.-]*$"
SamplesPerClass = int | Literal["all"]


class Section(BaseModel):
    """Base of all sections: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DigitsDataset(Section):
    """scikit-learn's 1,797 handwritten digits (10 classes), bundled with the package: no download."""

    format: Literal["digits"] = Field(description="`digits`: scikit-learn's bundled handwritten digits.")


class ImageFolderDataset(Section):
    """A folder with `train/` and `val/`, one folder a class below each."""

    format: Literal["imagefolder"] = Field(description="`imagefolder`: `train/<class>/<image>`, `val/<class>/<image>`.")
    root: Path = Field(description="The folder that holds `train/` and `val/`. `$VARIABLES` are replaced.")


Dataset = Annotated[DigitsDataset | ImageFolderDataset, Field(discriminator="format")]


class TrainedRuns(Section):
    """Networks trained here: every combination of the lists."""

    archs: list[str] = Field(min_length=1, description="Architectures (`neuroscaling models` lists them).")
    datasets: list[str] = Field(min_length=1, description="Names from `datasets:`.")
    samples_per_class: list[SamplesPerClass] = Field(
        min_length=1, description="Training images per class: numbers, or `all`. Subsets are nested for each seed."
    )
    seeds: list[int] = Field([0], min_length=1, description="Seeds of initialisation, order and augmentation.")
    recipe: str = Field(description="A recipe of config/recipes/ by its name, or the path of a recipe file.")
    subset_seed: int | None = Field(None, description="Seed of the subset; the run's own seed where it is not given.")

    @field_validator("samples_per_class")
    @classmethod
    def _positive(cls, values: list[SamplesPerClass]) -> list[SamplesPerClass]:
        for value in values:
            if value != "all" and value < 1:
                raise ValueError(f"samples per class must be at least 1 or `all`, not {value}")
        return values


class UntrainedRuns(Section):
    """Networks as initialised: the control for what training adds."""

    untrained: list[str] = Field(min_length=1, description="Architectures to use without training.")
    seeds: list[int] = Field([0], min_length=1, description="Seeds of initialisation.")


class PretrainedRuns(Section):
    """Networks with published weights, fetched through timm (needs a network) or read from a folder."""

    pretrained: list[str] = Field(min_length=1, description="timm names with tag, e.g. `resnet18.a1_in1k`.")
    weights: Path | None = Field(
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


class SimulatedBrain(Section):
    """A simulated brain: recordings and fMRI made from real images by a known rule. Never real data."""

    seed: int = Field(0, description="Seed of everything that is drawn.")
    stimuli: int = Field(
        200, ge=100, le=360, description="Images in the simulated recordings; behaviour shows half of them."
    )
    neuroids_per_region: int = Field(20, ge=2, description="Simulated recording sites per region.")
    repetitions: int = Field(4, ge=2, description="Repetitions of each image in the electrophysiology.")
    algonauts_subjects: int = Field(2, ge=1, le=8, description="Subjects of the simulated fMRI.")
    algonauts_train: int = Field(200, ge=20, description="Training images of the simulated fMRI.")
    algonauts_test: int = Field(60, ge=10, description="Test images of the simulated fMRI.")
    vertices: int = Field(120, ge=30, description="Vertices per hemisphere.")


class SimulatedData(Section):
    """Data from a simulated brain of this study."""

    simulated: str = Field(description="A name from `simulated:`.")


class LocalData(Section):
    """Data from a folder."""

    local: Path = Field(description="The folder, in the layout that docs/data.md describes. `$VARIABLES` are replaced.")


class DownloadedData(Section):
    """Brain-Score's own files, fetched once by the `prefetch` rule into the store's read-only data directory."""

    download: Literal[True] = Field(
        description="`true`: fetched from where brainscore_vision keeps them; the one step that needs a network."
    )


class V4Data(Section):
    """The macaque V4 recordings of `encoding: v4`, as assemblies for benchmarks defined in the study."""

    v4: list[str] = Field(min_length=1, description="Session ids, e.g. ['210325'].")
    local_dir: Path | None = Field(
        None, description="Folder in the public repository's layout; without it the sessions are downloaded."
    )

    @field_validator("local_dir", mode="before")
    @classmethod
    def _empty_means_download(cls, value: Any) -> Any:
        return None if value == "" else value


DATA_KINDS = ("simulated", "download", "v4")


def _kind_of_data(value: Any) -> str:
    keys = value if isinstance(value, dict) else value.__class__.model_fields
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


class AlgonautsEncoding(Section):
    """Voxel-wise encoding of fMRI in the layout of the Algonauts 2023 Challenge."""

    source: Literal["algonauts2023"] = Field(description="`algonauts2023`.")
    data: Data = Field(description="`simulated: <name>` or `local: <folder with subj01, subj02, ...>`.")
    subjects: list[str] | Literal["all"] = Field("all", description="`all`, or a list such as [subj01, subj02].")
    regions: list[str] | Literal["all"] = Field("all", description="ROIs to report, e.g. [V1, V2, hV4, ventral].")


class V4Encoding(Section):
    """Real macaque V4 recordings to natural images (Cowley and others), predicted neuron by neuron."""

    source: Literal["v4"] = Field(description="`v4`.")
    sessions: list[str] | Literal["all"] = Field(
        "all", description="Session ids, e.g. ['190923']; `all` takes every session of `local_dir`."
    )
    local_dir: Path | None = Field(
        None, description="Folder in the public repository's layout; without it the sessions are downloaded."
    )

    @field_validator("local_dir", mode="before")
    @classmethod
    def _empty_means_download(cls, value: Any) -> Any:
        return None if value == "" else value

    samples: list[int | Literal["all"]] = Field(
        [10, 30, 100, 300, "all"],
        min_length=1,
        description="Numbers of mapping images (training images of the mapping).",
    )
    metrics: list[Literal["pls", "ridge"]] = Field(["pls", "ridge"], min_length=1, description="Mappings.")


Encoding = Annotated[AlgonautsEncoding | V4Encoding, Field(discriminator="source")]


class Reduction(Section):
    """What is kept of a layer's activations; computed on the device, before anything is written."""

    kind: Literal["none", "grid", "max", "projection"] = Field(
        "none",
        description="`none`: all features; `grid`: means on a grid of places; `max`: maxima on a grid; `projection`: "
        "a seeded sparse random projection.",
    )
    size: int = Field(2, ge=1, le=16, description="Cells along each side of the grid.")
    components: int = Field(1000, ge=1, description="Components of the projection; narrower layers stay as they are.")
    seed: int = Field(0, ge=0, description="Seed of the projection.")

    def settings(self) -> dict[str, Any]:
        """What enters the results: the kind, and of the rest what the kind uses."""
        used = {"none": (), "grid": ("size",), "max": ("size",), "projection": ("components", "seed")}[self.kind]
        return {"kind": self.kind, **{key: getattr(self, key) for key in used}}


class Extraction(Section):
    """How activations are computed and stored."""

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
    codec: Literal["zstd", "none"] = Field("zstd", description="Compression of the stored features.")
    batch: int = Field(64, ge=1, description="Images of a forward pass.")
    workers: int = Field(0, ge=0, description="Processes that decode images; 0: threads of the job itself.")
    scratch_gb: float = Field(50, gt=0, description="Disk for features that are not kept; more take several passes.")
    slices: int = Field(1, ge=1, description="Jobs (GPUs or nodes) that share a stimulus set; needs `pack: 1`.")

    def determining(self) -> dict[str, Any]:
        """What changes the activations."""
        return {key: getattr(self, key) for key in ("keep", "dtype", "autocast", "tokens")}

    def operating(self) -> dict[str, Any]:
        """What changes only how activations come about, or how they lie on the disk."""
        return {key: getattr(self, key) for key in ("codec", "batch", "workers", "scratch_gb")}


class Layers(Section):
    """Layers of one architecture, where its defaults don't suit."""

    candidates: list[str] | str | None = Field(
        None,
        description="Layers to extract, early to late, or a pattern: `family`, `block`, `relu`, `conv`, `norm`, `all`.",
    )
    regions: dict[str, str] = Field({}, description="Layer of each region for Brain-Score, e.g. {IT: layer4}.")
    readout: str | None = Field(None, description="Layer of the behavioural readout.")

    def named(self) -> list[str]:
        """Every layer that this section names."""
        listed = self.candidates if isinstance(self.candidates, list) else []
        return [*listed, *self.regions.values(), *([self.readout] if self.readout else [])]


class Published(Section):
    """Scores that others published, instead of networks of one's own: Gokce & Schrimpf 2025."""

    published_dir: Path | None = Field(
        None, description="Folder with the public tables; without it they are downloaded (docs/data.md)."
    )

    @field_validator("published_dir", mode="before")
    @classmethod
    def _empty_means_download(cls, value: Any) -> Any:
        return None if value == "" else value


class Study(Section):
    """A study file."""

    study: str = Field(pattern=NAME, description="Name of the study; results go to results/<name>/.")
    title: str = Field("", description="Title of the report.")
    store: Path = Field(Path("store"), description="Folder of runs, activations and scores; several studies share it.")
    protocol: Literal["corrected", "parity"] = Field(
        "corrected", description="`corrected`, or `parity`: as published, quirks included."
    )
    datasets: dict[Annotated[str, Field(pattern=NAME)], Dataset] = Field({}, description="Image data sets by name.")
    runs: list[Runs] = Field([], description="Which networks: a list of groups. Needed unless `published` is there.")
    published: Published | None = Field(
        None, description="Published scores in place of runs: `{}`, or `published_dir:`. Nothing is trained or scored."
    )
    layers: dict[str, Layers] = Field({}, description="Layers by architecture, where the defaults don't suit.")
    candidates: Literal["default", "family", "block", "relu", "conv", "norm", "all"] = Field(
        "default",
        description="Layers to extract where `layers:` names none: the architecture's own, the kinds that were chosen "
        "for its family in the published study, or a pattern.",
    )
    reduction: Reduction = Field(Reduction(), description="What is kept of each layer's activations.")
    extraction: Extraction = Field(Extraction(), description="How activations are computed and stored.")
    pack: int = Field(
        1,
        ge=1,
        description="Networks of one architecture whose extraction and Brain-Score scoring share a job: for small "
        "networks, whose jobs would spend their time starting up. Every network keeps its own files.",
    )
    simulated: dict[Annotated[str, Field(pattern=NAME)], SimulatedBrain] = Field(
        {}, description="Simulated brains by name (for the demo and for tests)."
    )
    brainscore: BrainScore | None = Field(None, description="Brain-Score benchmarks.")
    encoding: list[Encoding] = Field([], description="Encoding of fMRI or recordings, a list of sources.")
    fits: list[Path] = Field([], description="Files of laws to fit, e.g. [config/fits/demo.yaml].")

    @model_validator(mode="after")
    def _runs_or_published(self) -> "Study":
        if self.published is None and not self.runs:
            raise ValueError("`runs:` is missing: name at least one group of networks")
        own = [key for key in ("runs", "datasets", "brainscore", "encoding", "simulated") if getattr(self, key)]
        if self.published is not None and own:
            raise ValueError(f"`published` stands in place of runs and data: drop {', '.join(own)}")
        return self

    @model_validator(mode="after")
    def _slices_or_packs(self) -> "Study":
        if self.extraction.slices > 1 and self.pack > 1:
            raise ValueError("`extraction: slices` splits a network's extraction and `pack` joins several: drop one")
        return self
