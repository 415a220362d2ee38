# Whether this start of Snakemake will start jobs, and submit them to Slurm. While rules are read, only the command line
# tells.
import contextlib
import functools
import io
import shutil
import sys

from snakemake.cli import parse_args

# Options with which nothing is started.
NO_START = """
archive cleanup_metadata cleanup_shadow conda_cleanup_envs conda_create_envs_only containerize d3dag dag
delete_all_output delete_temp_output detailed_summary dryrun export_cwl filegraph generate_unit_tests lint
list_input_changes list_rules list_target_rules print_compilation report rulegraph summary touch unlock
""".split()


@functools.cache
def command_line():
    """Snakemake's options, as the command line and its profiles set them; None where it is another program's."""
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            # It names the profiles, and has done so already.
            return parse_args(sys.argv[1:])[1]
    except SystemExit:
        # A program that uses Snakemake has a command line of its own.
        return None


def executor_named():
    """The name of the executor of this start, or of the one that a dry run shows; None where nobody knows."""
    options = command_line()
    return (options.executor or "local") if options else None


def executor_started():
    """The name of the executor; None where no job will be started."""
    options = command_line()
    if any(getattr(options, name, None) for name in NO_START):
        return None
    return executor_named()


def submits_to_slurm():
    """Whether jobs will be started, and the executor is Slurm's."""
    from neuroscaling.study.slurm_queue import EXECUTORS

    return bool(shutil.which("sbatch")) and executor_started() in EXECUTORS
