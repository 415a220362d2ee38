"""`neuroscaling run` starts Snakemake for a study, passes signals on, and sums up at the end."""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from neuroscaling.campaign.driver_log import driver_log
from neuroscaling.campaign.notify import LOGS, Notifier, command_of
from neuroscaling.campaign.run_summary import INTERRUPTED, summary_lines
from neuroscaling.cli.output import tell
from neuroscaling.core.errors import Problem, StudyError, nearest
from neuroscaling.core.installation import DRIVER, PIPELINE, SNAKEFILE, with_library
from neuroscaling.study.loaded_study import load_study
from neuroscaling.study.session import wanted_names

PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)
PROFILE_FILES = ("config.yaml", "config.v8+.yaml", "config.v9+.yaml")
# Where Snakemake itself looks for the name of a profile.
OF_SNAKEMAKE = (Path.home() / ".config" / "snakemake", Path("/etc/xdg/snakemake"))


def add_run_options(parser: argparse.ArgumentParser) -> None:
    """The options of `run`, behind the study. What is none of them is Snakemake's."""
    text = "a folder, or a name: local, slurm, generic, or a profile of Snakemake; a second one has the last word"
    parser.add_argument("--profile", action="append", default=[], metavar="NAME", help=text)
    text = "cores of this machine for all jobs together; all of them where neither this nor a profile is given"
    parser.add_argument("--cores", "-c", metavar="N", help=text)
    parser.add_argument("--dry-run", "-n", action="store_true", help="list the jobs, and run none")
    text = "a command that is told of the first failure and of the end, on its standard input"
    parser.add_argument("--notify", metavar="COMMAND", help=text)
    text = "more settings of the workflow, such as planning=true"
    parser.add_argument("--config", "-C", nargs="+", default=[], metavar="KEY=VALUE", help=text)


def run_study(options: argparse.Namespace) -> int:
    """Run a study with Snakemake. Returns its exit status; 130 where Ctrl-C ended it, 128 + n for another signal n.

    Raises StudyError, before anything is started, where the study or the profile can't be used.
    """
    planning = "planning=true" in options.config
    study = load_study(options.study, planning)
    command, clock = snakemake_command(options), time.monotonic()
    if not options.dry_run:
        # All that the summary asks of the study is read now: its files may be edited while it runs.
        wanted_names(study), study.fits
    told = command_of(options.notify) if options.notify and not options.dry_run else []
    with Notifier(told, study.config.study) as notifier:
        status = supervised(command)
    log = driver_log(LOGS, notifier.began)
    if log is not None and not options.dry_run and log.planned:
        seconds = time.monotonic() - clock
        lines = [*summary_lines(study, str(options.study), log, seconds, status)]
        tell(lines)
        if status != INTERRUPTED:
            notifier.ended(lines, status, len(log.failures()))
    elif status and told:
        notifier.ended([f"{study.config.study}: the start failed before any job"], status, 0)
    return status


def snakemake_command(options: argparse.Namespace) -> list[str]:
    """The command line of Snakemake. Raises StudyError for a profile that is nowhere and a second study."""
    if named := [setting for setting in options.config if setting.startswith("study=")]:
        fix = "name the study once: neuroscaling run STUDY"
        raise StudyError(Problem(what="a second study is named", where="--config", value=named[0], fix=fix))
    command = [sys.executable, str(DRIVER), "--snakefile", str(SNAKEFILE)]
    for profile in options.profile:
        command += ["--profile", profile_named(profile)]
    if options.cores or not options.profile:
        command += ["--cores", options.cores or "all"]
    command += ["--dry-run"] * options.dry_run
    return [*command, *options.more, "--config", f"study={options.study}", *options.config]


def profile_named(name: str) -> str:
    """The folder of a profile: a path, or a name in `profiles/` here or of the pipeline; or one that Snakemake knows.

    Raises StudyError where there is none, with the nearest name.
    """
    for folder in (Path(name), Path("profiles") / name, PIPELINE / "profiles" / name):
        if any((folder / file).is_file() for file in PROFILE_FILES):
            return str(folder)
    if any((folder / name).is_dir() for folder in OF_SNAKEMAKE):
        return name
    known = shipped_profiles()
    raise StudyError(
        Problem(
            what="there is no such profile",
            where="--profile",
            value=name,
            allowed=f"a folder with a config.yaml, {', '.join(known)}, or a profile in {OF_SNAKEMAKE[0]}",
            nearest=nearest(name, known),
        )
    )


def shipped_profiles() -> list[str]:
    """The names of the pipeline's profiles. `default` is no choice: every start has it."""
    return sorted({path.parent.name for path in (PIPELINE / "profiles").glob("*/config.yaml")} - {"default"})


def supervised(command: Sequence[str]) -> int:
    """Run a command to its end in a process group of its own, which gets the signals that this process gets.

    A terminal sends Ctrl-C to a whole group. So the driver and its jobs get it once, whoever sent it and to whom. What
    this process ignores (SIGHUP under nohup) they ignore too. Returns the exit status, or 128 + n after signal n.
    """
    received: list[int] = []
    early: list[int] = []
    groups: list[int] = []

    def pass_on(number: int, frame: object = None) -> None:
        received.append(number)
        if not groups:
            early.append(number)
        for group in groups:
            with suppress(ProcessLookupError):
                os.killpg(group, number)

    before = {number: signal.getsignal(number) for number in PASSED_ON}
    # Before the process is there: a signal that is handled here is none that the process ignores.
    for number in (number for number, handler in before.items() if handler != signal.SIG_IGN):
        signal.signal(number, pass_on)
    try:
        with subprocess.Popen(command, env=with_library(), process_group=0) as process:
            groups.append(process.pid)
            while early:  # what came before there was a group
                os.killpg(process.pid, early.pop(0))
            status = process.wait()
            groups.clear()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        return 128 + received[0]
    return status if status >= 0 else 128 - status
