"""Whether the jobs of a study run on a cluster: the driver decides by its executor, and keeps it for others to read.

On a cluster each job is a submission that waits and starts, so jobs take more there. `neuroscaling status`, and jobs
that read the study, see no command line of the driver: they read what the last start in the folder chose.
"""

from pathlib import Path

from neuroscaling.core.files import read_json, reading, write_json
from neuroscaling.study.start_records import PRIVATE

FORMAT = "executor-choice/1"
ON_THIS_MACHINE = frozenset({"local", "dryrun", "touch"})
"""Executors of Snakemake that submit nothing."""


def is_cluster(executor: str | None) -> bool:
    """Whether an executor of Snakemake submits jobs. executor: its name; None: nobody knows."""
    return executor is not None and executor not in ON_THIS_MACHINE


def choice_file(study: str, folder: Path = Path()) -> Path:
    """File in which the driver of a study keeps where its jobs run. folder: that the driver works in."""
    return folder / PRIVATE / study / "executor.json"


def write_choice(path: Path, on_cluster: bool) -> None:
    """Keep whether the jobs of this start run on a cluster."""
    write_json(path, {"format": FORMAT, "on_cluster": on_cluster})


def read_choice(path: Path) -> bool:
    """Whether the jobs of the last start run on a cluster; no where no start kept it. Raises DataError if damaged."""
    if not path.is_file():
        return False
    content = read_json(path)
    with reading(path, "what a start chose", "start the study again"):
        return bool(content["on_cluster"])
