"""The end of a failed job's Slurm log, without what Snakemake says in each job.

The log of the job's own script stands elsewhere. Here is what else went wrong: Slurm's word on limits, a node that
can't read a folder, a traceback from before the script began.
"""

import re
from pathlib import Path

LINES = 12
LONGEST = 300
END = 60_000
"""Bytes of a log, from its end, that are looked at."""
OF_MEMORY = re.compile(r"memory limit|oom.?kill|out.of.memory", re.IGNORECASE)

# Whole lines that a Snakemake in a job prints whatever happens.
ALWAYS = re.compile(
    r"""
    ( host:\s | Building\ DAG | Using\ shell: | Provided\ (cores|resources|remote) | Rules\ claiming
    | Select\ jobs | Execute\ \d+\ jobs | Job\ stats: | job\s+count | -{3,} | total\s+\d | Assuming\ unrestricted
    | Shutting\ down | Exiting\ because | Complete\ log | At\ least\ one\ job | Trying\ to\ restart | Elapsed\ time
    | \[\w{3}\ \w{3}\s+\d+\ [\d:]+\ \d{4}\] | \d+\ of\ \d+\ steps | Finished\ jobid | Storing\ output
    | Conda\ environments: | Singularity\ containers: | Group\ jobs: | Removing\ output | Workflow\ finished
    | Terminating\ processes | Cancelling\ snakemake | Will\ exit\ after | Waiting\ at\ most | Config\ file
    | Using\ profile | (local)?rule\ \w+: | checkpoint\ \w+: | Error\ in\ (rule|group)\ \w+: | RuleException
    | \w+\ +\d+$ | SNAKEMAKE$ | =+$
    | CalledProcessError\ in\ file\ | Command\ '.*'\ returned\ non-zero\ exit\ status
    )
    """,
    re.VERBOSE,
)
# Facts of the job below such a line: `    output: ...`.
FACT = re.compile(
    r"\s+(input|output|log|jobid|reason|wildcards|resources|threads|benchmark|priority|message|shell|shellcmd|group"
    r"|conda-env|jobs|params|Date|Workflow ID|Platform|Host|User|Snakemake version|Python version|Command|Snakefile"
    r"|Base directory|Run directory|Working directory|Config file\(s\)|Config MD5|Profiles?):"
)


def end_of_log(path: Path, lines: int = LINES) -> list[str]:
    """The last lines of a log that help, at most `lines`; none where there is no log, or nothing in it helps."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, path.stat().st_size - END))
            text = file.read().decode("utf-8", errors="replace")
    except OSError:
        return []
    return helpful_lines(text)[-lines:]


def tells_of_memory(lines: list[str]) -> bool:
    """Whether Slurm says in a log that it ended the job for its memory, which it may call a failure like any other."""
    return any("slurmstepd" in line and OF_MEMORY.search(line) for line in lines)


def helpful_lines(text: str) -> list[str]:
    """The lines of a log without what every job's Snakemake prints; long ones are cut."""
    kept = []
    for raw in text.replace("\r", "\n").splitlines():
        line = raw.rstrip()
        if line.strip() and not ALWAYS.match(line.strip()) and not FACT.match(line):
            shown = line if len(line) <= LONGEST else f"{line[:LONGEST]} ..."
            # Slurm says some things several times.
            if not (shown in kept and shown.startswith("slurmstepd")):
                kept.append(shown)
    return kept
