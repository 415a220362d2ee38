"""Sections of the study file about networks: runs, training and its GPUs."""

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, Tag

from neuroscaling.core.errors import Problem, StudyError, nearest
from neuroscaling.study.sections.checkpoints import CheckpointRuns
from neuroscaling.study.sections.key_types import (
    AUTO,
    Archs,
    Epochs,
    Names,
    OptionalFolder,
    PerJob,
    Section,
    Seed,
    Text,
    keys_of,
)
from neuroscaling.study.sections.training_options import Logger, Stage, TrainingOptions

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
    epochs: Epochs = Field(
        "latest",
        description="After which epochs of a training its weights are scored, beside the last: none, all that the "
        "recipe keeps, or those of a list. Nothing is trained for it.",
    )

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


KINDS = ("checkpoints", "untrained", "pretrained", "baselines", "archs")


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
    | Annotated[BaselineRuns, Tag("<baselines>")]
    | Annotated[CheckpointRuns, Tag("<checkpoints>")],
    Discriminator(_kind_of_runs),
]


class DatasetPack(Section):
    """A data set written once into few large files, read in place of its images."""

    example: ClassVar[str] = "{size: 256, form: jpeg}"

    size: int | None = Field(
        256,
        ge=8,
        le=10_000,
        description="Pixels of the short side (jpeg) or of the square (decoded); null: files as they are.",
    )
    form: Literal["jpeg", "decoded"] = Field(
        "jpeg", description="`jpeg`: re-encoded at quality 90; `decoded`: squares of pixels, ready for a GPU."
    )


class Training(Section):
    """How networks are trained: how runs share jobs, and what a job may use. Changes no weights."""

    example: ClassVar[str] = "{runs_per_job: 24, cpus: 16}"

    runs_per_job: PerJob = Field(
        AUTO,
        description="Small runs of one data set and recipe that a job trains in one process, one after another. "
        "`auto`: on a cluster as many as take up to an hour by their plan, 50 at most; else one.",
    )
    small: int = Field(
        5_000_000,
        ge=0,
        le=10**15,
        description="Images seen (training images times epochs) up to which a run counts as small.",
    )
    side_by_side: int = Field(
        TrainingOptions.side_by_side,
        ge=1,
        le=1_000,
        description="Runs of such a job at one time, each in a process of its own.",
    )
    gpus: int = Field(
        TrainingOptions.gpus, ge=1, le=1_000, description="GPUs for a run that is not small, on each node."
    )
    nodes: int = Field(TrainingOptions.nodes, ge=1, le=10_000, description="Nodes for a run that is not small.")
    launcher: Text | None = Field(
        TrainingOptions.launcher,
        description="Command that starts the one behind it once on each node of a job, for clusters without Slurm's "
        "srun; `{nodes}` stands for their number: `mpiexec -n {nodes} --map-by ppr:1:node`. None: srun.",
    )
    cpus: int = Field(1, ge=1, le=1_000, description="CPUs of a training job: they read and decode images.")
    gpu: Text | None = Field(
        None,
        description="Kind of GPU that time limits are estimated for: a100, h100, h200, rtx3090. None: 10 hours a job.",
    )
    max_minutes: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description="Longest time limit that the cluster allows; what needs more goes on in the next try.",
    )
    compile: bool = Field(
        TrainingOptions.compile, description="torch.compile; the runs of a machine share what was compiled."
    )
    channels_last: bool = Field(TrainingOptions.channels_last, description="Memory layout that convolutions like.")
    packs: dict[str, DatasetPack] = Field({}, description="Data sets that are packed first, by name.")
    stage: Stage = Field(
        TrainingOptions.stage,
        description="Where a job copies its packed data set before it starts: `scratch`, or /dev/shm.",
    )
    scratch: OptionalFolder = Field(
        None, description="A folder on the node's own disk, for `stage` and decoded images."
    )
    resident_gb: float | None = Field(
        TrainingOptions.resident_gb,
        gt=0,
        le=1_000_000,
        description="Decoded images that may be kept in memory. None: what fits the machine.",
    )
    checkpoint_seconds: float = Field(
        TrainingOptions.checkpoint_seconds,
        gt=0,
        le=1_000_000,
        description="Seconds between two states to resume from: what a killed run loses at most.",
    )
    nan_steps: int = Field(
        TrainingOptions.nan_steps,
        ge=1,
        le=1_000_000,
        description="Steps in a row whose loss is not finite before a run is given up.",
    )
    hang_seconds: float | None = Field(
        TrainingOptions.hang_seconds,
        gt=0,
        le=1_000_000,
        description="Seconds without a step, beyond the longest pause so far (an evaluation), after which a run saves "
        "its tracebacks and ends, to be tried again. null: never.",
    )
    first_step_seconds: float | None = Field(
        TrainingOptions.first_step_seconds,
        gt=0,
        le=1_000_000,
        description="The same until the first step: images are decoded and networks compiled ahead of it.",
    )
    log_to: list[Logger] = Field(
        [],
        description="Curves also go to `tensorboard` (files in the run's folder) or `wandb` (Weights & Biases). Each "
        "needs its extra.",
    )

    def contradictions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Copies on a disk that isn't named, and a command that no shell could read."""
        try:
            shlex.split(self.launcher or "")
        except ValueError as error:
            yield ("launcher",), f"`launcher: {self.launcher}` is no command: {error}"
        if self.stage == "disk" and self.scratch is None:
            yield ("stage", "scratch"), "`stage: disk` needs `scratch:`, a folder on the node's own disk"

    def options(self, packs: dict[str, str] | None = None, cache_dir: Path | None = None) -> TrainingOptions:
        """What a training is told. packs: folders of packed data sets, by name; cache_dir: of listings of data sets."""
        scratch: Path | None = self.scratch
        return TrainingOptions(
            threads=self.cpus,
            workers=self.cpus - 1,
            gpus=self.gpus,
            nodes=self.nodes,
            launcher=self.launcher,
            side_by_side=self.side_by_side,
            compile=self.compile,
            channels_last=self.channels_last,
            resident_gb=self.resident_gb,
            packs=packs or {},
            stage=self.stage,
            scratch=str(scratch) if scratch else None,
            cache_dir=str(cache_dir) if cache_dir else None,
            checkpoint_seconds=self.checkpoint_seconds,
            nan_steps=self.nan_steps,
            hang_seconds=self.hang_seconds,
            first_step_seconds=self.first_step_seconds,
            log_to=tuple(dict.fromkeys(self.log_to)),
        )


