"""How networks are trained here: jobs, machines, disks. Nothing of it changes weights or enters a name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from neuroscaling.config.base import OptionalFolder, Section, Text


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

    runs_per_job: int = Field(
        1,
        ge=1,
        le=100_000,
        description="Small runs of one data set and recipe that a job trains in one process, one after another.",
    )
    small: int = Field(
        5_000_000,
        ge=0,
        le=10**15,
        description="Images seen (training images times epochs) up to which a run counts as small.",
    )
    side_by_side: int = Field(
        1, ge=1, le=1_000, description="Runs of such a job at one time, each in a process of its own."
    )
    gpus: int = Field(1, ge=1, le=1_000, description="GPUs for a run that is not small, on each node.")
    nodes: int = Field(1, ge=1, le=10_000, description="Nodes for a run that is not small.")
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
    compile: bool = Field(False, description="torch.compile; the runs of a machine share what was compiled.")
    channels_last: bool = Field(True, description="Memory layout that convolutions like.")
    packs: dict[str, DatasetPack] = Field({}, description="Data sets that are packed first, by name.")
    stage: Literal["none", "disk", "memory"] = Field(
        "none", description="Where a job copies its packed data set before it starts: `scratch`, or /dev/shm."
    )
    scratch: OptionalFolder = Field(
        None, description="A folder on the node's own disk, for `stage` and decoded images."
    )
    resident_gb: float | None = Field(
        None, gt=0, le=1_000_000, description="Decoded images that may be kept in memory. None: what fits the machine."
    )
    checkpoint_seconds: float = Field(
        60,
        gt=0,
        le=1_000_000,
        description="Seconds between two states to resume from: what a killed run loses at most.",
    )
    nan_steps: int = Field(
        5, ge=1, le=1_000_000, description="Steps in a row whose loss is not finite before a run is given up."
    )

    def contradictions(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Copies on a disk that isn't named."""
        if self.stage == "disk" and self.scratch is None:
            yield ("stage", "scratch"), "`stage: disk` needs `scratch:`, a folder on the node's own disk"

    def operating(self) -> dict[str, Any]:
        """What a training is told: see `training.train`."""
        keys = {"side_by_side", "gpus", "nodes", "compile", "channels_last", "stage", "resident_gb"}
        keys |= {"checkpoint_seconds", "nan_steps"}
        scratch: Path | None = self.scratch
        return self.model_dump(include=keys) | {
            "scratch": str(scratch) if scratch else None,
            "workers": self.cpus - 1,
            "threads": self.cpus,
        }
