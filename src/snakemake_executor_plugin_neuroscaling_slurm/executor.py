"""The executor: jobs of one Snakemake each, that are submitted again when Slurm loses them.

It keeps to the parts of Slurm's plugin that build the command line of sbatch, and has its own way to submit a job, to
follow it, and to tell what became of it. What Slurm says is read by modules of the library (`study/slurm_*.py`).
"""

import asyncio
import contextlib
import io
import os
import shlex
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from snakemake_executor_plugin_slurm import Executor as SlurmExecutor
from snakemake_executor_plugin_slurm.submit_string import get_submit_command
from snakemake_executor_plugin_slurm.utils import get_job_wildcards, set_gres_string
from snakemake_executor_plugin_slurm.validation import validate_or_get_slurm_job_id, validate_slurm_extra
from snakemake_interface_common.exceptions import WorkflowError
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.real import RealExecutor
from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

from neuroscaling.study.slurm_commands import PAUSE, Controller, Stopped, run
from neuroscaling.study.slurm_fates import Fate, Verdict, fate_of, fate_of_vanished, may_return
from neuroscaling.study.slurm_logs import end_of_log, tells_of_memory
from neuroscaling.study.slurm_partitions import (
    SCONTROL,
    SINFO,
    Choice,
    Partition,
    choose,
    read_partitions,
    refusal,
)
from neuroscaling.study.slurm_queue import BETWEEN, Job
from neuroscaling.study.slurm_waiting import WaitingNotes
from snakemake_executor_plugin_neuroscaling_slurm.requests import asked_by, cluster_of, cut, limited, wanted_by

# Where Snakemake was started, before `--directory`: its profiles are named from here.
STARTED_IN = os.getcwd()
SLICE = 1.0
"""Seconds after which the end of the driver is noticed."""
LONGEST_PAUSE = 180.0
IN_A_ROW = 3600.0
"""Seconds: a job that was lost after more than these begins to count its losses anew."""
CLOCKS = 60.0
"""Seconds by which the clocks of nodes and of the driver may differ."""


