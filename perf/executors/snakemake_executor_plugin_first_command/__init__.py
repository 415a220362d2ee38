"""The executor `first-command` writes the command of the first job that a cluster would get, and ends the driver."""

import os
import resource
from pathlib import Path
from typing import Any

from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings

common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_default_storage_provider_args=True,
    pass_default_resources_args=True,
    pass_envvar_declarations_to_cmd=False,
    auto_deploy_default_storage_provider=False,
)


class Executor(RemoteExecutor):
    """Runs nothing. `first_command.txt`: CPU seconds of the driver so far, and the command."""

    def run_job(self, job: Any) -> None:
        """Write the command."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = used.ru_utime + used.ru_stime
        Path("first_command.txt").write_text(f"{seconds}\n{self.format_job_exec(job)}\n", encoding="utf-8")
        os._exit(0)

    async def check_active_jobs(self, active_jobs: Any) -> Any:
        """There are none."""
        for job in active_jobs:
            yield job

    def cancel_jobs(self, active_jobs: Any) -> None:
        """There are none."""
