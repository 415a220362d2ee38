"""Processes for training are started: several for one run, by torchrun, or several runs side by side."""

import logging
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fnmatch import fnmatch
from pathlib import Path
from typing import IO

from neuroscaling.core.errors import DataError, Problem
from neuroscaling.core.installation import with_library
from neuroscaling.study.sections.training_options import TrainingOptions

log = logging.getLogger(__name__)
WORKER = "neuroscaling.training.job"
# States of large networks take their time to write; the launcher ends what doesn't end by itself after this.
GRACE_SECONDS = 300


# What torchrun tells the processes that it starts. A shell, a container or a batch script may have left the same names.
OF_A_GROUP = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
BY_TORCHRUN = "TORCHELASTIC_RUN_ID"
BESIDE = "NEUROSCALING_SIDE_BY_SIDE"  # how many processes `side_by_side` started, this one among them
# What another launcher means for its own processes; torchrun takes PET_* for its options.
OTHERS = (*OF_A_GROUP, BESIDE, "MASTER_ADDR", "MASTER_PORT", "GROUP_*", "ROLE_*", "PET_*", "TORCHELASTIC_*")


def processes() -> int:
    """Processes of the group that torchrun started this one in; 1 where this one was started alone."""
    return int(os.environ["WORLD_SIZE"]) if _by_torchrun() else 1


def local_rank() -> int:
    """Number of this process, from 0, among those of its group on this host."""
    return int(os.environ["LOCAL_RANK"]) if _by_torchrun() else 0


def processes_of_host() -> int:
    """Processes that share this host's memory, of one group or side by side."""
    return int(os.environ["LOCAL_WORLD_SIZE"] if _by_torchrun() else os.environ.get(BESIDE, "1"))


def left_over() -> str | None:
    """What the environment says of a group of processes that this one is none of, in words; None: nothing."""
    found = [] if _by_torchrun() else [f"{name}={os.environ[name]}" for name in OF_A_GROUP if os.environ.get(name)]
    return ", ".join(found) or None


def _by_torchrun() -> bool:
    return bool(os.environ.get(BY_TORCHRUN)) and all(os.environ.get(name, "").isdecimal() for name in OF_A_GROUP)


def processes_wanted(options: TrainingOptions) -> int:
    """Processes that a run is to be trained by: one a GPU (on a machine without, one a `gpus`)."""
    return options.gpus * options.nodes


def on_many_gpus(jobs: str, options: TrainingOptions, folder: Path) -> None:
    """Train `jobs` (the text of a job file) by a group of processes: `gpus` on each of `nodes`.

    On several nodes one torchrun is started on each, by srun or `options.launcher`. They meet at this process, which
    all of them reach; `folder` is one that all of them see.
    Raises DataError when a process fails, or the launcher is missing.
    """
    gpus, nodes = options.gpus, options.nodes
    with _file(jobs, folder if nodes > 1 else None) as path, _meeting(nodes) as meeting:
        command = [sys.executable, "-m", "torch.distributed.run", f"--nproc-per-node={gpus}", *meeting]
        command += [f"--signals-to-handle={','.join(number.name for number in SIGNALS)}"]
        command += [f"--shutdown-timeout={GRACE_SECONDS}", "-m", WORKER, str(path)]
        _all_end([on_each_node(options) + command], "training on several GPUs failed")


def side_by_side(jobs: list[str]) -> None:
    """Train each of `jobs` in a process of its own. Raises DataError when one fails, after all have ended."""
    with ExitStack() as stack:
        paths = [stack.enter_context(_file(text)) for text in jobs]
        commands = [[sys.executable, "-m", WORKER, str(path)] for path in paths]
        _all_end(commands, "training side by side failed", {BESIDE: str(len(jobs))})


