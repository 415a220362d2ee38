"""What a start of a study did, what failed and why, and where its report is: the lines that `run` ends with."""

from collections.abc import Iterator
from pathlib import Path

from neuroscaling.campaign.driver_log import DriverLog, Failure
from neuroscaling.campaign.watch import Stage, Watch
from neuroscaling.core.errors import number_of
from neuroscaling.core.progress import in_time
from neuroscaling.study.loaded_study import LoadedStudy

INTERRUPTED = 130
SIGNALLED = 128
MOST = 20
"""Failures that are listed one by one."""
MOST_OF_TRACE = 30
TRACE = "Traceback (most recent call last):"


def summary_lines(study: LoadedStudy, file: str, log: DriverLog, seconds: float, status: int) -> Iterator[str]:
    """What was done, what failed, what is left, how long it took, what to do, and where the report is.

    file: of the study, as the user wrote it. A line for each failure, and one traceback of all. What a signal ended did
    not fail.
    """
    stages = Watch(study).stages
    interrupted = status > SIGNALLED
    failures = [] if interrupted else list(_failures(stages, log))
    yield ""
    done = number_of(log.finished, "job") if log.finished or status else "nothing was left to be"
    yield f"{study.config.study}: {done} done in {in_time(seconds)}" + (f", {len(failures)} failed" if failures else "")
    yield from map(str, failures[:MOST])
    if len(failures) > MOST:
        yield f"  ... and {len(failures) - MOST} more; `neuroscaling status {file} --failed` lists them"
    yield from _first_traceback(failures)
    if interrupted:
        yield "Interrupted. What is done is kept, and trainings go on from their last epoch: the same command goes on."
    elif failures:
        yield f"When the cause is mended, `neuroscaling retry {file}` tries it again, and goes on with the rest."
    left = {stage.name: n for stage in stages if (n := stage.n_left)}
    if left:
        yield f"Left: {', '.join(f'{n} of {stage}' for stage, n in left.items())}"
        yield f"`neuroscaling status {file}` has the whole table."
    if study.results.report.is_file():
        stale = " (of an earlier start)" if (left or failures) and status else ""
        yield f"The report: {study.results.report.resolve()}{stale}"
    else:
        yield "There is no report yet."


def _failures(stages: list[Stage], log: DriverLog) -> Iterator[Failure]:
    """Trainings that left a record of their failure, whose jobs may have succeeded; then jobs that failed."""
    runs = [one for stage in stages for one in stage.failed if one.recorded]
    for one in runs:
        yield Failure(f"{one.stage} {one.name}", one.reason, one.log)
    told = {one.log for one in runs if one.log}
    yield from (one for one in log.failures() if one.log not in told)


def _first_traceback(failures: list[Failure]) -> Iterator[str]:
    """The last traceback in the log of the first failure that has one, from its end."""
    for one in failures:
        try:
            text = Path(one.log).read_text(encoding="utf-8", errors="replace") if one.log else ""
        except OSError:
            continue
        if TRACE in text:
            lines = text[text.rindex(TRACE) :].rstrip().splitlines()
            yield f"\nThe traceback of {one.name}:"
            yield from (f"  {line}" for line in lines[:1] + lines[1:][-MOST_OF_TRACE:])
            yield ""
            return