# FLOP/s of dense matrix products in half precision, from the makers' data sheets, without sparsity.
GPUS = {"rtx3090": 142e12, "a100": 312e12, "h100": 989e12, "h200": 989e12}

# The same without tensor cores: in single precision, and in double precision.
SINGLE = {"rtx3090": 35.6e12, "a100": 19.5e12, "h100": 66.9e12, "h200": 66.9e12}
DOUBLE = {"rtx3090": 0.556e12, "a100": 9.7e12, "h100": 33.5e12, "h200": 33.5e12}

RATES_FOLDER = "calibration"


def calibrated_devices(store: Path) -> list[str]:
    """Folders of the devices that were calibrated in the store."""
    root = Path(store) / RATES_FOLDER
    return sorted(folder.name for folder in root.iterdir() if folder.is_dir()) if root.is_dir() else []


def devices_named(name: str, store: Path) -> list[str]:
    """Folders of the devices calibrated in `store` whose names hold this word.

    Empty for a GPU that was not measured there. Raises StudyError for a name that is neither a GPU's nor a device's.
    """
    known = calibrated_devices(store)
    found = [device for device in known if name in device or name in device.replace("-", "")]
    if not found and name not in GPUS:
        names, fix = [*GPUS, *known], "`neuroscaling plan --calibrate` measures the GPU of this machine"
        raise StudyError(
            Problem(
                what="unknown GPU, and none that was calibrated",
                where="GPU",
                value=name,
                allowed=", ".join(names),
                nearest=nearest(name, names),
                fix=fix,
            )
        )
    return found
