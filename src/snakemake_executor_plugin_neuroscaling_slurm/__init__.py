"""The executor `neuroscaling-slurm`: Snakemake's own plugin for Slurm, made to survive weeks of a busy cluster.

Snakemake finds it by the name of this package, at each of its starts and in each job. So nothing here may fail where
the plugin that it builds on is absent: whoever then asks for this executor is told what to install.

It has no options of its own. Those of the plugin, `--slurm-...`, hold for both executors, so one profile serves both.
"""

from importlib import metadata
from typing import Any, NoReturn

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import AbstractExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings

PLUGIN = "snakemake-executor-plugin-slurm"


class Absent(AbstractExecutor):
    """Stands in for the executor where Slurm's plugin can't be used: it says why, and runs nothing."""

    reason = ""

    def __init__(self, workflow: Any, logger: Any) -> None:
        self._refuse()

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        try:
            found = f"{PLUGIN} {metadata.version(PLUGIN)} is installed, which it does not fit"
        except metadata.PackageNotFoundError:
            found = f"{PLUGIN} is not installed"
        raise WorkflowError(
            f"The executor neuroscaling-slurm can't be used: {found} ({self.reason}).\n"
            "pip install 'neuroscaling[slurm]', for the Python that runs Snakemake."
        )

    run_job = shutdown = cancel = handle_job_success = handle_job_error = _refuse


try:
    # As all of Snakemake's plugins: these two names are what it looks for.
    from snakemake_executor_plugin_slurm import common_settings

    from snakemake_executor_plugin_neuroscaling_slurm.executor import Executor
except ImportError as error:
    Absent.reason = str(error)
    Executor = Absent  # type: ignore[misc]  # one of two classes, by what is installed
    # What Slurm's plugin says of itself.
    common_settings = CommonSettings(
        non_local_exec=True,
        implies_no_shared_fs=False,
        job_deploy_sources=False,
        pass_default_storage_provider_args=True,
        pass_default_resources_args=True,
        pass_envvar_declarations_to_cmd=False,
        auto_deploy_default_storage_provider=False,
    )

__all__ = ["Executor", "common_settings"]
