"""The executor `neuroscaling-slurm`: Snakemake's own plugin for Slurm, made to survive weeks of a busy cluster.

Snakemake finds it by the name of this package, at each of its starts and in each job. So little happens here: the
executor, the library behind it and the plugin that it builds on are imported when it is made, in the driver. By then
the Snakefile has said which library that is; it may be another one than pip installed.

It has no options of its own. Those of the plugin, `--slurm-...`, hold for both executors, so one profile serves both.
"""

from importlib import metadata
from typing import Any

from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import AbstractExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings

PLUGIN = "snakemake-executor-plugin-slurm"

# As all of Snakemake's plugins: it looks for `common_settings` and `Executor`. The values are those of Slurm's plugin.
common_settings = CommonSettings(
    non_local_exec=True,
    implies_no_shared_fs=False,
    job_deploy_sources=False,
    pass_default_storage_provider_args=True,
    pass_default_resources_args=True,
    pass_envvar_declarations_to_cmd=False,
    auto_deploy_default_storage_provider=False,
)


class Executor(AbstractExecutor):
    """Makes the executor. Raises WorkflowError where Slurm's plugin is absent, or of a version that does not fit."""

    def __new__(cls, workflow: Any, logger: Any) -> Any:
        """An executor for a workflow, which is no instance of this class."""
        try:
            from snakemake_executor_plugin_neuroscaling_slurm.executor import SteadyExecutor
        except ImportError as error:
            raise WorkflowError(
                f"The executor neuroscaling-slurm can't be used: {_installed()} ({error}).\n"
                "pip install 'neuroscaling[slurm]', for the Python that runs Snakemake."
            ) from error
        return SteadyExecutor(workflow, logger)


def _installed() -> str:
    try:
        return f"{PLUGIN} {metadata.version(PLUGIN)} is installed, which it does not fit"
    except metadata.PackageNotFoundError:
        return f"{PLUGIN} is not installed"
