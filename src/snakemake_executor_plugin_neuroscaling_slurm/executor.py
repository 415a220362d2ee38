"""The executor: a job of Slurm starts one Snakemake, where the plugin's own starts two, the second by `srun`."""

import asyncio
import contextlib
import io
import os
import sys
from typing import Any

from snakemake_executor_plugin_slurm import Executor as SlurmExecutor
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

# Where Snakemake was started, before `--directory`: its profiles are named from here.
STARTED_IN = os.getcwd()
SLICE = 1.0
"""Seconds after which the end of the driver is noticed."""


class Executor(SlurmExecutor):
    """Slurm's executor, with jobs that start one Snakemake each."""

    def __init__(self, workflow: Any, logger: Any) -> None:
        workflow.executor_settings = slurm_settings()
        super().__init__(workflow, logger)

    def additional_general_args(self) -> str:
        """Options of the Snakemake in a job: none, so that it runs the job itself, in the batch step."""
        return ""

    def format_job_exec(self, job: Any) -> str:
        """The command of a job. The batch step's shell becomes Snakemake, so signals of Slurm reach it."""
        command: str = super().format_job_exec(job)
        # A command before it (`--precommand`) is joined by &&.
        return f"exec {command}" if command.lstrip().startswith(self.get_python_executable()) else command

    async def sleep(self) -> None:
        """Wait until the queue is looked at again; a driver that is told to end waits no longer."""
        seconds = float(self.next_seconds_between_status_checks)
        while seconds > 0 and self.wait:
            await asyncio.sleep(min(seconds, SLICE))
            seconds -= SLICE


def slurm_settings() -> Any:
    """The settings `--slurm-...` of the command line and its profiles: Snakemake gives an executor only its own."""
    from snakemake.cli import parse_args  # which looks for plugins while it is imported

    with contextlib.chdir(STARTED_IN), contextlib.redirect_stderr(io.StringIO()):
        # It names the profiles, and has done so already.
        _, options = parse_args(sys.argv[1:])
        settings = ExecutorPluginRegistry().get_plugin("slurm").get_settings(options)
        if settings.partition_config:
            settings.partition_config = settings.partition_config.resolve()
    # A job goes to sbatch as a script: within `--wrap="..."` a shell would run what stands in a path as $(...).
    settings.pass_command_as_script = True
    return settings
