"""Options of a training that change how it runs, and neither its images nor its weights.

The section `training:` of a study file takes its defaults from here.
"""

from dataclasses import dataclass, field, replace
from typing import Literal

Stage = Literal["none", "disk", "memory"]
Logger = Literal["tensorboard", "wandb"]


@dataclass(frozen=True)
class TrainingOptions:
    """How jobs, machines and disks are used for trainings. Paths are texts, as a job file in JSON holds them."""

    device: str | None = None
    """Torch's name of the device. None: the GPU of the process, or the CPU where there is none."""
    threads: int | None = None
    """Threads of torch on the CPU, of all processes of a host together. None: as torch has it."""
    workers: int = 0
    """Processes that decode images, of all processes of a host together. 0: the training itself decodes."""
    gpus: int = 1
    """GPUs of each node that train one run together."""
    nodes: int = 1
    """Nodes that train one run together."""
    launcher: str | None = None
    """Command that starts another one on each node of the job, `{nodes}` for their number. None: Slurm's srun."""
    side_by_side: int = 1
    """Runs that are trained at one time, each in a process of its own."""
    compile: bool = False
    """Whether torch compiles the network."""
    channels_last: bool = True
    """Whether images and weights lie in memory with their channels last."""
    resident_gb: float | None = None
    """Decoded images that may be kept in memory, in GB. None: what fits the machine."""
    packs: dict[str, str] = field(default_factory=dict, hash=False)
    """Folders of packed data sets, by the name of the data set."""
    stage: Stage = "none"
    """Where a pack is copied to before it is read: nowhere, `scratch` or /dev/shm."""
    scratch: str | None = None
    """Folder on the disk of the machine, for copies of packs and for decoded images."""
    cache_dir: str | None = None
    """Folder in which the listings of data sets are kept."""
    checkpoint_seconds: float = 60.0
    """Seconds between two states to resume from."""
    checkpoint_steps: int | None = None
    """Steps between two states to resume from, besides the seconds. None: seconds alone count."""
    nan_steps: int = 5
    """Steps in a row without a finite loss after which a run is given up."""
    hang_seconds: float | None = 1800.0
    """Seconds without a step, beyond the longest pause so far, after which a process ends itself. None: never."""
    first_step_seconds: float | None = 7200.0
    """The same until the first step, in which images are decoded and networks compiled."""
    log_to: tuple[Logger, ...] = field(default=(), hash=False)
    """Where curves go besides the run's folder."""

    def with_part_of_cpus(self, n: int) -> "TrainingOptions":
        """The options of each of `n` processes that share a host: they divide its threads and its decoding workers."""
        threads = max(1, self.threads // n) if self.threads else self.threads
        workers = max(1, self.workers // n) if self.workers else self.workers
        return replace(self, threads=threads, workers=workers)
