"""Snakemake as a user starts it on a cluster, which asks for its jobs every two seconds.

The executors wait ten seconds longer each time that no job has ended since it last asked. The test cluster is
this machine, so it may be asked often; else the tests would wait half of their time for jobs that have ended.
"""

import asyncio
import sys

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor

from snakemake_executor_plugin_neuroscaling_slurm import Executor

SECONDS = 2


async def sleep_briefly(_: RemoteExecutor) -> None:
    """Stand in for the growing pause between two questions to Slurm."""
    await asyncio.sleep(SECONDS)


if __name__ == "__main__":
    assert callable(RemoteExecutor.sleep), "the interface of executors has another name for its pause"
    RemoteExecutor.sleep = Executor.sleep = sleep_briefly
    sys.exit(main(sys.argv[1:]))