class SteadyExecutor(SlurmExecutor):
    """Slurm's executor, made to survive weeks of a busy cluster."""

    def __init__(self, workflow: Any, logger: Any) -> None:
        workflow.executor_settings = slurm_settings()
        # The thread that follows the jobs begins before __post_init__.
        pause = min(PAUSE, float(workflow.executor_settings.init_seconds_before_status_checks))
        self.controller = Controller(logger.warning, pause)
        self.waiting = WaitingNotes(time.monotonic())
        self.partitions: list[Partition] = []
        self.known: set[str] = set()
        super().__init__(workflow, logger)

    def __post_init__(self, test_mode: bool = False) -> None:
        super().__post_init__(test_mode)
        if self.array_jobs:
            raise WorkflowError("--slurm-array-jobs: this executor submits no job arrays; leave the option out.")
        self.partitions = self._read_partitions()
        if self.partitions and (refused := refusal(self.partitions, wanted_by(self.workflow.dag.needrun_jobs()))):
            raise WorkflowError(refused)

    def _read_partitions(self) -> list[Partition]:
        answer = self.controller.ask(SINFO)
        found = read_partitions(answer.out, self.controller.ask(SCONTROL).out)
        if not found:
            self.logger.warning(
                f"Slurm does not tell of its partitions ({answer.said}): what jobs ask for is not checked."
            )
        site = self._partitions or []
        unknown = [one.name for one in site if found and one.name not in {two.name for two in found}]
        if unknown:
            names = ", ".join(one.name for one in found)
            file = self.workflow.executor_settings.partition_config
            raise WorkflowError(
                f"{file}: Slurm has no partition {', '.join(unknown)}; it has {names}.\n"
                "Write the names of your partitions, or `partitions: {}` to take them as Slurm tells."
            )
        return limited(found, site) if site else found

    # --- submitting ---

    def additional_general_args(self) -> str:
        """Options of the Snakemake in a job: none, so that it runs the job itself, in the batch step."""
        return ""

    def format_job_exec(self, job: Any) -> str:
        """The command of a job. The batch step's shell becomes Snakemake, so signals of Slurm reach it."""
        command: str = super().format_job_exec(job)
        # A command before it (`--precommand`) is joined by &&.
        return f"exec {command}" if command.lstrip().startswith(self.get_python_executable()) else command

    def run_job(self, job: Any) -> None:
        """Submit a job, in a thread of its own."""
        try:
            info = self._submitted(job, losses=0)
        except Stopped:
            return
        except Exception as error:
            self._report_job_error_threadsafe(SubmittedJobInfo(job), f"It could not be submitted: {error}")
            return
        self.logger.info(f"Job {job.jobid} is Slurm's job {info.external_jobid} (log: {info.aux['slurm_logfile']}).")
        self._report_job_submission_threadsafe(info)

    def _submitted(self, job: Any, losses: int) -> SubmittedJobInfo:
        """Submit a job once, however long that takes. Raises WorkflowError where Slurm refuses it."""
        validate_slurm_extra(job)
        wildcards = get_job_wildcards(job)
        rule = f"group_{job.name}" if job.is_group() else f"rule_{job.name}"
        folder = self.slurm_logdir / rule / wildcards
        folder.mkdir(parents=True, exist_ok=True)
        comment = f"rule_{job.name}" + (f"_wildcards_{wildcards}" if wildcards else "")
        choice = self._choice(job)
        parameters = {
            "run_uuid": self.run_uuid,
            "slurm_logfile": folder / "%j.log",
            "comment_str": comment,
            "account": next(self.get_account_arg(job)),
            "partition": f" -p {shlex.quote(choice.partition)}" if choice else self.get_partition_arg(job),
            "workdir": self.workflow.workdir_init,
        }
        asked = cut(job, choice)
        call = get_submit_command(asked, parameters, self.workflow.executor_settings, self._failed_nodes)
        call += f"{set_gres_string(asked)} /dev/stdin"
        script = f"#!/bin/sh\n{self.format_job_exec(job)}\n"
        answer = self.controller.ask(call, script, lambda: self._arrived(comment))
        if answer.status:
            raise WorkflowError(f"sbatch: {answer.said}\n    command: {call}")
        number = validate_or_get_slurm_job_id(answer.out.strip().split(";")[0], answer.out)
        self.known.add(number)
        if cluster := cluster_of(job):
            self._submitted_job_clusters.add(cluster)
        aux = {"slurm_logfile": folder / f"{number}.log", "losses": losses, "since": time.time(), "looks": 0}
        return SubmittedJobInfo(job, external_jobid=number, aux=aux)

    def _choice(self, job: Any) -> Choice | None:
        if not self.partitions or cluster_of(job):
            return None
        asked = asked_by(job)
        if choice := choose(self.partitions, asked, job.attempt):
            return choice
        # What the first look could not know: groups of jobs, resources that depend on files.
        raise WorkflowError(f"no partition can take {asked}: {', '.join(map(str, self.partitions))}")

    def _arrived(self, comment: str) -> str | None:
        """The number of a job that was submitted without an answer; empty for none, None where Slurm does not tell."""
        command = ["squeue", "--noheader", "--states=all", "--name", self.run_uuid, "--format", f"%i{BETWEEN}%k"]
        answer = run(command)
        if answer.status:
            return None
        for line in answer.out.splitlines():
            number, _, found = line.partition(BETWEEN)
            if found == comment and number not in self.known:
                return number
        return ""

    # --- following ---

    async def check_active_jobs(self, active_jobs: list[SubmittedJobInfo]) -> AsyncIterator[SubmittedJobInfo]:
        """Look at the queue once, report what has ended, and give back the jobs that go on."""
        first = float(self.workflow.executor_settings.init_seconds_before_status_checks)
        if not active_jobs:
            self.next_seconds_between_status_checks = first
            return
        jobs = await asyncio.to_thread(self._queue)
        if jobs is None or self.controller.ended.is_set():
            for info in active_jobs:
                yield info
            return
        has_ended, going_on = False, []
        for info in active_jobs:
            job = jobs.get(info.external_jobid)
            verdict = await asyncio.to_thread(self._verdict, info, job)
            if verdict.fate is Fate.GOES_ON:
                going_on += [job] if job is not None else []
                yield info
                continue
            has_ended = True
            if verdict.fate is Fate.DONE:
                self._report_success(info)
            elif verdict.fate is Fate.FAILED:
                self._report_failure(info, verdict.words)
            else:
                self._submit_again(info, verdict)
        for note in self.waiting.notes(going_on, time.monotonic()):
            self.logger.warning(note)
        pause = first if has_ended else self.next_seconds_between_status_checks + 10
        self.next_seconds_between_status_checks = min(pause, LONGEST_PAUSE)

    def _queue(self) -> dict[str, Job] | None:
        """The jobs of this driver, by number; None where Slurm does not answer."""
        fields = BETWEEN.join(("%i", "%T", "%k", "%r", "%N"))
        command = ["squeue", "--noheader", "--states=all", "--name", self.run_uuid, "--format", fields]
        if self._submitted_job_clusters:
            command += ["--clusters", ",".join(sorted(self._submitted_job_clusters))]
        answer = run(command)
        if self.controller.hears(answer) or answer.status:
            self.logger.debug(f"squeue: {answer.said}")
            return None
        found = {}
        for line in answer.out.splitlines():
            cells = line.split(BETWEEN)
            if len(cells) == 5:
                rule, _, wildcards = cells[2].removeprefix("rule_").partition("_wildcards_")
                found[cells[0]] = Job(cells[0], cells[1], f"{rule} {wildcards}".strip(), cells[3], cells[4])
        return found

    def _verdict(self, info: SubmittedJobInfo, job: Job | None) -> Verdict:
        is_lost = job is None or may_return(job.state)
        info.aux["looks"] = info.aux["looks"] + 1 if is_lost else 0
        if job is not None:
            return fate_of(job.state, job.reason, info.aux["looks"], has_text(info.aux["slurm_logfile"]))
        looks = info.aux["looks"]
        return fate_of_vanished(_ended_as(info.external_jobid), is_made(info.job, info.aux["since"]), looks)

    async def sleep(self) -> None:
        """Wait until the queue is looked at again; a driver that is told to end waits no longer."""
        pause = asyncio.ensure_future(super().sleep())
        while self.wait and not pause.done():
            await asyncio.wait([pause], timeout=SLICE)
        pause.cancel()

    # --- what became of them ---

    def _report_success(self, info: SubmittedJobInfo) -> None:
        self.report_job_success(info)
        if not self.workflow.executor_settings.keep_successful_logs:
            with contextlib.suppress(OSError):
                info.aux["slurm_logfile"].unlink()

    def _report_failure(self, info: SubmittedJobInfo, words: str) -> None:
        log = info.aux["slurm_logfile"]
        end = end_of_log(log)
        words = "ran out of memory" if words == "failed" and tells_of_memory(end) else words
        lines = [f"Slurm's job {info.external_jobid} {words}."]
        if end:
            lines += ["    The end of Slurm's log:", *(f"        {line}" for line in end)]
        self.report_job_error(info, msg="\n".join([*lines, f"    Slurm's log: {log}"]))

    def print_job_error(self, job_info: SubmittedJobInfo, msg: str | None = None, **kwargs: Any) -> None:
        """Tell of a failed job, without the plugin's advice to look for logs: they are named."""
        RealExecutor.print_job_error(self, job_info, msg, **kwargs)

    def _submit_again(self, info: SubmittedJobInfo, verdict: Verdict) -> None:
        """A job was lost: the same once more, as no try of its own."""
        lasted = time.time() - info.aux["since"]
        losses = (0 if lasted > IN_A_ROW else info.aux["losses"]) + 1
        if losses > verdict.most:
            self._report_failure(info, f"{verdict.words}, {losses} times in a row")
            return
        name = f"{info.job.name} {get_job_wildcards(info.job)}".strip()
        self.logger.warning(
            f"Slurm's job {info.external_jobid} ({name}) {verdict.words}: it is submitted again, as it was "
            f"({losses} of at most {verdict.most} in a row; it counts as no try)."
        )
        self._job_submission_executor.submit(self._replace, info, losses)

    def _replace(self, info: SubmittedJobInfo, losses: int) -> None:
        try:
            # So that it never comes back by itself.
            self.controller.ask(["scancel", "--quiet", str(info.external_jobid)])
            new = self._submitted(info.job, losses)
        except Stopped:
            return
        except Exception as error:
            self._report_job_error_threadsafe(info, f"It could not be submitted again: {error}")
            return
        self.logger.info(f"Job {info.job.jobid} is Slurm's job {new.external_jobid} now.")
        with self.lock:
            self.active_jobs.append(new)

    def cancel_jobs(self, active_jobs: list[SubmittedJobInfo]) -> None:
        """Cancel all jobs of this driver, those that are being submitted too."""
        self.controller.ended.set()
        self._job_submission_executor.shutdown(wait=True, cancel_futures=True)
        if self._submitted_job_clusters:
            super().cancel_jobs(active_jobs)
            return
        answer = run(["scancel", "--quiet", f"--name={self.run_uuid}"], seconds=60)
        if answer.status:
            self.logger.warning(
                f"The jobs could not be cancelled ({answer.said}). Later: scancel --name={self.run_uuid}"
            )


def _ended_as(number: str) -> str:
    """The state that accounting has of a job that ended; empty where there is no accounting."""
    answer = run(["sacct", "-X", "--noheader", "--parsable2", "--format=State", "-j", number], seconds=60)
    return answer.out.strip().partition("\n")[0] if not answer.status else ""


def is_made(job: Any, since: float) -> bool:
    """Whether all that a job makes is there, and was made after `since`, in seconds of the epoch."""
    jobs = job.jobs if job.is_group() else [job]
    files = [Path(str(file)) for one in jobs for file in one.output]
    try:
        return bool(files) and all(file.stat().st_mtime > since - CLOCKS for file in files)
    except OSError:
        return False


def has_text(log: Path) -> bool:
    """Whether a job's log has a line. A network disk that does not answer is no reason to end."""
    try:
        return log.stat().st_size > 0
    except OSError:
        return False


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