@contextmanager
def _meeting(nodes: int) -> Iterator[list[str]]:
    """Where the launchers of the nodes meet, for the length of the block; one alone needs no agreement.

    It is a store of this process, at a port that the system chose: one that a launcher opened would be shared with the
    launchers of other jobs on its host, and end with it.
    """
    if nodes == 1:
        yield ["--standalone"]
        return
    from torch.distributed import TCPStore

    host, job = socket.gethostname(), os.environ.get("SLURM_JOB_ID") or "neuroscaling"
    store = TCPStore(host, 0, is_master=True, wait_for_workers=False)
    yield [
        f"--nnodes={nodes}",
        "--rdzv-backend=c10d",
        f"--rdzv-endpoint={host}:{store.port}",
        "--rdzv-conf=is_host=0",
        f"--rdzv-id={job}",
    ]
    del store  # which ends it


def on_each_node(options: TrainingOptions) -> list[str]:
    """What stands before a command that is to run once on each node of the job; nothing where there is one node."""
    nodes = options.nodes
    if nodes == 1:
        return []
    if options.launcher:
        command = [word.replace("{nodes}", str(nodes)) for word in shlex.split(options.launcher)]
        # Unlike srun, it need not give the other nodes this one's environment, which says where the library is.
        return [*_found(command), "env", f"PYTHONPATH={with_library()['PYTHONPATH']}"]
    # Since Slurm 22.05 srun takes one CPU a task, whatever the job has.
    cpus = os.environ.get("SLURM_CPUS_PER_TASK")
    each = [f"--cpus-per-task={cpus}"] if cpus else []
    return _found(["srun", f"--nodes={nodes}", f"--ntasks={nodes}", "--ntasks-per-node=1", *each])


def _found(command: list[str]) -> list[str]:
    """`command`, whose program is on this node. Raises DataError where it is not."""
    if shutil.which(command[0]):
        return command
    raise DataError(
        Problem(
            what="the command that starts processes on the other nodes is missing",
            where="training.launcher",
            value=command[0],
            allowed="a program on PATH of the job's first node; without `launcher:` it is Slurm's srun",
            fix="name your site's (`mpiexec -n {nodes} --map-by ppr:1:node`), or train on one node",
        )
    )


@contextmanager
def _file(text: str, folder: Path | None = None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix=".neuroscaling-", dir=folder) as temporary:
        path = Path(temporary) / "jobs.json"
        path.write_text(text, encoding="utf-8")
        yield path


def _all_end(commands: list[list[str]], what: str, told: dict[str, str] | None = None) -> None:
    """Run `commands` at the same time until all have ended; raises DataError when one of them failed.

    told: what their environment has besides this one's, of which nothing on other groups of processes is passed on.
    What they print goes to this process's log, which is the job's.
    """
    others = {name for name in os.environ if any(fnmatch(name, pattern) for pattern in OTHERS)}
    environment = {name: os.environ[name] for name in os.environ.keys() - others} | (told or {})
    running = [
        subprocess.Popen(
            command,
            start_new_session=True,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        for command in commands
    ]
    readers = [threading.Thread(target=_log_lines, args=(process.stdout,)) for process in running]
    with _passing_on(running) as signals:
        for reader in readers:
            reader.start()
        statuses = [process.wait() for process in running]
        for reader in readers:
            reader.join()
    if signals:
        raise SystemExit(128 + signals[0])
    failed = [status for status in statuses if status]
    if failed:
        raise DataError(
            Problem(
                what=what, where="training", value=f"exit status {failed[0]}", fix="the lines above say what it was"
            )
        )


def _log_lines(lines: IO[str]) -> None:
    for line in lines:
        log.info("%s", line.rstrip())


@contextmanager
def _passing_on(running: list[subprocess.Popen[str]]) -> Iterator[list[int]]:
    """Pass signals that end a job on to `running`; gives the list of those that came."""
    told: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield told
        return

    def pass_on(number: int, frame: object) -> None:
        told.append(number)
        for process in running:
            if process.poll() is None:
                process.send_signal(number)

    before = {number: signal.signal(number, pass_on) for number in SIGNALS}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


# SIGUSR1 is what a cluster sends before the time limit, where it is asked to.
SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
